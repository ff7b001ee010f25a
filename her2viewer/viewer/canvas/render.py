"""Worker side of the tiles: decode blocks of a level, resample them to the pixels of the screen. No Qt here."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from her2viewer.slides.cache import ByteCache
from her2viewer.slides.pixel_memory import SLAB, PixelMemory, decoded
from her2viewer.slides.pixels import averaged
from her2viewer.slides.slide import BGRAImage, RGBImage, Slide, SlideError
from her2viewer.viewer.canvas.budget import default_budget
from her2viewer.viewer.canvas.grid import Box, TileKey, block_side

log = logging.getLogger(__name__)

Transform = Callable[[RGBImage], RGBImage]
"""Display transform, (h, w, 3) uint8 RGB to the same shape and type (an ICC profile); called in worker threads."""
MOST_REDUCED = 8
"""Readers decode at 1/2, 1/4 and 1/8; what is smaller still is averaged here."""
KEPT_BLOCKS = 4
"""Tiles that span more blocks per side than this are read in strips and not kept."""
SHARE_READY = 8
"""One part in so many of what decoded blocks may take is had ready before it is needed, and as much for tiles."""
NEARLY_ONE = 0.9
"""Above this ratio a tile is hardly enlarged: linear interpolation within its own block will do."""
_NOTHING = np.zeros((0, 0, 4), dtype=np.uint8)

BlockKey = tuple[int, int, int, int]
"""Level, reduction, column, row."""


class Abandoned(Exception):
    """The tile is no longer worth its time."""


@dataclass(frozen=True)
class Rendered:
    """A tile as it is blitted."""

    pixels: BGRAImage
    problem: str | None = None
    """A sentence, where a part could not be read and is hatched."""
    broken: bool = False
    """A part could not be read: another try may help, when its drive answers again."""


class Scratch(threading.local):
    """Memory of a worker for what lives within one tile: touching fresh memory costs as much as decoding into it."""

    def __init__(self) -> None:
        self._held: dict[str, BGRAImage] = {}

    def image(self, use: str, height: int, width: int) -> BGRAImage:
        """Of that size, with anything in it; valid until the next call for the same ``use`` in this thread."""
        size = 4 * height * width
        held = self._held.get(use)
        if held is None or held.size < size:
            held = self._held[use] = np.empty(size, dtype=np.uint8)
        return held[:size].reshape(height, width, 4)

    def owns(self, image: BGRAImage) -> bool:
        """Whether it lies in this memory."""
        return any(np.may_share_memory(image, held) for held in self._held.values())


_scratch = Scratch()
_tiles = PixelMemory()


class TileRenderer:
    """Renders tiles of one slide with one display transform. Safe to call from several threads."""

    def __init__(self, slide: Slide, transform: Transform | None = None, max_bytes: int | None = None) -> None:
        self.slide = slide
        self._transform = transform
        self._blocks: ByteCache[BlockKey, BGRAImage] = ByteCache(
            default_budget().decoded if max_bytes is None else max_bytes
        )
        """Decoded blocks are kept, so that the next zoom of the same level only resamples."""
        self._failed: set[BlockKey] = set()
        """Blocks that could not be read, kept as pixels of none until ``forget_failures``."""
        self._pending: dict[BlockKey, threading.Event] = {}
        self._lock = threading.Lock()

    def with_transform(self, transform: Transform | None) -> TileRenderer:
        """The same slide with another display transform; what is decoded is shared."""
        other = TileRenderer(self.slide, transform, 0)
        other._blocks, other._pending, other._lock = self._blocks, self._pending, self._lock
        other._failed = self._failed
        return other

    def forget_failures(self) -> None:
        """Read anew what could not be read, the next time that it is wanted."""
        with self._lock:
            for key in self._failed:
                self._blocks.discard(key)
            self._failed.clear()

    def resize(self, max_bytes: int) -> None:
        """Keep so many bytes of decoded blocks at most."""
        self._blocks.resize(max_bytes)

    def prepare(self) -> bool:
        """Touch a little of the memory that the next tiles will need; False where enough of it is ready."""
        # Of the part of a budget that is not counted, see ``budget.py``.
        slabs = self._blocks.max_bytes // (SHARE_READY * SLAB)
        return decoded.prepare(slabs) or _tiles.prepare(slabs)

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
        margin = 0 if ratio >= NEARLY_ONE else 3
        left, top = key.column * span, key.row * span
        wide = Box(left - margin, top - margin, left + span + margin, top + span + margin)
        area = wide.intersected(Box(0, 0, scale.width, scale.height))
        factor = 1 << max(0, math.floor(math.log2(ratio) + 1e-9))
        side = block_side(self.slide.levels[scale.level])
        problems: list[Box] = []
        if span > KEPT_BLOCKS * side:
            source = self._reduced(scale.level, area, factor, problems, check)
        else:
            reduce = next(r for r in (MOST_REDUCED, 4, 2, 1) if factor % r == 0 and side % r == 0 and span % r == 0)
            source = averaged(self._region(scale.level, area, reduce, problems), factor // reduce)
        offset = ((box.x0 * ratio - area.x0) / factor, (box.y0 * ratio - area.y0) / factor)
        pixels = _resampled(source, ratio / factor, offset, (box.width, box.height))
        if _scratch.owns(pixels):
            kept = _tiles.empty(*pixels.shape)
            kept[...] = pixels
            pixels = kept
        problem = None
        if self._transform is not None:
            try:
                rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB), dtype=np.uint8)
                pixels = np.asarray(cv2.cvtColor(self._transform(rgb), cv2.COLOR_RGB2BGRA), dtype=np.uint8)
            except Exception:
                log.exception("display transform failed")
                problem = "The colour profile of this slide could not be applied; its raw colours are shown."
        if problems:
            problem = BROKEN
            # At 1:1 they may be those of the cache, which are not to be drawn on.
            pixels = pixels.copy()
            for broken in problems:
                _hatch(pixels, box, broken, ratio)
        return Rendered(pixels, problem, bool(problems))

    def _region(self, level: int, area: Box, reduce: int, problems: list[Box]) -> BGRAImage:
        """Pixels of a rectangle inside a level made smaller by ``reduce``, from decoded blocks. Not to be written to,
        and valid until the next call in this thread.

        Where ``reduce`` is not 1 the rectangle begins on a multiple of it.
        """
        side = block_side(self.slide.levels[level])
        x0, y0, x1, y1 = area.x0 // reduce, area.y0 // reduce, -(-area.x1 // reduce), -(-area.y1 // reduce)
        width, height = x1 - x0, y1 - y0
        out: BGRAImage | None = None
        for row in range(area.y0 // side, -(-area.y1 // side)):
            for column in range(area.x0 // side, -(-area.x1 // side)):
                left, top = column * side // reduce, row * side // reduce
                block = self._block(level, reduce, column, row, problems)
                part = block[max(0, y0 - top) : y1 - top, max(0, x0 - left) : x1 - left]
                if part.shape[:2] == (height, width):
                    return part
                if out is None:
                    out = _scratch.image("region", height, width)
                y, x = max(0, top - y0), max(0, left - x0)
                out[y : y + part.shape[0], x : x + part.shape[1]] = part
        assert out is not None
        return out

    def _block(self, level: int, reduce: int, column: int, row: int, problems: list[Box]) -> BGRAImage:
        """One decoded block, cut to the level. Two threads never decode the same one at the same time."""
        key = (level, reduce, column, row)
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
                block = self._read(level, area, reduce)
                self._blocks.put(key, block)
            finally:
                with self._lock:
                    if block is not None and block.size == 0:
                        self._failed.add(key)
                    self._pending.pop(key).set()
        if block.size == 0:
            problems.append(area)
            return self._empty(area, reduce)
        return block

    def _read(self, level: int, area: Box, reduce: int) -> BGRAImage:
        """Pixels, or an array of none where they cannot be read."""
        try:
            return self.slide.read_bgra(level, area.x0, area.y0, area.width, area.height, reduce=reduce)
        except SlideError as error:
            # One of a hundred tiles of a drive that is gone says it for all.
            how = logging.DEBUG if self._failed else logging.WARNING
            log.log(how, "%s: level %d, %s: %s", self.slide.path, level, area, error)
        except Exception:
            # A reader that fails in a way of its own must not end the thread that all tiles depend on.
            log.exception("%s: level %d, %s", self.slide.path, level, area)
        return _NOTHING

    def _reduced(
        self, level: int, area: Box, factor: int, problems: list[Box], check: Callable[[], None]
    ) -> BGRAImage:
        """A large rectangle made smaller by ``factor`` piece by piece: memory stays bounded without a pyramid."""
        side = factor * max(1, KEPT_BLOCKS * block_side(self.slide.levels[level]) // factor)
        reduce = min(factor, MOST_REDUCED)
        out = np.empty((-(-area.height // factor), -(-area.width // factor), 4), dtype=np.uint8)
        for y in range(area.y0, area.y1, side):
            for x in range(area.x0, area.x1, side):
                check()
                piece = Box(x, y, x + side, y + side).intersected(area)
                block = self._read(level, piece, reduce)
                if block.size == 0:
                    problems.append(piece)
                    block = self._empty(piece, reduce)
                small = averaged(block, factor // reduce)
                top, left = (y - area.y0) // factor, (x - area.x0) // factor
                out[top : top + small.shape[0], left : left + small.shape[1]] = small
        return out

    def _empty(self, area: Box, reduce: int) -> BGRAImage:
        red, green, blue = self.slide.background
        size = (-(-area.height // reduce), -(-area.width // reduce), 4)
        return np.full(size, (blue, green, red, 255), dtype=np.uint8)


BROKEN = "A part of this slide cannot be read and is hatched; the rest can be used. F5 tries again."


def _resampled(source: BGRAImage, ratio: float, offset: tuple[float, float], size: tuple[int, int]) -> BGRAImage:
    """BGRA: ``size`` (width, height) px of ``ratio`` source px each, the first at ``offset`` (x, y source px).

    ``cv2.resize`` would stretch the block onto the tile and so move the tissue by up to half a pixel, differently in
    every tile. Here every tile samples one common raster, with one linear interpolation, which OpenCV does ten times
    as fast as a cubic one:

    * between 1 and 2 source px per output px the source is smoothed first, which comes close to the area mean;
    * enlarged tiles are interpolated cubically to twice the size first, where ``cv2.resize`` moves nothing.
    """
    import cv2

    source = np.ascontiguousarray(source)
    (offset_x, offset_y), (width, height) = offset, size
    ix, iy = round(offset_x), round(offset_y)
    if abs(ratio - 1) < 1e-9 and abs(offset_x - ix) < 1e-6 and abs(offset_y - iy) < 1e-6:
        crop = source[iy : iy + height, ix : ix + width]
        if crop.shape[:2] == (height, width):
            return np.ascontiguousarray(crop)
    # Pixel centres: output i samples source (i + 0.5) * ratio - 0.5 from the offset.
    matrix = np.array([[ratio, 0, offset_x + ratio / 2 - 0.5], [0, ratio, offset_y + ratio / 2 - 0.5]])
    if ratio > 1:
        # As wide as the mean of two samples half an output px apart.
        side = ratio * ratio / 32
        kernel = np.array([side, 1 - 2 * side, side], dtype=np.float32)
        smooth = _scratch.image("smooth", *source.shape[:2])
        source = np.asarray(cv2.sepFilter2D(source, -1, kernel, kernel, smooth, borderType=cv2.BORDER_REPLICATE))
    elif ratio < NEARLY_ONE:
        twice = _scratch.image("twice", 2 * source.shape[0], 2 * source.shape[1])
        source = np.asarray(cv2.resize(source, None, twice, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
        matrix = 2 * matrix
        matrix[:, 2] += 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = _tiles.empty(height, width, 4)
    cv2.warpAffine(source, matrix, (width, height), out, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return out


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
