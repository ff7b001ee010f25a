"""Cells by class: outlines when close, dots in between, density when far; a million of them pan like none."""

from __future__ import annotations

import contextlib
import re
import threading

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QImage, QPainter

from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import NOT_SCORED, CellTable
from her2viewer.viewer.canvas.rasters import RasterSource
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.base import ClassLayer
from her2viewer.viewer.overlays.cell_index import Box, CellStore, IndexedCells
from her2viewer.viewer.overlays.cell_raster import CellStyle, CellView, draw_cells, draw_density, view_for
from her2viewer.viewer.overlays.raster_tiles import RasterTiles, Render

FEATURE_NAMES = {"membrane_od": "membrane OD", "completeness": "complete", "area": "area", "nucleus_area": "nucleus"}
_CODE = re.compile(r"(\d+) ([^,]+)")
"""A unit may be a list of codes: ``0 none, 1 incomplete, 3 complete``."""
_END_S = 2.0
_AT_ONCE = 50_000
"""Tables below this size are indexed on the spot, within a frame."""
_READOUT_REACH_PX = 14.0
"""How far from the pointer a cell is still meant, logical screen px."""


class CellLayer(ClassLayer):
    """Draws a ``CellTable`` that may still be growing."""

    z = 20
    _indexed = Signal(object)

    def __init__(
        self,
        title: str,
        scheme: ClassScheme,
        slide_size: tuple[float, float],
        parent: QObject | None = None,
    ) -> None:
        """``slide_size`` is width and height in level-0 px."""
        super().__init__(title, scheme, parent)
        self.store = CellStore(scheme, *slide_size)
        self._cell_size = 1.0
        self._sized_at = 0
        self._tiles = RasterTiles(self)
        self._tiles.ready.connect(self.changed_in)
        self._tiles.ready_ahead.connect(self.drawn_ahead)
        self._indexing = 0
        self._indexers: list[threading.Thread] = []
        self._patches: list[CellTable] = []
        """Corrections of cells that are still being indexed."""
        self._indexed.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def append(self, table: CellTable) -> None:
        """Add the cells of one part; only the tiles they touch are drawn again."""
        if len(table) < _AT_ONCE:
            self._attach(self.store.prepared(table))
            return
        # A saved case may hold a million cells: they are indexed beside the main thread.
        self._indexing += 1
        store, done = self.store, self._indexed

        def index() -> None:
            cells = store.prepared(table)
            with contextlib.suppress(RuntimeError):  # the layer is gone
                done.emit(cells)

        thread = threading.Thread(target=index, name="index cells", daemon=True)
        self._indexers = [t for t in self._indexers if t.is_alive()] + [thread]
        thread.start()

    def correct(self, patch: CellTable) -> None:
        """Cells as the reader corrected them, removed ones of class ``NO_CELL``, told by their places."""
        if self._indexing:
            self._patches.append(patch)
            return
        box = self.store.correct(patch)
        if box is not None:
            self._tiles.update_render(
                self._render(), box, margin=2 * max(self._cell_size, self.store.density.bin * 4)
            )
            self.changed.emit()

    def _take(self, cells: IndexedCells | None) -> None:
        self._indexing -= 1
        self._attach(cells)
        if not self._indexing:
            patches, self._patches = self._patches, []
            for patch in patches:
                self.correct(patch)

    def _attach(self, cells: IndexedCells | None) -> None:
        if cells is None:
            return
        box = self.store.append(cells)
        if len(self.store) >= 2 * self._sized_at:
            # Measured anew each time the number of cells has doubled: it settles, and costs nothing later.
            self._cell_size, self._sized_at = self.store.typical_size(), len(self.store)
            self._tiles.set_render(self._render())
        else:
            self._tiles.update_render(
                self._render(), box, margin=2 * max(self._cell_size, self.store.density.bin * 4)
            )
        self.changed.emit()

    def view(self, viewport: Viewport) -> CellView:
        """How the cells are drawn at this zoom."""
        return view_for(self._cell_size, viewport.downsample)

    @property
    def idle(self) -> bool:
        """True when all ordered tiles are there."""
        return self._tiles.idle and not self._indexing

    def stop(self) -> None:
        """End the work in the background; the layer is about to go."""
        self._tiles.stop()
        # A thread must not tell of its cells while the layer goes.
        for thread in self._indexers:
            thread.join(_END_S)

    def viewport_changed(self, viewport: Viewport) -> None:
        self._tiles.set_viewport(viewport)

    def leave_off(self) -> None:
        self._tiles.leave_off()

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        reach = max(_READOUT_REACH_PX / viewport.scale, self._cell_size * 0.7)
        if self.view(viewport) is CellView.DENSITY:
            return None
        found = self.store.nearest(x, y, min(reach, 4 * self._cell_size), self._shown)
        return None if found is None else describe_cell(*found)

    def _paint(self, painter: QPainter, viewport: Viewport) -> None:
        self._tiles.paint(painter, viewport)

    def _raster_source(self) -> RasterSource:
        return self._tiles.shelf()

    def _restyled(self) -> None:
        self._tiles.set_render(self._render())

    def _render(self) -> Render:
        """Drawing function for the worker: a snapshot of cells and style."""
        chunks, density, cell_size = self.store.chunks, self.store.density, self._cell_size
        order = tuple(int(i) for i in np.argsort(np.asarray(self.scheme.her2), kind="stable"))
        style = CellStyle(self.colors(), self.shown, order)

        def render(box: Box, size: int, downsample: float) -> QImage | None:
            if view_for(cell_size, downsample) is CellView.DENSITY:
                pixels = draw_density(
                    density, box, size=size, downsample=downsample, style=style, cell_size=cell_size
                )
            else:
                pixels = draw_cells(chunks, box, size=size, downsample=downsample, style=style, cell_size=cell_size)
            if pixels is None:
                return None
            # copy() gives the image memory of its own, so that no array need be kept alive beside it.
            return QImage(pixels.data, size, size, 4 * size, QImage.Format.Format_ARGB32_Premultiplied).copy()

        return render


def describe_cell(table: CellTable, index: int) -> str:
    """A few words on one cell: ``1+ · membrane OD 0.14 · complete 62 %``."""
    words = [_class_words(table, index)]
    for name, values in table.features.items():
        if name not in FEATURE_NAMES:
            continue
        value, unit = float(values[index]), table.feature_units.get(name, "")
        words.append(f"{FEATURE_NAMES[name]} {feature_text(value, unit)}")
    if table.probabilities is not None:
        words.append(f"p {float(table.probabilities[index].max()):.2f}")
    return " · ".join(words)


def _class_words(table: CellTable, index: int) -> str:
    """``1+``, or ``reader: 2+ (scorer: 1+)`` where the reader said the class."""
    names = table.scheme.names
    now = names[int(table.classes[index])]
    before = NOT_SCORED if table.scorer_classes is None else int(table.scorer_classes[index])
    return now if before == NOT_SCORED else f"reader: {now} (scorer: {names[before]})"


def feature_text(value: float, unit: str) -> str:
    """A measure of a cell with its unit, as printed."""
    if np.isnan(value):
        return "unknown"
    words: dict[str, str] = dict(_CODE.findall(unit))
    if words:
        return words.get(f"{value:.0f}", f"{value:g}")
    if unit == "%":
        return f"{value:.0f} %"
    if unit == "fraction":
        return f"{100 * value:.0f} %"
    if unit == "OD":
        return f"{value:.2f}"
    shown = f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
    return f"{shown} {unit.replace('um2', 'µm²').replace('um', 'µm')}".strip()
