"""JPEG tiles of TIFF pages straight to the pixels that are wanted, by libjpeg-turbo through simplejpeg.

The general way (tifffile, imagecodecs) gives the same pixels; it takes a third longer, because it knows neither
Qt's order of channels nor decoding at a reduced size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.pixel_memory import decoded

JPEG_COMPRESSIONS = frozenset({7, 33007})
"""JPEG as TIFF has it since 1995, and the number that some writers gave it before. 6 is another thing."""
RGB, YCBCR = 2, 6
START, END = b"\xff\xd8", b"\xff\xd9"
NO_COLOUR_TRANSFORM = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""Adobe's marker: the three components are red, green and blue and no luminance. TIFF says so in a tag instead."""


class JpegTiles:
    """Decoder of the tiles of one page. Safe from all threads; the decoder lets others run meanwhile."""

    def __init__(self, head: bytes, tile_width: int, tile_height: int) -> None:
        self._head = head
        self._width = tile_width
        self._height = tile_height

    @classmethod
    def of(cls, page: Any) -> JpegTiles | None:
        """For a tifffile page of 8-bit RGB in JPEG tiles; None for everything else."""
        page = page.keyframe
        suits = (
            page.is_tiled
            and int(page.compression) in JPEG_COMPRESSIONS
            and int(page.photometric) in {RGB, YCBCR}
            and page.samplesperpixel == 3
            and page.bitspersample == 8
            and int(page.planarconfig) == 1
            and not page.extrasamples
            and not page.jpegheader
        )
        if not suits:
            return None
        tables = page.jpegtables or START + END
        if not tables.startswith(START) or not tables.endswith(END):
            return None
        head = tables[: -len(END)]
        if int(page.photometric) == RGB:
            head = START + NO_COLOUR_TRANSFORM + head[len(START) :]
        return cls(head, int(page.tilewidth), int(page.tilelength))

    def decode(self, data: bytes, order: str = "RGB", reduce: int = 1) -> NDArray[np.uint8]:
        """One whole tile.

        Args:
            data: the tile as the file has it.
            order: of the channels, ``RGB`` or ``BGRA`` (alpha 255).
            reduce: 1, 2, 4 or 8: each pixel stands for that many squared. The sides of the tile must be multiples.

        Returns:
            (tile height / reduce, tile width / reduce, 3 or 4) uint8.

        Raises:
            ValueError: no JPEG, damaged, of a kind that this decoder does not know, or of another size.
        """
        import simplejpeg

        if data[:2] != START:
            raise ValueError("no JPEG")
        # A tile that brings its own tables is decoded as it lies.
        whole = data if self._head == START else self._head + memoryview(data)[2:]
        height, width = self._height // reduce, self._width // reduce
        # Tiles in Qt's order are kept by the viewer; others are gone soon, and malloc serves them best.
        room = decoded.empty(height, width, 4) if order == "BGRA" else None
        out: NDArray[np.uint8] = simplejpeg.decode_jpeg(whole, order, min_height=height, min_width=width, buffer=room)
        if out.shape[:2] != (height, width):
            raise ValueError(f"a tile of {out.shape[1]} x {out.shape[0]} px")
        return out

    def reduces(self, reduce: int) -> bool:
        """Whether tiles can be decoded at that reduction."""
        return reduce in {1, 2, 4, 8} and self._width % reduce == 0 and self._height % reduce == 0
