import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point

from her2viewer.domain.classes import CELL_SCHEME, ClassScheme
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.cell_maps import (
    DENSITY_MM2,
    DENSITY_UNIT,
    density_map,
    entropies,
    heterogeneity_map,
    inside,
)

SIZE = PixelSize(0.5, 0.5, PixelSizeSource.FILE)
SIDE = math.sqrt(DENSITY_MM2) * 1000 / 0.5
"""Of the square of 0.015 mm2, px."""


def table(x, y, classes, scheme: ClassScheme = CELL_SCHEME) -> CellTable:
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return CellTable("cells", scheme, x, y, np.broadcast_to(np.asarray(classes, np.uint8), x.shape).copy())


def lattice(step: float, width: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    gx, gy = np.meshgrid(np.arange(step / 2, width, step), np.arange(step / 2, height, step))
    return gx.ravel(), gy.ravel()


def test_even_cells_have_the_density_at_which_they_lie_everywhere_up_to_the_edge_of_the_region() -> None:
    x, y = lattice(16, 2400, 2000)
    found = density_map(table(x, y, 3), (3,), Region.rectangle(0, 0, 2400, 2000), SIZE)
    assert found is not None
    assert found.unit == DENSITY_UNIT
    expected = SIDE**2 / 16**2
    known = found.values[~np.isnan(found.values)]
    assert known.size > 0.9 * found.values.size
    assert known == pytest.approx(expected, rel=0.12)
    assert known.mean() == pytest.approx(expected, rel=0.01)


def test_only_the_chosen_classes_are_counted() -> None:
    x, y = lattice(20, 1500, 1500)
    mixed = table(x, y, np.arange(len(x)) % 5)
    region = Region.rectangle(0, 0, 1500, 1500)
    one, none, both = (density_map(mixed, c, region, SIZE) for c in ((3,), (), (3, 1)))
    assert one is not None
    assert none is not None
    assert both is not None
    assert np.nanmax(none.values) == 0
    assert np.nanmean(both.values) == pytest.approx(2 * np.nanmean(one.values), rel=0.05)


def test_cells_outside_the_region_are_not_counted_and_nothing_is_said_of_there() -> None:
    x, y = lattice(20, 3000, 1000)
    left = Region.rectangle(0, 0, 1000, 1000)
    found = density_map(table(x, y, 3), (3,), left, SIZE)
    assert found is not None
    assert found.grid.bounds[2] < 1000 + SIDE
    assert np.nanmax(found.values) == pytest.approx(SIDE**2 / 400, rel=0.15)
    assert density_map(table(x, y, 3), (3,), Region.of(()), SIZE) is None
    assert heterogeneity_map(table(x, y, 3), Region.of(()), SIZE) is None


def test_windows_lie_where_they_lay_when_the_region_changes() -> None:
    rng = np.random.default_rng(3)
    cells = table(rng.uniform(0, 4000, 6000), rng.uniform(0, 4000, 6000), rng.integers(0, 5, 6000))
    large = heterogeneity_map(cells, Region.rectangle(0, 0, 4000, 4000), SIZE, least=5)
    small = heterogeneity_map(cells, Region.rectangle(700, 900, 2000, 2100), SIZE, least=5)
    assert large is not None
    assert small is not None
    x, y = 1700.0, 1950.0
    assert small.values[small.grid.index(x, y)] == pytest.approx(large.values[large.grid.index(x, y)])


def test_one_class_is_not_mixed_four_equal_ones_are_and_too_few_cells_say_nothing() -> None:
    x, y = lattice(20, 3000, 1000)
    classes = np.where(x < 1000, 3, np.arange(len(x)) % 4)
    thin = (x > 2000) & (np.arange(len(x)) % 40 > 0)
    found = heterogeneity_map(table(x[~thin], y[~thin], classes[~thin]), Region.rectangle(0, 0, 3000, 1000), SIZE)
    assert found is not None
    assert (found.low, found.high) == (0.0, pytest.approx(math.log(4)))
    at = [float(found.values[found.grid.index(place, 500)]) for place in (400, 1600, 2700)]
    assert at[0] == 0
    assert at[1] == pytest.approx(math.log(4), abs=0.01)
    assert math.isnan(at[2])


def test_cells_that_are_no_tumour_do_not_make_it_mixed() -> None:
    x, y = lattice(20, 1500, 1500)
    found = heterogeneity_map(table(x, y, np.arange(len(x)) % 2 * 2 + 2), Region.rectangle(0, 0, 1500, 1500), SIZE)
    assert found is not None
    assert np.nanmax(found.values) == 0


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4))
def test_entropy_is_that_of_the_shares(counts) -> None:
    share = np.asarray(counts) / max(1, sum(counts))
    expected = -sum(s * math.log(s) for s in share if s > 0)
    assert entropies(np.asarray(counts, float)[:, None])[0] == pytest.approx(expected, abs=1e-9)


@given(seed=st.integers(0, 10_000), n=st.integers(0, 2000), scale=st.floats(0.5, 3000))
@settings(max_examples=60, deadline=None)
def test_cells_inside_are_those_that_geometry_says(seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    cells = table(rng.normal(0, scale, n), rng.normal(0, scale, n), 1)
    region = Region.of(
        [Point(0, 0).buffer(scale), Point(scale, 0).buffer(scale / 2)], [Point(0, 0).buffer(scale / 3)]
    )
    assert inside(cells, region).tolist() == region.contains_points(cells.x, cells.y).tolist()


@given(seed=st.integers(0, 10_000), n=st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_each_density_is_a_count_of_its_square(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    cells = table(rng.uniform(0, 1500, n), rng.uniform(0, 1500, n), rng.integers(0, 5, n))
    found = density_map(cells, (1, 2), Region.rectangle(-500, -500, 2500, 2500), SIZE)
    assert found is not None
    gx, gy = found.grid.centres()
    half = 1.5 * found.grid.step
    wanted = np.isin(cells.classes, (1, 2))
    for _ in range(5):
        r, c = rng.integers(3, found.grid.rows - 4), rng.integers(3, found.grid.columns - 4)
        here = (np.abs(cells.x - gx[r, c]) < half) & (np.abs(cells.y - gy[r, c]) < half)
        assert found.values[r, c] == pytest.approx((here & wanted).sum())
