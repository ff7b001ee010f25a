"""Small pictures of stained tissue with known cells, mixed by Beer and Lambert, for tests of scorers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from her2viewer.stains.vectors import DAB, HAEMATOXYLIN, unit

UM = 0.5
"""um per px of the pictures."""
SPACING = 30
"""px between cells, 15 um."""
MEMBRANE_OD = (0.0, 0.17, 0.36, 0.95)
ARC = (0.0, 0.5, 1.0, 1.0)
"""Share of the membrane that is stained, by class."""


@dataclass(frozen=True)
class Drawn:
    """A picture and its cells."""

    rgb: np.ndarray
    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray


def draw_cells(
    shares: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
    size: tuple[int, int] = (900, 900),
    *,
    background: tuple[float, float, float] = (236, 235, 243),
    haematoxylin: tuple[float, float, float] = HAEMATOXYLIN,
    dab: tuple[float, float, float] = DAB,
    seed: int = 0,
    glass: int = 90,
    nuclear_dab: float = 0.0,
    blur: float = 0.0,
) -> Drawn:
    """Cells on a jittered lattice with a strip of ``glass`` px around; classes in the given shares, well mixed.

    ``nuclear_dab`` is the OD of DAB put into half of the nuclei instead of on membranes.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    scale = 2
    h = np.zeros((height * scale, width * scale), np.float32)
    d = np.zeros_like(h)
    h[glass * scale : -glass * scale, glass * scale : -glass * scale] = 0.03
    ys, xs = np.meshgrid(
        np.arange(glass + SPACING, height - glass - SPACING // 2, SPACING),
        np.arange(glass + SPACING, width - glass - SPACING // 2, SPACING),
        indexing="ij",
    )
    x = xs.ravel() + rng.uniform(-2, 2, xs.size)
    y = ys.ravel() + rng.uniform(-2, 2, ys.size)
    counts = np.floor(np.array(shares) * len(x)).astype(int)
    counts[int(np.argmax(shares))] += len(x) - counts.sum()
    classes = rng.permutation(np.repeat(np.arange(4), counts))
    for cx, cy, c in zip(x, y, classes, strict=True):
        at = (round(cx * scale), round(cy * scale))
        axes = (round(rng.uniform(7, 8.5) * scale), round(rng.uniform(6, 7) * scale))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(h, at, axes, turn, 0, 360, float(rng.uniform(0.15, 0.2)), -1)
        if nuclear_dab:
            if rng.random() < 0.5:
                cv2.ellipse(d, at, axes, turn, 0, 360, nuclear_dab, -1)
        elif c:
            start = float(rng.uniform(0, 360))
            ring = (round(11 * scale), round(11 * scale))
            cv2.ellipse(d, at, ring, 0, start, start + 360 * ARC[c], MEMBRANE_OD[c], 3 * scale // 2)
    h *= 1 + 0.15 * cv2.GaussianBlur(rng.normal(0, 3, h.shape).astype(np.float32), (0, 0), 2)
    sigma = max(0.6, blur) * scale
    h, d = cv2.GaussianBlur(h, (0, 0), sigma), cv2.GaussianBlur(d, (0, 0), sigma)
    h, d = (cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in (h, d))
    density = h[..., None] * np.array(unit(haematoxylin)) + d[..., None] * np.array(unit(dab))
    rgb = np.array(background) * 10.0**-density + rng.normal(0, 1.2, density.shape)
    return Drawn(np.clip(rgb.round(), 0, 255).astype(np.uint8), x, y, classes)


def draw_he(size: tuple[int, int] = (700, 700), seed: int = 0) -> np.ndarray:
    """The same tissue in haematoxylin and eosin, (h, w, 3) uint8."""
    drawn = draw_cells((1, 0, 0, 0), size, seed=seed)
    rng = np.random.default_rng(seed)
    eosin = np.zeros(size, np.float32)
    eosin[90:-90, 90:-90] = 0.3 + 0.1 * cv2.GaussianBlur(rng.normal(0, 6, (size[0] - 180, size[1] - 180)), (0, 0), 3)
    rgb = drawn.rgb * 10.0 ** -(eosin[..., None] * np.array((0.15, 0.88, 0.45)))
    return np.clip(rgb.round(), 0, 255).astype(np.uint8)
