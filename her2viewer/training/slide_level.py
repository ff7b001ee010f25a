"""Slides as a classifier of patches sees them: class fractions, scores by the paper's limits, how far it is off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.training.confusion import counted, figures
from her2viewer.training.limits import CLASSES, excess, fractions, score_of

if TYPE_CHECKING:
    from her2viewer.training.tiles import TileStore

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SlideLevel:
    """n slides whose score is known."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    """Patient where known, else the slide."""
    score: NDArray[np.int64]
    """(n,) known scores, 0 to 3."""
    share: Floats
    """(n, 4) part of each class in the tumour, 0 to 1."""
    known: Floats
    """(n, 4) true parts, NaN where they are not known."""

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) scores by table 1 of the paper."""
        return np.array([score_of(share) for share in self.share], np.int64)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """(4, 4), rows are the known scores."""
        return counted(self.score, self.predicted, CLASSES)

    @property
    def macro_f1(self) -> float:
        """Of the scores, over those that occur; 0 without slides."""
        return figures(self.confusion)["macro_f1"]

    @property
    def broken(self) -> float:
        """Eq. 20: sum over slides of the parts by which limits are broken."""
        return float(sum(excess(share, score) for share, score in zip(self.share, self.score, strict=True)))

    @property
    def slides_broken(self) -> int:
        """How many slides break a limit."""
        return sum(excess(share, score) > 0 for share, score in zip(self.share, self.score, strict=True))

    @property
    def share_error(self) -> float | None:
        """Mean absolute error of the four shares in percentage points; None where none is known."""
        there = ~np.isnan(self.known).any(axis=1)
        return float(100 * np.abs(self.share - self.known)[there].mean()) if there.any() else None

    def summary(self) -> dict[str, Any]:
        """Plain values for ``model.toml`` and JSON; None where something is not known."""
        error = self.share_error
        return {
            "slides": len(self),
            "macro_f1": round(self.macro_f1, 4),
            "accuracy": round(figures(self.confusion)["accuracy"], 4),
            "limits_broken": round(self.broken, 4),
            "slides_with_broken_limits": self.slides_broken,
            "share_error": None if error is None else round(error, 3),
            "confusion": self.confusion.tolist(),
        }


def slides_of(logits: NDArray[np.float32], store: TileStore, alphas: NDArray[Any] | None = None) -> SlideLevel:
    """The slides of a store by the most probable class of their samples, weighed by the tumour in each.

    Args:
        logits: (n, 4 or more) of all samples of the store.
        store: slides without a known score are left out.
        alphas: (4,) factors of the logits.
    """
    scaled = logits[:, :CLASSES] if alphas is None else logits[:, :CLASSES] * alphas
    predicted = scaled.argmax(axis=1)
    ids, groups, scores, shares, known = [], [], [], [], []
    for number, tiles in enumerate(store.tiles):
        entry = tiles.entry
        if entry.score_index is None:
            continue
        mine = store.table.slide == number
        ids.append(entry.id)
        groups.append(f"{entry.lab or ''}|{entry.patient}" if entry.patient else entry.id)
        scores.append(entry.score_index)
        shares.append(fractions(predicted[mine], store.table.weight[mine]))
        known.append(np.full(CLASSES, np.nan) if entry.shares is None else np.asarray(entry.shares) / 100)
    return SlideLevel(
        tuple(ids),
        tuple(groups),
        np.array(scores, np.int64),
        np.array(shares, np.float64).reshape(-1, CLASSES),
        np.array(known, np.float64).reshape(-1, CLASSES),
    )


def drawn_again(slides: SlideLevel, picked: NDArray[np.int64]) -> SlideLevel:
    """Some of the slides, in a given order and as often as given."""
    return replace(
        slides,
        ids=tuple(slides.ids[k] for k in picked),
        groups=tuple(slides.groups[k] for k in picked),
        score=slides.score[picked],
        share=slides.share[picked],
        known=slides.known[picked],
    )
