"""Cells of a picture: one image of nuclei and membranes, its peaks, and the watershed around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Nuclei, watershed

Array = NDArray[np.float32]


@dataclass(frozen=True)
class DetectionRules:
    """Lengths in um (Gaussian sigmas), areas in um2, densities in OD.

    Chosen on phantoms, to miss little: what is found in vain is an artefact to the network. See README.md.
    """

    dab_weight: float = 0.75
    """DAB taken off the haematoxylin, so that membranes part nuclei."""
    lowest: float = -0.045
    """Floor of the combined image: beyond this a brown membrane is no darker, and its surroundings no nucleus."""
    highest: float = 0.32
    """Ceiling: a lymphocyte must not outshine the pale nucleus beside it."""
    size: float = 2.2
    """Of the nuclei."""
    surround: float = 4.4
    """Of the tissue in which they must stand out."""
    contrast: float = 0.012
    """By which a nucleus stands out."""
    valley: float = 0.03
    """Share of the lower of two peaks by which the ground between them must be lower; else they are one nucleus."""
    least_area: float = 6.0
    """Of the ground that stands out."""


def combined(haematoxylin: Array, dab: Array, rules: DetectionRules) -> Array:
    """Nuclei bright and membranes dark in one image, OD, (h, w) float32: the negative of the paper's.

    Args:
        haematoxylin: (h, w) float32 OD.
        dab: (h, w) float32 OD.
        rules: limits.
    """
    image: Any = haematoxylin - np.float32(rules.dab_weight) * np.maximum(dab, 0)
    clipped: Array = np.clip(image, np.float32(rules.lowest), np.float32(rules.highest), out=image)
    return clipped


def detect(haematoxylin: Array, dab: Array, um: float, rules: DetectionRules) -> Nuclei:
    """Cells of a picture, each by what stands out of its nucleus.

    Args:
        haematoxylin: (h, w) float32 OD.
        dab: (h, w) float32 OD.
        um: um per px.
        rules: sizes and limits.
    """
    import cv2

    image = combined(haematoxylin, dab, rules)
    height = cv2.GaussianBlur(image, (0, 0), rules.size / um)
    height -= cv2.GaussianBlur(image, (0, 0), rules.surround / um)
    found = watershed(
        height, (height > rules.contrast).astype(np.uint8), haematoxylin, dab, valley=rules.valley, least=0.0
    )
    return found.kept(found.shapes[:, 0] * um * um >= rules.least_area)
