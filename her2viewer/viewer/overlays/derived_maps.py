"""Heatmaps worked out of the cells when they are first looked at: density of one kind, local heterogeneity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from her2viewer.domain.classes import HER2_LABELS, ClassScheme
from her2viewer.domain.evidence import CellTable, Heatmap
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.scoring.cell_maps import (
    DENSITY_MM2,
    LEAST_CELLS,
    WINDOW_UM,
    density_map,
    heterogeneity_map,
)
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.base import Legend
from her2viewer.viewer.overlays.grids import HeatmapLayer

Made = Callable[[], Heatmap | None]


class DerivedMapLayer(HeatmapLayer):
    """A heatmap that somebody fills in once it is wanted."""

    choice_changed = Signal()
    again = Signal()
    """The reader wants to try once more what failed."""

    def __init__(self, title: str, choices: tuple[str, ...] = (), parent: QObject | None = None) -> None:
        """``choices`` are the kinds of which one is shown; empty where there is nothing to choose."""
        super().__init__(title, parent)
        self.choices = choices
        self._choice = max(0, len(choices) - 1)
        self.made_of: tuple[object, ...] = ()
        """What the map was worked out of."""
        self.problem = ""
        """Why there is no map, as a sentence that says what to do; "" where nothing failed."""

    @property
    def choice(self) -> int:
        """Which of ``choices`` is shown."""
        return self._choice

    def set_choice(self, choice: int) -> None:
        """Show another kind."""
        if choice != self._choice:
            self._choice = choice
            self.choice_changed.emit()

    def work(self, table: CellTable, region: Region, pixel_size: PixelSize) -> Made:
        """What a worker has to do for the present choice."""
        raise NotImplementedError

    def take(self, heatmap: Heatmap | None) -> None:
        """Show this map, or none."""
        self.problem = ""
        self.set_parts([] if heatmap is None else [heatmap])

    def fail(self, problem: str) -> None:
        """Show no map, and say why there is none."""
        self.problem = problem
        self.set_parts([])

    def legend(self) -> Legend | None:
        if self.problem:
            return Legend(self.title, note="Could not be worked out: see the panel Layers")
        return super().legend()


class DensityLayer(DerivedMapLayer):
    """How dense cells of one class lie."""

    def __init__(self, scheme: ClassScheme, parent: QObject | None = None) -> None:
        super().__init__("Density of cells", ("all tumour cells", *scheme.names), parent)
        self._scheme = scheme

    @property
    def kind(self) -> str:
        """Of the cells that are counted."""
        return self.choices[self.choice]

    def work(self, table: CellTable, region: Region, pixel_size: PixelSize) -> Made:
        tumour = tuple(k for k, code in enumerate(self._scheme.her2) if code >= 0)
        classes = tumour if self.choice == 0 else (self.choice - 1,)
        return lambda: density_map(table, classes, region, pixel_size)

    def _seen(self, part: Heatmap) -> NDArray[np.bool_]:
        # Where none lie the tissue is worth more than a colour for nothing.
        return np.asarray(part.values > 0)

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        value = self.value_at(x, y)
        return None if value is None else f"{self.kind}: {value:.0f} cells / {DENSITY_MM2} mm²"

    def legend(self) -> Legend | None:
        legend, heatmap = super().legend(), self.heatmap
        if legend is None or heatmap is None:
            return legend
        # The unit once, in its own line: at both ends of the scale it would be too wide.
        return replace(
            legend,
            title=f"Density: {self.kind}",
            low=f"{heatmap.low:.0f}",
            high=f"{heatmap.high if self.top is None else self.top:.0f} and more",
            note=f"cells / {DENSITY_MM2} mm² (squares of 122 µm)",
        )


class HeterogeneityLayer(DerivedMapLayer):
    """How mixed the tumour cells are, place by place."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__("Local heterogeneity", (), parent)

    def work(self, table: CellTable, region: Region, pixel_size: PixelSize) -> Made:
        return lambda: heterogeneity_map(table, region, pixel_size)

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        value = self.value_at(x, y)
        return None if value is None else f"local entropy {value:.2f}"

    def legend(self) -> Legend | None:
        legend = super().legend()
        if legend is None or self.heatmap is None:
            return legend
        labels = ", ".join(HER2_LABELS)
        return replace(
            legend,
            low="0 one class",
            high="1.39 all four alike" if self.top is None else f"{self.top:.2f} and more",
            note=f"Entropy of {labels} in {WINDOW_UM:.0f} µm, {LEAST_CELLS} cells or more",
        )
