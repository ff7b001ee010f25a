"""One level of a slide as a grid of tiles in a file, read from any thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.cache import ByteCache
from her2viewer.slides.jpeg import JpegTiles
from her2viewer.slides.jpeg2000 import Jpeg2000Tiles
from her2viewer.slides.pixels import RGB, Samples, filled, to_rgb
from her2viewer.slides.slide import BGRAImage, RGBImage


class TileGrid(ABC):
    """Tiles of one size without overlap; the last ones of a row or column may reach beyond the level."""

    def __init__(
        self,
        size: tuple[int, int],
        tile: tuple[int, int],
        cache: ByteCache[tuple[int, int], RGBImage],
        *,
        samples: Samples,
        jpeg: JpegTiles | None,
        background: RGB,
        reducing: Jpeg2000Tiles | None = None,
    ) -> None:
        """``reducing`` decodes tiles at a reduced size where ``jpeg`` is None."""
        self.width, self.height = size
        self.tile_width, self.tile_height = tile
        self._samples = samples
        self._jpeg = jpeg
        self._reducing = reducing if jpeg is None else jpeg
        self._background = background
        self._cache = cache
        self._across = -(-self.width // self.tile_width)
        self._down = -(-self.height // self.tile_height)

    @abstractmethod
    def present(self, index: int) -> bool:
        """Whether the file holds a tile; index = row x tiles across + column."""

    @abstractmethod
    def encoded(self, index: int) -> bytes:
        """A tile that is present, as the file has it."""

    @abstractmethod
    def _samples_of(self, index: int) -> NDArray[Any] | None:
        """Samples (h, w, s) of one tile by the general way, None where the file left it out."""

    def read(self, x: int, y: int, width: int, height: int) -> RGBImage:
        """Pixels of an area inside the level, (height, width, 3) uint8 RGB.

        Raises:
            Exception: whatever the file system or the codecs raise; the reader turns it into a sentence.
        """
        tw, th = self.tile_width, self.tile_height
        if x % tw == 0 and y % th == 0 and (width, height) == self._extent(x // tw, y // th):
            # A whole tile is handed over: its reader has no cause to ask again, and a copy costs a sixth of decoding.
            known = self._cache.get((id(self), y // th * self._across + x // tw))
            return self._decoded(x // tw, y // th) if known is None else known.copy()
        out = np.empty((height, width, 3), dtype=np.uint8)
        for row in range(y // th, (y + height - 1) // th + 1):
            for column in range(x // tw, (x + width - 1) // tw + 1):
                left, top = column * tw, row * th
                inside = x <= left and y <= top and left + tw <= x + width and top + th <= y + height
                # Tiles on the edge of the area will be wanted again for the area beside it.
                tile = self._decoded(column, row) if inside else self._tile(column, row)
                x0, y0 = max(x, left), max(y, top)
                x1, y1 = min(x + width, left + tile.shape[1]), min(y + height, top + tile.shape[0])
                out[y0 - y : y1 - y, x0 - x : x1 - x] = tile[y0 - top : y1 - top, x0 - left : x1 - left]
        return out

    def read_bgra(self, x: int, y: int, width: int, height: int, *, reduce: int) -> BGRAImage | None:
        """As ``Slide.read_bgra``, for an area inside the level that consists of whole tiles that can be had at that
        reduction; else None.

        None also where a tile is missing or damaged: the general way decides.
        """
        tiles, tw, th = self._reducing, self.tile_width, self.tile_height
        if tiles is None or not tiles.reduces(reduce) or x % tw or y % th:
            return None
        x1, y1 = x + width, y + height
        if (x1 % tw and x1 != self.width) or (y1 % th and y1 != self.height) or width % reduce or height % reduce:
            return None
        out: BGRAImage | None = None
        for row in range(y // th, -(-y1 // th)):
            for column in range(x // tw, -(-x1 // tw)):
                index = row * self._across + column
                if not self.present(index):
                    return None
                try:
                    tile = tiles.decode(self.encoded(index), "BGRA", reduce)
                except (ValueError, EOFError):
                    return None
                if (width, height) == (tw, th):
                    return tile
                if out is None:
                    out = np.empty((height // reduce, width // reduce, 4), dtype=np.uint8)
                left, top = (column * tw - x) // reduce, (row * th - y) // reduce
                part = out[top : top + tile.shape[0], left : left + tile.shape[1]]
                part[:] = tile[: part.shape[0], : part.shape[1]]
        return out

    def has_data(self, x: int, y: int, width: int, height: int) -> bool:
        """Whether every tile under the area is present in the file (sparse files leave empty ones out)."""
        return all(
            self.present(row * self._across + column)
            for row in range(y // self.tile_height, (y + height - 1) // self.tile_height + 1)
            for column in range(x // self.tile_width, (x + width - 1) // self.tile_width + 1)
        )

    def _extent(self, column: int, row: int) -> tuple[int, int]:
        return (
            min(self.tile_width, self.width - column * self.tile_width),
            min(self.tile_height, self.height - row * self.tile_height),
        )

    def _tile(self, column: int, row: int) -> RGBImage:
        key = (id(self), row * self._across + column)
        known = self._cache.get(key)
        if known is not None:
            return known
        tile = self._decoded(column, row)
        self._cache.put(key, tile)
        return tile

    def _decoded(self, column: int, row: int) -> RGBImage:
        """One tile cut to the image, fresh from the file."""
        width, height = self._extent(column, row)
        index = row * self._across + column
        if self._jpeg is not None and self.present(index):
            data = self.encoded(index)
            try:
                tile = self._jpeg.decode(data)
            except ValueError:
                # The general way below knows more kinds, or says what is wrong.
                pass
            else:
                whole = (width, height) == (self.tile_width, self.tile_height)
                return tile if whole else np.ascontiguousarray(tile[:height, :width])
        samples = self._samples_of(index)
        if samples is None:
            return filled(width, height, self._background)
        return to_rgb(samples[:height, :width], self._samples, self._background)
