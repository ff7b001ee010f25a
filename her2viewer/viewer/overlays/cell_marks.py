"""Marks of the reader on cells, drawn into the arrays of ``cell_raster``: what was said, what was removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.evidence import NOT_SCORED
from her2viewer.viewer.overlays.cell_index import CellChunk

_DARK, _LIGHT = (20, 20, 20, 255), (225, 225, 225, 255)


def mark_said(  # noqa: PLR0917
    image: NDArray[np.uint8],
    chunk: CellChunk,
    at: NDArray[np.int64],
    origin: tuple[float, float],
    downsample: float,
    colors: NDArray[np.uint8],
    cell_size: float,
) -> None:
    """A dot in the middle of each cell whose class is the reader's word.

    Args:
        image: (h, w, 4) premultiplied BGRA, drawn on.
        chunk: the cells.
        at: those on the tile, as places in what is sorted.
        origin: x, y of the tile, level-0 px.
        downsample: level-0 px per device px.
        colors: (classes, 3) RGB.
        cell_size: diameter of a cell, level-0 px.
    """
    import cv2

    of_scorer = chunk.table.scorer_classes
    if of_scorer is None:
        return
    radius = max(2, round(0.11 * cell_size / downsample))
    for i in at[of_scorer[chunk.order[at]] != NOT_SCORED].tolist():
        centre = _device(chunk, i, origin, downsample)
        red, green, blue = colors[chunk.classes[i]].tolist()
        cv2.circle(image, centre, radius + 1, _DARK, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(image, centre, radius, (blue, green, red, 255), cv2.FILLED, cv2.LINE_AA)


def mark_removed(  # noqa: PLR0917
    image: NDArray[np.uint8],
    chunk: CellChunk,
    at: NDArray[np.int64],
    origin: tuple[float, float],
    downsample: float,
    cell_size: float,
) -> None:
    """A small cross where the reader has removed a cell; arguments as ``mark_said``."""
    import cv2

    arm = max(2, round(0.16 * cell_size / downsample))
    for i in at.tolist():
        x, y = _device(chunk, i, origin, downsample)
        for ink, thickness in ((_DARK, 3), (_LIGHT, 1)):
            cv2.line(image, (x - arm, y - arm), (x + arm, y + arm), ink, thickness, cv2.LINE_AA)
            cv2.line(image, (x - arm, y + arm), (x + arm, y - arm), ink, thickness, cv2.LINE_AA)


def _device(chunk: CellChunk, i: int, origin: tuple[float, float], downsample: float) -> tuple[int, int]:
    return round((float(chunk.x[i]) - origin[0]) / downsample), round((float(chunk.y[i]) - origin[1]) / downsample)
