"""Outlines of clusters of cells on the tissue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from PySide6.QtCore import QObject
from PySide6.QtGui import QImage, QPainter

from her2viewer.scoring.cell_clusters import CellCluster
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.rasters import LayerRasters
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.cell_index import Box
from her2viewer.viewer.overlays.raster_tiles import RasterTiles, Render

_EDGE, _LINE, _PICKED = (20, 16, 16, 255), (255, 255, 255, 255), (234, 168, 98, 255)
"""BGRA of the dark edge, the line, and the line of the one that was gone to."""
_FAINT = (22, 18, 18, 160)
"""BGRA, premultiplied: a thin dark line that lets the tissue through; a white one is not seen on pale tissue."""
_SMALL_PX, _LEAST_PX = 40, 5
"""Below the first width on the screen the line is thin and faint, below the second there is none: from afar many
small clusters would hide the slide.
"""
_LEAST_HOLE_PX = 14
"""Width on the screen from which holes are drawn."""


class ClusterLayer(Layer):
    """Draws clusters as white lines with a dark edge, from afar small ones fainter; the one that was gone to in the
    accent.
    """

    z = 30
    composed = True

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__("Clusters", parent)
        self._tiles = RasterTiles(self)
        self._tiles.ready.connect(self.changed_in)
        self._tiles.ready_ahead.connect(self.drawn_ahead)
        self.clusters: tuple[CellCluster, ...] = ()
        self.picked: int | None = None

    @property
    def idle(self) -> bool:
        """True when all is drawn."""
        return self._tiles.idle

    def set_clusters(self, clusters: Sequence[CellCluster], picked: int | None = None) -> None:
        """Outline these; ``picked`` is the one that was gone to."""
        if tuple(clusters) == self.clusters and picked == self.picked:
            return
        self.clusters, self.picked = tuple(clusters), picked
        self._tiles.set_render(_render(self.clusters, picked) if self.clusters else None, keep=False)
        self.changed.emit()

    def stop(self) -> None:
        """End the work in the background."""
        self._tiles.stop()

    def viewport_changed(self, viewport: Viewport) -> None:
        self._tiles.set_viewport(viewport)

    def leave_off(self) -> None:
        self._tiles.leave_off()

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self.clusters:
            self._tiles.paint(painter, viewport)

    def rasters(self) -> LayerRasters:
        return LayerRasters(self._tiles.shelf(), self.opacity)


def _render(clusters: tuple[CellCluster, ...], picked: int | None) -> Render:
    bounds = np.array([c.outline.bounds for c in clusters])

    def render(box: Box, size: int, downsample: float) -> QImage | None:
        import cv2

        margin = 4 * downsample
        x0, y0, x1, y1 = box
        sides = np.minimum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]) / downsample
        near = np.flatnonzero(
            ((sides >= _LEAST_PX) | (np.arange(len(bounds)) == (-1 if picked is None else picked)))
            & (bounds[:, 0] <= x1 + margin)
            & (bounds[:, 2] >= x0 - margin)
            & (bounds[:, 1] <= y1 + margin)
            & (bounds[:, 3] >= y0 - margin)
        )
        if not len(near):
            return None
        pixels = np.zeros((size, size, 4), dtype=np.uint8)
        lines = {int(k): _rings(clusters[k], box, downsample) for k in near}
        small = [line for k, found in lines.items() if k != picked and sides[k] < _SMALL_PX for line in found]
        plain = [line for k, found in lines.items() if k != picked and sides[k] >= _SMALL_PX for line in found]
        own = lines.get(picked, []) if picked is not None else []
        if small:
            cv2.polylines(pixels, small, True, _FAINT, 1, cv2.LINE_AA, 4)
        for found, color in ((plain, _LINE), (own, _PICKED)):
            if found:
                cv2.polylines(pixels, found, True, _EDGE, 4, cv2.LINE_AA, 4)
                cv2.polylines(pixels, found, True, color, 2, cv2.LINE_AA, 4)
        return QImage(pixels.data, size, size, 4 * size, QImage.Format.Format_ARGB32_Premultiplied).copy()

    return render


def _rings(cluster: CellCluster, box: Box, downsample: float) -> list[NDArray[np.int32]]:
    # No finer than the screen shows: an outline may have a hundred thousand corners.
    outline = shapely.simplify(cluster.outline, downsample, preserve_topology=False)
    parts = shapely.get_parts(outline)
    holes, owner = shapely.get_rings(parts, return_index=True)
    outer = np.diff(owner, prepend=-1) != 0
    x0, y0, x1, y1 = shapely.bounds(holes).T
    # From afar the lines of small holes would fill what they lie in.
    rings = holes[outer | (np.minimum(x1 - x0, y1 - y0) >= _LEAST_HOLE_PX * downsample)]
    origin = np.array(box[:2])
    limit = 1 << 24
    return [
        np.clip(((shapely.get_coordinates(r) - origin) / downsample - 0.5) * 16, -limit, limit)
        .round()
        .astype(np.int32)
        for r in rings
    ]
