import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.slides.slide import Level
from her2viewer.viewer.canvas.grid import Box, Pyramid, Scale, TileKey
from her2viewer.viewer.canvas.store import Tile, TileStore

SLIDE = Pyramid(tuple(Level(20_000 // d, 15_000 // d, float(d), 256, 256) for d in (1, 4, 16)))


def put(store: TileStore[str], key: TileKey, size: int = 1000, pinned: bool = False) -> None:
    store.put(Tile(key, key.scale.box(key.column, key.row), "image", None), size, pinned=pinned)


def put_all(store: TileStore[str], scale: Scale, pinned: bool = False) -> None:
    for row in range(scale.rows):
        for column in range(scale.columns):
            put(store, TileKey(scale, column, row), pinned=pinned)


def cover(store: TileStore[str], scale: Scale, box: Box) -> np.ndarray:
    """How often each pixel of ``box`` is painted."""
    count = np.zeros((box.height, box.width), dtype=int)
    for piece in store.pieces(scale, box):
        part = piece.target.intersected(box)
        count[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0] += 1
    return count


def test_the_least_recently_used_tile_goes_first() -> None:
    store: TileStore[str] = TileStore(3000)
    keys = [TileKey(SLIDE.natural(0), c, 0) for c in range(4)]
    for key in keys[:3]:
        put(store, key)
    store.get(keys[0])
    put(store, keys[3])
    assert store.get(keys[1]) is None
    assert store.get(keys[0]) is not None
    assert store.used <= 3000


def test_pinned_tiles_stay_however_many_come() -> None:
    store: TileStore[str] = TileStore(5000)
    base = SLIDE.base()
    put_all(store, base, pinned=True)
    for column in range(40):
        put(store, TileKey(SLIDE.natural(0), column, 0))
    assert all(TileKey(base, c, r) in store for r in range(base.rows) for c in range(base.columns))


def test_tiles_at_hand_are_drawn_one_to_one() -> None:
    store: TileStore[str] = TileStore(1 << 28)
    scale = SLIDE.scale(2.7)
    put_all(store, scale)
    pieces = list(store.pieces(scale, Box(100, 100, 900, 700)))
    assert pieces
    assert all(p.exact for p in pieces)


@settings(max_examples=60)
@given(
    st.floats(0.2, 40),
    st.lists(st.tuples(st.floats(0.2, 40), st.integers(0, 20), st.integers(0, 20)), max_size=25),
    st.integers(0, 4000),
    st.integers(0, 3000),
)
def test_every_pixel_is_painted_exactly_once_when_the_base_is_known(
    downsample: float, others: list[tuple[float, int, int]], x: int, y: int
) -> None:
    store: TileStore[str] = TileStore(1 << 28)
    put_all(store, SLIDE.base(), pinned=True)
    scale = SLIDE.scale(downsample)
    for zoom, column, row in others:
        other = SLIDE.scale(zoom)
        put(store, TileKey(other, column % other.columns, row % other.rows))
    box = Box(x, y, x + 500, y + 400).intersected(scale.extent)
    if not box.empty:
        assert (cover(store, scale, box) == 1).all()


def test_a_missing_tile_is_drawn_from_the_nearest_scale_and_the_rest_of_it_from_coarser_ones() -> None:
    store: TileStore[str] = TileStore(1 << 28)
    base, near, here = SLIDE.base(), SLIDE.scale(3.0), SLIDE.scale(2.5)
    put_all(store, base, pinned=True)
    put(store, TileKey(near, 3, 3))
    area = near.mapped(near.box(3, 3), here)
    box = Box(area.x0 - 50, area.y0 - 50, area.x1 + 50, area.y1 + 50)
    scales = {p.tile.key.scale for p in store.pieces(here, box)}
    assert scales == {base, near}
    inside = Box(area.x0 + 5, area.y0 + 5, area.x0 + 9, area.y0 + 9)
    touching = [p for p in store.pieces(here, inside) if not p.target.intersected(inside).empty]
    assert {p.tile.key.scale for p in touching} == {near}


def test_nothing_is_drawn_where_nothing_is_known() -> None:
    store: TileStore[str] = TileStore(1 << 28)
    assert list(store.pieces(SLIDE.scale(1.0), Box(0, 0, 500, 500))) == []


def test_tiles_of_an_older_state_stand_in_last_and_can_be_dropped() -> None:
    store: TileStore[str] = TileStore(1 << 28)
    old, new = Pyramid(SLIDE.levels, 1), Pyramid(SLIDE.levels, 2)
    put_all(store, old.scale(8.0))
    put_all(store, new.base())
    box = Box(0, 0, 300, 300)
    assert {p.tile.key.scale.state for p in store.pieces(new.scale(8.0), box)} == {2}
    put(store, TileKey(new.scale(8.0), 0, 0))
    store.drop_states_before(2)
    assert all(key not in store for key in [TileKey(old.scale(8.0), 0, 0), TileKey(old.scale(8.0), 1, 1)])
    assert TileKey(new.base(), 0, 0) in store
