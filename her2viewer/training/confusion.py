"""Figures of a confusion matrix that is gathered batch by batch, for early stop and for the model card."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def counted(target: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """(classes, classes), rows are the truth; targets below 0 are left out."""
    known = target >= 0
    code = target[known].astype(np.int64) * classes + predicted[known].astype(np.int64)
    return np.bincount(code, minlength=classes * classes).reshape(classes, classes)


def counted_by(
    group: NDArray[Any], target: NDArray[Any], predicted: NDArray[Any], groups: int, classes: int
) -> NDArray[np.int64]:
    """(groups, classes, classes), as ``counted`` for each group.

    Args:
        group: (b,) 0 to ``groups`` - 1.
        target: (b,) or (b, h, w) classes, none below 0.
        predicted: the same.
        groups: how many there are.
        classes: how many there are.
    """
    first = group.astype(np.int64).reshape(-1, *(1,) * (target.ndim - 1)) * classes
    code = ((first + target) * classes + predicted).ravel()
    return np.bincount(code, minlength=groups * classes**2).reshape(groups, classes, classes)


def overlap(matrix: NDArray[np.int64], code: int) -> dict[str, float | None]:
    """Precision, recall and Dice coefficient of one class (Pham et al. 2022, Eq. 21); None where undefined."""
    hit, truth, said = (float(v) for v in (matrix[code, code], matrix[code].sum(), matrix[:, code].sum()))
    return {
        "precision": hit / said if said else None,
        "recall": hit / truth if truth else None,
        "dice": 2 * hit / (truth + said) if truth + said else None,
    }


def figures(matrix: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro F1 over the classes that occur, Cohen's kappa; 0 where undefined."""
    total = float(matrix.sum())
    if total == 0:
        return {"accuracy": 0.0, "balanced_accuracy": 0.0, "macro_f1": 0.0, "kappa": 0.0}
    diagonal = np.diag(matrix).astype(np.float64)
    truth, said = matrix.sum(axis=1), matrix.sum(axis=0)
    there = truth > 0
    recall = diagonal[there] / truth[there]
    chance = float((truth * said).sum()) / total**2
    accuracy = float(diagonal.sum()) / total
    return {
        "accuracy": accuracy,
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1(matrix)[there].mean()),
        "kappa": (accuracy - chance) / (1 - chance) if chance < 1 else 0.0,
    }


def f1(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """(classes,): F1 of each class, the Dice coefficient where the samples are pixels; 0 where undefined."""
    diagonal = np.diag(matrix).astype(np.float64)
    both = matrix.sum(axis=1) + matrix.sum(axis=0)
    return np.asarray(2 * diagonal / np.maximum(both, 1), dtype=np.float64)
