"""What layers paint, as images that a worker lays over a picture of the tissue.

They are scaled by numpy, which lets the main thread run meanwhile. Qt blends them: it does not, but is through with a
piece in 0.1 ms, a tenth of what the same takes in several passes over it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage, QPainter

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Box

Bounds = tuple[float, float, float, float]
"""x0, y0, x1, y1 in level-0 px."""
PIECE = 1 << 19
"""Px that are laid over at a time."""
Ring = NDArray[np.float64]
"""(n, 2) corners in level-0 px."""
RING_SHIFT = 4
"""Bits of a px behind the point."""
RING_LIMIT = 1 << 26


class Rings:
    """Many rings, prepared for masks at many zooms."""

    def __init__(self, rings: Iterable[Ring]) -> None:
        rings = tuple(rings)
        self._points = np.concatenate(rings) if rings else np.empty((0, 2))
        ends = np.cumsum([len(ring) for ring in rings], dtype=np.intp)
        self._spans = np.column_stack([np.append(0, ends[:-1]), ends]) if rings else np.empty((0, 2), dtype=np.intp)
        self.bounds = np.array([[*r.min(axis=0), *r.max(axis=0)] for r in rings]).reshape(-1, 4)
        """Of each, (n, 4) level-0 px."""

    def on(self, box: Box, downsample: float) -> list[NDArray[np.int32]]:
        """Those that reach into a box, px of a zoom, as OpenCV's polygons from its corner with ``RING_SHIFT``."""
        near = self._near(box, downsample)
        if not near.any():
            return []
        spans = self._spans[near]
        lengths = spans[:, 1] - spans[:, 0]
        ends = np.cumsum(lengths)
        chosen = np.arange(ends[-1]) + np.repeat(spans[:, 0] - ends + lengths, lengths)
        points = (self._points[chosen] / downsample - (box.x0 + 0.5, box.y0 + 0.5)) * (1 << RING_SHIFT)
        whole = np.clip(points, -RING_LIMIT, RING_LIMIT).round().astype(np.int32)
        return [whole[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]

    def extent(self, box: Box, downsample: float, margin: int) -> Box:
        """What of a box, px of a zoom, those that reach into it span, with so many px around them."""
        wide = box.widened(margin)
        near = self.bounds[self._near(wide, downsample)]
        if not len(near):
            return Box(box.x0, box.y0, box.x0, box.y0)
        low, high = near[:, :2].min(axis=0) / downsample, near[:, 2:].max(axis=0) / downsample
        x0, y0, x1, y1 = (int(np.clip(edge, -RING_LIMIT, RING_LIMIT)) for edge in (*np.floor(low), *np.ceil(high)))
        return Box(x0, y0, x1, y1).widened(margin).intersected(box)

    def _near(self, box: Box, downsample: float) -> NDArray[np.bool_]:
        x0, y0, x1, y1 = (edge * downsample for edge in box)
        b = self.bounds
        return np.asarray((b[:, 0] <= x1) & (b[:, 2] >= x0) & (b[:, 1] <= y1) & (b[:, 3] >= y0))


class Raster(NamedTuple):
    """An image of a square grid in its place on the slide."""

    pixels: BGRAImage
    """(height, width, 4), premultiplied."""
    x: float
    """Of its upper left corner, level-0 px."""
    y: float
    step: float
    """Level-0 px per px."""
    part: Bounds | None = None
    """What of it is drawn; None for all."""
    owner: Any = None
    """Keeps the memory alive."""


class RasterSource(Protocol):
    """A snapshot of what a layer has at hand; safe to ask from a worker."""

    def within(self, bounds: Bounds, downsample: float) -> Iterable[Raster]:
        """What best fills ``bounds`` at ``downsample`` level-0 px per px, from the lowest to the highest.

        What has to be drawn first is drawn when the iterator comes to it, in small pieces.
        """


@dataclass(frozen=True)
class LayerRasters:
    """A layer without Qt."""

    source: RasterSource
    opacity: float = 1.0
    clip: Rings | None = None
    """Shown only inside these rings, by the odd-even rule; None shows all."""


def lay_over(
    layers: Sequence[LayerRasters], out: BGRAImage, box: Box, origin: tuple[int, int], downsample: float
) -> Iterator[None]:
    """Paint layers over a part of a picture; each step of the iterator is a small piece of it.

    Args:
        layers: from the lowest to the highest.
        out: (height, width, 4), opaque.
        box: the part, px of the endless picture of the zoom.
        origin: px of the endless picture at the corner of ``out``.
        downsample: of the zoom, level-0 px per px.
    """
    x0, y0, x1, y1 = (edge * downsample for edge in box)
    masks: dict[int, NDArray[np.uint8]] = {}
    for layer in layers:
        if layer.opacity <= 0:
            continue
        mask = None
        if layer.clip is not None:
            if id(layer.clip) not in masks:
                masks[id(layer.clip)] = _mask(layer.clip, box, downsample)
            mask = masks[id(layer.clip)]
        for raster in layer.source.within((x0, y0, x1, y1), downsample):
            for target in bands(_place(raster, downsample).intersected(box)):
                cut = None if mask is None else _part(mask, target, box)
                if cut is None or cut.any():
                    over = _scaled(raster, target, downsample)
                    _blend(out, (target.x0 - origin[0], target.y0 - origin[1]), over, layer.opacity, cut)
                yield


def bands(box: Box, most_rows: int = PIECE) -> Iterator[Box]:
    """Pieces that the processor's cache can hold."""
    if not box.empty:
        rows = min(most_rows, max(1, PIECE // box.width))
        for top in range(box.y0, box.y1, rows):
            yield Box(box.x0, top, box.x1, min(box.y1, top + rows))


def _place(raster: Raster, downsample: float) -> Box:
    height, width = raster.pixels.shape[:2]
    edges = raster.part or (raster.x, raster.y, raster.x + width * raster.step, raster.y + height * raster.step)
    # One rule for all edges: neighbours meet.
    x0, y0, x1, y1 = (int(np.floor(edge / downsample + 0.5)) for edge in edges)
    return Box(x0, y0, x1, y1)


def _blend(
    out: BGRAImage, at: tuple[int, int], over: BGRAImage, opacity: float, mask: NDArray[np.uint8] | None
) -> None:
    """Lay a small premultiplied image over a place of a picture, where the mask is not 0."""
    import cv2

    if mask is not None and not mask.all():
        over = np.asarray(cv2.bitwise_and(over, over, mask=mask), dtype=np.uint8)
    picture = _image(out, QImage.Format.Format_RGB32)
    painter = QPainter(picture)
    painter.setOpacity(opacity)
    painter.drawImage(*at, _image(over, QImage.Format.Format_ARGB32_Premultiplied))
    painter.end()


def _image(pixels: BGRAImage, form: QImage.Format) -> QImage:
    """Of the same memory."""
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, 4 * width, form)


def _scaled(raster: Raster, target: Box, downsample: float) -> BGRAImage:
    """The px of ``target`` with hard edges, since a blur would invent evidence."""
    words = raster.pixels.view(np.uint32)[..., 0]
    rows = _under(target.y0, target.y1, raster.y / downsample, downsample / raster.step)
    columns = _under(target.x0, target.x1, raster.x / downsample, downsample / raster.step)
    rows, columns = np.clip(rows, 0, words.shape[0] - 1), np.clip(columns, 0, words.shape[1] - 1)
    # The cheaper way round; unlike indexing, both let other threads run.
    room = _rooms()
    if len(rows) > rows[-1] - rows[0]:
        rows, first = rows - rows[0], rows[0]
        few = room[0].take(words[first : first + rows[-1] + 1], columns, 1)
        found = room[1].take(few, rows, 0)
    else:
        found = room[1].take(room[0].take(words, rows, 0), columns, 1)
    return np.asarray(found.view(np.uint8).reshape(target.height, target.width, 4))


class _Room:
    """Memory that is used again and again: fresh memory would take as long as what is done in it."""

    def __init__(self) -> None:
        self._words = np.empty(0, dtype=np.uint32)

    def take(self, words: NDArray[np.uint32], places: NDArray[np.intp], axis: int) -> NDArray[np.uint32]:
        """Some rows (axis 0) or columns (axis 1) of an image, valid until the next call."""
        shape = (len(places), words.shape[1]) if axis == 0 else (words.shape[0], len(places))
        size = shape[0] * shape[1]
        if len(self._words) < size:
            self._words = np.empty(size, dtype=np.uint32)
        out = self._words[:size].reshape(shape)
        words.take(places, axis=axis, out=out, mode="clip")
        return out


_threads = threading.local()


def _rooms() -> tuple[_Room, _Room]:
    """Those of this thread."""
    if not hasattr(_threads, "rooms"):
        _threads.rooms = (_Room(), _Room())
    rooms: tuple[_Room, _Room] = _threads.rooms
    return rooms


def _under(begin: int, end: int, origin: float, ratio: float) -> NDArray[np.intp]:
    """Px of a raster, ``ratio`` of them per px of the zoom from ``origin`` on, under the middles of some px."""
    return np.asarray(np.floor((np.arange(begin, end) + 0.5 - origin) * ratio), dtype=np.intp)


def _mask(rings: Rings, box: Box, downsample: float) -> NDArray[np.uint8]:
    """(height, width) 255 inside the rings, 0 outside."""
    import cv2

    mask = np.zeros((box.height, box.width), dtype=np.uint8)
    lines = rings.on(box, downsample)
    if lines:
        cv2.fillPoly(mask, lines, (255,), lineType=cv2.LINE_8, shift=RING_SHIFT)
    return mask


def _part(mask: NDArray[np.uint8], target: Box, box: Box) -> NDArray[np.uint8]:
    left, top = target.x0 - box.x0, target.y0 - box.y0
    return np.ascontiguousarray(mask[top : top + target.height, left : left + target.width])
