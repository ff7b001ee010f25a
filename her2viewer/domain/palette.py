"""Colours of the HER2 classes, from one place for the window, the overlays and the report.

No import here beyond numpy: the window needs these before its first paint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.annotation import RGB
from her2viewer.domain.classes import ClassScheme


@dataclass(frozen=True)
class Palette:
    """One set of colours, RGB 0 to 255."""

    id: str
    title: str
    """As shown in the settings."""
    her2: tuple[RGB, RGB, RGB, RGB]
    """Colours of 0, 1+, 2+, 3+."""
    not_tumour: RGB
    """Cells and patches that were seen and left out."""
    others: tuple[RGB, ...] = ((150, 90, 30), (0, 150, 120), (230, 110, 40), (90, 60, 140), (20, 20, 20))
    """Further classes that do not count, in their order: immune cells, artefacts."""


PALETTES: Mapping[str, Palette] = MappingProxyType(
    {
        palette.id: palette
        for palette in (
            # Neighbouring classes differ in lightness as well as in hue, so they stay apart with red-green
            # blindness, in grey, and on brown and blue tissue.
            Palette(
                "colour_blind",
                "Colour-blind safe",
                ((120, 200, 255), (0, 80, 200), (225, 30, 140), (255, 210, 0)),
                (205, 205, 205),
            ),
            # Class colours of the figures in Pham et al. 2022: green, blue, pink, yellow.
            Palette(
                "pham",
                "Pham 2022 (green, blue, pink, yellow)",
                ((60, 170, 75), (50, 100, 220), (240, 110, 180), (250, 215, 40)),
                (150, 150, 150),
            ),
            # Colours of QuPath's own intensity classes Negative, 1+, 2+, 3+.
            Palette(
                "qupath",
                "As in QuPath",
                ((90, 90, 180), (255, 215, 0), (225, 150, 50), (200, 50, 50)),
                (160, 160, 160),
            ),
        )
    }
)

DEFAULT_PALETTE = "colour_blind"


def palette(name: str = DEFAULT_PALETTE) -> Palette:
    """The palette with that id.

    Raises:
        KeyError: there is none with that id.
    """
    return PALETTES[name]


def her2_colors(name: str = DEFAULT_PALETTE) -> tuple[RGB, RGB, RGB, RGB]:
    """RGB of 0, 1+, 2+, 3+.

    Raises:
        KeyError: there is no palette with that id.
    """
    return PALETTES[name].her2


def class_colors(scheme: ClassScheme, name: str = DEFAULT_PALETTE) -> NDArray[np.uint8]:
    """RGB of each class of a scheme, uint8 (classes, 3); read-only.

    Raises:
        KeyError: there is no palette with that id.
    """
    chosen = PALETTES[name]
    others = cycle((chosen.not_tumour, *chosen.others))
    colors = np.array(
        [next(others) if code < 0 else chosen.her2[code] for code in scheme.her2], dtype=np.uint8
    ).reshape(-1, 3)
    colors.flags.writeable = False
    return colors


@cache
def sequential_colormap() -> NDArray[np.uint8]:
    """Colours of a heatmap from low to high, uint8 (256, 3) RGB; read-only.

    Dark violet over teal to yellow: lightness rises evenly, so it reads in grey and with colour blindness.
    Linear between anchors of the viridis colour map (S. van der Walt and N. Smith, public domain, CC0).
    """
    anchors = np.array(
        [
            (68, 1, 84),
            (71, 44, 122),
            (59, 81, 139),
            (44, 113, 142),
            (33, 144, 141),
            (39, 173, 129),
            (92, 200, 99),
            (170, 220, 50),
            (253, 231, 37),
        ],
        dtype=np.float64,
    )
    at = np.linspace(0.0, 1.0, len(anchors))
    steps = np.linspace(0.0, 1.0, 256)
    colors = np.stack([np.interp(steps, at, anchors[:, c]) for c in range(3)], axis=1)
    table = np.round(colors).astype(np.uint8)
    table.flags.writeable = False
    return table
