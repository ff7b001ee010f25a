"""Direct decoding of tiles: the same pixels as OpenSlide at several times its speed.

OpenSlide spends three quarters of its time on compositing that a plain grid of tiles does not need; and at
levels whose downsample is no integer it interpolates, because it takes positions in level-0 px only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from her2viewer.slides.cache import ByteCache
from her2viewer.slides.pixels import RGB, Samples, UnsupportedPixelsError, composed
from her2viewer.slides.slide import BGRAImage, RGBImage
from her2viewer.slides.tiff_pages import TILE_CACHE_BYTES, SharedFile, TiffLevel, samples_of_page
from her2viewer.slides.tile_grid import TileGrid

if TYPE_CHECKING:
    import openslide

    from her2viewer.slides.openslide_reader import OpenSlideSlide

VENDORS = frozenset({"aperio", "dicom", "generic-tiff"})
"""Formats whose levels are plain grids of tiles without overlap or offset."""
APERIO_YCBCR = 33003
"""Aperio's number for JPEG 2000 of luminance and chrominance; neither codestream nor other tags say so."""

MOST_LOOKED_AT = 20_000
"""Tiles that are looked for in the file at most, until two of them have been compared."""

Candidate = tuple[TileGrid, int]
"""A level, and by how many grey levels it may differ from OpenSlide's, whose colours are rounded otherwise."""
Size = tuple[int, int]
TileCache = ByteCache[tuple[int, int], RGBImage]


class DirectTiles:
    """Those levels of an OpenSlide slide that were found, when opened, to decode to the very same pixels."""

    def __init__(self, images: dict[int, TileGrid], close: Callable[[], None]) -> None:
        self._images = images
        self._close = close

    @property
    def levels(self) -> tuple[int, ...]:
        """Indices of the levels that are decoded directly."""
        return tuple(sorted(self._images))

    @classmethod
    def of(cls, path: Path, slide: OpenSlideSlide, handle: openslide.OpenSlide) -> DirectTiles | None:
        """Look for levels that can be decoded directly; None where there are none."""
        vendor = slide.properties.get("openslide.vendor")
        if vendor not in VENDORS:
            return None
        levels_of = _dicom_levels if vendor == "dicom" else _tiff_levels
        images: dict[int, TileGrid] = {}
        with ExitStack() as stack:
            try:
                candidates = levels_of(path, set(handle.level_dimensions), slide.background, stack)
                for index, size in enumerate(handle.level_dimensions):
                    image, tolerance = candidates.get(size, (None, 0))
                    if image is not None and _same_pixels(image, handle, index, tolerance):
                        images[index] = image
            except Exception:
                # Directories or codecs that the other libraries have trouble with, whatever they raise.
                images = {}
            if images:
                return cls(images, stack.pop_all().close)
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
        """As ``TileGrid.read_bgra``; None also for levels that OpenSlide has to read."""
        image = self._images.get(level)
        if image is None:
            return None
        try:
            return image.read_bgra(x, y, width, height, reduce=reduce)
        except (OSError, ValueError):
            # The drive is gone or the file closed: OpenSlide's way finds the words for it.
            return None

    def close(self) -> None:
        """Release the files."""
        self._close()


def _tiff_levels(path: Path, sizes: Set[Size], background: RGB, stack: ExitStack) -> dict[Size, Candidate]:
    """Levels of a TIFF file by their size, px."""
    import tifffile

    file = SharedFile(path)
    stack.callback(file.close)
    cache: TileCache = ByteCache(TILE_CACHE_BYTES)
    with tifffile.TiffFile(path) as tiff:
        pages = {(p.imagewidth, p.imagelength): p for p in reversed(tiff.pages) if _suits(p)}
        return {
            size: (TiffLevel(file, [page], _samples(page), background, cache), _tolerance(page))
            for size, page in pages.items()
            if size in sizes
        }


def _dicom_levels(path: Path, sizes: Set[Size], background: RGB, stack: ExitStack) -> dict[Size, Candidate]:
    """Levels of a DICOM series by their size, px, but for those that only OpenSlide knows how to read."""
    from her2viewer.slides.dicom_level import DicomLevel, series_of

    cache: TileCache = ByteCache(TILE_CACHE_BYTES)
    found: dict[Size, Candidate] = {}
    for parts in series_of(path):
        size = parts[0].size
        if parts[0].kind == "VOLUME" and size in sizes and size not in found:
            with suppress(UnsupportedPixelsError):
                level = DicomLevel(parts, background, cache)
                stack.callback(level.close)
                found[size] = (level, 0)
    return found


def _suits(page: Any) -> bool:
    return bool(
        page.is_tiled and page.dtype == np.uint8 and page.samplesperpixel == 3 and int(page.planarconfig) == 1
    )


def _samples(page: Any) -> Samples:
    # The tag says RGB. Where the codec refuses it or converts it itself, the comparison leaves it to OpenSlide.
    return Samples("ycbcr") if int(page.compression) == APERIO_YCBCR else samples_of_page(page)


def _tolerance(page: Any) -> int:
    return 2 if int(page.compression) == APERIO_YCBCR else 0


def _same_pixels(image: TileGrid, handle: openslide.OpenSlide, level: int, tolerance: int) -> bool:
    """Whether two tiles that OpenSlide can address exactly decode alike.

    ``tolerance`` in grey levels is for colours that two programs convert with other roundings.
    """
    import cv2
    import openslide

    downsample = handle.level_downsamples[level]
    compared = 0
    for column, row in _places(image):
        x, y = column * image.tile_width, row * image.tile_height
        location = (round(x * downsample), round(y * downsample))
        exact = max(abs(location[0] / downsample - x), abs(location[1] / downsample - y)) < 1e-3
        width, height = min(image.tile_width, image.width - x), min(image.tile_height, image.height - y)
        if not exact or not image.has_data(x, y, width, height):
            continue
        try:
            theirs = composed(np.asarray(handle.read_region(location, level, (width, height))), (255, 255, 255))
        except openslide.OpenSlideError:
            return False
        if cv2.norm(theirs, image.read(x, y, width, height), cv2.NORM_INF) > tolerance:
            return False
        compared += 1
        if compared == 2:
            break
    return True


def _places(image: TileGrid) -> Iterator[tuple[int, int]]:
    """Columns and rows of tiles to look at: first, one near the middle, and all others for files that lack these."""
    across, down = -(-image.width // image.tile_width), -(-image.height // image.tile_height)
    yield 0, 0
    yield min(image.width // image.tile_width // 2, across - 1), min(image.height // image.tile_height // 2, down - 1)
    for index in range(min(across * down, MOST_LOOKED_AT)):
        yield index % across, index // across
