from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Point, Polygon, box

from her2viewer.domain import editing
from her2viewer.domain.editing import Vertex

coordinate = st.floats(-5_000, 50_000, allow_nan=False, width=32)
scribbles = st.lists(st.tuples(coordinate, coordinate), min_size=0, max_size=30)


@st.composite
def blobs(draw: st.DrawFn) -> Polygon:
    """Star-shaped outlines with a rough edge, as a hand draws them."""
    n = draw(st.integers(5, 60))
    cx, cy = draw(st.tuples(st.floats(0, 20_000), st.floats(0, 20_000)))
    size = draw(st.floats(20, 5_000))
    radii = draw(st.lists(st.floats(0.5, 1.0), min_size=n, max_size=n))
    angles = np.arange(n) * 2 * math.pi / n
    r = size * np.array(radii)
    return Polygon(np.column_stack([cx + r * np.cos(angles), cy + r * np.sin(angles)]))


def is_area(geometry: object) -> bool:
    return isinstance(geometry, Polygon | MultiPolygon) and bool(geometry.is_valid)


@given(scribbles)
@settings(max_examples=40, deadline=None)
def test_any_scribble_becomes_a_valid_area(points: list[tuple[float, float]]) -> None:
    assert is_area(editing.outline(points))


@pytest.mark.parametrize("points", [[], [(1, 1)], [(0, 0), (5, 5)], [(0, 0), (5, 5), (10, 10)], [(3, 3)] * 5])
def test_a_line_without_area_gives_an_empty_outline(points: list[tuple[float, float]]) -> None:
    assert editing.outline(points).area == 0


def test_an_outline_with_a_point_that_is_not_a_number_is_empty() -> None:
    assert editing.outline([(0, 0), (float("nan"), 5), (10, 10), (0, 10)]).is_empty


def test_going_twice_round_punches_no_hole() -> None:
    angles = np.linspace(0, 2 * math.pi, 60)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    twice = editing.outline(np.vstack([10 * circle, 5 * circle]))
    assert twice.area == pytest.approx(Polygon(10 * circle).area, rel=0.01)


def test_an_annulus_can_be_drawn_in_one_stroke() -> None:
    angles = np.linspace(0, 2 * math.pi, 60)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    ring = editing.outline(np.vstack([10 * circle, 5 * circle[::-1]]))
    assert ring.area == pytest.approx(0.75 * Polygon(10 * circle).area, rel=0.01)


def test_a_figure_of_eight_keeps_both_loops() -> None:
    assert editing.outline([(0, 0), (10, 10), (10, 0), (0, 10)]).area == pytest.approx(50)


@given(blobs(), blobs())
@settings(max_examples=40, deadline=None)
def test_areas_of_merge_and_subtract_add_up(a: Polygon, b: Polygon) -> None:
    common = a.intersection(b).area
    merged, rest = editing.merge([a, b]), editing.subtract(a, [b])
    assert is_area(merged)
    assert is_area(rest)
    tolerance = 1e-9 * (a.area + b.area)
    assert merged.area == pytest.approx(a.area + b.area - common, abs=tolerance)
    assert rest.area == pytest.approx(a.area - common, abs=tolerance)


@given(blobs())
@settings(max_examples=40, deadline=None)
def test_merging_with_itself_changes_nothing_and_subtracting_itself_leaves_nothing(a: Polygon) -> None:
    assert editing.merge([a, a]).symmetric_difference(a).area <= 1e-9 * a.area
    assert editing.subtract(a, [a]).area == 0


@given(blobs())
@settings(max_examples=40, deadline=None)
def test_smoothing_keeps_the_area_within_two_percent(a: Polygon) -> None:
    done = editing.smooth(a)
    assert is_area(done)
    assert done.area == pytest.approx(a.area, rel=0.02)


def test_smoothing_takes_the_jitter_out() -> None:
    rng = np.random.default_rng(7)
    angles = np.linspace(0, 2 * math.pi, 200, endpoint=False)
    radii = 1_000 + rng.normal(0, 20, 200)
    rough = Polygon(np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]))
    assert rough.length > 7_500
    assert editing.smooth(rough).length == pytest.approx(2_000 * math.pi, rel=0.01)
    assert editing.smooth(rough).hausdorff_distance(Point(0, 0).buffer(1_000)) < 40


def test_smoothing_keeps_holes_and_parts() -> None:
    two = MultiPolygon([box(0, 0, 1_000, 1_000) - box(300, 300, 700, 700), box(2_000, 0, 3_000, 500)])
    done = editing.smooth(two)
    assert len(done.geoms) == 2
    assert sum(len(p.interiors) for p in done.geoms) == 1


def test_smoothing_nothing_gives_nothing() -> None:
    assert editing.smooth(Polygon()).is_empty


@given(blobs(), st.floats(0.1, 50))
@settings(max_examples=40, deadline=None)
def test_simplifying_moves_no_part_of_the_outline_by_twice_what_was_asked(a: Polygon, tolerance: float) -> None:
    done = editing.simplify(a, tolerance)
    assert is_area(done)
    assert shapely.get_num_coordinates(done) <= shapely.get_num_coordinates(a)
    assert all(done.exterior.distance(Point(xy)) <= 2 * tolerance for xy in a.exterior.coords)


@given(blobs(), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
@settings(max_examples=40, deadline=None)
def test_moving_there_and_back_is_the_same_outline(a: Polygon, dx: float, dy: float) -> None:
    back = editing.move(editing.move(a, dx, dy), -dx, -dy)
    assert shapely.equals_exact(a, back, tolerance=1e-6)


@given(blobs(), st.integers(0, 4), coordinate, coordinate)
@settings(max_examples=40, deadline=None)
def test_moving_a_corner_anywhere_gives_a_valid_area(a: Polygon, i: int, x: float, y: float) -> None:
    assert is_area(editing.move_vertex(a, Vertex(0, 0, i), x, y))


@given(blobs(), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_a_corner_put_in_the_middle_of_an_edge_and_taken_out_leaves_the_outline_as_it_was(a: Polygon, i: int) -> None:
    corners = np.array(a.exterior.coords)
    x, y = (corners[i] + corners[i + 1]) / 2
    more = editing.insert_vertex(a, Vertex(0, 0, i), x, y)
    assume(shapely.get_num_coordinates(more) == shapely.get_num_coordinates(a) + 1)
    assert more.area == pytest.approx(a.area, rel=1e-9)
    hit = editing.nearest_vertex(more, x, y)
    assert hit is not None
    assert hit[0] == Vertex(0, 0, i + 1)
    assert shapely.equals_exact(editing.remove_vertex(more, hit[0]), a)


def test_taking_a_corner_from_a_triangle_removes_it() -> None:
    triangle = Polygon([(0, 0), (10, 0), (0, 10)])
    assert editing.remove_vertex(triangle, Vertex(0, 0, 1)).is_empty
    with_hole = box(-50, -50, 50, 50) - triangle
    assert editing.remove_vertex(with_hole, Vertex(0, 1, 0)).equals(box(-50, -50, 50, 50))
    two = MultiPolygon([triangle, box(100, 100, 200, 200)])
    assert editing.remove_vertex(two, Vertex(0, 0, 0)).equals(box(100, 100, 200, 200))


def test_a_corner_that_is_not_there_is_an_error() -> None:
    with pytest.raises(IndexError):
        editing.move_vertex(box(0, 0, 1, 1), Vertex(0, 0, 9), 0, 0)


def test_the_nearest_corner_and_edge_know_parts_and_holes() -> None:
    area = MultiPolygon([box(0, 0, 10, 10), box(20, 0, 40, 20) - box(25, 5, 35, 15)])
    vertex, distance = editing.nearest_vertex(area, 34, 14) or (None, 0.0)
    assert vertex is not None
    assert vertex[:2] == (1, 1)
    assert distance == pytest.approx(math.sqrt(2))
    edge = editing.nearest_edge(area, 5, -2)
    assert edge is not None
    assert (edge.x, edge.y, edge.distance) == (5, 0, 2)
    assert edge.after.part == 0
    assert editing.nearest_edge(Point(3, 3), 0, 0) is None
    assert editing.nearest_vertex(Point(3, 3), 0, 0) is None


@given(blobs(), st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=10), st.floats(1, 500))
@settings(max_examples=40, deadline=None)
def test_what_the_brush_adds_and_then_erases_is_gone(
    a: Polygon, points: list[tuple[float, float]], radius: float
) -> None:
    stroke = editing.brush_stroke(points, radius)
    assert is_area(stroke)
    assert stroke.area >= 0.95 * math.pi * radius**2
    painted = editing.merge([a, stroke])
    erased = editing.subtract(painted, [stroke])
    assert painted.area >= a.area * (1 - 1e-9)
    assert erased.symmetric_difference(editing.subtract(a, [stroke])).area <= 1e-6 * painted.area


def test_slivers_and_pin_holes_are_dropped() -> None:
    area = MultiPolygon([box(0, 0, 100, 100) - box(50, 50, 51, 51), box(200, 0, 201, 1)])
    assert editing.drop_slivers(area, 10).equals(box(0, 0, 100, 100))
    assert editing.drop_slivers(area, 0.5).equals(area)
    assert editing.drop_slivers(box(0, 0, 1, 1), 10).is_empty


@given(scribbles)
@settings(max_examples=40, deadline=None)
def test_clipped_outlines_lie_on_the_slide(points: list[tuple[float, float]]) -> None:
    clipped = editing.clip(editing.outline(points), 10_000, 8_000)
    assert is_area(clipped)
    assert box(-1e-6, -1e-6, 10_000 + 1e-6, 8_000 + 1e-6).contains(clipped) or clipped.is_empty


def test_a_note_off_the_slide_moves_to_its_edge() -> None:
    assert editing.clip(Point(-5, 20_000), 10_000, 8_000) == Point(0, 8_000)


def test_an_outline_inside_the_slide_is_not_touched_by_clipping() -> None:
    area = box(10, 10, 20, 20)
    assert editing.clip(area, 100, 100) is area


def test_holes_can_be_filled() -> None:
    assert editing.without_holes(box(0, 0, 10, 10) - box(2, 2, 4, 4)).equals(box(0, 0, 10, 10))
