"""Small networks in the place of those of ``cells``: model folders like any other, whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.scoring.model_store import user_models
from tests.helpers.surface_models import write_network

LIMITS = (0.012, 0.09, 0.26)
"""Mean DAB OD between ``RING`` px from the middle from which it says 1+, 2+, 3+."""
RING = (8.0, 14.0)
STEEP = 2000.0
STANDS_OUT = 0.02
"""Haematoxylin OD by which a nucleus stands out."""
CLASSES = ("artefact", "stroma", "immune", "tumour 0", "tumour 1+", "tumour 2+", "tumour 3+")


def install(stroma_below: float | None = None) -> Path:
    """Put it among the user's models; returns its folder.

    Args:
        stroma_below: mean DAB OD of the ring below which it says stroma; None for never.
    """
    y, x = np.mgrid[0:44, 0:44] - 21.5
    away = np.hypot(x, y)
    ring = ((away >= RING[0]) & (away < RING[1])).astype(np.float64)
    weights = np.zeros((8, 2, 44, 44))
    weights[3:7, 1] = STEEP * np.arange(4)[:, None, None] * ring / ring.sum()
    offsets = np.full(8, -1e4)
    offsets[3:7] = -STEEP * np.array([0.0, *np.cumsum(LIMITS)])
    if stroma_below is not None:
        # As far above the classes 0 and 1+ at no DAB as these rise up to the limit.
        weights[1, 1] = -STEEP * ring / ring.sum()
        offsets[1] = STEEP * (2 * stroma_below - LIMITS[0])
    return _write("ring", "CellNet", CLASSES, {"w": weights, "b": offsets}, 44, flat=True)


def install_finder(pixels: int = 640) -> Path:
    """Put a finder of nuclei among the user's models: what is bluer than its surroundings. Returns its folder."""
    y, x = np.mgrid[-20:21, -20:21]

    def blur(sigma: float) -> np.ndarray:
        bell = np.exp(-(x**2 + y**2) / (2 * sigma**2))
        return bell / bell.sum()

    weights = np.zeros((2, 2, 41, 41))
    weights[1, 0] = STEEP / 10 * (blur(5.0) - blur(10.0))
    offsets = np.array([0.0, -STEEP / 10 * STANDS_OUT])
    return _write("bluer", "Finder", ("other", "nucleus"), {"w": weights, "b": offsets}, pixels, flat=False)


def _write(
    name: str, network: str, classes: tuple[str, ...], weights: dict[str, np.ndarray], pixels: int, *, flat: bool
) -> Path:
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node
    pads = {} if flat else {"pads": [weights["w"].shape[-1] // 2] * 4}
    nodes = [node("Conv", ["x", "w", "b"], ["one"], **pads), node("Flatten" if flat else "Identity", ["one"], ["y"])]
    folder = user_models() / "cells" / name
    model = ModelFolder(
        folder,
        "cells",
        name,
        f"her2viewer_cells.network:{network}",
        0.49,
        classes,
        "",
        0,
        normalisation={"input": "stains", "offset": [0.0, 0.0], "scale": [1.0, 1.0]},
        more={"input_px": pixels, "bf16": False},
    )
    outputs = len(weights["b"])
    shapes = {"x": ["n", 2, pixels, pixels], "y": ["n", outputs] if flat else ["n", outputs, pixels, pixels]}
    write_network(model, nodes, weights, shapes)
    return folder
