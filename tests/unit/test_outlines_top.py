"""Where a name is put: above the upper edge of an outline."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.viewer.overlays.outlines import Outline


@given(st.integers(0, 1000), st.floats(0, 900))
def test_the_upper_edge_spans_all_corners_near_the_highest(seed: int, depth: float) -> None:
    corners = np.random.default_rng(seed).uniform(0, 800, (30, 2))
    outline = Outline(shapely.convex_hull(shapely.MultiPoint(corners)))
    xy = shapely.get_coordinates(outline.geometry)
    near = xy[xy[:, 1] < max(xy[:, 1].min() + depth, np.nextafter(xy[:, 1].min(), np.inf)), 0]
    assert outline.top(depth) == (near.min(), near.max())
