"""The fields of a region one after the other, and the field that decides."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME
from her2viewer.domain.evidence import NOT_SCORED, CellTable, ClassMap, Grid
from her2viewer.domain.region import Region
from her2viewer.viewer.fields import densest_field, neighbour, serpentine


def test_fields_turn_round_at_the_end_of_each_row():
    fields = serpentine(Region.rectangle(0, 0, 300, 200), 100, 100)
    assert fields == [(50, 50), (150, 50), (250, 50), (250, 150), (150, 150), (50, 150)]


def test_fields_without_tissue_are_passed_over():
    region = Region.of([shapely.box(0, 0, 100, 100), shapely.box(400, 0, 500, 100)])
    assert serpentine(region, 100, 100) == [(50, 50), (450, 50)]


def test_a_region_smaller_than_a_field_lies_in_its_middle():
    assert serpentine(Region.rectangle(10, 20, 30, 40), 1000, 1000) == [(25, 40)]


def test_an_empty_region_has_no_fields():
    assert serpentine(Region.of(()), 100, 100) == []
    assert neighbour([], (0, 0), 1) is None


@given(
    w=st.floats(20, 900),
    h=st.floats(20, 900),
    field=st.floats(40, 400),
    points=st.lists(st.tuples(st.floats(0, 900), st.floats(0, 900)), min_size=3, max_size=8, unique=True),
)
def test_the_fields_hold_nearly_all_of_a_region(w, h, field, points):
    region = Region.of([shapely.MultiPoint(points).convex_hull, shapely.box(0, 0, w, h)])
    fields = serpentine(region, field, field)
    covered = shapely.union_all(
        [shapely.box(x - field / 2, y - field / 2, x + field / 2, y + field / 2) for x, y in fields]
    )
    # Each field that was passed over held less than 2 % of a field.
    x0, y0, x1, y1 = region.bounds
    most = (np.ceil((x1 - x0) / field) * np.ceil((y1 - y0) / field)) * 0.02 * field * field
    assert region.geometry.difference(covered).area <= most + 1e-6


def test_stepping_goes_to_the_nearest_field_first_and_then_on_and_round():
    fields = [(0.0, 0.0), (100.0, 0.0), (200.0, 0.0)]
    assert neighbour(fields, (90, 5), 1) == (100, 0)
    assert neighbour(fields, (100, 0), 1) == (200, 0)
    assert neighbour(fields, (200, 0), 1) == (0, 0)
    assert neighbour(fields, (0, 0), -1) == (200, 0)


def cells(points, classes):
    x, y = np.asarray(points, np.float32).T
    return CellTable("cells", CELL_SCHEME, x, y, np.asarray(classes, np.uint8))


def test_the_densest_field_of_the_class_wins_and_other_classes_do_not_count():
    rng = np.random.default_rng(1)
    three = rng.uniform(0, 100, (40, 2)) + np.array([5000, 3000])
    few = rng.uniform(0, 100, (10, 2)) + 200
    one = rng.uniform(0, 100, (400, 2)) + 9000
    table = cells(np.vstack([three, few, one]), [3] * 50 + [1] * 400)
    everywhere = Region.rectangle(0, 0, 20000, 20000)
    x, y = densest_field([table], everywhere, (3,), 400, 300)
    assert 5000 < x < 5100
    assert 3000 < y < 3100
    x, y = densest_field([table], Region.rectangle(0, 0, 1000, 1000), (3,), 400, 300)
    assert 200 < x < 300
    assert densest_field([table], everywhere, (2,), 400, 300) is None


def test_patches_count_by_their_tumour_weight_and_unscored_ones_not_at_all():
    classes = np.full((10, 10), NOT_SCORED, np.uint8)
    classes[2, 3], classes[8, 8] = 3, 3
    weight = np.zeros((10, 10), np.float32)
    weight[2, 3], weight[8, 8] = 0.2, 0.9
    votes = ClassMap("map", Grid(0, 0, 100, 10, 10), TUMOUR_SCHEME, classes, weight)
    point = densest_field([votes], Region.rectangle(0, 0, 1000, 1000), (3,), 150, 150)
    assert point == pytest.approx((850, 850))
