"""The tiles at hand, and what to paint where one is missing. Knows no Qt."""

from __future__ import annotations

import threading
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
    """Tiles bounded in bytes, those of the base pinned, indexed by scale to find stand-ins. Safe from all threads."""

    def __init__(self, max_bytes: int) -> None:
        self._cache: ByteCache[TileKey, Tile[T]] = ByteCache(max_bytes)
        self._scales: dict[Scale, set[tuple[int, int]]] = {}
        self._lock = threading.RLock()

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
        with self._lock:
            self._cache.put(tile.key, tile, size, pinned=pinned)
            self._scales.setdefault(tile.key.scale, set()).add((tile.key.column, tile.key.row))

    def get(self, key: TileKey) -> Tile[T] | None:
        """The tile, now the most recently used one, or None."""
        with self._lock:
            return self._get(key)

    def _get(self, key: TileKey) -> Tile[T] | None:
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

    def resize(self, max_bytes: int) -> None:
        """Another bound in bytes; what is too much is forgotten at once."""
        self._cache.resize(max_bytes)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._cache.clear()
            self._scales.clear()

    def drop_states_before(self, state: int) -> None:
        """Forget the tiles of older slides or display transforms."""
        with self._lock:
            for scale in [s for s in self._scales if s.state < state]:
                for column, row in self._scales.pop(scale):
                    self._cache.discard(TileKey(scale, column, row))

    def pieces(self, scale: Scale, box: Box) -> list[Piece]:
        """What to draw to fill ``box`` (px of ``scale``): its own tiles, stand-ins where one is missing.

        Every pixel is covered at most once; where nothing at all is known nothing is drawn.
        """
        with self._lock:
            return list(self._pieces(scale, box))

    def _pieces(self, scale: Scale, box: Box) -> Iterator[Piece]:
        tiles, holes = self._found(scale, box)
        for tile in tiles:
            yield Piece(tile.box, tile, (0, 0, tile.box.width, tile.box.height), exact=True)
        if holes:
            others = self._by_closeness(scale)
            for c0, r0, c1, r1 in holes:
                yield from self._stand_ins(scale, scale.block(c0, r0, c1, r1).intersected(box), others, 0)

    def _found(self, scale: Scale, box: Box) -> tuple[list[Tile[T]], list[Box]]:
        """Tiles under ``box``, and the places (columns and rows) of missing ones, joined to few rectangles."""
        columns, rows = scale.tiles(box)
        tiles: list[Tile[T]] = []
        holes: list[Box] = []
        growing: dict[tuple[int, int], Box] = {}
        for row in rows:
            runs: list[tuple[int, int]] = []
            begin: int | None = None
            for column in columns:
                tile = self._get(TileKey(scale, column, row))
                if tile is None:
                    begin = column if begin is None else begin
                    continue
                tiles.append(tile)
                if begin is not None:
                    runs.append((begin, column))
                    begin = None
            if begin is not None:
                runs.append((begin, columns.stop))
            # A run that lies under one of the same width continues it.
            grown = {run: Box(run[0], growing[run].y0 if run in growing else row, run[1], row + 1) for run in runs}
            holes += [hole for run, hole in growing.items() if run not in grown]
            growing = grown
        return tiles, holes + list(growing.values())

    def _stand_ins(self, scale: Scale, box: Box, others: list[Scale], start: int) -> Iterator[Piece]:
        if box.empty:
            return
        for index in range(start, len(others)):
            other = others[index]
            if not self._scales.get(other):
                continue
            there = scale.mapped(box, other)
            tiles, holes = self._found(other, Box(there.x0 - 1, there.y0 - 1, there.x1 + 1, there.y1 + 1))
            if not tiles:
                continue
            f = other.downsample / scale.downsample
            for tile in tiles:
                area = tile.box
                target = _mapped_to_edge(other, area, scale).intersected(box)
                if not target.empty:
                    source = (target.x0 / f - area.x0, target.y0 / f - area.y0, target.width / f, target.height / f)
                    yield Piece(target, tile, source, exact=False)
            for hole in holes:
                target = _mapped_to_edge(other, other.block(*hole), scale).intersected(box)
                yield from self._stand_ins(scale, target, others, index + 1)
            return

    def _by_closeness(self, scale: Scale) -> list[Scale]:
        """Other scales: this state before older ones, a little too fine or the nearest coarser one first."""

        def rank(other: Scale) -> tuple[bool, float]:
            ratio = other.downsample / scale.downsample
            # A finer one has more to show but costs more tiles; beyond 4 times it is of no use.
            return (other.state != scale.state, ratio if ratio >= 1 else 1 / ratio)

        usable = [s for s in self._scales if s != scale and s.downsample * 4 >= scale.downsample]
        return sorted(usable, key=rank)


def _mapped_to_edge(scale: Scale, box: Box, other: Scale) -> Box:
    """``box`` of ``scale`` in px of ``other``; the slide's far edges, which round differently, fall together."""
    mapped = scale.mapped(box, other)
    return Box(
        mapped.x0,
        mapped.y0,
        max(mapped.x1, other.extent.x1) if box.x1 == scale.extent.x1 else mapped.x1,
        max(mapped.y1, other.extent.y1) if box.y1 == scale.extent.y1 else mapped.y1,
    )
