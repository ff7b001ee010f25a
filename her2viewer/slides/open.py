"""Opening a slide: by what the file holds, not by its name."""

from __future__ import annotations

from pathlib import Path

from her2viewer.slides.refusal import refuse_early, refused
from her2viewer.slides.slide import Slide, SlideError

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_slide(path: Path | str) -> Slide:
    """Open a slide with the first reader that understands it: OpenSlide, tifffile, then plain images.

    A little of the finest and of the coarsest level is decoded, so that a slide that cannot be read fails here.

    Raises:
        SlideError: it cannot be opened; the sentence says what is wrong and what to do.
    """
    path = Path(path)
    head = refuse_early(path)
    reasons: list[Exception] = []
    slide = _with_openslide(path, head, reasons)
    if slide is not None:
        return slide
    if head[:4] in TIFF_MAGIC:
        slide = _with_tifffile(path, reasons)
    else:
        slide = _as_image(path, reasons)
    if slide is not None:
        return slide
    raise refused(path, head, reasons)


def _with_openslide(path: Path, head: bytes, reasons: list[Exception]) -> Slide | None:
    import openslide

    from her2viewer.slides.openslide_reader import OpenSlideSlide

    try:
        handle = openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        reasons.append(error)
        return None
    try:
        slide = OpenSlideSlide(path, handle)
        if slide.properties.get("openslide.vendor") == "generic-tiff" and head[:4] in TIFF_MAGIC:
            fuller = _with_tifffile(path, [])
            if fuller is not None and _real_levels(fuller) > _real_levels(slide):
                # A pyramid in SubIFDs, of which OpenSlide sees the first level only.
                slide.close()
                return fuller
            if fuller is not None:
                fuller.close()
        slide.probe()
    except (openslide.OpenSlideError, SlideError, OSError) as error:
        reasons.append(error)
        return None
    return slide


def _real_levels(slide: Slide) -> int:
    from her2viewer.slides.base import ReaderBase

    return slide.file_levels if isinstance(slide, ReaderBase) else len(slide.levels)


def _with_tifffile(path: Path, reasons: list[Exception]) -> Slide | None:
    from her2viewer.slides.tiff_reader import open_tiff

    try:
        return open_tiff(path)
    except MemoryError:
        raise
    except Exception as error:
        # Damaged directories make tifffile and its codecs raise almost anything.
        reasons.append(error)
        return None


def _as_image(path: Path, reasons: list[Exception]) -> Slide | None:
    from PIL import UnidentifiedImageError

    from her2viewer.slides.image_reader import open_image

    try:
        return open_image(path)
    except (UnidentifiedImageError, SlideError, OSError, ValueError) as error:
        reasons.append(error)
        return None
