"""The logits of a run for ``her2viewer calibrate``, and the factors that it fits.

Probabilities would not do: softmax forgets a sum that is common to the four logits, and factors that differ do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import HER2_LABELS, Evidence, Grid, Heatmap

FACTORS = tuple(f"factor_{grade}" for grade in range(len(HER2_LABELS)))
"""Settings that hold the laboratory's factors; the network's own are in its model folder."""
NAMES = tuple(f"Logit of {label}" for label in HER2_LABELS)


def factors(settings: Mapping[str, Any]) -> NDArray[np.float32]:
    """(4,) factors of the logits from the settings."""
    return np.array([settings[name] for name in FACTORS], np.float32)


def logit_maps(grid: Grid, wanted: NDArray[np.bool_], logits: NDArray[np.float32]) -> tuple[Evidence, ...]:
    """One map for each class.

    Args:
        grid: of the patches.
        wanted: (rows, columns), n of them: patches that were classed.
        logits: (n, 4).
    """
    found = []
    for name, values in zip(NAMES, logits.T, strict=True):
        whole = np.full(grid.shape, np.nan, np.float32)
        whole[wanted] = values
        found.append(Heatmap(name, grid, whole, "", float(values.min()), float(values.max())))
    return tuple(found)


def logits(evidence: Sequence[Evidence]) -> NDArray[np.float32]:
    """(rows, columns, 4): what ``logit_maps`` handed over, joined.

    Raises:
        ValueError: this was no run for a calibration.
    """
    maps = {e.name: e.values for e in evidence if isinstance(e, Heatmap)}
    if not set(NAMES) <= set(maps):
        raise ValueError("The evidence holds no logits.")
    return np.stack([maps[name] for name in NAMES], axis=2)
