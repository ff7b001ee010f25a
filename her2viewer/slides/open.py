"""Opening a slide: by what the file holds, not by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.slides.base import ReaderBase
from her2viewer.slides.pixels import NoBrightfieldError
from her2viewer.slides.refusal import refuse_cut_off, refuse_early, refused
from her2viewer.slides.slide import Slide, SlideError

if TYPE_CHECKING:
    from her2viewer.slides.openslide_reader import OpenSlideSlide

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_slide(path: Path | str) -> Slide:
    """Open a slide with the first reader that understands it: OpenSlide, tifffile, pydicom, then plain images.

    A little of the finest and of the coarsest level is decoded, so that a slide that cannot be read fails here.

    Raises:
        SlideError: it cannot be opened; the sentence says what is wrong and what to do.
    """
    path = Path(path)
    head = refuse_early(path)
    is_tiff = head[:4] in TIFF_MAGIC
    if is_tiff:
        refuse_cut_off(path)
    reasons: list[Exception] = []
    slide = _with_openslide(path, reasons)
    if slide is not None:
        return slide
    if is_tiff:
        slide = _with_tifffile(path, reasons)
    elif head[128:132] == b"DICM":
        slide = _with_pydicom(path, reasons)
    else:
        slide = _as_image(path, reasons)
    if slide is not None:
        return slide
    raise refused(path, head, reasons)


def _with_openslide(path: Path, reasons: list[Exception]) -> Slide | None:
    import openslide

    from her2viewer.slides.openslide_reader import OpenSlideSlide

    try:
        handle = openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        reasons.append(error)
        return None
    slide: OpenSlideSlide | None = None
    try:
        slide = OpenSlideSlide(path, handle)
        if slide.properties.get("openslide.vendor") == "generic-tiff":
            fuller = _better_than_generic(path, slide, reasons)
            if fuller is not None or any(isinstance(r, NoBrightfieldError) for r in reasons):
                slide.close()
                return fuller
        slide.probe()
    except (openslide.OpenSlideError, SlideError, OSError) as error:
        reasons.append(error)
        # Not when Python gets round to it: a file that is held cannot be replaced on Windows.
        if slide is None:
            handle.close()
        else:
            slide.close()
        return None
    return slide


def _better_than_generic(path: Path, slide: OpenSlideSlide, reasons: list[Exception]) -> Slide | None:
    """tifffile's reading of a generic TIFF, where it is the fuller one.

    OpenSlide sees no pyramid in SubIFDs, shows 16-bit samples wrongly, and takes the first channel of a fluorescence
    image for the whole. Where both decode the same levels to the same pixels, OpenSlide stays.
    """
    tries: list[Exception] = []
    fuller = _with_tifffile(path, tries)
    if fuller is None:
        reasons.extend(t for t in tries if isinstance(t, NoBrightfieldError))
        return None
    same = slide.direct_levels == tuple(range(slide.file_levels))
    if same and isinstance(fuller, ReaderBase) and fuller.file_levels <= slide.file_levels:
        fuller.close()
        return None
    return fuller


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


def _with_pydicom(path: Path, reasons: list[Exception]) -> Slide | None:
    from her2viewer.slides.dicom_reader import open_dicom

    try:
        return open_dicom(path)
    except MemoryError:
        raise
    except Exception as error:
        # As above: damaged headers and frames.
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
