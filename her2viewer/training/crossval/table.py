"""Figures of a cross-validation: F1 of each class and accuracy over the folds, paired tests against the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2viewer.training.agreement import paired_tests
from her2viewer.training.confusion import counted
from her2viewer.training.metrics import per_class

ACCURACY = "accuracy"
NETWORK, SVM, FOREST = "network", "svm", "forest"
METHODS = (SVM, FOREST, NETWORK)
"""In the order of the paper's table."""


@dataclass(frozen=True)
class FoldAnswers:
    """One method on the cells of one fold."""

    method: str
    fold: int
    truth: NDArray[np.int64]
    """(m,) classes."""
    predicted: NDArray[np.int64]
    """(m,) classes."""


@dataclass(frozen=True)
class Entry:
    """One number of the table."""

    of: str
    """A class, or ``ACCURACY``."""
    mean: float
    """Over the folds; NaN where there is none."""
    sd: float
    """Standard deviation over the folds (n - 1); NaN with fewer than two."""
    folds: int
    """In which the class occurs."""
    p: float
    """Two-tailed paired t test against the network over the folds; NaN of the network itself."""


@dataclass(frozen=True)
class MethodRow:
    """One method."""

    method: str
    entries: tuple[Entry, ...]
    """Each class, then the accuracy."""
    by_fold: NDArray[np.float64]
    """(folds, classes + 1) the same in each fold; NaN where the class does not occur."""
    confusion: NDArray[np.int64]
    """(classes, classes) of all folds, rows are the truth."""

    def entry(self, of: str) -> Entry:
        """One of the numbers."""
        return next(e for e in self.entries if e.of == of)


def rows_of(answers: Sequence[FoldAnswers], classes: Sequence[str]) -> list[MethodRow]:
    """The table from the answers on all folds.

    The F1 of a class counts in the folds in which the class occurs; it is 0 where none of its cells is told.

    Args:
        answers: one a method and fold.
        classes: their names.
    """
    by_method: dict[str, list[FoldAnswers]] = {m: [] for m in METHODS}
    for answer in sorted(answers, key=lambda a: a.fold):
        by_method[answer.method].append(answer)
    there = {m: found for m, found in by_method.items() if found}
    figures = {m: np.array([_of_fold(a, len(classes)) for a in found]) for m, found in there.items()}
    names = (*classes, ACCURACY)
    rows = []
    for method, found in there.items():
        mine, reference = figures[method], figures.get(NETWORK)
        entries = tuple(
            _entry(name, mine[:, k], None if method == NETWORK or reference is None else reference[:, k])
            for k, name in enumerate(names)
        )
        matrix = sum(counted(a.truth, a.predicted, len(classes)) for a in found)
        rows.append(MethodRow(method, entries, mine, np.asarray(matrix, np.int64)))
    return rows


def _of_fold(answer: FoldAnswers, classes: int) -> list[float]:
    matrix = counted(answer.truth, answer.predicted, classes).astype(np.float64)
    single = per_class(matrix)
    f1 = np.where(single["support"] > 0, single["f1"], np.nan)
    return [*f1.tolist(), float(np.trace(matrix) / max(matrix.sum(), 1))]


def _entry(name: str, mine: NDArray[np.float64], reference: NDArray[np.float64] | None) -> Entry:
    known = mine[~np.isnan(mine)]
    p = np.nan
    if reference is not None:
        both = ~np.isnan(mine) & ~np.isnan(reference)
        p = paired_tests(mine[both], reference[both])["t_p"]
    return Entry(
        name,
        float(known.mean()) if len(known) else np.nan,
        float(known.std(ddof=1)) if len(known) > 1 else np.nan,
        len(known),
        float(p),
    )


def settings_of(notes: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """What was chosen in each fold, by name."""
    names = dict.fromkeys(name for note in notes for name in note)
    return {name: [note[name] for note in notes if name in note] for name in names}
