"""Where annotations lie on the screen, and which of them lies under the pointer."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import shapely
from numpy.typing import NDArray
from PySide6.QtGui import QTransform
from shapely import Point

from her2viewer.domain.annotation import Annotation, AnnotationSet
from her2viewer.viewer.canvas.viewport import Viewport

NOTE_PX = 12.0
EDGE_PX = 5.0
MANY = 50


def screen_transform(viewport: Viewport) -> QTransform:
    """From level-0 px to logical screen px."""
    x0, y0 = viewport.to_screen(0.0, 0.0)
    x1, y1 = viewport.to_screen(1.0, 0.0)
    x2, y2 = viewport.to_screen(0.0, 1.0)
    return QTransform(x1 - x0, y1 - y0, x2 - x0, y2 - y0, x0, y0)


def screen_xy(xy: NDArray[np.float64], viewport: Viewport) -> NDArray[np.float64]:
    """Logical screen px, (n, 2), of slide points in level-0 px, (n, 2)."""
    t = screen_transform(viewport)
    return np.asarray(xy @ np.array([[t.m11(), t.m12()], [t.m21(), t.m22()]]) + (t.dx(), t.dy()))


def annotation_at(annotations: Iterable[Annotation], x: float, y: float, viewport: Viewport) -> Annotation | None:
    """The annotation that a click at (x, y), level-0 px, means.

    A note within 12 logical px comes first, then the topmost outline within 5, then the smallest area around
    the point, so that an exclusion inside a ROI can be picked.
    """
    if isinstance(annotations, AnnotationSet) and len(annotations) > MANY:
        wide = max(NOTE_PX, EDGE_PX) / viewport.scale
        found = annotations.touching(x - wide, y - wide, x + wide, y + wide)
        annotations = [annotations.items[i] for i in found]
    items = tuple(annotations)
    nearest = min(
        ((math.hypot(a.geometry.x - x, a.geometry.y - y), i) for i, a in enumerate(items) if _is_point(a)),
        default=None,
    )
    if nearest is not None and nearest[0] * viewport.scale <= NOTE_PX:
        return items[nearest[1]]
    reach = EDGE_PX / viewport.scale
    disc = Point(x, y).buffer(reach, quad_segs=4)
    around: list[Annotation] = []
    for a in reversed(items):
        if _is_point(a) or a.geometry.is_empty:
            continue
        x0, y0, x1, y1 = a.geometry.bounds
        if not (x0 - reach <= x <= x1 + reach and y0 - reach <= y <= y1 + reach):
            continue
        # Prepared once per outline, these tests cost microseconds even with 100,000 corners.
        shapely.prepare(a.geometry)
        if not a.geometry.intersects(disc):
            continue
        if not a.geometry.contains(disc):
            return a
        around.append(a)
    return min(around, key=lambda a: a.geometry.area, default=None)


def _is_point(annotation: Annotation) -> bool:
    return isinstance(annotation.geometry, Point) and not annotation.geometry.is_empty
