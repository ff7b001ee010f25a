"""The tumour mask as a line around the tumour and a faint tint in it, drawn sharp at every zoom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject
from PySide6.QtGui import QImage, QPainter

from her2viewer.domain.annotation import RGB
from her2viewer.domain.corrections import Bounds
from her2viewer.domain.evidence import NOT_SCORED, TissueMask
from her2viewer.domain.shares import CountedUnit, Shares
from her2viewer.viewer.canvas.rasters import RasterSource
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.base import EvidenceLayer, Legend, LegendRow, amount_texts
from her2viewer.viewer.overlays.cell_index import Box
from her2viewer.viewer.overlays.lookup import looked_up, sampled
from her2viewer.viewer.overlays.parts_within import PartsWithin
from her2viewer.viewer.overlays.raster_tiles import RasterTiles, Render

COLOR: RGB = (20, 20, 30)
"""Nearly black: no class has it, and it is seen on pale and on brown tissue alike, with the pale line beside it."""
_PALE: RGB = (255, 255, 255)
_TINT, _LINE, _HALO = 26, 235, 150
"""Alpha inside, of the line, and of the pale line outside it."""
_MARGIN = 3
"""Device px around a tile that its lines depend on."""


class TissueMaskLayer(EvidenceLayer):
    """Draws masks of one name, part by part as they come."""

    z = 12

    def __init__(self, title: str, parent: QObject | None = None) -> None:
        super().__init__(title, parent)
        self._parts: tuple[TissueMask, ...] = ()
        self._shares: Shares | None = None
        self._tiles = RasterTiles(self)
        self._tiles.ready.connect(self.changed_in)
        self._tiles.ready_ahead.connect(self.drawn_ahead)

    @property
    def parts(self) -> tuple[TissueMask, ...]:
        """What is drawn, later parts over earlier ones."""
        return self._parts

    def append(self, part: TissueMask) -> None:
        """Add one part; it lies over earlier ones."""
        self.set_parts((*self._parts, part), part.grid.bounds)

    def set_parts(self, parts: Sequence[TissueMask], box: Bounds) -> None:
        """Exactly these from now on; they differ from those before inside ``box`` (level-0 px) alone."""
        self._parts = tuple(parts)
        step = max((part.grid.step for part in parts), default=1.0)
        self._tiles.update_render(mask_render(self._parts), box, margin=4 * step)
        self.changed_in.emit(box)

    @property
    def idle(self) -> bool:
        """True when all ordered tiles are there."""
        return self._tiles.idle

    def stop(self) -> None:
        """End the work in the background; the layer is about to go."""
        self._tiles.stop()

    def viewport_changed(self, viewport: Viewport) -> None:
        self._tiles.set_viewport(viewport)

    def leave_off(self) -> None:
        self._tiles.leave_off()

    def set_shares(self, shares: Shares | None) -> None:
        if shares != self._shares:
            self._shares = shares
            self.legend_changed.emit()

    def legend(self) -> Legend | None:
        shares, amount = self._shares, ""
        if shares is not None and shares.unit is CountedUnit.SURFACE:
            amount = amount_texts([shares.total + shares.excluded + shares.unclassified], shares.unit)[0]
        return Legend(self.title, (LegendRow(COLOR, "in the ROI", amount),))

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        for part in reversed(self._parts):
            at = part.grid.index(x, y)
            if at is not None and part.values[at] != NOT_SCORED:
                return "tumour" if part.values[at] else "no tumour"
        return None

    def _paint(self, painter: QPainter, viewport: Viewport) -> None:
        self._tiles.paint(painter, viewport)

    def _raster_source(self) -> RasterSource:
        return self._tiles.shelf()


def mask_render(parts: Sequence[TissueMask]) -> Render:
    """Drawing function for the worker: a snapshot of the masks."""
    masks = PartsWithin(parts)

    def render(box: Box, size: int, downsample: float) -> QImage | None:
        wide = size + 2 * _MARGIN
        rim = _MARGIN * downsample
        left, top = box[0] - rim, box[1] - rim
        inside = np.zeros((wide, wide), dtype=np.uint8)
        for mask in masks.within((left, top, box[2] + rim, box[3] + rim)):
            sample_mask(mask, inside, left, top, downsample)
        if not inside.any():
            return None
        pixels = np.ascontiguousarray(_drawn(inside)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
        return QImage(pixels.data, size, size, 4 * size, QImage.Format.Format_ARGB32_Premultiplied).copy()

    return render


def sample_mask(mask: TissueMask, into: NDArray[np.uint8], left: float, top: float, downsample: float) -> None:
    """Write tumour (1) and none (0) into the pixels of a tile, where this mask knows.

    Args:
        mask: of which a part may lie in the tile.
        into: (n, n), changed in place.
        left: of the tile, level-0 px.
        top: of the tile, level-0 px.
        downsample: level-0 px a pixel of the tile.
    """
    import cv2

    values, grid = mask.values, mask.grid
    # From afar a pixel holds many cells of the mask: it is tumour where most of them are.
    factor = max(1, int(downsample / grid.step))
    size = into.shape[0]
    xs = left + (np.arange(size) + 0.5) * downsample
    ys = top + (np.arange(size) + 0.5) * downsample
    columns = np.floor((xs - grid.x) / (grid.step * factor)).astype(np.int64)
    rows = np.floor((ys - grid.y) / (grid.step * factor)).astype(np.int64)
    r0, r1, c0, c1 = max(0, rows[0]), rows[-1] + 1, max(0, columns[0]), columns[-1] + 1
    crop = values[r0 * factor : r1 * factor, c0 * factor : c1 * factor]
    if not crop.size:
        return
    if factor > 1:
        height, width = -(-crop.shape[0] // factor), -(-crop.shape[1] // factor)
        grown = np.full((height * factor, width * factor), NOT_SCORED, dtype=np.uint8)
        grown[: crop.shape[0], : crop.shape[1]] = crop
        tumour = cv2.resize((grown == 1) * np.uint8(255), (width, height), interpolation=cv2.INTER_AREA)
        known = cv2.resize((grown != NOT_SCORED) * np.uint8(255), (width, height), interpolation=cv2.INTER_AREA)
        crop = np.where(known == 0, NOT_SCORED, tumour >= 128).astype(np.uint8)
    row_ok = np.flatnonzero((rows >= r0) & (rows < r0 + crop.shape[0]))
    column_ok = np.flatnonzero((columns >= c0) & (columns < c0 + crop.shape[1]))
    if not len(row_ok) or not len(column_ok):
        return
    found = sampled(crop, rows[row_ok] - r0, columns[column_ok] - c0)
    target = into[row_ok[0] : row_ok[-1] + 1, column_ok[0] : column_ok[-1] + 1]
    np.copyto(target, found, where=found != NOT_SCORED)


def _drawn(inside: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, n, 4) premultiplied BGRA of a mask of 0 and 1."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    core = cv2.erode(inside, cross, iterations=2, borderType=cv2.BORDER_REPLICATE)
    around = cv2.dilate(inside, cross, borderType=cv2.BORDER_REPLICATE)
    table = np.zeros((4, 4), dtype=np.uint8)
    # 3 inside, 2 the line on its edge, 1 the pale line beyond, 0 nothing.
    for row, (color, alpha) in enumerate(((_PALE, _HALO), (COLOR, _LINE), (COLOR, _TINT)), start=1):
        table[row] = [*(channel * alpha // 255 for channel in reversed(color)), alpha]
    return looked_up(table, cv2.add(cv2.add(inside, core), around))
