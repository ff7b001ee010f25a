"""Handles on the corners of the selected outline: where they are, and how they look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPen
from shapely.geometry.base import BaseGeometry

from her2viewer.domain import editing
from her2viewer.domain.editing import Vertex
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.theme import DARK
from her2viewer.viewer.tools.hit import screen_xy

MAX_HANDLES = 400
"""More corners than this in view are a carpet: then handles appear as one zooms in."""


def corners_in_view(
    geometry: BaseGeometry, viewport: Viewport, area: QRectF | None = None
) -> list[tuple[Vertex, QPointF]]:
    """Corners in view with their place in logical screen px; none where there are too many to tell apart.

    With ``area`` (logical screen px) only those in or near it.
    """
    found: list[tuple[Vertex, QPointF]] = []
    count = 0
    width, height = viewport.width / viewport.dpr, viewport.height / viewport.dpr
    for part, ring, xy in editing.rings(geometry):
        sx, sy = screen_xy(xy, viewport).T
        seen = np.flatnonzero((sx > -9) & (sx < width + 9) & (sy > -9) & (sy < height + 9))
        count += len(seen)
        if count > MAX_HANDLES:
            return []
        if area is not None:
            x, y = sx[seen], sy[seen]
            near = (x > area.left() - 9) & (x < area.right() + 9) & (y > area.top() - 9) & (y < area.bottom() + 9)
            seen = seen[near]
        found += [(Vertex(part, ring, int(i)), QPointF(sx[i], sy[i])) for i in seen]
    return found


def paint_handles(painter: QPainter, corners: Sequence[tuple[Vertex, QPointF]], hot: Vertex | None) -> None:
    """A small square on each corner, a larger one in the accent colour on ``hot``."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(QPen(QColor(20, 20, 20), 1.0))
    plain = [_square(at, 3.5) for vertex, at in corners if vertex != hot]
    painter.setBrush(QColor("white"))
    # One call: hundreds of corners would take longer than the tissue.
    painter.drawRects(plain)
    painter.setBrush(QColor(DARK.accent))
    painter.drawRects([_square(at, 5.0) for vertex, at in corners if vertex == hot])


def _square(at: QPointF, half: float) -> QRectF:
    return QRectF(at.x() - half, at.y() - half, 2 * half, 2 * half)
