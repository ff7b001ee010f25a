import math
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.cell_clusters import clusters, linked

SIZE = PixelSize(0.5, 0.5, PixelSizeSource.FILE)
EVERYWHERE = Region.rectangle(-1e5, -1e5, 2e5, 2e5)


def table(points, classes=3) -> CellTable:
    x, y = np.asarray(points, np.float32).reshape(-1, 2).T
    return CellTable("cells", CELL_SCHEME, x, y, np.broadcast_to(np.asarray(classes, np.uint8), x.shape).copy())


def row(n: int, x: float, y: float, apart: float) -> list[tuple[float, float]]:
    return [(x + k * apart, y) for k in range(n)]


def test_cells_hang_together_up_to_the_link_and_not_beyond() -> None:
    # 20 um are 40 px here.
    near, far = row(5, 0, 0, 39.9), row(5, 0, 500, 40.2)
    found = clusters(table(near + far), (3,), EVERYWHERE, SIZE, least=3)
    assert [c.indices.tolist() for c in found] == [[0, 1, 2, 3, 4]]


def test_the_largest_cluster_comes_first_and_small_ones_are_left_out() -> None:
    cells = row(3, 0, 0, 20) + row(12, 0, 1000, 20) + row(7, 0, 2000, 20)
    found = clusters(table(cells), (3,), EVERYWHERE, SIZE, least=4)
    assert [len(c) for c in found] == [12, 7]
    assert clusters(table(cells), (3,), EVERYWHERE, SIZE, least=13) == ()


def test_only_cells_of_the_classes_inside_the_region_are_linked() -> None:
    cells, classes = row(20, 0, 0, 20), [3] * 8 + [2] * 4 + [3] * 8
    found = clusters(table(cells, classes), (3,), EVERYWHERE, SIZE, least=3)
    assert [len(c) for c in found] == [8, 8]
    assert [len(c) for c in clusters(table(cells, classes), (2, 3), EVERYWHERE, SIZE, least=3)] == [20]
    left = Region.rectangle(-10, -10, 100, 20)
    assert [len(c) for c in clusters(table(cells, classes), (3,), left, SIZE, least=3)] == [5]


def test_a_lone_cell_has_a_disc_of_half_a_link() -> None:
    (one,) = clusters(table([(300, 200)]), (3,), EVERYWHERE, SIZE, least=1)
    assert one.area_mm2 == pytest.approx(math.pi * 0.01**2, rel=0.12)
    assert (one.x, one.y) == (300, 200)
    assert one.outline.centroid.distance(shapely.Point(300, 200)) < 5


def test_a_ring_of_cells_keeps_its_hole() -> None:
    angles = np.linspace(0, 2 * math.pi, 80, endpoint=False)
    ring = np.stack([2000 + 400 * np.cos(angles), 2000 + 400 * np.sin(angles)], axis=1)
    (one,) = clusters(table(ring), (3,), EVERYWHERE, SIZE)
    assert not one.outline.contains(shapely.Point(2000, 2000))
    assert one.area_mm2 == pytest.approx(2 * math.pi * 0.2 * 0.0172, rel=0.15)
    assert shapely.Point(one.x, one.y).distance(one.outline) == 0


def test_a_distance_or_number_that_makes_no_sense_is_refused() -> None:
    for link, least in ((0, 3), (-1, 3), (20, 0), (math.nan, 3)):
        with pytest.raises(ValueError, match="distance above 0"):
            clusters(table(row(5, 0, 0, 5)), (3,), EVERYWHERE, SIZE, link_um=link, least=least)


@given(seed=st.integers(0, 10_000), n=st.integers(0, 120), link=st.floats(1, 60))
@settings(max_examples=60, deadline=None)
def test_groups_are_those_of_going_from_cell_to_cell(seed: int, n: int, link: float) -> None:
    points = np.random.default_rng(seed).uniform(0, 300, (n, 2))
    group = linked(points, link)
    near = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) <= link
    for start in range(n):
        reached = np.zeros(n, bool)
        reached[start] = True
        while (more := near[reached].any(axis=0) & ~reached).any():
            reached |= more
        assert (reached == (group == group[start])).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_outlines_hold_their_own_cells_and_no_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = table(rng.uniform(0, 1500, (150, 2)))
    found = clusters(cells, (3,), EVERYWHERE, SIZE, least=2)
    for cluster in found:
        wide = cluster.outline.buffer(2)
        own = shapely.contains_xy(wide, cells.x, cells.y)
        assert np.flatnonzero(own).tolist() == cluster.indices.tolist()
    for one, other in pairwise(found):
        assert len(one) >= len(other)
