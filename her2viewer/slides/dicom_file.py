"""One file of a DICOM slide: what its header says of the image, and where each frame lies.

pydicom reads the header up to the tables of the frames. These are read here as arrays: as datasets, a hundred
thousand frames would take ten seconds.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.pixels import UnsupportedPixelsError
from her2viewer.slides.tiff_pages import SharedFile

if TYPE_CHECKING:
    import pydicom

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
UNCOMPRESSED = "1.2.840.10008.1.2.1"
OTHER_ENCODINGS = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
"""Implicit, big-endian and deflated headers; none of them is in use for slides."""
PER_FRAME = 0x52009230
"""PerFrameFunctionalGroupsSequence: a few hundred bytes for each frame."""
EXTENDED_OFFSETS, PIXEL_DATA = 0x7FE00001, 0x7FE00010
UNDEFINED = 0xFFFFFFFF
ITEM = b"\xfe\xff\x00\xe0"
END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\0\0\0\0"
LONG_LENGTHS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
CHUNK = 4 * 2**20


@dataclass(frozen=True)
class DicomTables:
    """Where the tables of the frames and the frames themselves begin and end, bytes from the start of the file."""

    per_frame: tuple[int, int] | None
    extended_offsets: tuple[int, int] | None
    pixels: int
    encapsulated: bool


@dataclass(frozen=True)
class DicomImage:
    """What the header of one whole slide image says."""

    path: Path
    header: pydicom.Dataset
    syntax: str
    """UID of the transfer syntax: how the frames are compressed."""
    series: str
    instance: str
    kind: str
    """``VOLUME`` for a level of the pyramid, ``LABEL``, ``OVERVIEW`` or ``THUMBNAIL``."""
    size: tuple[int, int]
    """Width and height of the level, px."""
    tile: tuple[int, int]
    """Width and height of a frame, px."""
    frames: int
    photometric: str
    planar: bool
    """Whether uncompressed samples are stored colour by colour."""
    concatenation: str
    """UID shared by the files that one image was divided into; empty where it was not."""
    parts: int
    """Files that it was divided into."""
    first_frame: int
    """Frames of the image that lie in earlier files of its concatenation."""
    tables: DicomTables

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles across and down."""
        return -(-self.size[0] // self.tile[0]), -(-self.size[1] // self.tile[1])


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is a DICOM file."""
    return head[128:132] == b"DICM"


def read_image(path: Path, series: str = "") -> DicomImage | None:
    """What one file says of its image; None for files of another kind, or of another series than the one named.

    Raises:
        UnsupportedPixelsError: an image whose pixels are not 8-bit colour in one plane of focus.
        Exception: whatever pydicom raises for a damaged header.
    """
    import pydicom

    with path.open("rb") as file:
        if not is_dicom(file.read(132)):
            return None
        file.seek(0)
        header = pydicom.filereader.read_partial(file, stop_when=lambda tag, _vr, _length: tag >= PER_FRAME)
        if str(header.get("SOPClassUID", "")) != WHOLE_SLIDE or str(header.get("SeriesInstanceUID", "")) == "":
            return None
        if series and str(header.SeriesInstanceUID) != series:
            return None
        syntax = str(header.file_meta.TransferSyntaxUID)
        if syntax in OTHER_ENCODINGS:
            raise UnsupportedPixelsError(f"a header in the transfer syntax {syntax}")
        _check_samples(header)
        tables = _tables(file)
    types = [str(t).upper() for t in header.get("ImageType", [])]
    return DicomImage(
        path,
        header,
        syntax,
        series=str(header.SeriesInstanceUID),
        instance=str(header.get("SOPInstanceUID", "")),
        kind=types[2] if len(types) > 2 else "",
        size=(int(header.TotalPixelMatrixColumns), int(header.TotalPixelMatrixRows)),
        tile=(int(header.Columns), int(header.Rows)),
        frames=int(header.get("NumberOfFrames", 1)),
        photometric=str(header.PhotometricInterpretation),
        planar=int(header.get("PlanarConfiguration", 0)) == 1,
        concatenation=str(header.get("ConcatenationUID", "")),
        parts=int(header.get("InConcatenationTotalNumber", 1) or 1),
        first_frame=int(header.get("ConcatenationFrameOffsetNumber", 0) or 0),
        tables=tables,
    )


def _check_samples(header: pydicom.Dataset) -> None:
    samples = int(header.get("SamplesPerPixel", 1))
    if samples != 3:
        raise UnsupportedPixelsError(
            "one channel, as fluorescence images have it" if samples == 1 else f"{samples} channels"
        )
    if int(header.BitsAllocated) != 8 or int(header.get("PixelRepresentation", 0)) != 0:
        raise UnsupportedPixelsError(f"samples of {int(header.BitsAllocated)} bits")
    planes = int(header.get("TotalPixelMatrixFocalPlanes", 1) or 1)
    if planes != 1:
        raise UnsupportedPixelsError(f"{planes} planes of focus")
    paths = int(header.get("NumberOfOpticalPaths", 1) or 1)
    if paths != 1:
        raise UnsupportedPixelsError(f"{paths} optical paths")


def _tables(file: BinaryIO) -> DicomTables:
    """Find the tables and the pixels in a file that is positioned behind its header."""
    per_frame = extended = None
    while True:
        start = file.read(8)
        if len(start) < 8:
            raise EOFError("the file ends before its pixels")
        group, element = struct.unpack("<HH", start[:4])
        tag = group << 16 | element
        length = (
            struct.unpack("<I", file.read(4))[0] if start[4:6] in LONG_LENGTHS else struct.unpack("<H", start[6:])[0]
        )
        at = file.tell()
        if tag == PIXEL_DATA:
            return DicomTables(per_frame, extended, at, length == UNDEFINED)
        if tag == PER_FRAME:
            end = _end_of_sequence(file) if length == UNDEFINED else at + length
            per_frame = (at, end)
        elif length == UNDEFINED:
            raise UnsupportedPixelsError(f"an unknown part ({group:04X},{element:04X}) before the pixels")
        else:
            end = at + length
            if tag == EXTENDED_OFFSETS:
                extended = (at, end)
        file.seek(end)


def _end_of_sequence(file: BinaryIO) -> int:
    """Where the element behind a sequence of undefined length begins: the pixels, or their table of offsets.

    Looked for as bytes, since the way through all items takes too long in Python.
    """
    wanted = re.compile(re.escape(END_OF_SEQUENCE) + rb"(?=\xe0\x7f[\x01\x02\x10]\x00(?:OB|OW|OV))")
    kept, at = b"", file.tell()
    while chunk := file.read(CHUNK):
        window = kept + chunk
        found = wanted.search(window)
        if found:
            return at - len(kept) + found.end()
        kept = window[-2 * len(END_OF_SEQUENCE) :]
        at += len(chunk)
    raise EOFError("the file ends before its pixels")


class DicomFrames:
    """Frames of one file, read from any thread."""

    def __init__(self, image: DicomImage) -> None:
        self.image = image
        self._file = SharedFile(image.path)
        try:
            self._starts, self._ends = self._spans()
        except BaseException:
            self._file.close()
            raise

    def tiles(self) -> NDArray[np.int64]:
        """Index (row x tiles across + column) of the tile that each frame shows, (frames,) int64.

        Raises:
            UnsupportedPixelsError: frames that do not lie on one grid, or of which it is not said where they lie.
        """
        image = self.image
        across, down = image.tiles
        if str(image.header.get("DimensionOrganizationType", "")) == "TILED_FULL" or image.tables.per_frame is None:
            last = image.first_frame + image.frames
            if last > across * down or (last != across * down and not image.concatenation):
                raise UnsupportedPixelsError(f"{image.frames} frames where {across * down} are needed")
            return np.arange(image.first_frame, last, dtype=np.int64)
        start, end = image.tables.per_frame
        groups = self._file.read_at(start, end - start)
        # ColumnPositionInTotalImagePixelMatrix and RowPosition..., signed, counted from 1.
        column = _values(groups, b"\x48\x00\x1e\x02SL\x04\x00", image.frames) - 1
        row = _values(groups, b"\x48\x00\x1f\x02SL\x04\x00", image.frames) - 1
        x, y = column // image.tile[0], row // image.tile[1]
        on_grid = (column % image.tile[0] == 0) & (row % image.tile[1] == 0)
        inside = (x >= 0) & (y >= 0) & (x < across) & (y < down)
        if not np.all(on_grid & inside):
            raise UnsupportedPixelsError("frames that do not lie side by side")
        return y * across + x

    def read(self, frame: int) -> bytes:
        """One frame as the file has it, without the marks around it.

        Raises:
            OSError, ValueError, EOFError: the file cannot be read or is damaged there.
        """
        start, end = int(self._starts[frame]), int(self._ends[frame])
        data = self._file.read_at(start, end - start)
        if not self.image.tables.encapsulated:
            return data
        parts, at = [], 0
        while data[at : at + 4] == ITEM:
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            parts.append(data[at + 8 : at + 8 + size])
            at += 8 + size
        if not parts:
            raise ValueError("no frame where the table says that one begins")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each frame begins and ends, marks included, bytes from the start of the file."""
        tables, frames = self.image.tables, self.image.frames
        if not tables.encapsulated:
            size = self.image.tile[0] * self.image.tile[1] * 3
            starts = tables.pixels + size * np.arange(frames, dtype=np.int64)
            return starts, starts + size
        mark, length = self._item(tables.pixels)
        if mark != ITEM:
            raise UnsupportedPixelsError("no table of offsets before the frames")
        first = tables.pixels + 8 + length
        offsets = np.zeros(0, dtype=np.int64)
        if tables.extended_offsets is not None:
            start, end = tables.extended_offsets
            offsets = np.frombuffer(self._file.read_at(start, end - start), dtype="<u8").astype(np.int64)
        elif length:
            offsets = np.frombuffer(self._file.read_at(tables.pixels + 8, length), dtype="<u4").astype(np.int64)
        if len(offsets) != frames or offsets[0] != 0 or np.any(np.diff(offsets) <= 8):
            # No table, or one whose 32 bits were too few.
            return self._walked(first)
        starts = first + offsets
        return starts, np.append(starts[1:], self._end_of_last(int(starts[-1])))

    def _walked(self, at: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        edges = [at]
        mark, length = self._item(at)
        while mark == ITEM:
            at += 8 + length
            edges.append(at)
            mark, length = self._item(at)
        if len(edges) != self.image.frames + 1:
            raise UnsupportedPixelsError("frames in several parts without a table of them")
        found = np.array(edges, dtype=np.int64)
        return found[:-1], found[1:]

    def _end_of_last(self, at: int) -> int:
        mark, length = self._item(at)
        while mark == ITEM:
            at += 8 + length
            mark, length = self._item(at)
        return at

    def _item(self, at: int) -> tuple[bytes, int]:
        try:
            mark = self._file.read_at(at, 8)
        except EOFError:
            return b"", 0
        return mark[:4], int.from_bytes(mark[4:], "little")


def _values(groups: bytes, element: bytes, frames: int) -> NDArray[np.int64]:
    """The number behind each occurrence of an element in the per-frame groups, (frames,) int64."""
    found = b"".join(re.findall(re.escape(element) + b"(.{4})", groups, re.DOTALL))
    if len(found) != 4 * frames:
        raise UnsupportedPixelsError("frames of which it is not said where they lie")
    return np.frombuffer(found, dtype="<i4").astype(np.int64)
