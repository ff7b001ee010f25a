"""All measures of one level with their bootstrap intervals, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.training.agreement import (
    draws_by_group,
    entropy_by_concordance,
    interval,
    mcnemar,
    paired_tests,
    share_agreement,
)
from her2viewer.training.evaluation.slides import SlideRow
from her2viewer.training.evaluation.units import CUT_POINTS, Places, Units
from her2viewer.training.metrics import Array, auc, overall, per_class

DRAWS = 1000
SEED = 1
_BINS = 512
_DRAWS_AT_ONCE = 100


@dataclass(frozen=True)
class Measure:
    """One number with its interval; NaN is "cannot be said"."""

    name: str
    of: str
    """Class, cut-point or share it is of; "" for the whole."""
    value: float
    low: float
    high: float
    """95 % by bootstrap of slides or patients."""
    n: float
    """How many units it rests on."""


@dataclass(frozen=True)
class LevelReport:
    """Everything about one level."""

    level: str
    labels: tuple[str, ...]
    n: int
    groups: int
    confusion: NDArray[np.int64]
    measures: tuple[Measure, ...]
    notes: tuple[str, ...] = ()

    def value(self, name: str, of: str = "") -> float:
        """One of the measures, NaN where it is not there."""
        return next((m.value for m in self.measures if m.name == name and m.of == of), float("nan"))


def level_report(units: Units, draws: int = DRAWS, seed: int = SEED) -> LevelReport:
    """Confusion matrix, measures of all classes and of each, ROC of the cut-points.

    Args:
        units: of all slides.
        draws: of the bootstrap.
        seed: of the bootstrap.
    """
    k, n = len(units.labels), len(units)
    index, drawn = draws_by_group(list(units.groups), draws, seed)
    groups = drawn.shape[1]
    tables = np.zeros((groups, k, k))
    np.add.at(tables, (index, units.truth, units.predicted), 1)
    table = tables.sum(axis=0)
    many = np.tensordot(drawn, tables, axes=(1, 0))
    measures = []
    with_spread = groups > 1
    values, spread = overall(table), overall(many)
    for name, value in values.items():
        measures.append(_measure(name, "", value, spread[name], n, with_spread=with_spread))
    single, singles = per_class(table), per_class(many)
    for name in ("precision", "recall", "f1", "specificity"):
        for c, label in enumerate(units.labels):
            measures.append(
                _measure(
                    name, label, single[name][c], singles[name][:, c], single["support"][c], with_spread=with_spread
                )
            )
    if units.values is not None and k == len(HER2_LABELS):
        measures.extend(_areas(units, index, drawn, with_spread=with_spread))
    measures.extend(_places(units, draws, seed))
    notes = []
    if n and len(np.unique(units.truth)) == 1:
        notes.append(
            f"Only the class {units.labels[int(units.truth[0])]} occurs in the truth: kappa, tau and ROC say nothing."
        )
    if groups == 1:
        notes.append("One slide or patient only: there is nothing to draw, so no intervals are given.")
    elif 0 < groups < 10:
        notes.append(f"{groups} slides or patients are few for a bootstrap: take the intervals as too narrow.")
    if units.level == "cell":
        notes.append(
            f"{units.missed:,} true tumour cells had no predicted cell within 3 um, {units.extra:,} predicted tumour "
            "cells no true one; they are in no row of the table."
        )
    return LevelReport(units.level, units.labels, n, groups, table.astype(np.int64), tuple(measures), tuple(notes))


def _places(units: Units, draws: int, seed: int) -> list[Measure]:
    """Precision, recall and F1 of finding cells, named ``detection``; F1 by scanner, too, where there are several."""
    if not units.places:
        return []
    measures = _detection(units.places, draws, seed)
    scanners = sorted({p.scanner for p in units.places})
    if len(scanners) > 1:
        for scanner in scanners:
            own = [p for p in units.places if p.scanner == scanner]
            f1 = _detection(own, draws, seed)[-1]
            measures.append(replace(f1, of=f"F1, scanner {scanner or 'not given'}"))
    return measures


def _detection(places: Sequence[Places], draws: int, seed: int) -> list[Measure]:
    index, drawn = draws_by_group([p.group for p in places], draws, seed)
    counts = np.zeros((drawn.shape[1], 4))
    np.add.at(counts, index, [(p.known, p.met, p.found, p.right) for p in places])

    def figures(sums: Array) -> tuple[Array, ...]:
        known, met, found, right = np.moveaxis(sums, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision, recall = right / found, met / known
            return precision, recall, 2 * precision * recall / (precision + recall)

    values, spread = figures(counts.sum(axis=0)), figures(drawn @ counts)
    known, _, found, _ = counts.sum(axis=0)
    of = (("precision", found), ("recall", known), ("F1", known))
    return [
        _measure("detection", name, value, many, n, with_spread=drawn.shape[1] > 1)
        for (name, n), value, many in zip(of, values, spread, strict=True)
    ]


def _measure(name: str, of: str, value: Any, draws: Array, n: float, *, with_spread: bool) -> Measure:
    low, high = interval(draws) if with_spread else (np.nan, np.nan)
    return Measure(name, of, float(value), low, high, float(n))


def _areas(units: Units, index: NDArray[np.int64], drawn: Array, with_spread: bool) -> list[Measure]:
    found = []
    for cut, title in enumerate(CUT_POINTS):
        value = units.values[:, cut] if units.values is not None else np.zeros(0)
        known = ~np.isnan(value)
        distinct = np.unique(value[known])
        if len(distinct) > _BINS:
            distinct = np.unique(np.quantile(distinct, np.linspace(0, 1, _BINS)))
        bins = max(len(distinct), 1)
        at = np.searchsorted(distinct, value[known], side="right") - 1
        counts = np.zeros((drawn.shape[1], 2, bins))
        positive = (units.truth[known] > cut).astype(np.int64)
        np.add.at(counts, (index[known], positive, np.clip(at, 0, bins - 1)), 1)
        whole = counts.sum(axis=0)
        parts = [
            np.tensordot(drawn[start : start + _DRAWS_AT_ONCE], counts, axes=(1, 0))
            for start in range(0, len(drawn), _DRAWS_AT_ONCE)
        ]
        spread = np.concatenate([auc(p[:, 1], p[:, 0]) for p in parts])
        found.append(
            _measure("auc", title, auc(whole[1], whole[0]), spread, float(known.sum()), with_spread=with_spread)
        )
    return found


def share_report(rows: Sequence[SlideRow], draws: int = DRAWS, seed: int = SEED) -> tuple[Measure, ...]:
    """Agreement of each share, and the mean absolute error of all four, over the slides where both are known."""
    both = [r for r in rows if r.truth_shares is not None and r.predicted_shares is not None]
    if not both:
        return ()
    truth = np.array([r.truth_shares for r in both], np.float64)
    found = np.array([r.predicted_shares for r in both], np.float64)
    index, drawn = draws_by_group([r.group for r in both], draws, seed)
    weight = drawn[:, index]
    with_spread = drawn.shape[1] > 1
    measures = []
    for c, label in enumerate(HER2_LABELS):
        whole = share_agreement(truth[:, c], found[:, c], np.ones(len(both)))
        spread = share_agreement(truth[:, c], found[:, c], weight)
        measures += [
            _measure(f"share_{name}", label, value, spread[name], len(both), with_spread=with_spread)
            for name, value in whole.items()
        ]
    error = np.abs(found - truth).mean(axis=1)
    with np.errstate(invalid="ignore"):
        spread_all = (weight * error).sum(axis=1) / weight.sum(axis=1)
    measures.append(_measure("share_mae", "mean of 4", error.mean(), spread_all, len(both), with_spread=with_spread))
    return tuple(measures)


def heterogeneity(rows: Sequence[SlideRow]) -> dict[str, dict[str, float]]:
    """Shannon entropy by concordance, from the shares of either reader where known."""
    found = {}
    for reader in ("truth", "predicted"):
        known = [
            r
            for r in rows
            if r.truth is not None and r.predicted is not None and getattr(r, f"{reader}_shares") is not None
        ]
        if known:
            percent = np.array([getattr(r, f"{reader}_shares") for r in known], np.float64)
            agree = np.array([r.truth == r.predicted for r in known])
            found[reader] = entropy_by_concordance(percent, agree)
    return found


def compare(first: Sequence[SlideRow], second: Sequence[SlideRow]) -> dict[str, Any]:
    """Paired tests of two scorers on the slides that both gave an answer on.

    ``score``: McNemar of being right, t and Wilcoxon of the distance from the true score. ``shares``: t and Wilcoxon
    of the mean absolute error of the four shares of each slide.
    """
    others = {r.slide: r for r in second}
    pairs = [(r, others[r.slide]) for r in first if r.slide in others]
    scored = [p for p in pairs if p[0].truth is not None and None not in (p[0].predicted, p[1].predicted)]
    result: dict[str, Any] = {"slides": len(pairs), "both_answered": len(scored)}
    if scored:
        off = [np.array([abs((p[k].predicted or 0) - (p[k].truth or 0)) for p in scored], float) for k in (0, 1)]
        result["mcnemar"] = mcnemar(off[0] == 0, off[1] == 0)
        result["score_error"] = paired_tests(off[0], off[1])
    shared = [
        p
        for p in pairs
        if p[0].truth_shares and p[0].predicted_shares and p[1].predicted_shares and p[1].truth_shares
    ]
    if shared:
        errors = [_errors([p[k] for p in shared]) for k in (0, 1)]
        result["share_error"] = paired_tests(errors[0], errors[1])
    return result


def _errors(rows: Sequence[SlideRow]) -> Array:
    truth = np.array([r.truth_shares for r in rows], np.float64)
    error: Array = np.abs(np.array([r.predicted_shares for r in rows], np.float64) - truth).mean(axis=1)
    return error


def answers(rows: Sequence[SlideRow]) -> Mapping[str, Any]:
    """How many slides there are, and which of them have no truth or no answer, with the reason."""
    return {
        "slides": len(rows),
        "compared": sum(r.truth is not None and r.predicted is not None for r in rows),
        "without_truth": [r.slide for r in rows if r.truth is None],
        "without_answer": [
            {"slide": r.slide, "truth": r.truth, "reason": r.reason} for r in rows if r.predicted is None
        ],
        "close_calls": close_calls(rows),
    }


def close_calls(rows: Sequence[SlideRow]) -> dict[str, int]:
    """Right and wrong scores, and how many of each are marked as close calls; empty where that is not told."""
    told = [r for r in rows if r.close is not None and r.truth is not None and r.predicted is not None]
    if not told:
        return {}
    wrong = [r for r in told if r.truth != r.predicted]
    return {
        "wrong": len(wrong),
        "wrong_and_close": sum(bool(r.close) for r in wrong),
        "right": len(told) - len(wrong),
        "right_and_close": sum(bool(r.close) for r in told) - sum(bool(r.close) for r in wrong),
    }
