"""Why a file is no slide, said to a pathologist: what is wrong with it, and what to do."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from her2viewer.slides.pixels import UnsupportedPixelsError
from her2viewer.slides.slide import SlideError

HEAD = 4096
MOST_TAGS = 4096
NDPI_TAG = 65420

AGAIN = "Download or copy it again from where it came."

FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "is a PDF document, not a slide. Open the slide file that it was made from."),
    (b"PK\x03\x04", "is a ZIP archive. Unpack it first, then open the slide inside."),
    (b"\x1f\x8b", "is a compressed archive (gzip). Unpack it first, then open the slide inside."),
    (b"7z\xbc\xaf", "is a 7-Zip archive. Unpack it first, then open the slide inside."),
    (b"Rar!", "is a RAR archive. Unpack it first, then open the slide inside."),
    (b"\x89HDF", "is an HDF5 data file, not a slide. Export the slide from its program as TIFF or OME-TIFF."),
    (b"ZISRAWFILE", "is a Zeiss CZI file of a kind that cannot be read here. Export it from ZEN as OME-TIFF."),
    (b"\xd0\xcf\x11\xe0", "is an Office document or a microscope file of an old kind. Export the slide as TIFF."),
    (
        b"<DataObject",
        "is a Philips iSyntax slide, which cannot be read here. Export it as TIFF from the Philips viewer.",
    ),
)

TRANSFER_SYNTAXES = {
    "1.2.840.10008.1.2.4.57": "lossless JPEG",
    "1.2.840.10008.1.2.4.70": "lossless JPEG",
    "1.2.840.10008.1.2.4.110": "JPEG XL",
    "1.2.840.10008.1.2.4.111": "JPEG XL",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}


def refuse_early(path: Path) -> bytes:
    """The first bytes of a file that may be a slide.

    Raises:
        SlideError: there is no such file, it is a folder, empty, or must not be read.
    """
    try:
        if path.is_dir():
            raise SlideError(_of_folder(path))
        with path.open("rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError as error:
        raise SlideError(
            f"There is no file {path}. It may have been moved or renamed, or its drive is not connected."
        ) from error
    except PermissionError as error:
        raise SlideError(
            f"You are not allowed to read {path.name}. Ask for the right to read it, or copy it to a folder of yours."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SlideError(f"{path} cannot be read: {reason}. Check the file's name and its drive.") from error
    if not head:
        raise SlideError(f"{path.name} is empty: it has no bytes at all. {AGAIN}")
    return head


def refused(path: Path, head: bytes, reasons: list[Exception]) -> SlideError:
    """The sentence for a file that no reader could open.

    Args:
        path: the file.
        head: its first bytes.
        reasons: what the readers said, in the order in which they tried.
    """
    error = SlideError(f"{path.name} {_what_is_wrong(path, head, reasons)}")
    error.__cause__ = reasons[-1] if reasons else None
    return error


def _of_folder(path: Path) -> str:
    slides = sorted(p.name for p in path.iterdir() if p.suffix.lower() in {".svs", ".ndpi", ".tif", ".tiff", ".dcm"})
    if path.with_suffix(".mrxs").exists():
        return f"{path.name} is the data folder of a MIRAX slide. Open {path.name}.mrxs beside it."
    inside = f", for example {slides[0]}" if slides else ""
    return f"{path.name} is a folder. Open the slide file inside it{inside}."


def _what_is_wrong(path: Path, head: bytes, reasons: list[Exception]) -> str:
    for magic, sentence in FOREIGN:
        if head.startswith(magic):
            return sentence
    lower = head.lstrip().lower()
    if lower.startswith((b"<!doctype html", b"<html")):
        title = re.search(rb"<title>(.*?)</title>", head, re.IGNORECASE | re.DOTALL)
        said = f' (it says "{title[1].decode("utf-8", "replace").strip()[:80]}")' if title else ""
        return (
            f"is not a slide but a web page saved under the name of a slide{said}: the download failed. "
            "Download the slide again."
        )
    if head[128:132] == b"DICM":
        return _of_dicom(path, reasons)
    if head[:2] in {b"II", b"MM"}:
        return _of_tiff(path, reasons)
    for reason in reasons:
        if isinstance(reason, SlideError):
            return _without_name(path, str(reason))
    if path.suffix.lower() == ".mrxs":
        folder = path.with_suffix("")
        if not folder.is_dir():
            return f"is the index of a MIRAX slide, but its data folder {folder.name} is not beside it. Copy both."
        return f"is a MIRAX slide that cannot be read ({_last(reasons)}). Copy it again together with its folder."
    if _is_text(head):
        return f"contains text, not an image: it is no slide, whatever its name says. {AGAIN}"
    if not any(head):
        return f"begins with nothing but zeros: the copy is incomplete. {AGAIN}"
    return (
        "is not an image of a kind that her2viewer knows, or its beginning is damaged. "
        "Copy it again, or export it from the scanner's software as pyramidal TIFF, OME-TIFF or DICOM."
    )


def _of_dicom(path: Path, reasons: list[Exception]) -> str:
    said = " ".join(str(r) for r in reasons)
    advice = "Ask the scanner's software to export it with JPEG or JPEG 2000 compression."
    for reason in reasons:
        if isinstance(reason, SlideError):
            return _without_name(path, str(reason))
    missing = re.search(r"(\d+) of the (\d+) files of one image", said)
    if missing:
        return (
            f"is one of {missing[2]} files that hold one image together, of which {missing[1]} can be found. "
            "Copy all files of the slide into one folder."
        )
    kinds = [str(r) for r in reasons if isinstance(r, UnsupportedPixelsError)]
    if kinds and re.search(r"channel|bits|planes|paths", kinds[0]):
        return (
            f"is a DICOM slide with {kinds[0]}, which cannot be shown as a brightfield slide. Export it as 8-bit RGB."
        )
    syntax = re.search(r"transfer syntax ([\d.]+)", said)
    if syntax:
        name = TRANSFER_SYNTAXES.get(syntax[1].rstrip("."), f"a compression of the kind {syntax[1]}")
        return f"is a DICOM slide compressed with {name}, which cannot be read here. {advice}"
    photometric = re.search(r"photometric interpretation (\w+)", said)
    if photometric:
        return (
            f"is a DICOM slide that stores its colours as {photometric[1]}, which cannot be read here. "
            "Ask the scanner's software to export it as RGB or YBR_FULL_422 with JPEG compression."
        )
    if "SOP class" in said or "not a WSI" in said or "Unsupported or missing" in said:
        return "is a DICOM file, but not of a whole slide. Open the DICOM file of the slide's pyramid."
    return f"is a DICOM file that is damaged, or of a kind that cannot be read here ({_short(said)}). {AGAIN}"


def _of_tiff(path: Path, reasons: list[Exception]) -> str:
    for reason in reversed(reasons):
        if isinstance(reason, UnsupportedPixelsError):
            return f"has {reason}, which cannot be shown as a brightfield slide. Export it as an 8-bit RGB TIFF."
    cut = _missing_bytes(path)
    if cut:
        return _cut_off(*cut)
    for reason in reversed(reasons):
        if isinstance(reason, SlideError):
            return _without_name(path, str(reason))
    if any("imagecodecs" in str(r) or "compression" in str(r).lower() for r in reasons):
        return (
            f"is compressed in a way that cannot be read here ({_last(reasons)}). "
            "Export it as a TIFF with JPEG or LZW compression."
        )
    return f"is a TIFF file that is damaged ({_last(reasons)}). {AGAIN}"


def refuse_cut_off(path: Path) -> None:
    """Refuse a TIFF file whose chain of directories leads beyond its end; nothing else is looked at.

    Raises:
        SlideError: the file is cut off, and whole levels or the label are missing.
    """
    needed = _end_of_directories(path)
    size = path.stat().st_size
    if needed > size:
        raise SlideError(f"{path.name} {_cut_off(size, needed)}")


def _cut_off(size: int, needed: int) -> str:
    return (
        f"is cut off: it should have at least {needed:,} bytes and has {size:,}. The copy or download was not "
        "completed. " + AGAIN
    )


def _end_of_directories(path: Path) -> int:
    """Where the last directory of a TIFF file ends, or 0 where the chain makes no sense to us."""
    needed = 0
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in {b"+\0", b"\0+"}
        offset_form, count_form, entry = (order + "Q", order + "Q", 20) if big else (order + "I", order + "H", 12)
        offset_size, count_size = struct.calcsize(offset_form), struct.calcsize(count_form)
        position = 8 if big else 4
        if len(head) < position + offset_size:
            return position + offset_size
        (offset,) = struct.unpack_from(offset_form, head, position)
        seen: set[int] = set()
        while offset and offset not in seen:
            seen.add(offset)
            if offset >= size:
                return int(offset) + count_size
            file.seek(offset)
            first = file.read(count_size)
            needed = max(needed, offset + count_size)
            if len(first) < count_size:
                break
            (count,) = struct.unpack(count_form, first)
            if not 0 < count <= MOST_TAGS:
                return 0
            needed = max(needed, offset + count_size + count * entry + offset_size)
            body = file.read(count * entry + offset_size)
            if len(body) < count * entry + offset_size:
                break
            tags = {struct.unpack_from(order + "H", body, k * entry)[0] for k in range(count)}
            if NDPI_TAG in tags:
                # Offsets of more than 32 bits are hidden elsewhere in this format.
                return 0
            (offset,) = struct.unpack_from(offset_form, body, count * entry)
    return needed


def _missing_bytes(path: Path) -> tuple[int, int] | None:
    """Size of a TIFF file and the size that its directories speak of, where that is more."""
    import tifffile

    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            ends = [
                int(offset) + int(count)
                for page in tiff.pages
                for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
            ]
    except Exception:
        # The directories themselves are damaged: nothing can be said of what is missing.
        return None
    needed = max(ends, default=0)
    return (size, needed) if needed > size else None


def _is_text(head: bytes) -> bool:
    sample = head[:1024]
    return all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in sample)


def _without_name(path: Path, sentence: str) -> str:
    return sentence.removeprefix(path.name).lstrip()


def _last(reasons: list[Exception]) -> str:
    return _short(str(reasons[-1])) if reasons else "no reader knows it"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 120 else text[:117] + "..."
