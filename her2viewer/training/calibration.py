"""Choose among candidates by slides with known scores; measure by cross-validation what that is worth.

All candidates are looked at, so there is no start to choose and no local minimum to be caught in. Slides of a patient
are left out of a fit together; see ``calibration_methods`` for what is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.guidelines.profiles import Profile
from her2viewer.training.evaluation.truth import Percent
from her2viewer.training.metrics import Array, confusion, overall

LEAST_SLIDES = 10
MARGIN = 3.0
"""Percentage points by which an upper share should lie beyond a limit."""
MARGIN_WEIGHT = 0.1
SHARE_WEIGHT = 0.05
"""Of a percentage point of share error, where shares are known, against a whole score."""
PRIOR_WEIGHT = 0.01
"""Of a doubled or halved setting: between settings that do alike, those nearest to the present ones."""
FOLDS = 10
LIMIT = 10.0
TIE_BREAKS = ("log_loss", "limits_broken", "share_mae")
"""Measures, less is better, that tell between fits that give the same slide scores."""


@dataclass(frozen=True)
class KnownSlide:
    """What is known of one slide."""

    id: str
    group: str
    """Patient or slide: what stays together in the cross-validation."""
    score: int
    truth_shares: Percent | None


@dataclass(frozen=True)
class CalibrationSlide(KnownSlide):
    """What is known of one slide and what the candidates make of it."""

    percent: Array
    """(k, 4) shares under each candidate; NaN where no tumour cell is left."""


@dataclass(frozen=True)
class Comparison:
    """Slides scored before a fit, after it, and by fits that had not seen them."""

    before: Mapping[str, float]
    after: Mapping[str, float]
    cross_validated: Mapping[str, float]
    slides: tuple[Mapping[str, Any], ...]
    """id, truth, before, after, held_out (predicted by a fit without the slide's group)."""
    folds: int

    @property
    def better(self) -> bool:
        """Whether it does better than before on slides that it was not fitted on.

        Slide scores decide; where they do alike, the first of ``TIE_BREAKS`` that was measured.
        """
        gain = self.before["score_distance"] - self.cross_validated["score_distance"]
        if abs(gain) > 1e-9:
            return gain > 0
        finer = next((key for key in TIE_BREAKS if key in self.before), None)
        return finer is not None and self.cross_validated[finer] < self.before[finer] - 1e-9


@dataclass(frozen=True)
class Fit(Comparison):
    """The outcome of a choice among candidates."""

    chosen: int
    """Index of the candidate."""


def scores_of(percent: Array, profile: Profile) -> NDArray[np.int64]:
    """Scores 0 to 3 that the guideline's rows give to many shares at once; -1 where it gives none.

    Args:
        percent: (..., 4) shares; NaN where there are none.
        profile: the guideline; rows that a person marks never fire here.
    """
    scores = np.full(percent.shape[:-1], -1, np.int64)
    open_ = ~np.isnan(percent).any(axis=-1)
    for row in profile.rows:
        if row.operator == "marked":
            continue
        holds = np.ones_like(open_)
        if row.operator != "otherwise":
            operator, limit = row.effective(by_program=True)
            # As ``guidelines.compare``: what binary fractions lose is no difference.
            gap = percent[..., list(row.classes)].sum(axis=-1) - limit
            gap = np.where(np.abs(gap) <= 1e-9, 0.0, gap)
            holds = {">": gap > 0, ">=": gap >= 0, "<": gap < 0, "<=": gap <= 0}[operator]
        if row.score:
            scores[open_ & holds] = int(row.score[0])
        open_ &= ~holds
    return scores


def slide_losses(slide: CalibrationSlide, profile: Profile) -> Array:
    """How badly each candidate does on one slide, (k,): distance from the score, then how far shares are off."""
    scores = scores_of(slide.percent, profile)
    distance = np.where(scores < 0, 3.0, np.abs(scores - slide.score).astype(np.float64))
    upper = np.nan_to_num(np.cumsum(slide.percent[:, ::-1], axis=1)[:, ::-1][:, 1:])
    wanted = np.arange(1, 4) <= slide.score
    short = np.where(wanted, LIMIT + MARGIN - upper, upper - (LIMIT - MARGIN))
    loss: Array = distance + MARGIN_WEIGHT * np.clip(short / LIMIT, 0, 1).sum(axis=1)
    if slide.truth_shares is not None:
        off = np.abs(np.nan_to_num(slide.percent, nan=0.0) - np.asarray(slide.truth_shares)).mean(axis=1)
        loss = loss + SHARE_WEIGHT * off
    return loss


def prior(limits: Mapping[str, NDArray[np.float64]]) -> Array:
    """How far each candidate lies from the present settings (the first), (k,)."""
    away = [np.log2(values / values[0]) ** 2 for values in limits.values()]
    total: Array = PRIOR_WEIGHT * np.sum(away, axis=0)
    return total


def fit(
    slides: Sequence[CalibrationSlide], limits: Mapping[str, NDArray[np.float64]], profile: Profile, seed: int = 1
) -> Fit:
    """Choose the candidate that does best on all slides, and tell by cross-validation how well such a choice does.

    Args:
        slides: at least ``LEAST_SLIDES``; ``problems`` says whether they will do.
        limits: the candidates.
        profile: makes scores of shares.
        seed: of the folds.
    """
    losses = np.stack([slide_losses(s, profile) for s in slides])
    cost = prior(limits)
    chosen = int(np.argmin(losses.mean(axis=0) + cost))
    held = np.zeros(len(slides), np.int64)
    parts = folds(slides, seed)
    for part in parts:
        rest = np.ones(len(slides), bool)
        rest[part] = False
        held[part] = int(np.argmin(losses[rest].mean(axis=0) + cost))
    index = np.arange(len(slides))
    found = compared(
        slides,
        *(
            np.stack([slides[k].percent[c] for k, c in enumerate(at)])
            for at in (np.zeros_like(index), np.full_like(index, chosen), held)
        ),
        profile=profile,
        parts=len(parts),
    )
    return Fit(found.before, found.after, found.cross_validated, found.slides, found.folds, chosen)


def compared(
    slides: Sequence[KnownSlide], before: Array, after: Array, held_out: Array, *, profile: Profile, parts: int
) -> Comparison:
    """Measures of three ways of scoring the same n slides.

    Args:
        slides: what is known of them.
        before: (n, 4) shares, %, as the scorer was; NaN where it has none.
        after: the same after a fit on all slides.
        held_out: the same, each slide after a fit without its group.
        profile: makes scores of shares.
        parts: of the cross-validation.
    """
    percent = (before, after, held_out)
    scores = tuple(scores_of(p, profile) for p in percent)
    first, second, third = (figures(slides, s, p) for s, p in zip(scores, percent, strict=True))
    return Comparison(first, second, third, told(slides, *scores), parts)


def told(
    slides: Sequence[KnownSlide], before: NDArray[np.int64], after: NDArray[np.int64], held_out: NDArray[np.int64]
) -> tuple[Mapping[str, Any], ...]:
    """What ``Comparison.slides`` holds, of the scores (n,) of n slides; -1 where there is none."""

    def word(score: int) -> str:
        return HER2_LABELS[score] if score >= 0 else "no answer"

    return tuple(
        {
            "id": s.id,
            "truth": HER2_LABELS[s.score],
            "before": word(before[k]),
            "after": word(after[k]),
            "held_out": word(held_out[k]),
        }
        for k, s in enumerate(slides)
    )


def folds(slides: Sequence[KnownSlide], seed: int) -> list[NDArray[np.int64]]:
    """Indices of the slides left out together: whole groups, one by one up to 20 of them, else ten parts with the
    scores spread evenly.
    """
    groups: dict[str, list[int]] = {}
    for k, slide in enumerate(slides):
        groups.setdefault(slide.group, []).append(k)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(groups))
    members = [list(groups.values())[k] for k in order]
    members.sort(key=lambda part: slides[part[0]].score)
    if len(members) <= 20:
        return [np.array(part) for part in members]
    return [np.array([index for part in members[k::FOLDS] for index in part]) for k in range(FOLDS)]


def figures(slides: Sequence[KnownSlide], scores: NDArray[np.int64], percent: Array | None) -> dict[str, float]:
    """Measures of one way of scoring. A slide without an answer counts as wrong, three scores off.

    ``percent``: (n, 4) shares, None for a scorer that gives none.
    """
    truth = np.array([s.score for s in slides])
    answered = scores >= 0
    table = overall(confusion(truth[answered], scores[answered], 4))
    found = {
        "slides": float(len(slides)),
        "answered": float(answered.sum()),
        "accuracy": float((scores == truth).mean()),
        "score_distance": float(np.where(answered, np.abs(scores - truth), 3).mean()),
        "kappa": float(table["kappa"]),
        "kappa_quadratic": float(table["kappa_quadratic"]),
    }
    known = [k for k, s in enumerate(slides) if s.truth_shares is not None]
    if known and percent is not None:
        shares = np.array([slides[k].truth_shares for k in known], np.float64)
        found["share_mae"] = float(np.abs(np.nan_to_num(percent[known]) - shares).mean())
    return found


def problems(slides: Sequence[tuple[str, int]], excluded: Mapping[str, str]) -> list[str]:
    """Why these slides cannot be calibrated on, a sentence each.

    Args:
        slides: id and score of those that can be used.
        excluded: the reason by id of those that cannot.
    """
    found = []
    why = "".join(f"\n  {name}: {reason}" for name, reason in excluded.items())
    if len(slides) < LEAST_SLIDES:
        left = f" ({len(excluded)} cannot be used:{why})" if excluded else ""
        found.append(
            f"{len(slides)} slides with a known score are too few; at least {LEAST_SLIDES} are needed, with each "
            f"score among them.{left}"
        )
    there = {score for _, score in slides}
    missing = [label for k, label in enumerate(HER2_LABELS) if k not in there]
    if slides and missing:
        found.append(
            f"No slide has the score {' or '.join(missing)}: a limit cannot be placed between a class that is there "
            "and one that is not. Add slides of that score."
        )
    return found
