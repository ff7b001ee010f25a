"""What of a part of the slide lies in the region that layers are clipped to."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainterPath

from her2viewer.domain.region import Region
from her2viewer.viewer.overlays.clip import Clip


def region(seed: int) -> Region:
    rng = np.random.default_rng(seed)
    discs = [shapely.Point(*rng.uniform(0, 1000, 2)).buffer(rng.uniform(30, 250)) for _ in range(6)]
    return Region.of(discs, [discs[0].buffer(-20), shapely.box(400, 400, 500, 600)])


@given(st.integers(0, 500), st.floats(-100, 1100), st.floats(-100, 1100), st.floats(1, 300))
@settings(deadline=None)
def test_a_part_is_inside_outside_or_cut_as_the_region_says(seed: int, x: float, y: float, side: float) -> None:
    whole = region(seed)
    clip, part = Clip(whole), shapely.box(x, y, x + side, y + side)
    found = clip.within((x, y, x + side, y + side))
    inside = part.intersection(whole.geometry).area / part.area
    if found is True:
        assert inside > 1 - 1e-9
    elif found is False:
        assert inside < 1e-9
    else:
        assert isinstance(found, QPainterPath)
        view = QPainterPath()
        view.addRect(QRectF(x, y, side, side))
        cut = found.intersected(view)
        for px, py in np.random.default_rng(seed).uniform((x, y), (x + side, y + side), (40, 2)).tolist():
            point = shapely.Point(px, py)
            if whole.geometry.boundary.distance(point) > 1e-6 * side + 1e-3 and part.boundary.distance(point) > 1e-3:
                assert cut.contains(QPointF(px, py)) == whole.geometry.contains(point)


def test_a_clip_answers_for_each_part_anew() -> None:
    clip = Clip(Region.rectangle(0, 0, 100, 100))
    assert clip.within((10, 10, 20, 20)) is True
    assert clip.within((200, 10, 220, 20)) is False
    assert isinstance(clip.within((90, 10, 120, 20)), QPainterPath)
    assert clip.within((10, 10, 20, 20)) is True
