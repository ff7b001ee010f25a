"""The guideline as limits on the class fractions of a slide (Pham et al. 2022, Table 1, Eq. 3, 4 and 20)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLASSES = 4
LOWER: Floats = np.diag([0.7, 0.1, 0.1, 0.1])
"""Eq. 3, L: a slide of score Y has at least L[Y, Y] of its tumour in class Y."""
UPPER: Floats = np.triu(np.full((CLASSES, CLASSES), 0.1), 1)
"""Eq. 3, U: a slide of score Y has less than U[Y, c] of its tumour in each class c > Y."""
ROUNDING = 1e-9
"""Sums of weights that differ by less are equal."""


def fractions(predicted: NDArray[Any], weights: NDArray[Any]) -> Floats:
    """Eq. 4: share of each class in the tumour of a slide, (4,); zeros where there is no tumour.

    Args:
        predicted: (n,) class of each patch.
        weights: (n,) tumour in each patch; need not add up to one.
    """
    amounts = np.bincount(predicted, weights=weights, minlength=CLASSES).astype(np.float64)
    total = float(amounts.sum())
    return amounts / total if total > 0 else amounts


def score_of(share: Floats) -> int:
    """The highest class with at least 10 % of the tumour; 0 where none has (Table 1)."""
    reached = np.flatnonzero(share[1:] >= LOWER[1, 1] - ROUNDING)
    return int(reached[-1]) + 1 if len(reached) else 0


def excess(share: Floats, score: int) -> float:
    """Eq. 20 for one slide: by how much its limits are broken; 0 where they hold.

    The known score of the slide is meant; the paper prints the predicted one.
    """
    low = max(0.0, float(LOWER[score, score] - share[score]))
    return low + float(np.maximum(share[score + 1 :] - UPPER[score, score + 1 :], 0).sum())


def excess_slope(share: Floats, score: int) -> Floats:
    """How ``excess`` grows with the share of each class, (4,): -1, 0 or 1."""
    slope = np.zeros(CLASSES)
    slope[score] = -float(share[score] < LOWER[score, score])
    slope[score + 1 :] = share[score + 1 :] > UPPER[score, score + 1 :]
    return slope
