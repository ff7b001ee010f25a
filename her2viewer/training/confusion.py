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
