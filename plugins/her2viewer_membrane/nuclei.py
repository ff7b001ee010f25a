"""Nuclei: haematoxylin with DAB taken off, local threshold, seeds by smoothing and distance, watershed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Nuclei, watershed

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


def detect(haematoxylin: Array, dab: Array, um: float, rules: NucleusRules) -> Nuclei:
    """Nuclei of a tile.

    Args:
        haematoxylin: (h, w) float32 OD.
        dab: (h, w) float32 OD.
        um: um per px.
        rules: sizes and limits.
    """
    import cv2

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
    nuclei = watershed(height, mask, haematoxylin, dab, valley=rules.valley, least=0.03)
    area = nuclei.shapes[:, 0] * um * um
    keep = (area >= rules.area_min) & (area <= rules.area_max) & (nuclei.roundness >= rules.roundness_min)
    return nuclei.kept(keep)
