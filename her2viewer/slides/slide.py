"""The contract of a slide: every reader gives the same pixels for the same request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.pixelsize import PixelSize

RGBImage = NDArray[np.uint8]
"""(h, w, 3) uint8 RGB."""


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
        interpolation), so that every scorer sees the same pixels at the same working resolution.

        Raises:
            TileError, SlideError: as ``read``.
        """
        import cv2

        level = self.best_level(downsample)
        own = self.levels[level].downsample
        ratio = downsample / own
        left, top = x / own, y / own
        if abs(ratio - 1) < 0.005:
            return self.read(level, round(left), round(top), width, height)
        x0, y0 = int(np.floor(left)), int(np.floor(top))
        x1, y1 = int(np.ceil(left + width * ratio)) + 1, int(np.ceil(top + height * ratio)) + 1
        source = self.read(level, x0, y0, x1 - x0, y1 - y0)
        # Pixel centres: target i samples source (i + 0.5) * ratio + fraction - 0.5.
        if ratio >= 1:
            # Crop to the exact extent first: INTER_AREA maps the whole source onto the whole target.
            crop = source[round(top - y0) :, round(left - x0) :]
            crop = crop[: max(1, round(height * ratio)), : max(1, round(width * ratio))]
            out = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
        else:
            matrix = np.array(
                [[ratio, 0, (left - x0) + 0.5 * ratio - 0.5], [0, ratio, (top - y0) + 0.5 * ratio - 0.5]]
            )
            out = cv2.warpAffine(
                source,
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        return np.asarray(out, dtype=np.uint8)

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
