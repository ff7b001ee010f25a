import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from her2viewer.slides.slide import Level
from her2viewer.viewer.canvas.grid import Pyramid, TileKey, aligned, view_box
from her2viewer.viewer.canvas.requests import MOST_AHEAD, MOST_EXPECTED, visible_tiles, wanted
from her2viewer.viewer.canvas.viewport import Viewport

DOWNSAMPLES = (1.0, 4.0, 16.0, 64.0)
SLIDE = Pyramid(tuple(Level(int(100_000 / d), int(80_000 / d), d, 256, 256) for d in DOWNSAMPLES))
VIEW = aligned(Viewport(50_000, 40_000, 3.0, 1920, 1080))


def nothing(key: TileKey) -> bool:
    return False


def distance(key: TileKey, view: Viewport) -> float:
    box, d = key.scale.box(key.column, key.row), key.scale.downsample
    return math.hypot((box.x0 + box.x1) / 2 * d - view.cx, (box.y0 + box.y1) / 2 * d - view.cy)


def test_the_kept_overview_of_the_place_comes_first_where_it_is_missing() -> None:
    keys, _ = wanted(VIEW, SLIDE, nothing)
    assert keys[0].scale == SLIDE.base()


def test_then_what_is_visible_nearest_to_the_middle_first() -> None:
    base, scale = SLIDE.base(), SLIDE.scale(VIEW.downsample)
    keys, urgent = wanted(VIEW, SLIDE, lambda key: key.scale == base)
    visible = keys[:urgent]
    assert {k.scale for k in visible} == {scale}
    # The edges of a tile are rounded to screen pixels.
    slack = 2 * VIEW.downsample
    assert all(distance(a, VIEW) <= distance(b, VIEW) + slack for a, b in pairwise(visible))
    assert set(visible) == set(visible_tiles(VIEW, scale))


def test_the_visible_tiles_cover_the_view() -> None:
    scale = SLIDE.scale(VIEW.downsample)
    box = view_box(VIEW, VIEW.downsample)
    parts = [scale.box(k.column, k.row).intersected(box) for k in visible_tiles(VIEW, scale)]
    assert sum(p.width * p.height for p in parts) == box.width * box.height


def test_after_the_view_come_the_coarser_level_the_ring_and_the_finer_level() -> None:
    base, scale = SLIDE.base(), SLIDE.scale(VIEW.downsample)
    keys, urgent = wanted(VIEW, SLIDE, lambda key: key.scale == base)
    order = [SLIDE.natural(scale.level + 1), scale]
    if scale.level:
        order.append(SLIDE.natural(scale.level - 1))
    ahead = [k.scale for k in keys[urgent:]]
    assert list(dict.fromkeys(ahead)) == order


def test_nothing_is_asked_for_twice_and_nothing_that_is_there() -> None:
    have = set(visible_tiles(VIEW, SLIDE.scale(VIEW.downsample))[::2])
    keys, _ = wanted(VIEW, SLIDE, have.__contains__)
    assert len(keys) == len(set(keys))
    assert not have & set(keys)


def test_all_of_the_base_is_wanted_so_that_no_place_is_ever_blank() -> None:
    base = SLIDE.base()
    keys, _ = wanted(VIEW, SLIDE, nothing)
    assert sum(k.scale == base for k in keys) == base.columns * base.rows


def test_a_view_beside_the_slide_wants_only_the_base() -> None:
    away = aligned(Viewport(-900_000, 0, 1.0, 800, 600))
    keys, urgent = wanted(away, SLIDE, nothing)
    assert urgent == 0
    assert {k.scale for k in keys} == {SLIDE.base()}


@given(
    st.floats(0, 100_000),
    st.floats(0, 80_000),
    st.floats(0.1, 100),
    st.floats(0, 359),
)
def test_the_list_stays_short_and_a_turned_view_is_covered(cx: float, cy: float, d: float, rotation: float) -> None:
    view = aligned(Viewport(cx, cy, d, 1280, 800, rotation))
    scale, base = SLIDE.scale(d), SLIDE.base()
    keys, urgent = wanted(view, SLIDE, nothing)
    assert len(keys) <= urgent + MOST_AHEAD * 2 + base.columns * base.rows
    boxes = [scale.box(k.column, k.row) for k in visible_tiles(view, scale)]
    for sx, sy in ((1, 1), (1279, 1), (640, 400), (1, 799), (1279, 799)):
        x, y = (v / d for v in view.to_slide(sx, sy))
        if 0 < x < scale.extent.x1 - 1 and 0 < y < scale.extent.y1 - 1:
            assert any(b.x0 <= x < b.x1 and b.y0 <= y < b.y1 for b in boxes)


def test_what_is_expected_next_comes_right_after_what_is_visible() -> None:
    base, scale = SLIDE.base(), SLIDE.scale(VIEW.downsample)
    right = aligned(VIEW.panned(-VIEW.width, 0))
    keys, urgent = wanted(VIEW, SLIDE, lambda key: key.scale == base, [right])
    visible, following = set(visible_tiles(VIEW, scale)), set(visible_tiles(right, scale))
    new = following - visible
    assert set(keys[:urgent]) == visible
    assert set(keys[urgent : urgent + len(new)]) == new
    # The tiles that the present view meets first come first.
    distances = [distance(k, VIEW) for k in keys[urgent : urgent + len(new)]]
    assert all(a <= b + 2 * VIEW.downsample for a, b in pairwise(distances))


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_the_direction_of_a_pan_is_loaded_before_its_other_side(dx: float, dy: float) -> None:
    base, scale = SLIDE.base(), SLIDE.scale(VIEW.downsample)
    ahead = aligned(VIEW.panned(-dx * VIEW.width, -dy * VIEW.height))
    keys, urgent = wanted(VIEW, SLIDE, lambda key: key.scale == base, [ahead])
    there = set(visible_tiles(ahead, scale)) - set(visible_tiles(VIEW, scale))
    places = {key: place for place, key in enumerate(keys)}
    others = [places[k] for k in visible_tiles(VIEW, scale, ring=1) if k in places and places[k] >= urgent]
    others = [p for p in others if keys[p] not in there]
    if there and others:
        assert max(places[k] for k in there) < min(others)


def test_the_next_step_of_a_zoom_is_loaded_at_its_own_zoom() -> None:
    base = SLIDE.base()
    closer = aligned(VIEW.zoomed(VIEW.downsample / 2**0.4, 300, 200))
    keys, urgent = wanted(VIEW, SLIDE, lambda key: key.scale == base, [closer])
    assert keys[urgent].scale == SLIDE.scale(closer.downsample)


def test_the_likeliest_view_comes_first_and_no_more_is_loaded_ahead_than_is_of_use() -> None:
    base, scale = SLIDE.base(), SLIDE.scale(VIEW.downsample)
    views = [aligned(VIEW.panned(-(i + 1) * VIEW.width, 0)) for i in range(20)]
    keys, urgent = wanted(VIEW, SLIDE, lambda key: key.scale == base, views)
    first = set(visible_tiles(views[0], scale)) - set(visible_tiles(VIEW, scale))
    assert set(keys[urgent : urgent + len(first)]) == first
    far = [k for k in keys[urgent:] if k.scale == scale and distance(k, VIEW) > 4 * VIEW.width * VIEW.downsample]
    assert len(far) <= MOST_EXPECTED
    assert len(keys) <= urgent + MOST_AHEAD + MOST_AHEAD // 2
