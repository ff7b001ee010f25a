"""Measures of a classifier from its confusion matrix, for one matrix or for thousands of them at a time.

A bootstrap by slide adds up matrices of slides, so everything here works on stacks of matrices; for single lists of
labels the values are those of scikit-learn, to which the tests hold them. What has no answer (a class that does not
occur, nothing divided by nothing) is NaN, never 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def confusion(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> Array:
    """Counts by true class (row) and predicted class (column).

    Args:
        truth: (n,) codes 0 to ``classes`` - 1.
        predicted: (n,) codes of the same kind.
        classes: how many there are.
    """
    flat = np.asarray(truth, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.float64)


def per_class(table: Array) -> dict[str, Array]:
    """Measures of each class against all others.

    Args:
        table: (..., k, k) true class by predicted class.

    Returns:
        ``support``, ``precision``, ``recall``, ``f1``, ``specificity``, each (..., k). Precision is NaN for a class
        never predicted, recall for one that does not occur, F1 for one that is neither.
    """
    hit = np.diagonal(table, axis1=-2, axis2=-1)
    support, called = table.sum(axis=-1), table.sum(axis=-2)
    total = table.sum(axis=(-2, -1))[..., None]
    return {
        "support": support,
        "precision": _ratio(hit, called),
        "recall": _ratio(hit, support),
        "f1": _ratio(2 * hit, support + called),
        "specificity": _ratio(total - support - called + hit, total - support),
    }


def overall(table: Array) -> dict[str, Array]:
    """Measures of the whole table, each (...).

    ``balanced_accuracy`` and ``macro_f1`` are plain means over the classes that occur (F1: that occur or were
    predicted); ``weighted_*`` weigh classes by their support, precision of a class never predicted counting as 0, as
    scikit-learn does it.

    Args:
        table: (..., k, k) true class by predicted class.
    """
    single = per_class(table)
    total = table.sum(axis=(-2, -1))
    weight = _ratio(single["support"], total[..., None])
    result = {
        "accuracy": _ratio(np.diagonal(table, axis1=-2, axis2=-1).sum(axis=-1), total),
        "balanced_accuracy": _mean(single["recall"]),
        "macro_f1": _mean(single["f1"]),
        "macro_precision": _mean(np.where(single["support"] > 0, np.nan_to_num(single["precision"]), np.nan)),
        "macro_specificity": _mean(single["specificity"]),
    }
    for name in ("precision", "recall", "f1"):
        result[f"weighted_{name}"] = (weight * np.nan_to_num(single[name])).sum(axis=-1)
    result["kappa"] = kappa(table)
    result["kappa_quadratic"] = kappa(table, quadratic=True)
    result["kendall_tau_b"] = kendall_tau_b(table)
    return result


def kappa(table: Array, *, quadratic: bool = False) -> Array:
    """Cohen's kappa, (...); NaN where both readers only ever gave one and the same answer.

    Args:
        table: (..., k, k).
        quadratic: weigh a disagreement by the square of its distance.
    """
    k = table.shape[-1]
    codes = np.arange(k)
    distance = np.subtract.outer(codes, codes)
    cost = (distance**2 if quadratic else distance != 0).astype(np.float64)
    total = table.sum(axis=(-2, -1))
    expected = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :]
    by_chance = _ratio((cost * expected).sum(axis=(-2, -1)), total)
    return 1 - _ratio((cost * table).sum(axis=(-2, -1)), by_chance)


def kendall_tau_b(table: Array) -> Array:
    """Kendall's tau-b of two ordered classifications, (...); NaN where one of them is constant."""
    total = table.sum(axis=(-2, -1))
    concordant = (table * _beyond(table)).sum(axis=(-2, -1))
    discordant = (table * _beyond(table[..., ::-1])[..., ::-1]).sum(axis=(-2, -1))
    pairs = total * (total - 1) / 2
    ties = [(s * (s - 1) / 2).sum(axis=-1) for s in (table.sum(axis=-1), table.sum(axis=-2))]
    scale = np.sqrt(np.maximum(pairs - ties[0], 0) * np.maximum(pairs - ties[1], 0))
    return _ratio(concordant - discordant, scale)


def auc(positive: Array, negative: Array) -> Array:
    """Area under the ROC curve from histograms of a score, (...); ties count half.

    Args:
        positive: (..., bins) how many positives have each value, lowest value first.
        negative: the same of the negatives.
    """
    below = np.cumsum(negative, axis=-1) - negative
    won = (positive * (below + negative / 2)).sum(axis=-1)
    return _ratio(won, positive.sum(axis=-1) * negative.sum(axis=-1))


def _beyond(table: Array) -> Array:
    """How many lie in a higher row and a higher column, for each cell of the table."""
    above = table[..., ::-1, ::-1].cumsum(axis=-2).cumsum(axis=-1)[..., ::-1, ::-1]
    out = np.zeros_like(table)
    out[..., :-1, :-1] = above[..., 1:, 1:]
    return out


def _ratio(part: Array, whole: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        value: Array = np.where(whole > 0, part / whole, np.nan)
    return value


def _mean(values: Array) -> Array:
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))
