from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.slides.slide import Level
from her2viewer.viewer.canvas.grid import BASE_PIXELS, Box, Pyramid, block_side


def pyramid(width: int, height: int, downsamples: tuple[float, ...] = (1, 4, 16), tile: int = 256) -> Pyramid:
    levels = [Level(max(1, int(width / d)), max(1, int(height / d)), d, tile, tile) for d in downsamples]
    return Pyramid(tuple(levels))


sizes = st.integers(1, 200_000)
pyramids = st.builds(
    pyramid,
    sizes,
    sizes,
    st.sampled_from([(1,), (1, 2), (1, 4, 16), (1, 4.0003, 16.01), (1, 2, 4, 8, 16, 32)]),
    st.sampled_from([128, 240, 256, 512, 1024]),
)
zooms = st.floats(0.05, 200)


@given(pyramids, zooms)
def test_neighbouring_tiles_share_their_edges_and_cover_the_slide(slide: Pyramid, downsample: float) -> None:
    scale = slide.scale(downsample)
    last = scale.columns - 1
    columns = sorted({*range(min(4, last + 1)), *range(max(0, last - 3), last + 1)})
    boxes = [scale.box(c, 0) for c in columns]
    assert boxes[0].x0 == 0
    assert boxes[-1].x1 == scale.extent.x1
    for (a, left), (b, right) in pairwise(zip(columns, boxes, strict=True)):
        if b == a + 1:
            assert left.x1 == right.x0


@given(pyramids, zooms, st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 900))
def test_the_tiles_of_a_box_cover_it_without_idle_ones(
    slide: Pyramid, downsample: float, x: int, y: int, side: int
) -> None:
    scale = slide.scale(downsample)
    box = Box(x, y, x + side, y + side).intersected(scale.extent)
    columns, rows = scale.tiles(box)
    if box.empty:
        assert not columns
        assert not rows
        return
    tiles = [scale.box(c, r) for r in rows for c in columns]
    assert sum(t.intersected(box).width * t.intersected(box).height for t in tiles) == box.width * box.height
    assert all(not t.intersected(box).empty for t in tiles)


@given(pyramids, zooms)
def test_tiles_are_neither_tiny_nor_huge(slide: Pyramid, downsample: float) -> None:
    scale = slide.scale(downsample)
    assert 128 <= scale.span / scale.ratio <= 1024 or scale.span <= 16 or scale.span % 2


@given(pyramids, zooms)
def test_the_level_read_is_hardly_ever_enlarged(slide: Pyramid, downsample: float) -> None:
    scale = slide.scale(downsample)
    assert scale.ratio >= 1 / 1.1 - 1e-9 or scale.level == 0
    finer_would_do = [i for i, level in enumerate(slide.levels) if level.downsample <= downsample]
    assert scale.level >= max(finer_would_do, default=0)


@given(pyramids)
def test_the_base_shows_the_whole_slide_in_few_pixels(slide: Pyramid) -> None:
    base = slide.base()
    assert base.extent.width * base.extent.height <= BASE_PIXELS * 1.01 + 10
    assert base.level == len(slide.levels) - 1


@given(pyramids, zooms, zooms, st.integers(0, 5000), st.integers(1, 300))
def test_a_box_mapped_to_another_scale_shares_its_edges_with_its_neighbour(
    slide: Pyramid, here: float, there: float, x: int, width: int
) -> None:
    a, b = slide.scale(here), slide.scale(there)
    left, right = Box(x, 0, x + width, 9), Box(x + width, 0, x + 2 * width, 9)
    assert a.mapped(left, b).x1 == a.mapped(right, b).x0


@pytest.mark.parametrize(
    ("tile", "side"),
    [
        ((256, 256), 256),
        ((512, 256), 512),
        ((240, 240), 240),
        ((20_000, 16), 256),
        ((2220, 2967), 256),
        ((8, 8), 256),
    ],
)
def test_blocks_are_whole_tiles_where_the_file_allows_it(tile: tuple[int, int], side: int) -> None:
    assert block_side(Level(30_000, 30_000, 1.0, *tile)) == side


def test_scales_of_two_render_states_are_different_keys() -> None:
    levels = pyramid(1000, 1000).levels
    assert Pyramid(levels, 1).scale(1.0) != Pyramid(levels, 2).scale(1.0)
