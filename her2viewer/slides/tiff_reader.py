"""TIFF and OME-TIFF slides that OpenSlide does not read, through tifffile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from her2viewer.slides.base import TILE, ReaderBase, decode_failure, downsample_of
from her2viewer.slides.cache import ByteCache
from her2viewer.slides.identity import slide_identity
from her2viewer.slides.image_reader import ImageSlide, check_size
from her2viewer.slides.pixel_size import objective_power_from_properties, ome_properties, pixel_size_from_properties
from her2viewer.slides.pixels import WHITE, NoBrightfieldError, Samples, UnsupportedPixelsError
from her2viewer.slides.slide import BGRAImage, Level, RGBImage, Slide, SlideError
from her2viewer.slides.tiff_pages import TILE_CACHE_BYTES, SharedFile, TiffLevel, fitted_scale, samples_of_page

ICC_TAG = 34675
SMALLEST_SECOND = 16
"""An image of fewer pixels a side is no associated image."""


class TiffSlide(ReaderBase):
    """Tiled TIFF, with its pyramid in pages or in SubIFDs."""

    def __init__(
        self,
        path: Path,
        format_name: str,
        file: SharedFile,
        images: list[TiffLevel],
        *,
        associated: Mapping[str, TiffLevel],
        properties: Mapping[str, str],
        icc_profile: bytes | None,
    ) -> None:
        full = images[0]
        levels = tuple(
            Level(
                image.width,
                image.height,
                downsample_of(full.width, full.height, image.width, image.height),
                image.tile_width if image.tiled else TILE,
                image.tile_height if image.tiled else TILE,
            )
            for image in images
        )
        super().__init__(
            path,
            format_name,
            levels,
            identity=slide_identity(path),
            properties=properties,
            pixel_size=pixel_size_from_properties(properties),
            objective_power=objective_power_from_properties(properties),
            icc_profile=icc_profile,
        )
        self._file = file
        self._images = images
        self._associated = dict(associated)

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        try:
            return self._images[level].read(x, y, width, height)
        except MemoryError:
            raise
        except Exception as error:
            if self._closed:
                raise SlideError(f"{self.path.name} has been closed.") from error
            raise decode_failure(self.path, level, x, y) from error

    def _bgra(self, level: int, x: int, y: int, width: int, height: int, *, reduce: int) -> BGRAImage | None:
        try:
            return self._images[level].read_bgra(x, y, width, height, reduce=reduce)
        except (OSError, ValueError):
            return None

    def associated_images(self) -> Mapping[str, RGBImage]:
        """Label, macro and thumbnail where the file has them; damaged ones are left out."""
        found = {}
        for name, image in self._associated.items():
            try:
                found[name] = image.read(0, 0, image.width, image.height)
            except Exception:
                # Any codec's error; the slide itself is fine.
                continue
        return found

    def close(self) -> None:
        """Release the file."""
        super().close()
        self._file.close()


def open_tiff(path: Path) -> Slide:
    """Open a TIFF file with tifffile.

    Raises:
        tifffile.TiffFileError: it is no TIFF file, or its directories are damaged.
        UnsupportedPixelsError: its pixels are of a kind that is not supported.
        SlideError: it is too large to be read without tiles, or cannot be decoded.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = _main_series(tiff)
        levels = _with_missed_levels(tiff, [_pages_of(level) for level in series.levels])
        first = levels[0][0].keyframe
        properties = _properties(first)
        icc_profile = _icc_profile(first)
        name = _format_name(tiff)
        # Three pages, one for each colour, or one page that says itself what it is.
        samples = samples_of_page(first) if len(levels[0]) == 1 else Samples("rgb")
        # tifffile makes decoders on first use from what it has read: all is read before the file is closed.
        file = SharedFile(path)
        cache: ByteCache[tuple[int, int], RGBImage] = ByteCache(TILE_CACHE_BYTES)
        try:
            images = [TiffLevel(file, pages, samples, WHITE, cache) for pages in levels]
            samples = fitted_scale(samples, images[-1].raw_samples())
            images = [TiffLevel(file, pages, samples, WHITE, cache) for pages in levels]
            associated = {
                n: TiffLevel(file, [page], samples_of_page(page), WHITE, cache)
                for n, page in _associated_pages(tiff, series)
            }
            if not images[0].tiled:
                check_size(path, images[0].width, images[0].height)
                image = images[0].read(0, 0, images[0].width, images[0].height)
                file.close()
                return ImageSlide(path, name, image, properties, icc_profile)
            slide = TiffSlide(
                path, name, file, images, associated=associated, properties=properties, icc_profile=icc_profile
            )
            slide.probe()
        except BaseException:
            file.close()
            raise
    return slide


def _main_series(tiff: Any) -> Any:
    """The series with the largest image."""
    candidates = [s for s in tiff.series if s.keyframe is not None]
    if not candidates:
        raise UnsupportedPixelsError("no image")
    return max(candidates, key=lambda s: s.keyframe.imagewidth * s.keyframe.imagelength)


def _with_missed_levels(tiff: Any, levels: list[list[Any]]) -> list[list[Any]]:
    """The levels that tifffile found, and further pages that are plainly reductions of the first.

    tifffile wants each level to be a whole fraction of the one before; scanners and converters do not.
    """
    if tiff.is_ome or len(levels[0]) != 1 or not levels[0][0].keyframe.is_tiled:
        return levels
    full = levels[0][0].keyframe
    known = {(level[0].keyframe.imagewidth, level[0].keyframe.imagelength) for level in levels}
    found = list(levels)
    for page in (p.keyframe for p in tiff.pages):
        size = (page.imagewidth, page.imagelength)
        alike = page.is_tiled and page.dtype == full.dtype and page.samplesperpixel == full.samplesperpixel
        if not alike or size in known or page.photometric != full.photometric:
            continue
        ratio = full.imagewidth / size[0]
        # Both sides rounded down or up: at most one pixel off.
        if ratio > 1 and abs(full.imagelength / ratio - size[1]) <= 1 + full.imagelength / full.imagewidth:
            known.add(size)
            found.append([page])
    return sorted(found, key=lambda level: -int(level[0].keyframe.imagewidth))


def _pages_of(level: Any) -> list[Any]:
    """The page, or the pages of the three colour channels, of one level's first plane."""
    axes, shape = level.axes, level.shape
    if "S" in axes:
        return [level.pages[0]]
    channels = shape[axes.index("C")] if "C" in axes else 1
    if channels == 1:
        return [level.pages[0]]
    if channels == 3 and level.keyframe.dtype == np.uint8:
        # Pages run over the axes before Y and X; those of the first plane are taken.
        after = [shape[i] for i in range(axes.index("C") + 1, len(axes)) if axes[i] not in "YX"]
        step = int(np.prod(after)) if after else 1
        return [level.pages[c * step] for c in range(3)]
    raise NoBrightfieldError(
        f"{channels} separate channels, as fluorescence images have them; HER2 needs a brightfield colour image"
    )


def _associated_pages(tiff: Any, main: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for series in tiff.series:
        page = series.keyframe
        if series is main or page is None or min(page.imagewidth, page.imagelength) < SMALLEST_SECOND:
            continue
        name = next((n for n in ("label", "macro", "thumbnail", "overview") if n in series.name.lower()), "")
        if name and page.dtype == np.uint8 and name not in dict(found):
            try:
                samples_of_page(page)
            except UnsupportedPixelsError:
                continue
            found.append((name, page))
    return found


def _properties(page: Any) -> dict[str, str]:
    """Tags under the names that OpenSlide gives them, and what OME-XML says."""
    properties: dict[str, str] = {}
    for name in ("ImageDescription", "Software", "Make", "Model", "DateTime", "Artist"):
        value = page.tags.valueof(name)
        if isinstance(value, str) and value:
            properties[f"tiff.{name}"] = value
    for name in ("XResolution", "YResolution"):
        value = page.tags.valueof(name)
        if isinstance(value, tuple) and len(value) == 2 and value[1]:
            properties[f"tiff.{name}"] = repr(value[0] / value[1])
    unit = page.tags.valueof("ResolutionUnit")
    properties["tiff.ResolutionUnit"] = {2: "inch", 3: "centimeter"}.get(int(unit) if unit else 2, "none")
    properties.update(ome_properties(properties.get("tiff.ImageDescription", "")))
    return properties


def _icc_profile(page: Any) -> bytes | None:
    value = page.tags.valueof(ICC_TAG)
    return bytes(value) if value else None


def _format_name(tiff: Any) -> str:
    for flag, name in (("is_ome", "OME-TIFF"), ("is_svs", "Aperio SVS"), ("is_ndpi", "Hamamatsu NDPI")):
        if getattr(tiff, flag):
            return name
    return "TIFF image" if not tiff.pages[0].is_tiled else "Tiled TIFF"
