"""What a linked view shows when the other one moves. Numbers only."""

from __future__ import annotations

import math
from dataclasses import replace

from her2viewer.domain.alignment import Similarity
from her2viewer.viewer.canvas.viewport import Viewport

_UPRIGHT = 0.02
"""Degrees from a right angle within which a view is shown upright: less than half a pixel at the edge of a screen,
and upright tissue is blitted without resampling."""
_FAR_IN, _FAR_OUT = 1 / 64, 4096.0
"""Level-0 px per device px of a view that follows, at most."""


def followed(view: Viewport, transform: Similarity) -> Viewport:
    """The view of the other slide in which every place lies on the screen where it lies in ``view``.

    Args:
        view: of this slide.
        transform: from this slide to the other, without a flip.
    """
    cx, cy = transform.apply(view.cx, view.cy)
    rotation = (view.rotation - transform.rotation) % 360 % 360
    quarter = round(rotation / 90) * 90
    if abs(rotation - quarter) < _UPRIGHT:
        rotation = float(quarter % 360)
    downsample = min(max(view.downsample * transform.scale, _FAR_IN), _FAR_OUT)
    return replace(view, cx=cx, cy=cy, downsample=downsample, rotation=rotation)


def same_view(a: Viewport, b: Viewport) -> bool:
    """Whether two views of one slide differ by less than anybody can see; their sizes do not count."""
    near = math.hypot(a.cx - b.cx, a.cy - b.cy) < 0.01 * a.downsample
    turn = abs((a.rotation - b.rotation + 180) % 360 - 180)
    return near and abs(a.downsample / b.downsample - 1) < 1e-6 and turn < 1.5 * _UPRIGHT


def relation(view: Viewport, other: Viewport) -> Similarity:
    """The transform by which ``other`` shows the places that ``view`` shows, from the two as they are."""
    turned = Similarity(other.downsample / view.downsample, (view.rotation - other.rotation) % 360 % 360)
    return turned.through(view.cx, view.cy, other.cx, other.cy)
