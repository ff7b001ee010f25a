"""Seven classes by ``CellNet``: a small image around each cell, its class and how sure that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import HER2_LABELS, OUTLINE_POINTS, CellTable, ClassScheme, Network
from her2viewer_cells.tile import UNITS, Found

CELLS = "Cells"
KINDS = ("artefact", "stroma", "immune")
"""What is no tumour."""
CLASSES = (*KINDS, *(f"tumour {label}" for label in HER2_LABELS))
"""In the order of the network's outputs."""
SCHEME = ClassScheme((*KINDS, *HER2_LABELS), (-1, -1, -1, 0, 1, 2, 3))
ARTEFACT = CLASSES.index("artefact")
PIXELS = 44
"""Side of the image around a cell, px."""
MPP = 0.49
"""um/px of that image."""
AT_ONCE = 1024
"""Cells whose images are held at a time."""


def images(found: Found, cells: slice) -> NDArray[np.float32]:
    """The images of some cells of a tile, (n, PIXELS, PIXELS, 2) OD of haematoxylin and DAB."""
    corners = np.rint(found.at[cells] + 0.5 - PIXELS / 2).astype(np.int64)
    out = np.empty((len(corners), PIXELS, PIXELS, 2), np.float32)
    for image, (x, y) in zip(out, corners.tolist(), strict=True):
        image[:] = found.stains[y : y + PIXELS, x : x + PIXELS]
    return out


def probabilities(found: Found, network: Network) -> NDArray[np.float32]:
    """How likely each cell of a tile is of each class, (n, 7); rows add up to 1.

    Raises:
        Cancelled, ScorerError: from the network.
    """
    out = np.zeros((len(found.at), len(CLASSES)), np.float32)
    for start in range(0, len(out), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        # The eighth output of the network is unused.
        logits = network(images(found, part))[:, : len(CLASSES)]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        out[part] = odds / odds.sum(axis=1, keepdims=True)
    return out


def table_of(found: Found, likely: NDArray[np.float32]) -> CellTable:
    """The cells of a tile with their classes; those that lie under artefacts are artefacts.

    Args:
        found: the tile.
        likely: (n, 7) of each class.
    """
    classes = likely.argmax(axis=1).astype(np.uint8)
    n = len(classes)
    return CellTable(
        name=CELLS,
        scheme=SCHEME,
        x=found.xy[:, 0].astype(np.float32),
        y=found.xy[:, 1].astype(np.float32),
        classes=np.where(found.spoilt, np.uint8(ARTEFACT), classes),
        features=found.features,
        feature_units=dict(UNITS),
        contours=found.outlines.reshape(-1, 2).astype(np.float32),
        contour_starts=np.arange(n + 1, dtype=np.int64) * OUTLINE_POINTS,
        probabilities=likely,
    )
