"""What all readers share: requests beyond the edge, reduced levels made in memory, the state of being closed."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.pixels import RGB, WHITE, filled
from her2viewer.slides.slide import BGRAImage, Level, RGBImage, Slide, SlideError, TileError

TILE = 256
MEMORY_TILE = 512
PROBE = 64
"""Side of the area that is decoded when a slide is opened, px."""

WANTED_COARSEST = 4096
"""A pyramid should end below this side, px; else looking at the whole slide decodes far too much."""
MAX_REDUCED_SOURCE = 400_000_000
"""Pixels of a coarsest level that are still decoded at one go to make reduced levels of it."""
LARGE = 64_000_000
"""Pixels above which the next reduced level is a quarter and not a half, for the sake of memory."""
MAX_READ_BYTES = 2**31


class ReaderBase(Slide):
    """Reader that only has to give pixels that lie inside a level of the file."""

    def __init__(
        self,
        path: Path,
        format_name: str,
        levels: tuple[Level, ...],
        *,
        identity: str,
        properties: Mapping[str, str],
        pixel_size: PixelSize | None = None,
        objective_power: float | None = None,
        background: RGB = WHITE,
        bounds_offset: tuple[int, int] = (0, 0),
        icc_profile: bytes | None = None,
    ) -> None:
        self.path = path
        self.format = format_name
        self.identity = identity
        self.properties = MappingProxyType(dict(properties))
        self.pixel_size = pixel_size
        self.objective_power = objective_power
        self.background = background
        self.bounds_offset = bounds_offset
        self.icc_profile = icc_profile
        self._closed = False
        self._file_levels = len(levels)
        self._reduced: list[RGBImage] = []
        self._reduced_lock = threading.Lock()
        self.levels = (*levels, *reduced_levels(levels))

    @property
    def file_levels(self) -> int:
        """How many of ``levels`` are in the file; those after them are made in memory."""
        return self._file_levels

    @abstractmethod
    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        """Pixels of an area that lies wholly inside the level of the file; not shared with anything."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        """As the contract says."""
        if self._closed:
            raise SlideError(f"{self.path.name} has been closed.")
        if not 0 <= level < len(self.levels):
            raise ValueError(f"The slide has levels 0 to {len(self.levels) - 1}, not {level}.")
        if width <= 0 or height <= 0:
            raise ValueError(f"An area of {width} x {height} px cannot be read.")
        if width * height * 3 > MAX_READ_BYTES:
            raise ValueError(f"An area of {width} x {height} px is too large to be read at one go.")
        info = self.levels[level]
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + width, info.width), min(y + height, info.height)
        if x0 >= x1 or y0 >= y1:
            return filled(width, height, self.background)
        inside = self._inside(level, x0, y0, x1 - x0, y1 - y0)
        if inside.shape[:2] == (height, width):
            return inside
        out = filled(width, height, self.background)
        out[y0 - y : y1 - y, x0 - x : x1 - x] = inside
        return out

    def read_bgra(self, level: int, x: int, y: int, width: int, height: int, *, reduce: int = 1) -> BGRAImage:
        """As the contract says."""
        if not self._closed and 0 <= level < self._file_levels:
            direct = self._bgra(level, x, y, width, height, reduce=reduce)
            if direct is not None:
                return direct
        return super().read_bgra(level, x, y, width, height, reduce=reduce)

    def _bgra(self, level: int, x: int, y: int, width: int, height: int, *, reduce: int) -> BGRAImage | None:
        """A quicker way than by ``read``, for an area inside a level of the file; None where there is none."""
        return None

    def associated_images(self) -> Mapping[str, RGBImage]:
        """None, unless the reader knows some."""
        return {}

    def close(self) -> None:
        """Release the file."""
        self._closed = True
        self._reduced = []

    def probe(self) -> None:
        """Decode a little of the coarsest and of the finest level of the file, so that failure is early.

        Raises:
            TileError: the file cannot be decoded.
        """
        for level in sorted({self._file_levels - 1, 0}, reverse=True):
            info = self.levels[level]
            width, height = min(PROBE, info.width), min(PROBE, info.height)
            self.read(level, (info.width - width) // 2, (info.height - height) // 2, width, height)

    def _inside(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        if level < self._file_levels:
            return self._pixels(level, x, y, width, height)
        with self._reduced_lock:
            if not self._reduced:
                self._reduced = self._make_reduced()
            # Taken here: another thread may close the slide meanwhile.
            image = self._reduced[level - self._file_levels]
        return image[y : y + height, x : x + width].copy()

    def _make_reduced(self) -> list[RGBImage]:
        """The levels that the file lacks, finest first, from its coarsest level."""
        import cv2

        source_level = self._file_levels - 1
        first = self.levels[self._file_levels]
        source = self.levels[source_level]
        image = np.empty((first.height, first.width, 3), dtype=np.uint8)
        # Strips whose edges fall on whole source rows of the exact ratio keep the memory small.
        rows = max(1, 1024 * first.height // source.height)
        for top in range(0, first.height, rows):
            bottom = min(top + rows, first.height)
            y0 = round(top * source.height / first.height)
            y1 = max(y0 + 1, round(bottom * source.height / first.height))
            strip = self._pixels(source_level, 0, y0, source.width, y1 - y0)
            image[top:bottom] = cv2.resize(strip, (first.width, bottom - top), interpolation=cv2.INTER_AREA)
        images: list[RGBImage] = [image]
        for level in self.levels[self._file_levels + 1 :]:
            smaller = cv2.resize(images[-1], (level.width, level.height), interpolation=cv2.INTER_AREA)
            images.append(np.asarray(smaller, dtype=np.uint8))
        return images


def reduced_levels(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """Levels to be made in memory below a pyramid that ends too early; each a half or a quarter of the one before."""
    coarsest = levels[-1]
    width, height = coarsest.width, coarsest.height
    if max(width, height) <= WANTED_COARSEST or width * height > MAX_REDUCED_SOURCE:
        return ()
    added = []
    while max(width, height) > WANTED_COARSEST // 4:
        step = 4 if width * height > LARGE else 2
        width, height = max(1, round(width / step)), max(1, round(height / step))
        downsample = downsample_of(levels[0].width, levels[0].height, width, height)
        added.append(Level(width, height, downsample, MEMORY_TILE, MEMORY_TILE))
    return tuple(added)


def downsample_of(full_width: int, full_height: int, width: int, height: int) -> float:
    """Level-0 px per px of a level, from the level sizes, mean of both directions."""
    return (full_width / width + full_height / height) / 2


def decode_failure(path: Path, level: int, x: int, y: int) -> TileError:
    """What is said of an area that cannot be decoded."""
    return TileError(
        f"{path.name} is damaged at x = {x}, y = {y} of level {level}: this area cannot be decoded. "
        "The rest of the slide may be fine; copy or scan the slide again if the area matters."
    )
