"""Index, density and rasters of cells, without Qt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.viewer.overlays.cell_index import CellChunk, CellDensity, CellStore
from her2viewer.viewer.overlays.cell_raster import CellStyle, CellView, draw_cells, draw_density, view_for

COLORS = np.array([(120, 200, 255), (0, 80, 200), (225, 30, 140), (255, 210, 0), (205, 205, 205)], dtype=np.uint8)
STYLE = CellStyle(COLORS, np.ones(5, dtype=bool), (4, 0, 1, 2, 3))


def cells(x, y, classes=None, contours: float = 0.0) -> CellTable:
    x, y = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)
    codes = np.zeros(len(x), dtype=np.uint8) if classes is None else np.asarray(classes, dtype=np.uint8)
    outline, starts = None, None
    if contours:
        ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float32) * contours / 2
        outline = (np.stack([x, y], axis=1)[:, None, :] + ring).reshape(-1, 2)
        starts = np.arange(0, 4 * len(x) + 1, 4, dtype=np.int64)
    return CellTable("cells", CELL_SCHEME, x, y, codes, contours=outline, contour_starts=starts)


def scattered(n: int, seed: int = 1, size: float = 20_000) -> CellTable:
    rng = np.random.default_rng(seed)
    return cells(rng.uniform(0, size, n), rng.uniform(0, size, n), rng.integers(0, 5, n))


def add(store: CellStore, table: CellTable) -> None:
    prepared = store.prepared(table)
    assert prepared is not None
    store.append(prepared)


def count(density: CellDensity, x, y, classes) -> None:
    density.add(density.counted(CellChunk.of(cells(x, y, classes))))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3000, 9000), st.integers(-3000, 9000)), min_size=1, max_size=60),
    st.integers(-4000, 9000),
    st.integers(-4000, 9000),
    st.integers(0, 5000),
    st.integers(0, 5000),
)
def test_a_box_holds_the_same_cells_as_a_plain_comparison(points, x0, y0, w, h):
    table = cells([p[0] for p in points], [p[1] for p in points])
    chunk = CellChunk.of(table)
    found = sorted(chunk.order[chunk.inside((x0, y0, x0 + w, y0 + h))].tolist())
    plain = (table.x >= x0) & (table.x <= x0 + w) & (table.y >= y0) & (table.y <= y0 + h)
    assert found == np.flatnonzero(plain).tolist()


def test_parts_that_come_one_by_one_are_joined_into_few_chunks_and_none_is_lost():
    store = CellStore(CELL_SCHEME, 20_000, 20_000)
    parts = [scattered(100, seed) for seed in range(50)]
    for part in parts:
        add(store, part)
    assert len(store) == 5000
    assert sum(len(c.table) for c in store.chunks) == 5000
    assert len(store.chunks) <= 7
    expected = np.bincount(np.concatenate([p.classes for p in parts]), minlength=5)
    assert store.counts.tolist() == expected.tolist()
    assert store.density.counts.sum(axis=(1, 2)).tolist() == expected.tolist()


def test_an_empty_part_changes_nothing():
    store = CellStore(CELL_SCHEME, 100, 100)
    assert store.prepared(cells([], [])) is None
    assert store.chunks == ()


def test_the_nearest_cell_is_found_among_the_shown_classes_only():
    store = CellStore(CELL_SCHEME, 1000, 1000)
    add(store, cells([100, 110], [100, 100], [0, 3]))
    everything = np.ones(5, dtype=bool)
    found = store.nearest(101, 100, 30, everything)
    assert found is not None
    assert found[0].classes[found[1]] == 0
    everything[0] = False
    found = store.nearest(101, 100, 30, everything)
    assert found is not None
    assert found[0].classes[found[1]] == 3
    assert store.nearest(500, 500, 30, everything) is None


def test_the_size_of_a_cell_comes_from_its_outline_or_from_the_spacing():
    store = CellStore(CELL_SCHEME, 2000, 2000)
    add(store, cells([100, 300], [100, 300], contours=40))
    assert store.typical_size() == pytest.approx(40)
    dense = CellStore(CELL_SCHEME, 2000, 2000)
    at = np.arange(16, 1600, 32)
    gx, gy = np.meshgrid(at, at)
    add(dense, cells(gx.ravel(), gy.ravel()))
    assert 20 < dense.typical_size() < 34


def test_density_bins_stay_few_on_a_huge_slide_and_take_cells_beyond_its_edge():
    density = CellDensity(200_000, 150_000, 5)
    assert density.rows * density.columns <= 2_100_000
    count(density, np.float32([-5, 250_000]), np.float32([10, 10]), np.uint8([1, 1]))
    assert density.counts[1].sum() == 2


def test_the_view_changes_with_the_size_on_the_screen():
    assert view_for(40, 1) is CellView.OUTLINES
    assert view_for(40, 8) is CellView.DOTS
    assert view_for(40, 64) is CellView.DENSITY


@pytest.mark.parametrize("outline", [0.0, 40.0])
def test_outlines_have_the_colour_of_their_class_and_are_premultiplied(outline):
    chunk = CellChunk.of(cells([128, 300], [128, 300], [3, 1], contours=outline))
    image = draw_cells((chunk,), (0, 0, 512, 512), size=512, downsample=1.0, style=STYLE, cell_size=40)
    assert image is not None
    assert (image[..., :3].max(axis=-1) <= image[..., 3]).all()
    near = image[100:156, 100:156].reshape(-1, 4)
    solid = near[near[:, 3] > 150].astype(float)
    assert len(solid) > 50
    straight = solid[:, :3] * 255 / solid[:, 3:]
    assert np.abs(straight - COLORS[3][::-1]).max() <= 4
    # An outline, not a disk: the tissue in the middle of the cell stays free.
    assert image[128, 128, 3] == 0


def test_a_cell_beyond_the_edge_of_a_tile_still_draws_the_part_that_reaches_in():
    chunk = CellChunk.of(cells([-10], [100], [2], contours=40))
    image = draw_cells((chunk,), (0, 0, 512, 512), size=512, downsample=1.0, style=STYLE, cell_size=40)
    assert image is not None
    assert image[:, :12, 3].any()
    assert not image[:, 20:, 3].any()


def test_dots_of_the_strongest_class_lie_on_top():
    chunk = CellChunk.of(cells([100, 100, 100], [100, 100, 100], [3, 0, 4]))
    image = draw_cells((chunk,), (0, 0, 4096, 4096), size=512, downsample=8.0, style=STYLE, cell_size=40)
    assert image is not None
    assert image[12, 12].tolist() == [*COLORS[3][::-1].tolist(), 255]


@pytest.mark.parametrize("on_screen", [3, 4, 5, 6, 7.5])
def test_dots_are_round_as_large_as_before_and_premultiplied(on_screen):
    downsample = 40 / on_screen
    middle = (100.5 * downsample, 60.5 * downsample)
    chunk = CellChunk.of(cells([middle[0]], [middle[1]], [3]))
    side = 512 * downsample
    image = draw_cells((chunk,), (0, 0, side, side), size=512, downsample=downsample, style=STYLE, cell_size=40)
    assert image is not None
    assert (image[..., :3].max(axis=-1) <= image[..., 3]).all()
    alpha = image[..., 3].astype(float) / 255
    rows, columns = np.nonzero(alpha)
    away = np.hypot(rows - 60, columns - 100)
    # The farther from the middle the less is covered, alike in all directions, and with no corner.
    shares = {distance: set(alpha[rows, columns][np.isclose(away, distance)].round(3)) for distance in set(away)}
    assert all(len(share) == 1 for share in shares.values())
    falling = [min(shares[distance]) for distance in sorted(shares)]
    assert falling == sorted(falling, reverse=True)
    radius = 0.32 * on_screen
    assert alpha.sum() == pytest.approx(np.pi * (radius + 0.2) ** 2, rel=0.25)


def test_the_soft_rim_of_a_dot_leaves_a_dot_beside_it_as_it_is():
    one = CellChunk.of(cells([804], [804], [0]))
    both = CellChunk.of(cells([804, 844], [804, 804], [0, 3]))
    images = [
        draw_cells((chunk,), (0, 0, 4096, 4096), size=512, downsample=8.0, style=STYLE, cell_size=40)
        for chunk in (one, both)
    ]
    assert images[0] is not None
    assert images[1] is not None
    full = images[0][..., 3] == 255
    assert (images[1][full][:, 3] == 255).all()
    assert (images[1][100, 100] == images[0][100, 100]).all()


def test_a_hidden_class_is_not_drawn():
    shown = np.array([True, True, True, False, True])
    chunk = CellChunk.of(cells([100], [100], [3]))
    style = CellStyle(COLORS, shown, STYLE.order)
    assert draw_cells((chunk,), (0, 0, 512, 512), size=512, downsample=1.0, style=style, cell_size=40) is None
    density = CellDensity(512, 512, 5)
    count(density, np.float32([100]), np.float32([100]), np.uint8([3]))
    assert draw_density(density, (0, 0, 32768, 32768), size=512, downsample=64.0, style=style, cell_size=40) is None


def test_density_has_the_colour_of_the_most_frequent_class_and_nothing_where_no_cell_is():
    density = CellDensity(40_000, 40_000, 5)
    rng = np.random.default_rng(2)
    x, y = rng.uniform(10_000, 12_000, 900).astype(np.float32), rng.uniform(10_000, 12_000, 900).astype(np.float32)
    count(density, x, y, np.full(900, 2, dtype=np.uint8))
    count(density, x[:90], y[:90], np.full(90, 1, dtype=np.uint8))
    image = draw_density(
        density, (0, 0, 512 * 64.0, 512 * 64.0), size=512, downsample=64.0, style=STYLE, cell_size=40
    )
    assert image is not None
    inside = image[160:185, 160:185]
    assert (inside[..., 3] > 0).all()
    blue, green, red = (inside[..., i].astype(int).sum() for i in range(3))
    assert red > blue > green
    assert not image[:140].any()
    assert not image[:, 240:].any()


def test_from_afar_a_few_cells_of_the_strongest_class_that_is_shown_do_not_vanish():
    rng = np.random.default_rng(5)
    many = 4000
    x, y = rng.uniform(0, 16_384, many + 1), rng.uniform(0, 16_384, many + 1)
    x[-1], y[-1] = 9000, 5000
    classes = np.r_[np.zeros(many, np.uint8), np.uint8(3)]
    density = CellDensity(16_384, 16_384, 5)
    count(density, x, y, classes)
    strong = COLORS[3][::-1].astype(int)

    def strong_pixels(shown: list[bool]) -> np.ndarray:
        style = CellStyle(COLORS, np.array(shown), STYLE.order)
        image = draw_density(density, (0, 0, 16_384, 16_384), size=256, downsample=64, style=style, cell_size=40)
        assert image is not None
        return np.argwhere((np.abs(image[..., :3].astype(int) - strong).max(axis=-1) == 0) & (image[..., 3] == 255))

    seen = strong_pixels([True] * 5)
    assert 1 <= len(seen) <= 16, "a point, not the block: the others in it are more"
    assert np.abs(seen - [5000 / 64, 9000 / 64]).max() <= 5
    assert len(strong_pixels([True, True, True, False, True])) == 0
