"""Worker side of the tiles: decode blocks of a level, resample them to the pixels of the screen. No Qt here."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.cache import ByteCache
from her2viewer.slides.slide import RGBImage, Slide, SlideError
from her2viewer.viewer.canvas.grid import Box, TileKey, block_side

log = logging.getLogger(__name__)

Transform = Callable[[RGBImage], RGBImage]
"""Display transform, (h, w, 3) uint8 RGB to the same shape and type (an ICC profile); called in worker threads."""
BGRAImage = NDArray[np.uint8]
"""(h, w, 4) uint8: what Qt calls RGB32 on little-endian machines."""

DECODED_BYTES = 128 << 20
"""Decoded blocks are kept, so that the next zoom of the same level only resamples."""
KEPT_BLOCKS = 4
"""Tiles that span more blocks per side than this are read in strips and not kept."""
_NOTHING = np.zeros((0, 0, 3), dtype=np.uint8)


class Abandoned(Exception):
    """The tile is no longer worth its time."""


@dataclass(frozen=True)
class Rendered:
    """A tile as it is blitted."""

    pixels: BGRAImage
    problem: str | None = None
    """A sentence, where a part could not be read and is hatched."""


class TileRenderer:
    """Renders tiles of one slide with one display transform. Safe to call from several threads."""

    def __init__(self, slide: Slide, transform: Transform | None = None, max_bytes: int = DECODED_BYTES) -> None:
        self.slide = slide
        self._transform = transform
        self._blocks: ByteCache[tuple[int, int, int], RGBImage] = ByteCache(max_bytes)
        self._pending: dict[tuple[int, int, int], threading.Event] = {}
        self._lock = threading.Lock()

    def with_transform(self, transform: Transform | None) -> TileRenderer:
        """The same slide with another display transform; what is decoded is shared."""
        other = TileRenderer(self.slide, transform)
        other._blocks, other._pending, other._lock = self._blocks, self._pending, self._lock
        return other

    @property
    def used(self) -> int:
        """Bytes of decoded blocks at hand."""
        return self._blocks.used

    def render(self, key: TileKey, check: Callable[[], None] = lambda: None) -> Rendered:
        """One tile, BGRA.

        Args:
            key: which one.
            check: called between slow steps; may raise ``Abandoned``.

        A part that cannot be decoded comes out hatched: this raises no ``SlideError``.
        """
        import cv2

        scale, box = key.scale, key.scale.box(key.column, key.row)
        ratio, span = scale.ratio, scale.span
        # The tile's own block; an enlarged tile needs neighbours, or the joints would show.
        margin = 0 if ratio >= 0.9 else 3
        left, top = key.column * span, key.row * span
        wide = Box(left - margin, top - margin, left + span + margin, top + span + margin)
        area = wide.intersected(Box(0, 0, scale.width, scale.height))
        factor = 1 << max(0, math.floor(math.log2(ratio) + 1e-9))
        problems: list[Box] = []
        if span > KEPT_BLOCKS * block_side(self.slide.levels[scale.level]):
            source = self._reduced(scale.level, area, factor, problems, check)
        else:
            source = self._region(scale.level, area, problems)
            if factor > 1:
                source = _halved(source, factor)
        offset = ((box.x0 * ratio - area.x0) / factor, (box.y0 * ratio - area.y0) / factor)
        pixels = _resampled(source, ratio / factor, offset, (box.width, box.height))
        problem = None
        if self._transform is not None:
            try:
                rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB), dtype=np.uint8)
                pixels = np.asarray(cv2.cvtColor(self._transform(rgb), cv2.COLOR_RGB2BGRA), dtype=np.uint8)
            except Exception:
                log.exception("display transform failed")
                problem = "The colour profile of this slide could not be applied; its raw colours are shown."
        for broken in problems:
            _hatch(pixels, box, broken, ratio)
            problem = _BROKEN
        return Rendered(pixels, problem)

    def _region(self, level: int, area: Box, problems: list[Box]) -> RGBImage:
        """Pixels of a rectangle inside a level, from decoded blocks."""
        side = block_side(self.slide.levels[level])
        out: RGBImage | None = None
        for row in range(area.y0 // side, -(-area.y1 // side)):
            for column in range(area.x0 // side, -(-area.x1 // side)):
                left, top = column * side, row * side
                block = self._block(level, column, row, problems)
                part = block[max(0, area.y0 - top) : area.y1 - top, max(0, area.x0 - left) : area.x1 - left]
                if part.shape[:2] == (area.height, area.width):
                    return part
                if out is None:
                    out = np.empty((area.height, area.width, 3), dtype=np.uint8)
                y, x = max(0, top - area.y0), max(0, left - area.x0)
                out[y : y + part.shape[0], x : x + part.shape[1]] = part
        assert out is not None
        return out

    def _block(self, level: int, column: int, row: int, problems: list[Box]) -> RGBImage:
        """One decoded block, cut to the level. Two threads never decode the same one at the same time."""
        key = (level, column, row)
        size = self.slide.levels[level]
        side = block_side(size)
        x, y = column * side, row * side
        area = Box(x, y, min(x + side, size.width), min(y + side, size.height))
        while True:
            with self._lock:
                block = self._blocks.get(key)
                if block is not None:
                    break
                pending = self._pending.get(key)
                if pending is None:
                    self._pending[key] = threading.Event()
                    break
            pending.wait()
        if block is None:
            try:
                block = self._read(level, area)
                self._blocks.put(key, block)
            finally:
                with self._lock:
                    self._pending.pop(key).set()
        if block.size == 0:
            problems.append(area)
            return self._empty(area)
        return block

    def _read(self, level: int, area: Box) -> RGBImage:
        """Pixels, or an array of none where they cannot be read."""
        try:
            return self.slide.read(level, area.x0, area.y0, area.width, area.height)
        except SlideError as error:
            log.warning("%s: level %d, %s: %s", self.slide.path, level, area, error)
        except Exception:
            # A reader that fails in a way of its own must not end the thread that all tiles depend on.
            log.exception("%s: level %d, %s", self.slide.path, level, area)
        return _NOTHING

    def _reduced(
        self, level: int, area: Box, factor: int, problems: list[Box], check: Callable[[], None]
    ) -> RGBImage:
        """A large rectangle made smaller by ``factor`` piece by piece: memory stays bounded without a pyramid."""
        side = factor * max(1, KEPT_BLOCKS * block_side(self.slide.levels[level]) // factor)
        out = np.empty((-(-area.height // factor), -(-area.width // factor), 3), dtype=np.uint8)
        for y in range(area.y0, area.y1, side):
            for x in range(area.x0, area.x1, side):
                check()
                piece = Box(x, y, x + side, y + side).intersected(area)
                block = self._read(level, piece)
                if block.size == 0:
                    problems.append(piece)
                    block = self._empty(piece)
                small = _halved(block, factor)
                top, left = (y - area.y0) // factor, (x - area.x0) // factor
                out[top : top + small.shape[0], left : left + small.shape[1]] = small
        return out

    def _empty(self, area: Box) -> RGBImage:
        return np.full((area.height, area.width, 3), self.slide.background, dtype=np.uint8)


_BROKEN = "A part of this slide cannot be read and is hatched; the rest can be used."


def _halved(source: RGBImage, factor: int) -> RGBImage:
    """Mean of blocks of ``factor`` x ``factor`` px; edges are repeated where needed."""
    import cv2

    height, width = source.shape[:2]
    rows, columns = -(-height // factor), -(-width // factor)
    if (rows * factor, columns * factor) != (height, width):
        source = cv2.copyMakeBorder(
            source, 0, rows * factor - height, 0, columns * factor - width, cv2.BORDER_REPLICATE
        )
    return np.asarray(cv2.resize(source, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _resampled(source: RGBImage, ratio: float, offset: tuple[float, float], size: tuple[int, int]) -> BGRAImage:
    """BGRA: ``size`` (width, height) px of ``ratio`` source px each, the first at ``offset`` (x, y source px).

    ``cv2.resize`` would stretch the block onto the tile and so move the tissue by up to half a pixel, differently in
    every tile. Here every tile samples one common raster. Between 1 and 2 source px each output px is the mean of
    four interpolated samples, close to the area mean; below 1 it is a cubic interpolation.
    """
    import cv2

    # Four channels first: OpenCV resamples them more than twice as fast as three.
    source = np.asarray(cv2.cvtColor(np.ascontiguousarray(source), cv2.COLOR_RGB2BGRA), dtype=np.uint8)
    (offset_x, offset_y), (width, height) = offset, size
    ix, iy = round(offset_x), round(offset_y)
    if abs(ratio - 1) < 1e-9 and abs(offset_x - ix) < 1e-6 and abs(offset_y - iy) < 1e-6:
        crop = source[iy : iy + height, ix : ix + width]
        if crop.shape[:2] == (height, width):
            return np.ascontiguousarray(crop)
    finer = 2 if ratio > 1 else 1
    step = ratio / finer
    matrix = np.array([[step, 0, offset_x + step / 2 - 0.5], [0, step, offset_y + step / 2 - 0.5]])
    out = cv2.warpAffine(
        source,
        matrix,
        (width * finer, height * finer),
        flags=(cv2.INTER_LINEAR if finer == 2 else cv2.INTER_CUBIC) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if finer == 2:
        out = cv2.resize(out, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(out, dtype=np.uint8)


def _hatch(pixels: BGRAImage, box: Box, broken: Box, ratio: float) -> None:
    """Draw a neutral hatch where the level is ``broken``; anchored to the grid, so that it runs across tiles."""
    area = Box(
        math.floor(broken.x0 / ratio),
        math.floor(broken.y0 / ratio),
        math.ceil(broken.x1 / ratio),
        math.ceil(broken.y1 / ratio),
    ).intersected(box)
    if area.empty:
        return
    diagonal = np.add.outer(np.arange(area.y0, area.y1), np.arange(area.x0, area.x1)) % 16
    part = pixels[area.y0 - box.y0 : area.y1 - box.y0, area.x0 - box.x0 : area.x1 - box.x0]
    part[..., :3] = np.where(diagonal < 3, 150, 205)[..., None]
