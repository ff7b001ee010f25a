"""Classes of patches coloured only where a tumour mask says tumour, drawn sharp at every zoom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from her2viewer.domain.evidence import ClassMap, TissueMask
from her2viewer.viewer.overlays.cell_index import Box
from her2viewer.viewer.overlays.lookup import looked_up, sampled
from her2viewer.viewer.overlays.parts_within import PartsWithin
from her2viewer.viewer.overlays.raster_tiles import Render
from her2viewer.viewer.overlays.tissue_mask import sample_mask

_NONE = 255


def masked_render(
    parts: Sequence[ClassMap], masks: Sequence[TissueMask], colors: NDArray[np.uint8], shown: NDArray[np.bool_]
) -> Render:
    """Drawing function for the worker: a snapshot of maps, masks and style.

    Args:
        parts: maps of one scheme, later ones over earlier ones.
        masks: where the tumour is.
        colors: (classes, 3) RGB.
        shown: (classes,) which are drawn.
    """
    maps, tumour = PartsWithin(parts), PartsWithin(masks)
    table = np.zeros((256, 4), dtype=np.uint8)
    count = len(colors)
    table[:count, 2::-1] = np.where(shown[:, None], colors, 0)
    table[:count, 3] = np.where(shown, 255, 0)

    def render(box: Box, size: int, downsample: float) -> QImage | None:
        at = (np.arange(size) + 0.5) * downsample
        classes = np.full((size, size), _NONE, dtype=np.uint8)
        for part in maps.within(box):
            _sample_classes(part, classes, box[0] + at, box[1] + at)
        if (classes == _NONE).all():
            return None
        inside = np.zeros((size, size), dtype=np.uint8)
        for mask in tumour.within(box):
            sample_mask(mask, inside, box[0], box[1], downsample)
        classes[inside == 0] = _NONE
        pixels = looked_up(table, classes)
        if not pixels.any():
            return None
        return QImage(pixels.data, size, size, 4 * size, QImage.Format.Format_ARGB32_Premultiplied).copy()

    return render


def _sample_classes(
    part: ClassMap, into: NDArray[np.uint8], xs: NDArray[np.floating], ys: NDArray[np.floating]
) -> None:
    """Write the classes that count into the pixels of a tile whose centres are ``xs`` and ``ys``."""
    grid = part.grid
    columns = np.floor((xs - grid.x) / grid.step).astype(np.int64)
    rows = np.floor((ys - grid.y) / grid.step).astype(np.int64)
    column_ok = np.flatnonzero((columns >= 0) & (columns < grid.columns))
    row_ok = np.flatnonzero((rows >= 0) & (rows < grid.rows))
    if not len(row_ok) or not len(column_ok):
        return
    window = (slice(rows[row_ok[0]], rows[row_ok[-1]] + 1), slice(columns[column_ok[0]], columns[column_ok[-1]] + 1))
    known = part.classes[window]
    # Only this window: a map of a whole slide is not looked through for each tile.
    weight = part.weight[window]
    counts = (known != _NONE) & ((weight > part.least_weight) if part.least_weight > 0 else (weight > 0))
    codes = np.where(counts, known, _NONE).astype(np.uint8)
    found = sampled(codes, rows[row_ok] - window[0].start, columns[column_ok] - window[1].start)
    target = into[row_ok[0] : row_ok[-1] + 1, column_ok[0] : column_ok[-1] + 1]
    np.copyto(target, found, where=found != _NONE)
