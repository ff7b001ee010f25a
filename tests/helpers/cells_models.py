"""A small network in the place of that of ``cells``: a model folder like any other, whose answers are known."""

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
CLASSES = ("artefact", "stroma", "immune", "tumour 0", "tumour 1+", "tumour 2+", "tumour 3+")


def install(stroma_below: float | None = None) -> Path:
    """Put it among the user's models; returns its folder.

    Args:
        stroma_below: mean DAB OD of the ring below which it says stroma; None for never.
    """
    onnx = pytest.importorskip("onnx")
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
    node = onnx.helper.make_node
    nodes = [node("Conv", ["x", "w", "b"], ["one"]), node("Flatten", ["one"], ["y"])]
    folder = user_models() / "cells" / "ring"
    model = ModelFolder(
        folder,
        "cells",
        "ring",
        "her2viewer_cells.network:CellNet",
        0.49,
        CLASSES,
        "",
        0,
        normalisation={"input": "stains", "offset": [0.0, 0.0], "scale": [1.0, 1.0]},
        more={"recipe": "cellnet", "input_px": 44, "bf16": False},
    )
    write_network(model, nodes, {"w": weights, "b": offsets}, {"x": ["n", 2, 44, 44], "y": ["n", 8]})
    return folder
