"""The tiles at hand, and what to paint where one is missing. Main thread only; knows no Qt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from her2viewer.slides.cache import ByteCache
from her2viewer.viewer.canvas.grid import Box, Scale, TileKey

T = TypeVar("T")


@dataclass(frozen=True)
class Tile(Generic[T]):
    """An image of one tile with its pixels."""

    key: TileKey
    box: Box
    image: T
    pixels: Any
    """The array under the image: Qt does not keep it alive."""


class Piece(NamedTuple):
    """Draw this part of a tile there."""

    target: Box
    """Screen px of the scale that is painted."""
    tile: Tile[Any]
    source: tuple[float, float, float, float]
    """x, y, width, height in the pixels of the tile."""
    exact: bool
    """The whole tile one to one, nothing to resample."""


class TileStore(Generic[T]):
    """Tiles bounded in bytes, those of the base pinned, indexed by scale to find stand-ins."""

    def __init__(self, max_bytes: int) -> None:
        self._cache: ByteCache[TileKey, Tile[T]] = ByteCache(max_bytes)
        self._scales: dict[Scale, set[tuple[int, int]]] = {}

    @property
    def used(self) -> int:
        """Bytes held."""
        return self._cache.used

    def __contains__(self, key: TileKey) -> bool:
        return key in self._cache

    def __len__(self) -> int:
        return len(self._cache)

    def put(self, tile: Tile[T], size: int, pinned: bool = False) -> None:
        """Keep a tile of ``size`` bytes."""
        self._cache.put(tile.key, tile, size, pinned=pinned)
        self._scales.setdefault(tile.key.scale, set()).add((tile.key.column, tile.key.row))

    def get(self, key: TileKey) -> Tile[T] | None:
        """The tile, now the most recently used one, or None."""
        places = self._scales.get(key.scale)
        if places is None or (key.column, key.row) not in places:
            return None
        tile = self._cache.get(key)
        if tile is None:
            # Dropped by the cache since.
            places.discard((key.column, key.row))
            if not places:
                del self._scales[key.scale]
        return tile

    def clear(self) -> None:
        """Forget all."""
        self._cache.clear()
        self._scales.clear()

    def drop_states_before(self, state: int) -> None:
        """Forget the tiles of older slides or display transforms."""
        for scale in [s for s in self._scales if s.state < state]:
            for column, row in self._scales.pop(scale):
                self._cache.discard(TileKey(scale, column, row))

    def pieces(self, scale: Scale, box: Box) -> Iterator[Piece]:
        """What to draw to fill ``box`` (px of ``scale``): its own tiles, stand-ins where one is missing.

        Every pixel is covered at most once; where nothing at all is known nothing is drawn.
        """
        others: list[Scale] | None = None
        columns, rows = scale.tiles(box)
        for row in rows:
            for column in columns:
                tile = self.get(TileKey(scale, column, row))
                if tile is not None:
                    yield Piece(tile.box, tile, (0, 0, tile.box.width, tile.box.height), exact=True)
                    continue
                if others is None:
                    others = self._by_closeness(scale)
                yield from self._stand_ins(scale, scale.box(column, row).intersected(box), others, 0)

    def _stand_ins(self, scale: Scale, box: Box, others: list[Scale], start: int) -> Iterator[Piece]:
        if box.empty:
            return
        for index in range(start, len(others)):
            other = others[index]
            places = self._scales.get(other)
            if not places:
                continue
            f = other.downsample / scale.downsample
            there = scale.mapped(box, other)
            there = Box(there.x0 - 1, there.y0 - 1, there.x1 + 1, there.y1 + 1)
            columns, rows = other.tiles(there)
            if places.isdisjoint((c, r) for r in rows for c in columns):
                continue
            for row in rows:
                for column in columns:
                    area = other.box(column, row)
                    target = other.mapped(area, scale)
                    last_x, last_y = column == other.columns - 1, row == other.rows - 1
                    # The slide's far edges round differently at each scale.
                    target = Box(
                        target.x0,
                        target.y0,
                        max(target.x1, scale.extent.x1) if last_x else target.x1,
                        max(target.y1, scale.extent.y1) if last_y else target.y1,
                    ).intersected(box)
                    if target.empty:
                        continue
                    tile = self.get(TileKey(other, column, row))
                    if tile is None:
                        yield from self._stand_ins(scale, target, others, index + 1)
                        continue
                    source = (target.x0 / f - area.x0, target.y0 / f - area.y0, target.width / f, target.height / f)
                    yield Piece(target, tile, source, exact=False)
            return

    def _by_closeness(self, scale: Scale) -> list[Scale]:
        """Other scales: this state before older ones, a little too fine or the nearest coarser one first."""

        def rank(other: Scale) -> tuple[bool, float]:
            ratio = other.downsample / scale.downsample
            # A finer one has more to show but costs more tiles; beyond 4 times it is of no use.
            return (other.state != scale.state, ratio if ratio >= 1 else 1 / ratio)

        usable = [s for s in self._scales if s != scale and s.downsample * 4 >= scale.downsample]
        return sorted(usable, key=rank)
