"""Region: the area that reaches a scorer."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource, mm2_column, mm2_number
from her2viewer.domain.region import Region, polygonal

boxes = st.builds(
    lambda x, y, w, h: shapely.box(x, y, x + w, y + h),
    st.integers(-500, 500),
    st.integers(-500, 500),
    st.integers(1, 600),
    st.integers(1, 600),
)


@given(st.lists(boxes, max_size=4), st.lists(boxes, max_size=4))
@settings(max_examples=60, deadline=None)
def test_excluded_area_is_never_in_the_region(include: list[BaseGeometry], exclude: list[BaseGeometry]) -> None:
    region = Region.of(include, exclude)
    outside = shapely.union_all(exclude)
    assert region.geometry.is_valid
    assert region.geometry.intersection(outside).area == pytest.approx(0, abs=1e-6)
    assert region.area_px == pytest.approx(shapely.union_all(include).difference(outside).area)


def test_a_self_crossing_outline_is_repaired_to_its_area() -> None:
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    assert polygonal(bow_tie).area == pytest.approx(50)


def test_lines_and_points_have_no_area_and_drop_out() -> None:
    mixed = shapely.GeometryCollection(
        [shapely.Point(1, 1), shapely.LineString([(0, 0), (5, 5)]), shapely.box(0, 0, 2, 2)]
    )
    assert polygonal(mixed).geom_type == "Polygon"
    assert polygonal(shapely.Point(1, 1)).is_empty


def test_the_hash_names_the_area_and_not_how_it_was_drawn() -> None:
    one = Region.of([shapely.box(0, 0, 10, 10)])
    two = Region.of([shapely.Polygon([(10, 10), (0, 10), (0, 0), (10, 0)])])
    assert one.hash == two.hash
    assert one.hash != Region.of([shapely.box(0, 0, 10, 11)]).hash


def test_area_in_mm2_follows_the_pixel_size_of_both_directions() -> None:
    size = PixelSize(0.25, 0.5, PixelSizeSource.FILE)
    assert Region.rectangle(0, 0, 4000, 1000).area_mm2(size) == pytest.approx(0.5)


@given(boxes, st.lists(boxes, max_size=2), st.floats(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_raster_agrees_with_the_outline_to_one_pixel_of_its_border(
    box: BaseGeometry, holes: list[BaseGeometry], downsample: float
) -> None:
    region = Region.of([box], holes)
    width = height = 60
    mask = region.mask(-300, -300, width, height, downsample)
    xs = -300 + (np.arange(width) + 0.5) * downsample
    gx, gy = np.meshgrid(xs, xs)
    # Pixels whose centre is farther than one pixel from the outline must be right.
    sure = shapely.distance(region.geometry.boundary, shapely.points(gx, gy)) > 1.01 * downsample
    if region.empty:
        assert not mask.any()
    else:
        assert np.array_equal(mask[sure], shapely.contains_xy(region.geometry, gx, gy)[sure])


def test_control_tissue_is_never_scored_with_the_tumour() -> None:
    annotations = AnnotationSet(
        (
            Annotation.drawn(shapely.box(0, 0, 100, 100), Role.ROI),
            Annotation.drawn(shapely.box(50, 0, 200, 100), Role.CONTROL),
            Annotation.drawn(shapely.box(0, 0, 10, 10), Role.EXCLUDE),
            Annotation.drawn(shapely.Point(5, 5), Role.NOTE),
        )
    )
    assert annotations.region().area_px == pytest.approx(50 * 100 - 100)
    assert annotations.control_region().area_px == pytest.approx(150 * 100)


def test_an_edit_of_a_set_leaves_the_earlier_set_as_it_was() -> None:
    first = AnnotationSet().added(Annotation.drawn(shapely.box(0, 0, 1, 1), Role.ROI))
    one = first.items[0]
    second = first.replaced(one.with_geometry(shapely.box(0, 0, 2, 2)))
    assert first.items[0].geometry.area == 1
    assert second.get(one.id) is not None
    assert len(second.removed(one.id)) == 0
    with pytest.raises(KeyError):
        AnnotationSet().replaced(one)


@pytest.mark.parametrize(
    ("um", "plausible"), [(0.0499, False), (0.05, True), (0.25, True), (20.0, True), (20.1, False), (124, False)]
)
def test_a_pixel_size_outside_of_what_scanners_make_is_not_plausible(um: float, plausible: bool) -> None:
    assert PixelSize(um, um, PixelSizeSource.FILE).plausible is plausible


def test_a_pixel_size_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        PixelSize(0, 0.25, PixelSizeSource.USER)


def test_a_small_area_is_never_printed_as_nothing() -> None:
    assert mm2_number(0.0) == "0.00"
    assert mm2_number(0.0032) == "0.0032"
    assert mm2_number(0.54) == "0.54"
    assert mm2_number(1234.5) == "1,234.50"


def test_areas_below_one_another_have_the_same_decimals() -> None:
    assert mm2_column([0.0085, 0.024, 0.0]) == ("0.009 mm²", "0.024 mm²", "0.000 mm²")
    assert mm2_column([0.5, 0.004, 1234.5]) == ("0.50 mm²", "0.00 mm²", "1,234.50 mm²")


def test_what_is_left_of_a_region_is_worked_out_once_for_the_same_other_one() -> None:
    whole, part = Region.rectangle(0, 0, 100, 100), Region.rectangle(0, 0, 50, 100)
    left = whole.difference(part)
    assert left.area_px == 5000
    assert whole.difference(part) is left
    assert whole.difference(Region.rectangle(0, 0, 20, 100)).area_px == 8000
    assert whole.difference(part).area_px == 5000
    copy = pickle.loads(pickle.dumps(whole))
    assert copy == whole
    assert set(copy.__dict__) <= {"geometry", "hash"}


@given(st.integers(0, 10_000), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_parts_taken_away_one_by_one_leave_what_all_leave_together(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    whole = Region.of(shapely.Point(*rng.uniform(0, 1000, 2)).buffer(rng.uniform(20, 300)) for _ in range(6))
    side = 1700 / count
    squares = [
        Region.rectangle(-350 + side * i, -350 + side * j, side, side) for i in range(count) for j in range(count)
    ]
    parts = [whole.intersection(square) for square in squares]
    left, taken = whole, Region.of(())
    for part in parts:
        left, taken = left.without(part), Region.of([taken.geometry, part.geometry])
        assert left.area_px == pytest.approx(whole.difference(taken).area_px, abs=0.01)
    assert left.empty, "no splinters along the common outlines"


def test_a_region_remembers_what_it_leaves_of_another_one() -> None:
    whole, part = Region.rectangle(0, 0, 100, 100), Region.rectangle(0, 0, 60, 100)
    rest = whole.without(part)
    assert part.leaving(whole, rest) is part
    assert whole.difference(part) is rest
    assert Region.rectangle(0, 0, 200, 100).difference(part).area_px == 14_000
