"""Unions that are kept: an edit gives what a union from the start would."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Point, Polygon
from shapely.affinity import translate

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.region import Region
from her2viewer.domain.region_squares import Raster, RegionSquares

RASTER = Raster(3.0, 20, 20)
shapes = st.builds(
    lambda x, y, w, h: shapely.box(x, y, x + w, y + h),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(1, 12),
    st.integers(1, 12),
)
things = st.builds(
    Annotation, st.one_of(shapes, st.just(Point(5, 5)), st.just(Polygon())), st.sampled_from(list(Role))
)
edits = st.lists(st.tuples(st.sampled_from(["add", "remove", "replace"]), st.integers(0, 30), things), max_size=8)


@given(st.lists(things, max_size=12), edits)
@settings(deadline=None)
def test_after_any_edits_the_region_is_that_of_the_annotations(
    first: list[Annotation], changes: list[tuple[str, int, Annotation]]
) -> None:
    now = AnnotationSet(tuple(first))
    squares = RegionSquares.of(now.region(), RASTER)
    for what, which, new in changes:
        before = now
        if what == "add" or not len(now):
            now = before.added(new)
        elif what == "remove":
            now = before.removed(before.items[which % len(before)].id)
        else:
            now = before.replaced(before.items[which % len(before)].with_geometry(new.geometry))
        region_before = before.region()
        now.follow(before)
        wanted = AnnotationSet(now.items).region()
        found = now.region()
        assert found.hash == wanted.hash
        assert found.geometry.is_valid
        changed = found.changed_from(region_before)
        apart = found.geometry.symmetric_difference(region_before.geometry)
        if changed is None:
            assert apart.area == 0
        else:
            assert apart.difference(shapely.box(*changed)).area == 0
        again = RegionSquares.of(found, RASTER)
        squares = again if squares is None else squares.updated(region_before, found, RASTER)
        assert (squares is None) == (again is None)
        if squares is not None and again is not None:
            assert (squares.rows, squares.columns) == (again.rows, again.columns)
            assert np.array_equal(squares.inside, again.inside)


def _row(count: int) -> AnnotationSet:
    return AnnotationSet(tuple(Annotation(shapely.box(10 * i, 0, 10 * i + 8, 8)) for i in range(count)))


def test_an_edit_unites_only_what_it_touches() -> None:
    drawn = _row(400)
    before = drawn.region()
    moved = drawn.replaced(drawn.items[7].with_geometry(translate(drawn.items[7].geometry, 4, 0)))
    after = moved.region()
    known = set(map(id, before.parts))
    assert sum(id(part) not in known for part in after.parts) == 1
    assert after.changed_from(before) == (70, 0, 88, 8)
    assert after.area_px == 400 * 64 - 2 * 8


def test_an_exclusion_cuts_only_what_it_touches() -> None:
    drawn = _row(400)
    before = drawn.region()
    after = drawn.added(Annotation(shapely.box(3, 3, 14, 5), Role.EXCLUDE)).region()
    known = set(map(id, before.parts))
    assert sum(id(part) not in known for part in after.parts) == 2
    assert after.area_px == 400 * 64 - 2 * (8 - 3) - 2 * 4


def test_a_set_that_another_follows_forgets_and_finds_out_again() -> None:
    drawn = _row(5)
    area = drawn.region().area_px
    grown = drawn.added(Annotation(shapely.box(100, 0, 108, 8)))
    grown.follow(drawn)
    assert grown.region().area_px == area + 64
    assert drawn.region().area_px == area
    drawn.follow(drawn)
    assert drawn.region() is drawn.region()


@given(st.lists(things, max_size=8), st.lists(st.tuples(shapes, st.booleans()), max_size=8))
@settings(deadline=None)
def test_a_stroke_that_grows_piece_by_piece_covers_what_it_covers_at_once(
    first: list[Annotation], pieces: list[tuple[Polygon, bool]]
) -> None:
    drawn = AnnotationSet(tuple(first))
    net, whole = drawn.net, list(first)
    for piece, inside in pieces:
        net = net.plus(piece, inside=inside)
        whole.append(Annotation(piece, Role.ROI if inside else Role.CONTROL))
        found, wanted = Region.of_net(net), AnnotationSet(tuple(whole)).region()
        assert found.geometry.is_valid
        assert found.geometry.symmetric_difference(wanted.geometry).area == 0
        assert found.area_px == wanted.area_px


def test_regions_and_annotations_go_to_another_process_without_what_was_worked_out() -> None:
    drawn = _row(300)
    region = drawn.region()
    assert region.changed_from(Region.of(())) is not None
    back, other = pickle.loads(pickle.dumps((drawn, region)))
    assert back == drawn
    assert other.hash == region.hash
    assert len(pickle.dumps(region)) < 60_000


def test_points_among_many_polygons_are_found_as_among_few() -> None:
    rng = np.random.default_rng(3)
    discs = [Point(*rng.uniform(0, 300, 2)).buffer(6) for _ in range(90)]
    region = Region.of(discs)
    x, y = rng.uniform(-10, 310, (2, 4000))
    wanted = shapely.contains_xy(MultiPolygon(list(region.parts)), x, y)
    assert wanted.sum() > 100
    assert np.array_equal(region.contains_points(x, y), wanted)
    assert region.area_px == pytest.approx(shapely.union_all(discs).area)
