"""The raster of what was looked at, its share of a region, and its form on disk."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.domain.region import Region
from her2viewer.domain.reviewed import (
    MOST_CELLS,
    RegionSquares,
    ReviewedMap,
    reviewed_from_json,
    reviewed_to_json,
)
from her2viewer.viewer.canvas.viewport import Viewport

EMPTY = ReviewedMap.empty(10_000, 8000, 0.5)


def box(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def test_a_square_is_25_um_wide_and_the_raster_covers_the_slide():
    assert EMPTY.step == 50
    assert EMPTY.seen.shape == (160, 200)
    assert EMPTY.nothing


def test_a_huge_slide_has_larger_squares():
    huge = ReviewedMap.empty(400_000, 400_000, 0.25)
    assert huge.seen.size <= 1.01 * MOST_CELLS
    assert huge.step > 100


def test_two_fields_side_by_side_add_up_to_all_of_the_region():
    region = Region.rectangle(1000, 1000, 2000, 1000)
    left = EMPTY.with_view(box(1000, 1000, 2010, 2000))
    assert left.share(region) == pytest.approx(0.5, abs=0.02)
    assert left.with_view(box(2010, 1000, 3000, 2000)).share(region) == 1.0


def test_what_was_seen_before_stays_seen_and_the_map_before_is_not_changed():
    first = EMPTY.with_view(box(0, 0, 1000, 1000))
    second = first.with_view(box(5000, 5000, 6000, 6000))
    assert EMPTY.nothing
    assert first.seen.sum() == 400
    assert second.seen.sum() == 800
    assert second.with_view(box(100, 100, 900, 900)) is second


def test_an_empty_region_has_no_share_and_a_tiny_one_is_seen_or_not():
    assert EMPTY.share(Region.of(())) is None
    tiny = Region.rectangle(1001, 1001, 3, 3)
    assert EMPTY.share(tiny) == 0
    assert EMPTY.with_view(box(900, 900, 1100, 1100)).share(tiny) == 1


def test_a_look_beside_the_slide_and_a_region_beyond_it_do_no_harm():
    assert EMPTY.with_view(box(-5000, -5000, -100, -100)) is EMPTY
    assert EMPTY.with_view(box(20_000, 0, 21_000, 500)) is EMPTY
    everywhere = EMPTY.with_view(box(-1e6, -1e6, 1e6, 1e6))
    assert everywhere.seen.all()
    assert everywhere.share(Region.rectangle(9000, 7000, 5000, 5000)) == 1
    assert everywhere.share(Region.rectangle(20_000, 20_000, 50, 50)) is not None


SMALL = ReviewedMap.empty(2000, 1600, 0.5)
centres = st.tuples(st.floats(-200, 2200), st.floats(-200, 1800))


@given(centres, st.floats(0.1, 1), st.floats(0, 359.9))
def test_a_turned_view_marks_the_squares_whose_middle_it_shows(centre, downsample, rotation):
    view = Viewport(*centre, downsample, 1280, 720, rotation)
    marked = SMALL.with_view(view.corners()).seen
    y, x = (v.ravel() for v in np.indices(marked.shape))
    # A middle on the very edge may fall on either side.
    inner, outer = (
        shapely.contains_xy(shapely.buffer(shapely.Polygon(view.corners()), grow), 50 * x + 25, 50 * y + 25)
        for grow in (-1e-6, 1e-6)
    )
    assert marked.ravel()[inner].all()
    assert not marked.ravel()[~outer].any()


@given(st.lists(centres, min_size=3, max_size=9, unique=True), st.booleans())
def test_the_squares_of_a_region_are_those_whose_middle_lies_in_it(points, hole):
    shape = shapely.MultiPoint(points).convex_hull.buffer(1)
    region = Region.of([shape], [shapely.Point(shape.centroid).buffer(100)] if hole else [])
    inside = np.zeros(SMALL.seen.shape, bool)
    squares = RegionSquares.of(region, SMALL.raster)
    if region.empty:
        assert squares is None
        return
    assert squares is not None
    inside[squares.rows, squares.columns] = squares.inside
    y, x = (v.ravel() for v in np.indices(inside.shape))
    expected = region.contains_points(50.0 * x + 25, 50.0 * y + 25)
    if expected.any():
        # The raster works to a sixty-fourth of a square.
        near = shapely.distance(region.geometry.boundary, shapely.points(50 * x + 25, 50 * y + 25)) < 1
        assert (inside.ravel() == expected)[~near].all()
    else:
        assert inside.sum() == 1


@given(st.lists(st.tuples(st.floats(0, 10_000), st.floats(0, 8000), st.floats(10, 3000)), max_size=5))
def test_a_map_comes_back_from_the_disk_as_it_was(looks):
    reviewed = EMPTY
    for x, y, side in looks:
        reviewed = reviewed.with_view(box(x, y, x + side, y + side))
    again = reviewed_from_json(json.loads(json.dumps(reviewed_to_json(reviewed))))
    assert (again.step, again.mpp) == (reviewed.step, reviewed.mpp)
    assert np.array_equal(again.seen, reviewed.seen)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("step_px", 0),
        ("step_px", "nan"),
        ("mpp", None),
        ("rows", -1),
        ("rows", 10**9),
        ("columns", 199),
        ("columns", 2000),
        ("seen", "not base64!"),
        ("seen", "AAAA"),
        ("seen", 7),
    ],
)
def test_a_damaged_map_is_refused(key, value):
    data = reviewed_to_json(EMPTY.with_view(box(0, 0, 1000, 1000)))
    data[key] = value
    with pytest.raises(ValueError, match="damaged"):
        reviewed_from_json(data)


def test_a_map_that_lacks_a_part_is_refused():
    data = reviewed_to_json(replace(EMPTY))
    for key in data:
        with pytest.raises(ValueError, match="damaged"):
            reviewed_from_json({k: v for k, v in data.items() if k != key})
