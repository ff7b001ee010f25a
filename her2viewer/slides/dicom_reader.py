"""DICOM slides of the kinds that OpenSlide refuses: JPEG-LS, run lengths, JPEG 2000 and JPEG in further colours."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.slides.base import ReaderBase, decode_failure, downsample_of
from her2viewer.slides.cache import ByteCache
from her2viewer.slides.dicom_file import DicomImage
from her2viewer.slides.dicom_level import DicomLevel, series_of
from her2viewer.slides.identity import slide_identity
from her2viewer.slides.pixel_size import objective_power_from_properties, pixel_size_from_properties
from her2viewer.slides.pixels import WHITE, UnsupportedPixelsError
from her2viewer.slides.slide import BGRAImage, Level, RGBImage, Slide, SlideError
from her2viewer.slides.tiff_pages import TILE_CACHE_BYTES

if TYPE_CHECKING:
    import pydicom

LEVEL = "VOLUME"
ASSOCIATED: Mapping[str, str] = {"LABEL": "label", "OVERVIEW": "macro", "THUMBNAIL": "thumbnail"}
LONGEST_TEXT = 1000
"""Values with more characters are no property for people."""


class DicomSlide(ReaderBase):
    """A series of DICOM files; each level is an image of its own."""

    def __init__(
        self, path: Path, levels: list[DicomLevel], associated: Mapping[str, DicomLevel], finest: DicomImage
    ) -> None:
        full = levels[0]
        properties = _properties(finest.header)
        super().__init__(
            path,
            "DICOM slide",
            tuple(
                Level(
                    level.width,
                    level.height,
                    downsample_of(full.width, full.height, level.width, level.height),
                    level.tile_width,
                    level.tile_height,
                )
                for level in levels
            ),
            identity=slide_identity(path),
            properties=properties,
            pixel_size=pixel_size_from_properties(properties),
            objective_power=objective_power_from_properties(properties),
            icc_profile=_icc_profile(finest.header),
        )
        self._images = levels
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
        """Label, macro and thumbnail where the series has them; damaged ones are left out."""
        found = {}
        for name, image in self._associated.items():
            try:
                found[name] = image.read(0, 0, image.width, image.height)
            except Exception:
                # Any codec's error; the slide itself is fine.
                continue
        return found

    def close(self) -> None:
        """Release the files."""
        super().close()
        for image in (*self._images, *self._associated.values()):
            image.close()


def open_dicom(path: Path) -> Slide:
    """Open a DICOM slide: all files of its series in its folder.

    Raises:
        UnsupportedPixelsError: no whole slide image, or one of a kind that is not read here.
        SlideError: it cannot be decoded.
        Exception: whatever pydicom and the codecs raise for damaged files.
    """
    cache: ByteCache[tuple[int, int], RGBImage] = ByteCache(TILE_CACHE_BYTES)
    levels: dict[tuple[int, int], tuple[DicomLevel, DicomImage]] = {}
    associated: dict[str, DicomLevel] = {}
    with ExitStack() as stack:
        for number, parts in enumerate(series_of(path)):
            first = parts[0]
            if first.kind != LEVEL and first.kind not in ASSOCIATED:
                continue
            try:
                image = DicomLevel(parts, WHITE, cache)
            except UnsupportedPixelsError:
                # Of the file that was chosen it is to be said; others are left out.
                if number == 0:
                    raise
                continue
            stack.callback(image.close)
            if first.kind == LEVEL:
                levels.setdefault(first.size, (image, first))
            else:
                associated.setdefault(ASSOCIATED[first.kind], image)
        if not levels:
            raise UnsupportedPixelsError("no level of a pyramid")
        ordered = [levels[size] for size in sorted(levels, reverse=True)]
        slide = DicomSlide(path, [level for level, _ in ordered], associated, ordered[0][1])
        slide.probe()
        stack.pop_all()
    return slide


def _properties(header: pydicom.Dataset, stem: str = "dicom") -> dict[str, str]:
    """Elements under the names that OpenSlide gives them; pictures, profiles and tables are left out."""
    found: dict[str, str] = {}
    for element in header:
        name = f"{stem}.{element.keyword}"
        if not element.keyword or element.VR in {"OB", "OW", "OV", "OF", "OD", "OL", "UN"}:
            continue
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                found.update(_properties(item, f"{name}[{number}]"))
        elif element.VM > 1:
            found.update({f"{name}[{number}]": str(value) for number, value in enumerate(element.value)})
        elif len(text := str(element.value)) <= LONGEST_TEXT:
            found[name] = text
    return found


def _icc_profile(header: pydicom.Dataset) -> bytes | None:
    paths = header.get("OpticalPathSequence")
    profile = paths[0].get("ICCProfile") if paths else None
    return bytes(profile) if profile else None
