"""Tiles of TIFF pages, decoded one by one through tifffile and imagecodecs, from any thread."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.cache import ByteCache
from her2viewer.slides.jpeg import JpegTiles
from her2viewer.slides.jpeg2000 import Jpeg2000Tiles
from her2viewer.slides.pixels import RGB, Alpha, Samples, UnsupportedPixelsError
from her2viewer.slides.slide import RGBImage
from her2viewer.slides.tile_grid import TileGrid

TILE_CACHE_BYTES = 48 * 2**20
JPEG_2000 = frozenset({33003, 33005, 34712})
"""TIFF's number for it, and Aperio's two."""
LARGE_TABLE = 10_000
"""Tiles; smaller tables are left as they are."""
OFFSET_TAGS, COUNT_TAGS = (273, 324), (279, 325)
"""TIFF's StripOffsets and TileOffsets, StripByteCounts and TileByteCounts."""


class SharedFile:
    """One open file that many threads read at positions of their own.

    A drive that went away and came back leaves a dead handle; then the file is opened anew if it is still the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._stamp = _stamp(self._file)
        self._lock = threading.Lock()
        self._closed = False
        self._dead: list[BinaryIO] = []

    def read_at(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``.

        Raises:
            OSError, ValueError: the file cannot be read, or has been closed.
            EOFError: it ends earlier.
        """
        file = self._file
        try:
            data = self._read(file, offset, size)
        except OSError:
            data = self._read(self._reopened(file), offset, size)
        if len(data) < size:
            raise EOFError(f"the file ends before byte {offset + size}")
        return data

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            for file in (*self._dead, self._file):
                file.close()

    def _read(self, file: BinaryIO, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(file.fileno(), size, offset)
        with self._lock:
            file.seek(offset)
            return file.read(size)

    def _reopened(self, dead: BinaryIO) -> BinaryIO:
        """A new handle in place of a dead one, unless another thread has replaced it already."""
        with self._lock:
            if self._closed:
                raise ValueError("the file has been closed")
            if self._file is dead:
                fresh = self._path.open("rb")
                if _stamp(fresh) != self._stamp:
                    fresh.close()
                    raise OSError(f"{self._path.name} is another file than before")
                # Closed at the end only: other threads may be about to find out for themselves that it is dead.
                self._dead.append(dead)
                self._file = fresh
            return self._file


def _stamp(file: BinaryIO) -> tuple[int, int]:
    """Size and time of the last change: what tells a file from one that took its name."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


class TiffLevel(TileGrid):
    """One image of a TIFF file, as tiles or strips of one page, or of one page for each of three channels."""

    def __init__(
        self,
        file: SharedFile,
        pages: list[Any],
        samples: Samples,
        background: RGB,
        cache: ByteCache[tuple[int, int], RGBImage],
    ) -> None:
        first = pages[0].keyframe
        size = (int(first.imagewidth), int(first.imagelength))
        self.tiled = bool(first.is_tiled)
        strip = (size[0], size[1] if self.tiled else min(int(first.rowsperstrip), size[1]))
        tile = (int(first.tilewidth), int(first.tilelength)) if self.tiled else strip
        jpeg = JpegTiles.of(first) if len(pages) == 1 and samples == Samples("rgb") else None
        reducing = Jpeg2000Tiles(*tile, samples, background) if len(pages) == 1 and _is_jpeg2000(first) else None
        super().__init__(size, tile, cache, samples=samples, jpeg=jpeg, background=background, reducing=reducing)
        self._file = file
        self._pages = pages
        self._planes = int(first.samplesperpixel) if int(first.planarconfig) == 2 else 1
        self._decoders = [(page.keyframe.decode, page) for page in pages]
        for page in pages:
            _shrink_tables(page)
        self._counts, self._offsets = pages[0].databytecounts, pages[0].dataoffsets

    def raw_samples(self) -> NDArray[Any]:
        """Undecoded samples of the middle tile, (h, w, s) of the file's number type."""
        samples = self._samples_of(self._down // 2 * self._across + self._across // 2)
        if samples is None:
            raise UnsupportedPixelsError("no data in the middle of the image")
        return samples

    def present(self, index: int) -> bool:
        """As the grid says."""
        return bool(self._counts[index] > 0)

    def encoded(self, index: int) -> bytes:
        """As the grid says."""
        return self._file.read_at(int(self._offsets[index]), int(self._counts[index]))

    def _samples_of(self, index: int) -> NDArray[Any] | None:
        per_plane = self._across * self._down
        parts = []
        for decode, page in self._decoders:
            for plane in range(self._planes):
                part = self._segment(decode, page, index + plane * per_plane)
                if part is None:
                    return None
                parts.append(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _segment(self, decode: Any, page: Any, index: int) -> NDArray[Any] | None:
        size = int(page.databytecounts[index])
        if size == 0:
            return None
        data = self._file.read_at(int(page.dataoffsets[index]), size)
        segment, _, _ = decode(data, index, jpegtables=page.jpegtables, jpegheader=page.keyframe.jpegheader)
        return None if segment is None else segment[0]


def _is_jpeg2000(page: Any) -> bool:
    plain = page.samplesperpixel == 3 and int(page.planarconfig) == 1 and page.dtype == np.uint8
    return bool(page.is_tiled and plain and int(page.compression) in JPEG_2000)


def _shrink_tables(page: Any) -> None:
    """Tile tables as arrays: tifffile's tuples take six times as much, 60 MB for a slide of 200,000 px."""
    if isinstance(page.dataoffsets, np.ndarray) or len(page.dataoffsets) < LARGE_TABLE:
        return
    page.dataoffsets = np.asarray(page.dataoffsets, dtype=np.int64)
    page.databytecounts = np.asarray(page.databytecounts, dtype=np.int64)
    for code in OFFSET_TAGS + COUNT_TAGS:
        tag = page.tags.get(code) if hasattr(page, "tags") else None
        if tag is not None:
            tag.value = ()


def samples_of_page(page: Any) -> Samples:
    """How the samples of a TIFF page are to be understood (16 bits taken as full range).

    Raises:
        UnsupportedPixelsError: a kind that is no colour or grey image.
    """
    import tifffile

    photometric = tifffile.PHOTOMETRIC
    page = page.keyframe
    extra = [int(e) for e in page.extrasamples]
    alpha = {1: Alpha.PREMULTIPLIED, 2: Alpha.STRAIGHT}.get(extra[0] if extra else 0, Alpha.NONE)
    maximum = _full_scale(page)
    value = page.photometric
    if value == photometric.PALETTE:
        if page.colormap is None:
            raise UnsupportedPixelsError("indexed colours without a colour table")
        return Samples("palette", palette=(np.asarray(page.colormap).T >> 8).astype(np.uint8))
    if value == photometric.MINISWHITE:
        return Samples("grey-inverted", alpha, maximum)
    if value == photometric.SEPARATED:
        return Samples("cmyk", maximum=maximum)
    if value in {photometric.RGB, photometric.YCBCR}:
        if value == photometric.YCBCR and page.compression == tifffile.COMPRESSION.NONE:
            raise UnsupportedPixelsError("uncompressed YCbCr samples")
        return Samples("rgb", alpha, maximum)
    if value == photometric.MINISBLACK:
        # Three or four channels without a declared meaning are RGB(A) in practice.
        count = int(page.samplesperpixel)
        return Samples("rgb" if count in {3, 4} else "grey", alpha, maximum)
    raise UnsupportedPixelsError(f"samples of the kind {getattr(value, 'name', value)}")


def _full_scale(page: Any) -> float:
    dtype = page.dtype
    if dtype is None:
        raise UnsupportedPixelsError("samples of an unknown number type")
    if dtype.kind == "f":
        return 1.0
    if dtype.kind == "b":
        return 255.0
    if dtype.kind == "u" and dtype.itemsize <= 2:
        bits = page.bitspersample
        bits = bits[0] if isinstance(bits, tuple) else bits
        return float(2 ** int(bits) - 1)
    raise UnsupportedPixelsError(f"samples of the number type {dtype}")


def fitted_scale(samples: Samples, data: NDArray[Any]) -> Samples:
    """The same, with full brightness at 10, 12 or 14 bits where 16-bit samples never go higher.

    Cameras store fewer bits in 16; read as full range, such an image is nearly black.
    """
    if data.dtype != np.uint16 or samples.maximum != 65535:
        return samples
    highest = int(data.max())
    bits = next(bits for bits in (8, 10, 12, 14, 16) if highest < 2**bits)
    return Samples(samples.kind, samples.alpha, float(2**bits - 1), samples.palette)
