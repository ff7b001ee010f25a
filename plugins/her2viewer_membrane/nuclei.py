"""Nuclei: haematoxylin with DAB taken off, local threshold, seeds by smoothing and distance, watershed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class NucleusRules:
    """Lengths in um, areas in um2, densities in OD; the values stand in ``cutoffs.toml``."""

    dab_weight: float
    smoothing: float
    surround: float
    surround_floor: float
    contrast: float
    least_density: float
    seed_smoothing: float
    seed_density: float
    seed_distance: float
    valley: float
    area_min: float
    area_max: float
    roundness_min: float


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of one tile, n of them."""

    labels: NDArray[np.int32]
    """(h, w), 1 to n; 0 is none."""
    shapes: NDArray[np.float64]
    """(n, columns of ``kernels.shapes``), px of the tile."""

    def __len__(self) -> int:
        return len(self.shapes)


def detect(haematoxylin: Array, dab: Array, um: float, rules: NucleusRules) -> Nuclei:
    """Nuclei of a tile.

    Args:
        haematoxylin: (h, w) float32 OD.
        dab: (h, w) float32 OD.
        um: um per px.
        rules: sizes and limits.
    """
    import cv2

    from her2viewer_membrane import kernels

    signal: Any = haematoxylin - np.float32(rules.dab_weight) * np.maximum(dab, 0)
    fine = cv2.GaussianBlur(signal, (0, 0), rules.smoothing / um)
    box = 2 * round(rules.surround / um / 2) + 1
    around = cv2.blur(np.maximum(fine, np.float32(-rules.surround_floor)), (box, box))
    above = fine - around
    mask = ((above > rules.contrast) & (fine > rules.least_density)).astype(np.uint8)
    size = 2 * max(1, round(0.5 / um)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    coarse = cv2.GaussianBlur(fine - around, (0, 0), rules.seed_smoothing / um)
    # Both terms near 1 for a well stained nucleus of usual size. In nuclei darker than that only the shape parts.
    height = np.clip(coarse, 0, rules.seed_density) / np.float32(4 * rules.contrast) + distance * np.float32(
        um / rules.seed_distance
    )
    height = cv2.GaussianBlur(height, (0, 0), 0.5 / um)
    labels, count = kernels.ascend(height, mask)
    count = kernels.merge_basins(labels, count, height, rules.valley, 0.03)
    table = kernels.shapes(labels, count, haematoxylin, dab)
    area = table[:, 0] * um * um
    roundness = table[:, 4] / np.maximum(table[:, 3], 1e-6)
    keep = (area >= rules.area_min) & (area <= rules.area_max) & (roundness >= rules.roundness_min)
    keep[0] = False
    new = np.zeros(count + 1, np.int32)
    new[keep] = np.arange(1, int(keep.sum()) + 1)
    kernels.relabel(labels, new)
    return Nuclei(labels, table[keep])
