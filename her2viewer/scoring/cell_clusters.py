"""Groups of cells of one kind that lie close together, with their outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region, polygonal
from her2viewer.scoring.cell_maps import inside

LINK_UM = 20.0
"""Cells whose centres lie no farther apart belong together: neighbours in a nest, with room for a missed cell's edge,
not across a seam of stroma."""
LEAST_CELLS = 10
"""Of a cluster. Where a tenth of the tumour cells is of a class, strewn at random, groups that large are rare."""

_FINE = 16
"""Squares of the raster in one link."""
_MOST_SQUARES = 4_000_000
"""Of the raster of one cluster; one as large as the slide is outlined more coarsely."""


@dataclass(frozen=True, eq=False)
class CellCluster:
    """Cells that hang together, each no farther than the link from the next."""

    indices: NDArray[np.int64]
    """(k,) sorted, into the table."""
    outline: Polygon | MultiPolygon
    """All that lies within half a link of its cells, and the small gaps between them; level-0 px."""
    area_mm2: float
    """Of the outline."""
    x: float
    """Centre of its cell that lies nearest to the middle of all, level-0 px."""
    y: float

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class ClusterSearch:
    """What is taken for a cluster, and where: enough to find the same ones again."""

    her2: tuple[int, ...]
    """Classes of the cells, 0 to 3."""
    region: Region
    pixel_size: PixelSize
    link_um: float = LINK_UM
    least: int = LEAST_CELLS

    @property
    def words(self) -> str:
        """As written beside the numbers: "3+ cells, 20 um, 10 or more"."""
        names = " and ".join(HER2_LABELS[code] for code in self.her2)
        return f"{names} cells, {self.link_um:g} um, {self.least} or more"

    def found(self, table: CellTable) -> tuple[CellCluster, ...]:
        """The clusters of a table, see ``clusters``."""
        classes = [k for k, code in enumerate(table.scheme.her2) if code in self.her2]
        return clusters(table, classes, self.region, self.pixel_size, self.link_um, self.least)

    def numbers(self, table: CellTable) -> NDArray[np.int32]:
        """(n,) for each cell the number of its cluster, 1 for the largest; 0 for a cell in none."""
        numbers = np.zeros(len(table), dtype=np.int32)
        for number, cluster in enumerate(self.found(table), start=1):
            numbers[cluster.indices] = number
        return numbers


def clusters(  # noqa: PLR0917
    table: CellTable,
    classes: Sequence[int],
    region: Region,
    pixel_size: PixelSize,
    link_um: float = LINK_UM,
    least: int = LEAST_CELLS,
) -> tuple[CellCluster, ...]:
    """Clusters of the cells of some classes (single linkage), the largest first.

    Args:
        table: n cells.
        classes: of the scheme of the table.
        region: only cells inside it.
        pixel_size: of the slide.
        link_um: greatest distance of two centres that hang together, um.
        least: cells that a cluster must have.

    Raises:
        ValueError: the link is not above 0, or ``least`` is below 1.
    """
    if not link_um > 0 or least < 1:
        raise ValueError("A cluster needs a distance above 0 um and at least one cell.")
    link = link_um / pixel_size.mpp
    chosen = np.flatnonzero(np.isin(table.classes, np.asarray(classes, dtype=np.uint8)) & inside(table, region))
    if len(chosen) < least:
        return ()
    points = np.stack([table.x[chosen], table.y[chosen]], axis=1).astype(np.float64)
    group = linked(points, link)
    sizes = np.bincount(group)
    wanted = np.flatnonzero(sizes >= least)
    # The largest first; of equals the one that lies higher up, so that the order is always the same.
    wanted = wanted[np.argsort(-sizes[wanted], kind="stable")]
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(sizes)
    return tuple(
        _cluster(chosen[mine], points[mine], link, pixel_size)
        for mine in (order[ends[k] - sizes[k] : ends[k]] for k in wanted.tolist())
    )


def linked(points: NDArray[np.float64], link: float) -> NDArray[np.int64]:
    """Which group each point belongs to, (n,) from 0 on: points no farther apart than ``link`` share one.

    Args:
        points: (n, 2).
        link: in the unit of the points.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if len(points) == 0:
        return np.zeros(0, dtype=np.int64)
    pairs = cKDTree(points).query_pairs(link, output_type="ndarray")
    ones = np.ones(len(pairs), dtype=np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    _, group = connected_components(graph, directed=False)
    return np.asarray(group, dtype=np.int64)


def _cluster(
    indices: NDArray[np.int64], points: NDArray[np.float64], link: float, pixel_size: PixelSize
) -> CellCluster:
    outline = _outline(points, link)
    middle = points.mean(axis=0)
    x, y = points[int(np.argmin(((points - middle) ** 2).sum(axis=1)))].tolist()
    return CellCluster(np.sort(indices), outline, pixel_size.mm2(outline.area), x, y)


def _outline(points: NDArray[np.float64], link: float) -> Polygon | MultiPolygon:
    """What ``CellCluster.outline`` is, as a raster has it: discs of linked cells meet, others do not."""
    import cv2

    low, high = points.min(axis=0) - link, points.max(axis=0) + link
    width, height = (high - low).tolist()
    step = max(link / _FINE, float(np.sqrt(width * height / _MOST_SQUARES)))
    image = np.zeros((int(height / step) + 2, int(width / step) + 2), dtype=np.uint8)
    at = np.floor((points - low) / step).astype(np.int64)
    image[at[:, 1], at[:, 0]] = 1
    radius = max(1, round(link / 2 / step))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # A contour runs through the middles of the squares at the edge: as far from a cell as the disc is wide.
    rings, family = cv2.findContours(cv2.dilate(image, disc), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    xy = [(ring[:, 0, :] + 0.5) * step + low for ring in rings]
    owner, gap = family[0, :, 3], np.pi * (link / 2) ** 2
    # A gap between cells that no cell would fit into is no hole of the cluster.
    holes = [h for h in np.flatnonzero(owner >= 0).tolist() if cv2.contourArea(rings[h]) * step**2 > gap]
    shells = [
        shapely.Polygon(xy[k], [xy[h] for h in holes if owner[h] == k])
        for k in np.flatnonzero(owner < 0).tolist()
        if len(xy[k]) > 2
    ]
    # Contours meet at thin bridges.
    whole = polygonal(shapely.union_all(shapely.make_valid(shells, method="structure", keep_collapsed=False)))
    return polygonal(shapely.simplify(whole, step))
