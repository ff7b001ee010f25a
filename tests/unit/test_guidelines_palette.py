"""Class colours: complete, and apart for colour-blind eyes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from her2viewer.domain.classes import CELL_SCHEME, ClassScheme
from her2viewer.domain.palette import (
    DEFAULT_PALETTE,
    PALETTES,
    class_colors,
    her2_colors,
    sequential_colormap,
)

# Machado, Oliveira and Fernandes 2009 (10.1109/TVCG.2009.113), severity 1.0, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
TRITANOPIA = np.array(
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
)


def seen_as_lab(rgb: tuple[int, int, int], matrix: np.ndarray) -> np.ndarray:
    color = pytest.importorskip("skimage.color")
    value = np.asarray(rgb) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = np.clip(matrix @ linear, 0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return color.rgb2lab(srgb.reshape(1, 1, 3)).reshape(3)


@pytest.mark.parametrize("matrix", [np.eye(3), DEUTERANOPIA, PROTANOPIA, TRITANOPIA])
def test_the_default_classes_stay_apart_for_every_kind_of_colour_vision(matrix: np.ndarray) -> None:
    palette = PALETTES[DEFAULT_PALETTE]
    colors = [seen_as_lab(c, matrix) for c in (*palette.her2, palette.not_tumour)]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colors, 2)) > 20


@pytest.mark.parametrize("name", PALETTES)
def test_each_class_of_a_scheme_has_its_colour_and_what_is_not_tumour_has_the_grey(name: str) -> None:
    colors = class_colors(CELL_SCHEME, name)
    assert colors.shape == (5, 3)
    assert colors.dtype == np.uint8
    assert [tuple(c) for c in colors[:4]] == list(her2_colors(name))
    assert tuple(colors[4]) == PALETTES[name].not_tumour
    swapped = class_colors(ClassScheme(("stroma", "strong"), (-1, 3)), name)
    assert tuple(swapped[1]) == her2_colors(name)[3]


def test_a_shared_colour_table_cannot_be_changed_by_one_who_reads_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        class_colors(CELL_SCHEME)[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        sequential_colormap()[0, 0] = 1


def test_the_heatmap_colours_grow_lighter_from_low_to_high() -> None:
    table = sequential_colormap().astype(float)
    assert table.shape == (256, 3)
    lightness = table @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) > -1).all()
    assert lightness[-1] - lightness[0] > 150
