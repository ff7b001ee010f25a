"""Slides as two readers saw them, one row a slide, whether from a scorer or from a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.decision import Decision
from her2viewer.guidelines.engine import decide, decide_result
from her2viewer.guidelines.profiles import Profile
from her2viewer.training.evaluation.scored import ScoredSlide
from her2viewer.training.evaluation.truth import Percent, Truth
from her2viewer.training.evaluation.units import Units, upper_shares

STATUSES = ("negative", "equivocal", "positive")
STATUS_OF_SCORE = (0, 0, 1, 2)
"""Index into ``STATUSES`` of the scores 0 to 3+."""


@dataclass(frozen=True)
class SlideRow:
    """One slide; codes are indices into the labels of the table, None is "no answer"."""

    slide: str
    group: str
    """Patient where known, else the slide: what the bootstrap draws."""
    truth: int | None
    predicted: int | None
    truth_shares: Percent | None = None
    predicted_shares: Percent | None = None
    counted: float | None = None
    unit: str = ""
    lab: str = ""
    scanner: str = ""
    reason: str = ""
    """Why there is no prediction."""
    close: bool | None = None
    """Whether the prediction is marked as a close call; None where that is not told."""


def labels_of(profile: Profile) -> tuple[str, ...]:
    """What a profile gives: HER2 scores, or statuses where none of its rows has a score."""
    return HER2_LABELS if any(row.score for row in profile.rows) or not profile.rows else STATUSES


def code_of(decision: Decision, labels: tuple[str, ...]) -> int | None:
    """A decision as an index into the labels; None where the guideline gives none."""
    if decision.outcome != "score":
        return None
    if labels == HER2_LABELS:
        return int(decision.score[0]) if decision.score else None
    if decision.status in STATUSES:
        return STATUSES.index(decision.status)
    return STATUS_OF_SCORE[int(decision.score[0])] if decision.score else None


def slide_row(scored: ScoredSlide, truth: Truth, profile: Profile, group: str) -> SlideRow:
    """The row of a slide that a scorer was run on."""
    entry, result = scored.entry, scored.result
    predicted, percent, counted, unit, reason, close = None, None, None, "", scored.problem, None
    labels = labels_of(profile)
    if result is not None:
        if result.not_assessable is not None:
            reason = f"not assessable: {result.not_assessable.reason}"
        elif result.shares is not None:
            counted, unit = result.shares.total, str(result.shares.unit)
            if result.shares.total > 0:
                percent = result.shares.percent
            decision = decide_result(profile, result)
            predicted = code_of(decision, labels)
            if predicted is not None:
                close = decision.near
            else:
                reason = decision.reason or ("no tumour was found" if counted <= 0 else decision.headline)
        else:
            predicted = _as_label(result.score, labels)
            reason = "" if predicted is not None else "the scorer gave no score"
    return SlideRow(
        entry.id,
        group,
        _truth(truth, profile, labels),
        predicted,
        truth.shares,
        percent,
        counted,
        unit,
        entry.lab or "",
        entry.scanner or "",
        reason if predicted is None else "",
        close,
    )


def _truth(truth: Truth, profile: Profile, labels: tuple[str, ...]) -> int | None:
    if truth.score is None and truth.shares is not None:
        return code_of(decide(profile, Shares.from_percent(truth.shares), by_program=False), labels)
    return _as_label(truth.score, labels)


def _as_label(score: int | None, labels: tuple[str, ...]) -> int | None:
    return score if score is None or labels == HER2_LABELS else STATUS_OF_SCORE[score]


def slide_units(rows: Sequence[SlideRow], labels: tuple[str, ...] = HER2_LABELS) -> Units:
    """The rows on which both readers gave an answer."""
    both = [r for r in rows if r.truth is not None and r.predicted is not None]
    values = [
        upper_shares(r.predicted_shares) if r.predicted_shares is not None else np.full(3, np.nan) for r in both
    ]
    return Units(
        "slide",
        labels,
        np.array([r.truth for r in both], np.int64),
        np.array([r.predicted for r in both], np.int64),
        np.array([r.group for r in both], dtype=str),
        np.array(values, np.float64).reshape(-1, 3) if len(labels) == 4 else None,
    )
