"""A slide of 200,000 x 200,000 px in a file of 10 MB: its tile tables name the same JPEG tiles again and again."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import simplejpeg

from her2viewer.resources import resource_path
from her2viewer.slides.open import open_slide

SIDE = 200_000
TILE = 256
LEVELS = (1, 4, 16, 64, 256)
MPP = 0.25
_ASCII, _SHORT, _LONG, _RATIONAL, _LONG8 = 2, 3, 4, 5, 16
_SIZE = {_ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _LONG8: 8}


def write_giant(path: Path, side: int = SIDE, levels: tuple[int, ...] = LEVELS) -> None:
    """Write a BigTIFF of ``side`` x ``side`` px: YCbCr JPEG tiles of the bundled sample, shuffled over the slide."""
    tiles = _tiles()
    with path.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        places = []
        for tile in tiles:
            places.append((file.tell(), len(tile)))
            file.write(tile)
        where, sizes = np.array(places, dtype=np.uint64).T
        link = 8
        for number, downsample in enumerate(levels):
            pixels = -(-side // downsample)
            count = (-(-pixels // TILE)) ** 2
            pick = np.random.default_rng(number).integers(0, len(tiles), count)
            link = _directory(file, link, pixels, downsample, (where[pick], sizes[pick]))


def _tiles() -> list[bytes]:
    with open_slide(resource_path("sample", "sample_her2.tif")) as slide:
        return [
            simplejpeg.encode_jpeg(slide.read(0, x, y, TILE, TILE), 75, colorsubsampling="420")
            for y in range(0, slide.height - TILE, TILE)
            for x in range(0, slide.width - TILE, TILE)
        ]


def _directory(file, link: int, pixels: int, downsample: int, table: tuple[np.ndarray, np.ndarray]) -> int:  # type: ignore[no-untyped-def]
    """One image directory at the end of the file, hooked in at ``link``; returns where the next one is hooked in."""
    offsets, sizes = table
    resolution = struct.pack("<II", round(1e7 / (MPP * downsample)), 1000)
    entries: list[tuple[int, int, int, bytes]] = [
        (254, _LONG, 1, struct.pack("<I", 0 if downsample == 1 else 1)),
        (256, _LONG, 1, struct.pack("<I", pixels)),
        (257, _LONG, 1, struct.pack("<I", pixels)),
        (258, _SHORT, 3, struct.pack("<HHH", 8, 8, 8)),
        (259, _SHORT, 1, struct.pack("<H", 7)),
        (262, _SHORT, 1, struct.pack("<H", 6)),
        (277, _SHORT, 1, struct.pack("<H", 3)),
        (282, _RATIONAL, 1, resolution),
        (283, _RATIONAL, 1, resolution),
        (284, _SHORT, 1, struct.pack("<H", 1)),
        (296, _SHORT, 1, struct.pack("<H", 3)),
        (322, _SHORT, 1, struct.pack("<H", TILE)),
        (323, _SHORT, 1, struct.pack("<H", TILE)),
        (324, _LONG8, len(offsets), offsets.astype("<u8").tobytes()),
        (325, _LONG, len(sizes), sizes.astype("<u4").tobytes()),
        (530, _SHORT, 2, struct.pack("<HH", 2, 2)),
    ]
    fields = []
    for tag, kind, count, value in entries:
        if len(value) > 8:
            at = file.seek(0, 2) + file.seek(0, 2) % 2
            file.seek(at)
            file.write(value)
            value = struct.pack("<Q", at)
        fields.append(struct.pack("<HHQ", tag, kind, count) + value.ljust(8, b"\0"))
    start = file.seek(0, 2) + file.seek(0, 2) % 2
    file.seek(start)
    file.write(struct.pack("<Q", len(fields)) + b"".join(fields) + struct.pack("<Q", 0))
    file.seek(link)
    file.write(struct.pack("<Q", start))
    return start + 8 + 20 * len(fields)
