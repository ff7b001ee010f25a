"""The 18 hand-made features of a cell by which the classical methods of Vandenberghe et al. 2017 tell its class.

The paper names five groups of features; which they are stands in its supplement alone. Those here are the usual ones
of each group, 18 in all. What only a comparison needs is not imported before a cell is measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Nuclei, membrane_of, rings_of, watershed
from her2viewer.training_api import Feature, HandMade, Stained, stain_channels
from her2viewer_cells.detection import DetectionRules, combined
from her2viewer_cells.tile import CONTRAST, REACH

Array = NDArray[np.float32]

COLOUR, TEXTURE, SHAPE = "nuclear colour", "nuclear texture", "nuclear morphology"
INTENSITY, SHARE = "membrane intensity", "share of positive membrane"

SMOOTHING = 0.8
"""um, Gaussian sigma on the combined image before nuclei are parted."""
VALLEY = 0.1
"""Share of the lower of two peaks by which the ground between two nuclei must be lower."""
NEAR = 3.0
"""um from the middle of the sample within which its nucleus must begin."""
STAND_IN = 2.0
"""um, radius of the disc that is measured where there is no nucleus."""
FLAT = 1e-3
"""OD within which a whole sample is one and the same."""
POSITIVE = 0.065
"""DAB OD from which a part of the membrane is positive, as in the scorer."""
LEVELS, DARKEST = 8, 0.8
"""Steps of the co-occurrence matrix, and the haematoxylin OD of the last one."""

FEATURES = (
    Feature("nucleus_od_red", "OD", COLOUR, "mean optical density of the nucleus in red light"),
    Feature("nucleus_od_green", "OD", COLOUR, "the same in green light"),
    Feature("nucleus_od_blue", "OD", COLOUR, "the same in blue light"),
    Feature("nucleus_haematoxylin", "OD", COLOUR, "mean haematoxylin of the nucleus, unmixed"),
    Feature("haematoxylin_sd", "OD", TEXTURE, "standard deviation of the haematoxylin over the nucleus"),
    Feature("glcm_contrast", "", TEXTURE, "contrast of the grey-level co-occurrence matrix of the haematoxylin"),
    Feature("glcm_homogeneity", "", TEXTURE, "homogeneity of that matrix"),
    Feature("glcm_energy", "", TEXTURE, "energy of that matrix"),
    Feature("area", "um2", SHAPE, "area of the nucleus"),
    Feature("major_axis", "um", SHAPE, "long axis of the ellipse with the nucleus's second moments"),
    Feature("minor_axis", "um", SHAPE, "short axis of that ellipse"),
    Feature("solidity", "", SHAPE, "area of the nucleus by that of its convex hull"),
    Feature("form_factor", "", SHAPE, "4 pi area / perimeter squared, 1 for a disc, at most 1"),
    Feature("membrane_mean", "OD", INTENSITY, "DAB of the membrane, mean of 32 rays around the cell"),
    Feature("membrane_sd", "OD", INTENSITY, "its standard deviation over the rays"),
    Feature("membrane_high", "OD", INTENSITY, "its 90th percentile"),
    Feature("membrane_positive", "OD", INTENSITY, "its mean where it is positive, of all rays where none is"),
    Feature("positive_share", "%", SHARE, "share of the membrane that is positive"),
)


def measure(samples: Stained, um: float) -> Array:
    """The features of the cells in the middle of some samples.

    The nucleus is parted from its neighbours by a watershed over what is above the sample's own threshold (Otsu) in
    haematoxylin less DAB; where nothing begins near the middle, a disc is measured in its place. The membrane lies
    around the cell that the nucleus is expanded to, as in the scorer.

    Args:
        samples: b of them, with the margin around the cell.
        um: um per px.

    Returns:
        (b, 18) float32, in the order of ``FEATURES``.
    """
    out = np.empty((len(samples.rgb), len(FEATURES)), np.float32)
    for row, rgb, background, vectors in zip(out, samples.rgb, samples.background, samples.vectors, strict=True):
        haematoxylin, dab = stain_channels(rgb, background, vectors)
        density = np.log10(background / np.maximum(rgb.astype(np.float32), 0.5))
        nuclei, which = _nuclei(haematoxylin, dab, um)
        own = nuclei.labels == which + 1
        row[:] = (
            *density[own].mean(axis=0),
            haematoxylin[own].mean(),
            *_texture(haematoxylin, own),
            *_shape(own, um),
            *_membrane(nuclei, which, dab, um),
        )
    return out


def _nuclei(haematoxylin: Array, dab: Array, um: float) -> tuple[Nuclei, int]:
    """Nuclei of a sample, and the number (from 0) of the one in its middle."""
    import cv2
    from skimage.filters import threshold_otsu

    image = cv2.GaussianBlur(combined(haematoxylin, dab, DetectionRules()), (0, 0), SMOOTHING / um)
    height = np.asarray(image, np.float32)
    # Of a flat picture there is no threshold.
    mask = height > (threshold_otsu(height) if np.ptp(height) > FLAT else np.inf)
    middle = (np.asarray(height.shape) - 1) / 2
    rows, columns = np.indices(height.shape)
    away = np.hypot(rows - middle[0], columns - middle[1]) * um
    if not mask[away < NEAR].any():
        disc = away < STAND_IN
        height = np.where(disc, height.max() + np.float32(1) - away, height).astype(np.float32)
        mask |= disc
    nuclei = watershed(height - height.min(), mask.astype(np.uint8), haematoxylin, dab, valley=VALLEY)
    nearest = int(np.where(mask, away, np.inf).argmin())
    return nuclei, int(nuclei.labels.ravel()[nearest]) - 1


def _texture(haematoxylin: Array, own: NDArray[np.bool_]) -> tuple[float, ...]:
    """Standard deviation, then contrast, homogeneity and energy over pairs of pixels that both lie in the nucleus."""
    from skimage.feature import graycomatrix, graycoprops

    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    steps = np.clip(haematoxylin[box] * (LEVELS / DARKEST), 0, LEVELS - 1).astype(np.uint8) + 1
    # 0 is what is not nucleus; its pairs are taken out.
    matrix = graycomatrix(
        np.where(own[box], steps, 0).astype(np.uint8),
        distances=[1],
        angles=[0, np.pi / 4, np.pi / 2, 3 * np.pi / 4],
        levels=LEVELS + 1,
        symmetric=True,
    )[1:, 1:].sum(axis=3, keepdims=True)
    pairs: Any = matrix / max(matrix.sum(), 1)
    found = [float(graycoprops(pairs, name)[0, 0]) for name in ("contrast", "homogeneity", "energy")]
    return (float(haematoxylin[own].std()), *found)


def _shape(own: NDArray[np.bool_], um: float) -> tuple[float, ...]:
    """Area, axes, solidity and form factor."""
    from skimage.measure import regionprops

    (nucleus,) = regionprops(own.astype(np.uint8))
    form = 4 * np.pi * nucleus.area / max(nucleus.perimeter, 1e-6) ** 2
    return (
        float(nucleus.area) * um * um,
        float(nucleus.axis_major_length) * um,
        float(nucleus.axis_minor_length) * um,
        float(nucleus.solidity),
        min(float(form), 1.0),
    )


def _membrane(nuclei: Nuclei, which: int, dab: Array, um: float) -> tuple[float, ...]:
    """Mean, spread and height of the membrane's DAB, its mean where positive, and the positive share in %."""
    rings = rings_of(nuclei, dab, um, REACH)
    positive, completeness, _ = membrane_of(rings, POSITIVE, CONTRAST)
    peak = rings.peak[which].astype(np.float64)
    return (
        float(peak.mean()),
        float(peak.std()),
        float(np.percentile(peak, 90)),
        float(positive[which]),
        100 * float(completeness[which]),
    )


HAND_MADE = HandMade(FEATURES, measure)
