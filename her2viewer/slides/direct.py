"""Direct decoding of tiles: the same pixels as OpenSlide at several times its speed.

OpenSlide spends three quarters of its time on compositing that a plain grid of tiles does not need; and at
levels whose downsample is no integer it interpolates, because it takes positions in level-0 px only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from her2viewer.slides.cache import ByteCache
from her2viewer.slides.pixels import Samples, composed
from her2viewer.slides.slide import BGRAImage, RGBImage
from her2viewer.slides.tiff_pages import TILE_CACHE_BYTES, SharedFile, TiffLevel, samples_of_page

if TYPE_CHECKING:
    import openslide

    from her2viewer.slides.openslide_reader import OpenSlideSlide

VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats whose levels are plain grids of tiles without overlap or offset."""
APERIO_YCBCR = 33003
"""Aperio's number for JPEG 2000 of luminance and chrominance; neither codestream nor other tags say so."""


class DirectTiles:
    """Those levels of an OpenSlide slide that were found, when opened, to decode to the very same pixels."""

    def __init__(self, file: SharedFile, images: dict[int, TiffLevel]) -> None:
        self._file = file
        self._images = images

    @property
    def levels(self) -> tuple[int, ...]:
        """Indices of the levels that are decoded directly."""
        return tuple(sorted(self._images))

    @classmethod
    def of(cls, path: Path, slide: OpenSlideSlide, handle: openslide.OpenSlide) -> DirectTiles | None:
        """Look for levels that can be decoded directly; None where there are none."""
        if slide.properties.get("openslide.vendor") not in VENDORS:
            return None
        import tifffile

        images: dict[int, TiffLevel] = {}
        file: SharedFile | None = None
        try:
            file = SharedFile(path)
            with tifffile.TiffFile(path) as tiff:
                pages = {(p.imagewidth, p.imagelength): p for p in reversed(tiff.pages) if _suits(p)}
                cache: ByteCache[tuple[int, int], RGBImage] = ByteCache(TILE_CACHE_BYTES)
                for index, size in enumerate(handle.level_dimensions):
                    page = pages.get(size)
                    if page is not None:
                        image = TiffLevel(file, [page], _samples(page), slide.background, cache)
                        if _same_pixels(image, handle, index, _tolerance(page)):
                            images[index] = image
        except Exception:
            # Directories or codecs that tifffile has trouble with, whatever it raises: OpenSlide reads them.
            images = {}
        if file is not None and images:
            return cls(file, images)
        if file is not None:
            file.close()
        return None

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage | None:
        """Pixels of an area inside the level, or None where OpenSlide has to do it."""
        image = self._images.get(level)
        if image is None or not image.has_data(x, y, width, height):
            return None
        try:
            return image.read(x, y, width, height)
        except Exception:
            # Whatever a codec says of a damaged tile: OpenSlide decides whether it can be read.
            return None

    def read_bgra(self, level: int, x: int, y: int, width: int, height: int, *, reduce: int) -> BGRAImage | None:
        """As ``TiffLevel.read_bgra``; None also for levels that OpenSlide has to read."""
        image = self._images.get(level)
        if image is None:
            return None
        try:
            return image.read_bgra(x, y, width, height, reduce=reduce)
        except (OSError, ValueError):
            # The drive is gone or the file closed: OpenSlide's way finds the words for it.
            return None

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _suits(page: Any) -> bool:
    return bool(
        page.is_tiled and page.dtype == np.uint8 and page.samplesperpixel == 3 and int(page.planarconfig) == 1
    )


def _samples(page: Any) -> Samples:
    # The tag says RGB. Where the codec refuses it or converts it itself, the comparison leaves it to OpenSlide.
    return Samples("ycbcr") if int(page.compression) == APERIO_YCBCR else samples_of_page(page)


def _tolerance(page: Any) -> int:
    return 2 if int(page.compression) == APERIO_YCBCR else 0


def _same_pixels(image: TiffLevel, handle: openslide.OpenSlide, level: int, tolerance: int) -> bool:
    """Whether tiles that OpenSlide can address exactly decode alike: the first, and one near the middle.

    ``tolerance`` in grey levels is for colours that two programs convert with other roundings.
    """
    import cv2
    import openslide

    downsample = handle.level_downsamples[level]
    for column, row in ((0, 0), (image.width // image.tile_width // 2, image.height // image.tile_height // 2)):
        x, y = column * image.tile_width, row * image.tile_height
        location = (round(x * downsample), round(y * downsample))
        exact = max(abs(location[0] / downsample - x), abs(location[1] / downsample - y)) < 1e-3
        width, height = min(image.tile_width, image.width - x), min(image.tile_height, image.height - y)
        if not exact or width <= 0 or height <= 0 or not image.has_data(x, y, width, height):
            continue
        try:
            theirs = composed(np.asarray(handle.read_region(location, level, (width, height))), (255, 255, 255))
        except openslide.OpenSlideError:
            return False
        if cv2.norm(theirs, image.read(x, y, width, height), cv2.NORM_INF) > tolerance:
            return False
    return True
