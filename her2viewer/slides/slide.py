"""The contract of a slide: every reader gives the same pixels for the same request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.pixels import BGRAImage, RGBImage, as_bgra, averaged

__all__ = ["BGRAImage", "Level", "RGBImage", "Slide", "SlideError", "TileError"]

MAX_RESAMPLED = 4096 * 4096
"""Source pixels that ``read_at`` holds at one time."""
NEARLY_ONE = 1.05
"""Below this ratio of scales ``read_at`` interpolates; averaging would mean the same there."""


class SlideError(Exception):
    """A slide cannot be opened or read. ``str()`` is a sentence for a pathologist: what is wrong, what to do."""


class TileError(SlideError):
    """One area of a slide cannot be decoded; the rest of the slide may be fine."""


@dataclass(frozen=True)
class Level:
    """One level of the pyramid; level 0 is full resolution."""

    width: int
    height: int
    downsample: float
    """Level-0 px per px of this level, from the level sizes (mean of both directions); rarely an integer."""
    tile_width: int
    tile_height: int


class Slide(ABC):
    """An open slide. ``read`` may be called from any thread; each thread gets a handle of its own or a lock.

    Coordinates of level 0 start at the upper left corner of the scanned bounds: vendors' offsets are already
    added. Transparent areas are already composed over the slide's background colour.
    """

    path: Path
    format: str
    """What a person calls it: "Aperio SVS", "OME-TIFF", "PNG image"."""
    levels: tuple[Level, ...]
    pixel_size: PixelSize | None
    """None where the file does not say; then the user is asked once."""
    objective_power: float | None
    properties: Mapping[str, str]
    identity: str
    """Content hash of header, size and first tiles, hex; two copies of one file share it."""
    background: tuple[int, int, int]
    """Colour under transparent and missing areas, RGB."""
    bounds_offset: tuple[int, int]
    """Offset of our origin in the file's own level-0 coordinates, px. (0, 0) for most files."""
    icc_profile: bytes | None

    @property
    def width(self) -> int:
        """Width of level 0, px."""
        return self.levels[0].width

    @property
    def height(self) -> int:
        """Height of level 0, px."""
        return self.levels[0].height

    @abstractmethod
    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        """Pixels of one rectangle, (height, width, 3) uint8 RGB.

        Args:
            level: index into ``levels``.
            x: left edge, px **of that level**; may be negative.
            y: upper edge, px of that level.
            width: px of that level.
            height: px of that level.

        What lies outside the slide has the background colour.

        Raises:
            TileError: the area cannot be decoded.
            SlideError: the file is gone or no longer readable.
        """

    def read_bgra(self, level: int, x: int, y: int, width: int, height: int, *, reduce: int = 1) -> BGRAImage:
        """The pixels of ``read`` in Qt's order of channels, for the screen.

        Args:
            level: as for ``read``; so are the next four, but the area must lie inside the level.
            x: left edge, px of that level.
            y: upper edge, px of that level.
            width: px of that level.
            height: px of that level.
            reduce: 1, 2, 4 or 8. Each pixel is the mean of ``reduce`` x ``reduce`` px of the level, edges repeated
                where they do not divide. JPEG and JPEG 2000 tiles are decoded at that size, which is quicker; where
                the tissue has fine grain a pixel differs from the exact mean by some grey levels.

        Returns:
            (ceil(height / reduce), ceil(width / reduce), 4) uint8 BGRA.

        Raises:
            TileError, SlideError: as ``read``.
        """
        return averaged(as_bgra(self.read(level, x, y, width, height)), reduce)

    @abstractmethod
    def associated_images(self) -> Mapping[str, RGBImage]:
        """Label, macro and thumbnail images by name; reads the file."""

    @abstractmethod
    def close(self) -> None:
        """Release the file. Later reads raise SlideError."""

    def best_level(self, downsample: float) -> int:
        """The coarsest level that is at least as fine as ``downsample`` (level-0 px per wanted px)."""
        best = 0
        for index, level in enumerate(self.levels):
            if level.downsample <= downsample * 1.005:
                best = index
        return best

    def read_at(self, downsample: float, x: float, y: float, width: int, height: int) -> RGBImage:
        """Pixels resampled to ``downsample`` level-0 px per px, (height, width, 3) uint8 RGB.

        ``x, y`` is the upper left corner in **level-0 px**. Reads the next finer level and averages (area
        interpolation, true to fractions of a pixel), so that every scorer sees the same pixels at the same
        working resolution wherever its tiles begin.

        Raises:
            TileError, SlideError: as ``read``.
        """
        level = self.best_level(downsample)
        own = self.levels[level].downsample
        ratio = downsample / own
        left, top = x / own, y / own
        x0, y0 = round(left), round(top)
        if max(abs(left - x0), abs(top - y0)) < 0.02 and abs(ratio - 1) * max(width, height) < 0.02:
            return self.read(level, x0, y0, width, height)
        if width * height * ratio * ratio > MAX_RESAMPLED and max(width, height) > 1:
            # In halves, so that zooming far out of a slide without reduced levels stays within memory.
            if width >= height:
                half = width // 2
                first = self.read_at(downsample, x, y, half, height)
                second = self.read_at(downsample, x + half * downsample, y, width - half, height)
                return np.concatenate([first, second], axis=1)
            half = height // 2
            first = self.read_at(downsample, x, y, width, half)
            second = self.read_at(downsample, x, y + half * downsample, width, height - half)
            return np.concatenate([first, second], axis=0)
        return self._resampled(level, ratio, (left, top), (width, height))

    def _resampled(self, level: int, ratio: float, corner: tuple[float, float], size: tuple[int, int]) -> RGBImage:
        """Area of ``level`` from ``corner`` (px of that level, fractions kept) at ``ratio`` px per target px."""
        import cv2

        (left, top), (width, height) = corner, size
        x0, y0 = int(np.floor(left)), int(np.floor(top))
        if ratio < NEARLY_ONE:
            # Pixel centres: target i samples source (i + 0.5) * ratio - 0.5 from the corner.
            x0, y0 = x0 - 1, y0 - 1
            columns, rows = int(np.ceil(width * ratio)) + 4, int(np.ceil(height * ratio)) + 4
            source = self.read(level, x0, y0, columns, rows)
            start = (left - x0 + (ratio - 1) / 2, top - y0 + (ratio - 1) / 2)
            matrix = np.array([[ratio, 0, start[0]], [0, ratio, start[1]]])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            out = cv2.warpAffine(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
            return np.asarray(out, dtype=np.uint8)
        # Each source pixel is a square of one colour: first the sub-pixel shift (exactly the mean under the shifted
        # squares), then the mean over ratio x ratio of them. The scale is given as such, because cv2 would
        # otherwise derive it from the rounded sizes and drift; and enough columns that these sizes differ, because
        # it would copy otherwise.
        columns, rows = max(int(np.ceil(width * ratio)), 16), int(np.ceil(height * ratio))
        source = self.read(level, x0, y0, columns + 1, rows + 1)
        shift = (left - x0, top - y0)
        if max(shift) < 1e-3:
            source = source[:rows, :columns]
        else:
            # In floats, so that rounding comes once.
            across, down = (np.array([1 - part, part], dtype=np.float32) for part in shift)
            shifted = cv2.sepFilter2D(source, cv2.CV_32F, across, down, anchor=(0, 0))
            source = np.asarray(shifted[:rows, :columns])
        out = cv2.resize(source, None, fx=1 / ratio, fy=1 / ratio, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(cv2.convertScaleAbs(out[:height, :width]))

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
