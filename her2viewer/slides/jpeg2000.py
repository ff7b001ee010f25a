"""JPEG 2000 tiles at a half, a quarter or an eighth of their size.

A codestream holds its image as a small one and what each doubling adds to it. The codecs at hand always decode all
of it, so the headers are made to describe the smaller image. The packets of the larger ones come last and are passed
over; most of the time goes into these.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.pixels import RGB, BGRAImage, Samples, as_bgra, to_rgb

SIZE, STYLE, QUANTISATION, TILE = 0xFF51, 0xFF52, 0xFF5C, 0xFF90
CODESTREAM = b"\xff\x4f\xff\x51"
RGB_BOX = b"colr\x01\x00\x00\x00\x00\x00\x10"
"""Enumerated colours, sRGB."""
HARMLESS = frozenset({0xFF55, 0xFF57, 0xFF58, 0xFF63, 0xFF64})
"""Lengths of parts and packets, registration, comments: they may stay as they are."""
HALVINGS = {2: 1, 4: 2, 8: 3}


class Jpeg2000Tiles:
    """Decoder of reduced tiles of one level. Safe from all threads; the decoder lets others run meanwhile."""

    def __init__(self, width: int, height: int, samples: Samples, background: RGB) -> None:
        self._width, self._height = width, height
        self._samples, self._background = samples, background

    def decode(self, data: bytes, order: str, reduce: int) -> BGRAImage:
        """One whole tile, as ``JpegTiles.decode``, in the order ``BGRA``.

        Raises:
            ValueError: a codestream that cannot be reduced, or is damaged.
        """
        import cv2
        import imagecodecs

        if order != "BGRA" or reduce not in HALVINGS:
            raise ValueError(f"{order} at 1/{reduce}")
        try:
            pixels: NDArray[Any] = imagecodecs.jpeg2k_decode(reduced(data, HALVINGS[reduce]))
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        if pixels.shape[:2] != (self._height // reduce, self._width // reduce) or pixels.ndim != 3:
            raise ValueError(f"a tile of {pixels.shape[1]} x {pixels.shape[0]} px")
        # The small image has its px on the first one of those that it stands for, a mean in their middle.
        share = (reduce - 1) / 2 / reduce
        kernel = np.array([1 - share, share])
        rgb = to_rgb(pixels, self._samples, self._background)
        moved = cv2.sepFilter2D(rgb, -1, kernel, kernel, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
        return as_bgra(np.asarray(moved, dtype=np.uint8))

    def reduces(self, reduce: int) -> bool:
        """Whether tiles can be decoded at that reduction."""
        return reduce in HALVINGS and self._width % reduce == 0 and self._height % reduce == 0


def reduced(data: bytes, halvings: int) -> bytes:
    """A codestream of an image so many times halved.

    Args:
        data: a codestream, bare or as a JP2 file.
        halvings: 1 or more.

    Raises:
        ValueError: it is none, or its packets are not in an order that allows this.
    """
    data = _bare(data)
    out = [data[:2]]
    at, levels = 2, 0
    while True:
        marker, body = _segment(data, at)
        if marker == TILE:
            break
        if marker == SIZE:
            body = _smaller_size(body, halvings)
        elif marker == STYLE:
            levels = body[5]
            body = _fewer_levels(body, halvings)
        elif marker == QUANTISATION:
            body = _fewer_bands(body, levels, halvings)
        elif marker not in HARMLESS:
            raise ValueError(f"a marker {marker:04x} in the header")
        out.append(struct.pack(">HH", marker, len(body) + 2) + body)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    # What a tile says differently from the header would have to be changed, too.
    inner = at + 12
    while data[inner : inner + 2] != b"\xff\x93":
        marker, body = _segment(data, inner)
        if marker not in HARMLESS:
            raise ValueError(f"a marker {marker:04x} in a tile")
        inner += 4 + len(body)
    out.append(data[at:])
    return b"".join(out)


def _bare(data: bytes) -> bytes:
    """The codestream, without the boxes of a JP2 file where these say nothing but that it is RGB."""
    if data[:4] == CODESTREAM:
        return data
    at = data.find(b"jp2c" + CODESTREAM)
    if data[4:8] != b"jP  " or at < 0 or RGB_BOX not in data[:at] or b"pclr" in data[:at]:
        raise ValueError("no JPEG 2000 codestream of RGB")
    return data[at + 4 :]


def _segment(data: bytes, at: int) -> tuple[int, bytes]:
    if at + 4 > len(data):
        raise ValueError("the codestream ends in its header")
    marker, length = struct.unpack_from(">HH", data, at)
    if marker < 0xFF00 or length < 2 or at + 2 + length > len(data):
        raise ValueError("the header of the codestream is damaged")
    return marker, data[at + 4 : at + 2 + length]


def _smaller_size(body: bytes, halvings: int) -> bytes:
    profile, width, height, left, top, tile_width, tile_height, tile_left, tile_top = struct.unpack_from(">H8I", body)
    if left or top or tile_left or tile_top or tile_width < width or tile_height < height:
        raise ValueError("an image that does not begin at 0 or has several tiles")
    # Rounded up.
    width, height = -(-width >> halvings), -(-height >> halvings)
    return struct.pack(">H8I", profile, width, height, 0, 0, width, height, 0, 0) + body[34:]


def _fewer_levels(body: bytes, halvings: int) -> bytes:
    style, progression, layers, _, levels = struct.unpack_from(">BBHBB", body)
    # By resolution first: at once, or because there is but one layer.
    if progression > 2 or (progression == 0 and layers != 1):
        raise ValueError("packets of all resolutions in a mixed order")
    if levels < halvings:
        raise ValueError(f"an image that is halved {levels} times only")
    rest = body[6 : len(body) - halvings] if style & 1 else body[6:]
    return body[:5] + bytes([levels - halvings]) + rest


def _fewer_bands(body: bytes, levels: int, halvings: int) -> bytes:
    kind = body[0] & 31
    if kind == 1:
        return body
    size = 1 if kind == 0 else 2
    if len(body) < 1 + size * (3 * levels + 1):
        raise ValueError("too few quantisation steps")
    return body[: 1 + size * (3 * (levels - halvings) + 1)]
