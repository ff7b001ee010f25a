from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.domain.region import Region
from her2viewer.viewer.panels.cells_points import (
    COLUMNS,
    MOST_POINTS,
    ROWS,
    CellPoints,
    density_picture,
    points_of,
)
from tests.helpers.cell_evidence import lattice_cells, many_cells

EVERYWHERE = Region.rectangle(-10, -10, 1e5, 1e5)


def placed(n: int, seed: int) -> CellPoints:
    found = points_of(many_cells(n, 1000, seed), EVERYWHERE)
    assert found is not None
    return found


def test_points_are_the_tumour_cells_of_the_region_with_both_measures() -> None:
    table = lattice_cells()
    od = table.features["membrane_od"].copy()
    od[1199] = np.nan
    table = replace(table, features={**table.features, "membrane_od": od})
    region = Region.rectangle(0, 0, 500, 2000)
    found = points_of(table, region)
    assert found is not None
    expected = (table.classes >= 3) & (table.x < 500) & np.isfinite(od)
    assert found.indices.tolist() == np.flatnonzero(expected).tolist()
    assert found.her2.tolist() == (table.classes[expected] - 3).tolist()
    whole = points_of(table, EVERYWHERE)
    assert whole is not None
    assert 1199 not in whole.indices


def test_a_table_without_the_measures_has_no_points() -> None:
    assert points_of(replace(lattice_cells(), features={}), EVERYWHERE) is None


def test_from_fifty_thousand_points_on_they_are_counted_in_squares() -> None:
    few, many = placed(60_000, 1), placed(120_000, 1)
    assert len(few) < MOST_POINTS < len(many)
    assert few.counts is None
    assert many.counts is not None
    assert many.counts.shape == (4, ROWS, COLUMNS)
    assert many.counts.sum(axis=(1, 2)).tolist() == np.bincount(many.her2, minlength=4).tolist()


@given(seed=st.integers(0, 10_000), corners=st.integers(3, 12))
@settings(max_examples=40, deadline=None)
def test_points_within_an_outline_are_those_that_geometry_says(seed: int, corners: int) -> None:
    rng = np.random.default_rng(seed)
    points = placed(800, seed % 50)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    far = rng.uniform(0.3, 1, corners)
    middle = np.array([points.right * rng.uniform(0.2, 0.8), rng.uniform(20, 80)])
    outline = middle + np.stack([np.cos(angles) * points.right, np.sin(angles) * 100], axis=1) * 0.4 * far[:, None]
    found = set(points.within(outline).tolist())
    shape = shapely.make_valid(shapely.Polygon(outline))
    x = np.minimum(points.x, points.right)
    places = shapely.points(x / points.right, points.y / 100)
    scaled = shapely.transform(shape, lambda xy: xy / (points.right, 100))
    # Within a thousandth of the edge either answer will do.
    inside = points.indices[shapely.contains(scaled.buffer(-0.001), places)]
    near = points.indices[shapely.contains(scaled.buffer(0.001), places)]
    assert set(inside.tolist()) <= found <= set(near.tolist())


def test_a_line_goes_around_nothing() -> None:
    assert len(placed(100, 3).within(np.array([[0.1, 10], [0.5, 60]]))) == 0


def test_points_beyond_the_edge_are_chosen_where_they_are_drawn() -> None:
    table = lattice_cells()
    od = table.features["membrane_od"].copy()
    far = int(np.flatnonzero(table.classes == 6)[5])
    od[far] = 40
    found = points_of(replace(table, features={**table.features, "membrane_od": od}), EVERYWHERE)
    assert found is not None
    assert found.right < 2
    y = float(table.features["completeness"][far])
    edge = found.right
    outline = np.array([[edge * 0.99, y - 1], [edge * 1.01, y - 1], [edge * 1.01, y + 1], [edge * 0.99, y + 1]])
    assert far in found.within(outline)
    assert found.nearest(edge, y, (0.001, 0.1)) == far


@given(st.lists(st.integers(0, 1199), unique=True))
def test_places_among_the_points_are_found_by_cell(cells: list[int]) -> None:
    points = points_of(lattice_cells(), EVERYWHERE)
    assert points is not None
    wanted = np.array(sorted(cells), dtype=np.int64)
    assert points.indices[points.of(wanted)].tolist() == [c for c in wanted if c in set(points.indices.tolist())]


def test_full_squares_are_stronger_and_mixed_ones_have_mixed_colours() -> None:
    counts = np.zeros((4, ROWS, COLUMNS), dtype=np.int64)
    counts[0, 0, 0], counts[0, 0, 1], counts[3, 0, 1] = 1, 50, 50
    colors = np.array([[200, 0, 0], [0, 0, 0], [0, 0, 0], [0, 100, 0]], dtype=np.uint8)
    picture = density_picture(counts, colors)
    assert picture[0, 0, :3].tolist() == [200, 0, 0]
    assert picture[0, 1, :3].tolist() == [100, 50, 0]
    assert 0 < picture[0, 0, 3] < picture[0, 1, 3] == 255
    assert picture[1, 1, 3] == 0
    assert picture.shape == (ROWS, COLUMNS, 4)
    assert density_picture(np.zeros_like(counts), colors).max() == pytest.approx(0)
