"""What was stained: haematoxylin with or without DAB, haematoxylin and eosin, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

DENSE = 0.25
"""Sum of the three OD from which a pixel's hue is more than noise."""
LEAST_DENSE_SHARE = 0.002
"""Share of dense tissue pixels below which a section counts as unstained (real pale HER2 0 cores have 0.01)."""
EOSIN_SHARE = 0.25
"""Share of eosin-like among dense pixels from which a section counts as H&E (real: H&E 0.4 to 1, HER2 IHC < 0.02)."""


class StainKind(StrEnum):
    """Verdict on a section."""

    IHC = "haematoxylin and DAB"
    HE = "haematoxylin and eosin"
    UNSTAINED = "unstained"


@dataclass(frozen=True)
class KindEvidence:
    """The verdict and the numbers behind it."""

    kind: StainKind
    dense_share: float
    """Share of tissue pixels that are dense."""
    eosin_share: float
    """Share of dense pixels with the hue of eosin: green absorbed most, red clearly less."""
    dab_share: float
    """Share of dense pixels that are brown."""


def stain_kind(density: NDArray[np.float32]) -> KindEvidence:
    """Verdict from tissue pixels, (n, 3) float32 OD.

    Hue is the share of each channel in the OD sum. Haematoxylin in IHC absorbs red and green alike, DAB absorbs
    blue most; eosin absorbs green most and hardly any red. A HER2 0 section (haematoxylin alone) is therefore IHC.
    """
    total = density.sum(axis=1)
    dense = density[total > DENSE]
    dense_share = len(dense) / max(len(density), 1)
    if dense_share < LEAST_DENSE_SHARE or len(dense) < 50:
        return KindEvidence(StainKind.UNSTAINED, dense_share, 0.0, 0.0)
    hue = dense / dense.sum(axis=1, keepdims=True)
    eosin = float(((hue[:, 1] > 0.40) & (hue[:, 1] - hue[:, 0] > 0.08)).mean())
    dab = float((hue[:, 2] - hue[:, 0] > 0.08).mean()) if eosin < EOSIN_SHARE else 0.0
    kind = StainKind.HE if eosin >= EOSIN_SHARE else StainKind.IHC
    return KindEvidence(kind, dense_share, eosin, dab)


@dataclass(frozen=True)
class CompactDab:
    """How DAB lies on the tissue: in lines (membranes), sheets (cytoplasm) or spots (nuclei)."""

    stained_share: float
    """Share of all pixels that are brown."""
    compact_share: float
    """Share of the brown area in spots of the size and shape of nuclei."""
    spots: int


def compact_dab(dab: NDArray[np.float32], um_per_px: float, threshold: float = 0.2) -> CompactDab:
    """Look for DAB in nuclei, as in Ki-67 or hormone receptor stains.

    Membranes are thinner than 4 um and vanish in an opening; nuclei stay as compact spots of 12 to 150 um2. On real
    slides ``compact_share`` is 0.55 to 0.7 in Ki-67 and up to 0.25 in HER2 of any score.

    Args:
        dab: (h, w) float32 OD.
        um_per_px: resolution.
        threshold: OD from which a pixel is brown.
    """
    import cv2

    smooth: Any = cv2.GaussianBlur(dab, (0, 0), 0.5 / um_per_px)
    mask = (smooth > threshold).astype(np.uint8)
    stained = int(mask.sum())
    if stained == 0:
        return CompactDab(0.0, 0.0, 0)
    size = 2 * round(2.0 / um_per_px) + 1
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    _, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    stats = stats[1:]
    area = stats[:, cv2.CC_STAT_AREA] * um_per_px**2
    filling = stats[:, cv2.CC_STAT_AREA] / np.maximum(stats[:, cv2.CC_STAT_WIDTH] * stats[:, cv2.CC_STAT_HEIGHT], 1)
    spots = (area >= 12) & (area <= 150) & (filling > 0.6)
    compact = float(stats[spots, cv2.CC_STAT_AREA].sum()) / stained
    return CompactDab(stained / mask.size, compact, int(spots.sum()))
