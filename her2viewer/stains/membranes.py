"""The membrane of a cell along rays from its nucleus: how dark, how much of the ring is stained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from her2viewer.stains.nuclei import Nuclei

SECTORS = 32
"""Rays per cell."""
OUTLINE_POINTS = 16
"""Points of a cell's outline."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class CellReach:
    """How far a cell and its membrane reach, um."""

    expansion: float
    """Beyond the nucleus, where no neighbour stops it."""
    beyond: float
    """How far past the cell border a membrane may lie."""
    inside: float
    """How far within the edge of the nucleus the ring begins."""
    smoothing: float
    """Gaussian sigma on DAB before it is read."""


@dataclass(frozen=True)
class Rings:
    """Membrane of n cells, each (n, SECTORS) float32."""

    peak: Array
    """Highest DAB along the ray, OD."""
    rest: Array
    """DAB along the ray away from the peak, OD; NaN where the ray is too short to tell."""
    outline: Array
    """Distance of the cell outline from the nucleus centre, px."""
    core: Array
    """Distance of the nucleus edge from its centre, px."""


def rings_of(nuclei: Nuclei, dab: Array, um: float, reach: CellReach) -> Rings:
    """Expand nuclei to cells and read the DAB profile around each.

    Args:
        nuclei: of the picture.
        dab: (h, w) float32 OD.
        um: um per px.
        reach: how far cells and membranes reach.
    """
    import cv2

    from her2viewer.stains import _cell_kernels

    smooth = cv2.GaussianBlur(dab, (0, 0), max(0.4, reach.smoothing / um))
    free = (nuclei.labels == 0).astype(np.uint8)
    distance, nearest = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    # OpenCV numbers the labels from 1 on, one for each pixel that belongs to a nucleus.
    of_index = _cell_kernels.index_of(nuclei.labels, nearest, int(free.size - free.sum()) + 1)
    cells = _cell_kernels.expand(nuclei.labels, nearest, distance, of_index, reach.expansion / um)
    centres = np.ascontiguousarray(nuclei.shapes[:, 1:3])
    lengths = (reach.expansion / um, reach.beyond / um, reach.inside / um)
    return Rings(*_cell_kernels.rings(nuclei.labels, cells, smooth, centres, lengths))


def stands_out(rings: Rings, contrast: float) -> NDArray[np.bool_]:
    """Sectors whose peak stands out from the cytoplasm on the same ray by ``contrast`` of itself, (n, SECTORS)."""
    rest = np.where(np.isnan(rings.rest), 0, np.maximum(rings.rest, 0))
    found: NDArray[np.bool_] = rings.peak - rest >= contrast * rings.peak
    return found


def parts_of(rings: Rings) -> NDArray[np.float64]:
    """Part of the ring that each sector makes up by its length on the nucleus edge, (n, SECTORS)."""
    length = rings.core.astype(np.float64)
    part: NDArray[np.float64] = length / np.maximum(length.sum(axis=1, keepdims=True), 1e-9)
    return part


def stained_part(
    peak: Array, apart: NDArray[np.bool_], weight: NDArray[np.float64], faint: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Stained part of the ring, that part times its OD, and the longest unbroken arc, each (n,).

    Single stained or unstained sectors are noise and follow their two neighbours.

    Args:
        peak: (n, SECTORS) OD.
        apart: (n, SECTORS) whether the sector stands out.
        weight: (n, SECTORS) part of the ring.
        faint: OD from which a sector is stained.
    """
    stained = (peak >= faint) & apart
    votes = stained.astype(np.int8) + np.roll(stained, 1, axis=1) + np.roll(stained, -1, axis=1)
    stained = votes >= 2
    part: NDArray[np.float64] = weight * stained
    return part.sum(axis=1), (part * peak).sum(axis=1), _longest_arc(stained, weight)


def membrane_of(
    rings: Rings, faint: float, contrast: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Membrane OD, completeness (0 to 1) and longest unbroken stained arc (0 to 1) of n cells, each (n,).

    Membrane OD is the mean peak of the stained sectors, of all sectors where none is; sectors weigh by their length.

    Args:
        rings: of the cells.
        faint: OD from which a sector is stained.
        contrast: share of its peak by which a stained sector stands out from the cytoplasm.
    """
    weight = parts_of(rings)
    completeness, amount, arc = stained_part(rings.peak, stands_out(rings, contrast), weight, faint)
    mean_all = (weight * rings.peak).sum(axis=1)
    membrane_od = np.where(completeness > 0, amount / np.maximum(completeness, 1e-9), mean_all)
    return membrane_od.astype(np.float32), completeness.astype(np.float32), arc


def outlines_of(nuclei: Nuclei, rings: Rings) -> Array:
    """Outlines of the cells, (n, OUTLINE_POINTS, 2) px."""
    # A median over neighbouring rays takes out spikes between neighbours.
    around = np.stack([np.roll(rings.outline, k, axis=1) for k in (-1, 0, 1)])
    radius = np.median(around, axis=0)[:, :: SECTORS // OUTLINE_POINTS]
    angle = 2 * np.pi * np.arange(OUTLINE_POINTS) / OUTLINE_POINTS
    x = nuclei.shapes[:, 1, None] + radius * np.cos(angle)
    y = nuclei.shapes[:, 2, None] + radius * np.sin(angle)
    out: NDArray[Any] = np.stack([x, y], axis=2).astype(np.float32)
    return out


def _longest_arc(stained: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of the longest unbroken run of stained sectors around the ring, (n,)."""
    twice, weights = np.tile(stained, 2), np.tile(weight, 2)
    run = np.zeros(len(stained))
    best = np.zeros(len(stained))
    for k in range(twice.shape[1]):
        run = np.where(twice[:, k], run + weights[:, k], 0)
        best = np.maximum(best, run)
    whole: NDArray[np.float64] = (stained * weight).sum(axis=1)
    return np.minimum(best, whole)
