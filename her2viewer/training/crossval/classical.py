"""The classical classifiers that a network is compared with: linear SVM and random forest on hand-made features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

INNER_FOLDS = 3
REGULARISATION = (0.1, 1.0, 5.0)
"""Of the SVM, what is tried."""
TUNING_TREES = 100
"""Of each forest that only tells how many features a split looks at; the forest that counts has all of its trees."""
_CACHE_MB = 500


@dataclass(frozen=True)
class Told:
    """What a classifier says of the cells that it was not trained on."""

    predicted: NDArray[np.int64]
    """(m,) classes."""
    chosen: Mapping[str, float]
    """What the inner cross-validation chose."""


@dataclass(frozen=True)
class Learnt:
    """The cells to learn from."""

    x: Array
    """(n, features)."""
    y: NDArray[np.int64]
    """(n,) classes."""
    groups: NDArray[np.int64]
    """(n,) what the inner cross-validation keeps together."""


def linear_svm(learnt: Learnt, x: Array, *, seed: int) -> Told:
    """Linear support vector machine, one class against one other, on features of mean 0 and spread 1.

    Args:
        learnt: the cells to learn from.
        x: (m, features) of those to tell.
        seed: of nothing: the machine draws nothing.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    def made(value: float) -> Any:
        return make_pipeline(StandardScaler(), SVC(kernel="linear", C=value, cache_size=_CACHE_MB))

    best = _best(learnt, REGULARISATION, made)
    return Told(_predicted(made(best).fit(learnt.x, learnt.y), x), {"C": best})


def random_forest(learnt: Learnt, x: Array, *, seed: int, trees: int, threads: int | None) -> Told:
    """Random forest whose trees grow until each leaf holds one class.

    Args:
        learnt: the cells to learn from.
        x: (m, features) of those to tell.
        seed: of the trees.
        trees: how many.
        threads: of the processor, None: all.
    """
    from sklearn.ensemble import RandomForestClassifier

    def made(value: float, number: int = min(trees, TUNING_TREES)) -> Any:
        jobs = -1 if threads is None else threads
        return RandomForestClassifier(number, max_features=int(value), n_jobs=jobs, random_state=seed)

    best = _best(learnt, split_sizes(learnt.x.shape[1]), made)
    told = _predicted(made(best, trees).fit(learnt.x, learnt.y), x)
    return Told(told, {"features_per_split": best, "trees": trees})


def split_sizes(features: int) -> tuple[float, ...]:
    """How many features a split may look at, what is tried: half of the root, the root, twice the root."""
    root = np.sqrt(features)
    return tuple(sorted({float(np.clip(round(root * factor), 1, features)) for factor in (0.5, 1, 2)}))


def _best(learnt: Learnt, values: tuple[float, ...], made: Callable[[float], Any]) -> float:
    """The value with the highest accuracy in an inner cross-validation of whole groups; of equal ones the first."""
    from sklearn.model_selection import GroupKFold

    groups = len(np.unique(learnt.groups))
    if groups < 2:
        return values[0]
    splits = list(GroupKFold(min(INNER_FOLDS, groups)).split(learnt.x, learnt.y, learnt.groups))
    right = []
    for value in values:
        hits = 0
        for train, test in splits:
            if len(np.unique(learnt.y[train])) > 1:
                told = _predicted(made(value).fit(learnt.x[train], learnt.y[train]), learnt.x[test])
                hits += int((told == learnt.y[test]).sum())
        right.append(hits)
    return values[int(np.argmax(right))]


def _predicted(model: Any, x: Array) -> NDArray[np.int64]:
    return np.asarray(model.predict(x), np.int64)
