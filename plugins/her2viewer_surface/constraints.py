"""The patches by which the guideline's limits are broken (paper 001, section 3.5.3, Eq. 9 to 14).

Arrays of one slide with n patches: ``probabilities`` (n, 4), ``weights`` (n,) the tumour in each patch (they need not
add up to one). Scores and classes are 0 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2viewer.training_api import LIMIT_ROUNDING as ROUNDING
from her2viewer.training_api import LOWER, UPPER, fractions

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """What one slide gives to the training set of an epoch (Eq. 14); a patch may be in both parts."""

    over: Indices
    """Patches to be pushed away from their class, S^u."""
    over_class: Indices
    """The class that each of them is to leave."""
    under: Indices
    """Patches to be pushed towards the slide's score, S^l."""


def select(probabilities: NDArray[np.floating], weights: NDArray[np.floating], score: int) -> Selection:
    """Eq. 9 to 14: the patches by which the broken limits are to be met.

    Of a class above the slide's score that has 10 % or more: those predicted so, least probable first, until what is
    left lies below the limit. Where the slide's own class has too little: neighbours of it, the most probable for the
    slide's class first, until the limit is met or no neighbour is left. (Eq. 12 prints P_Y for V_Y.)
    """
    total = float(weights.sum())
    nothing = np.zeros(0, np.int64)
    if total <= 0:
        return Selection(nothing, nothing, nothing)
    share = np.asarray(weights, np.float64) / total
    predicted = probabilities.argmax(axis=1)
    found = fractions(predicted, share)
    over, over_class = [nothing], [nothing]
    for grade in range(score + 1, len(UPPER)):
        picked = _leaving(probabilities, share, predicted, grade, found[grade] - UPPER[score, grade])
        over.append(picked)
        over_class.append(np.full(len(picked), grade, np.int64))
    missing = LOWER[score, score] - found[score]
    return Selection(
        np.concatenate(over), np.concatenate(over_class), _joining(probabilities, share, predicted, score, missing)
    )


def _leaving(
    probabilities: NDArray[np.floating], share: Floats, predicted: NDArray[np.integer], grade: int, surplus: float
) -> Indices:
    """Eq. 9, 10; the limit is strict, so a surplus of nothing is one, too."""
    if surplus < -ROUNDING:
        return np.zeros(0, np.int64)
    members = np.flatnonzero(predicted == grade)
    members = members[np.argsort(probabilities[members, grade], kind="stable")]
    taken = np.cumsum(share[members])
    enough = int(np.searchsorted(taken, surplus + ROUNDING, side="right")) + 1
    return members[:enough]


def _joining(
    probabilities: NDArray[np.floating], share: Floats, predicted: NDArray[np.integer], score: int, missing: float
) -> Indices:
    """Eq. 12, 13."""
    if missing <= ROUNDING:
        return np.zeros(0, np.int64)
    members = np.flatnonzero(np.abs(predicted - score) == 1)
    members = members[np.argsort(-probabilities[members, score], kind="stable")]
    taken = np.cumsum(share[members])
    enough = int(np.searchsorted(taken, missing - ROUNDING, side="left")) + 1
    return members[:enough]
