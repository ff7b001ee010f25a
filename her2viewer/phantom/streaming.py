"""Writing a pyramidal TIFF from blocks that come one after the other: only a row of tiles is held in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.phantom.pyramid import WRITER
from her2viewer.slides.slide import RGBImage

TILE = 256
IN_MEMORY = 32 << 20
"""Bytes of encoded tiles of reduced levels held before they go to a temporary file."""


class Level:
    """Tiles of a reduced level, gathered from blocks in row-major order and encoded as soon as a row is whole."""

    def __init__(self, width: int, height: int, factor: int, encode: Any) -> None:
        self.factor, self.width, self.height = factor, max(1, width // factor), max(1, height // factor)
        self.across, self.down = -(-self.width // TILE), -(-self.height // TILE)
        self._encode = encode
        self._row = 0
        self._spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        self._sizes: list[int] = []
        # Blocks may be smaller than a tile of this level, or a few tiles high.
        self._strip: NDArray[np.uint8] | None = None
        self._top = 0

    def put(self, image: RGBImage, x: int, y: int) -> None:
        """A reduced block at (x, y) of this level."""
        height = image.shape[0]
        if self._strip is None:
            rows = max(TILE, -(-height // TILE) * TILE)
            self._strip = np.zeros((rows, self.across * TILE, 3), dtype=np.uint8)
        if y >= self._top + self._strip.shape[0]:
            self._flush(self._strip.shape[0])
        top = y - self._top
        part = image[: min(height, self.height - y), : self.width - x]
        self._strip[top : top + part.shape[0], x : x + part.shape[1]] = part

    def finish(self) -> None:
        """All blocks were put."""
        if self._strip is None:
            self._strip = np.zeros((TILE, self.across * TILE, 3), dtype=np.uint8)
        while self._row < self.down:
            self._flush(self._strip.shape[0])

    def tiles(self) -> Iterator[bytes]:
        """Encoded tiles in row-major order."""
        self._spool.seek(0)
        for size in self._sizes:
            yield self._spool.read(size)

    def close(self) -> None:
        """Give the temporary file back."""
        self._spool.close()

    def _flush(self, rows: int) -> None:
        assert self._strip is not None
        for top in range(0, rows, TILE):
            if self._row >= self.down:
                break
            for left in range(0, self._strip.shape[1], TILE):
                tile = self._encode(_padded(self._strip[top : top + TILE, left : left + TILE], self, left, self._row))
                self._sizes.append(self._spool.write(tile))
            self._row += 1
        self._top += rows
        self._strip[:] = 0


def _padded(tile: NDArray[np.uint8], level: Level, left: int, row: int) -> NDArray[np.uint8]:
    """A tile whose part beyond the level's edge repeats the last pixels: black there would ring into the picture."""
    wide, high = min(TILE, level.width - left), min(TILE, level.height - row * TILE)
    return padded(tile[:high, :wide])


def padded(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A whole tile from a part of one, edges repeated."""
    high, wide = part.shape[:2]
    if (high, wide) == (TILE, TILE):
        return np.ascontiguousarray(part)
    return np.pad(part, ((0, TILE - high), (0, TILE - wide), (0, 0)), mode="edge")


def jpeg_encoder(quality: int, subsampling: str) -> Any:
    """A function from (TILE, TILE, 3) uint8 to JPEG bytes; lets go of the interpreter lock."""
    import imagecodecs

    def encode(tile: NDArray[np.uint8]) -> bytes:
        return bytes(
            imagecodecs.jpeg8_encode(
                tile, level=quality, colorspace="rgb", outcolorspace="ycbcr", subsampling=subsampling
            )
        )

    return encode


def write_stream(
    path: Path,
    size: tuple[int, int],
    rows: Iterable[list[tuple[RGBImage, list[bytes]]]],
    *,
    factors: tuple[int, ...],
    quality: int,
    subsampling: str,
    mpp: float,
    magnification: float,
) -> None:
    """Write a slide from rows of blocks, each with its encoded tiles in row-major order.

    Args:
        path: where to.
        size: width and height, px.
        rows: rows of blocks from the top, each block (h, w, 3) uint8 with its tiles.
        factors: of the reduced levels, each a divisor of the blocks' side.
        quality, subsampling: of JPEG, for the reduced levels and the file's tags.
        mpp: um per px.
        magnification: of the objective.
    """
    import cv2
    import tifffile

    width, height = size
    encode = jpeg_encoder(quality, subsampling)
    levels = [Level(width, height, factor, encode) for factor in factors if min(width, height) // factor >= 16]
    horizontal = {"444": 1, "422": 2, "420": 2}[subsampling]
    options: dict[str, Any] = {
        "tile": (TILE, TILE),
        "compression": "jpeg",
        "photometric": "ycbcr",
        "subsampling": (horizontal, 2 if subsampling == "420" else 1),
        "software": WRITER,
        "metadata": None,
        "dtype": np.uint8,
        "resolutionunit": "CENTIMETER",
    }

    def finest() -> Iterator[bytes]:
        y = 0
        for row in rows:
            x = 0
            for image, _ in row:
                for level in levels:
                    f = level.factor
                    across, down = image.shape[1] // f, image.shape[0] // f
                    if across and down:
                        whole = image[: down * f, : across * f]
                        small = cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA)
                        level.put(np.asarray(small, dtype=np.uint8), x // f, y // f)
                x += image.shape[1]
            down = -(-row[0][0].shape[0] // TILE)
            for line in range(down):
                for image, tiles in row:
                    across = -(-image.shape[1] // TILE)
                    yield from tiles[line * across : (line + 1) * across]
            y += row[0][0].shape[0]

    big = width * height > 2_000_000_000
    with tifffile.TiffWriter(path, bigtiff=big) as writer:
        scale = f"|AppMag = {magnification:g}|MPP = {mpp:.4f}"
        for index in range(len(levels) + 1):
            level = levels[index - 1] if index else None
            w, h = (level.width, level.height) if level else (width, height)
            geometry = f"{width}x{height} ({TILE}x{TILE})" + (f" -> {w}x{h}" if level else "")
            per_cm = 1e4 / mpp * w / width
            writer.write(
                level.tiles() if level else finest(),
                shape=(h, w, 3),
                resolution=(per_cm, per_cm),
                description=f"Aperio Image Library ({WRITER})\n{geometry} JPEG/RGB Q={quality}{scale}",
                **options,
            )
            if level:
                level.close()
                continue
            # The writer takes as many tiles as there are and does not ask again.
            for reduced in levels:
                reduced.finish()
