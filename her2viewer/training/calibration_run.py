"""A calibration from a data set to its file."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from her2viewer.domain.evidence import CellTable, Evidence
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.profiles import Profile
from her2viewer.scoring.calibration_file import SETTING, CalibrationFile
from her2viewer.scoring.manifest import Manifest
from her2viewer.training.calibration import KnownSlide, problems
from her2viewer.training.calibration_methods import METHODS
from her2viewer.training.dataset import DataSet, SlideEntry
from her2viewer.training.evaluation.run import group_of
from her2viewer.training.evaluation.scored import ScoredSlide, score_entry, without_outlines
from her2viewer.training.evaluation.truth import TruthError, score_of, truth_of

if TYPE_CHECKING:
    from her2viewer.scoring.runtime import LocalRuntime

KEPT_CELLS = 10_000
"""Cells of a slide that are kept: a share of 10 % is then known to 0.3 points."""
MANY_SLIDES = 50
CONTRADICTION = 2
"""Steps between the score and what the guideline says of the shares from which they contradict each other."""


class CalibrationRefused(Exception):
    """This set cannot be calibrated on; ``problems`` holds a sentence for each reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.problems = tuple(reasons)


def calibrate(
    data_set: DataSet,
    entries: Sequence[SlideEntry],
    manifest: Manifest,
    settings: Mapping[str, Any],
    profile: Profile,
    *,
    folder: Path,
    runtime: LocalRuntime,
    progress: Callable[[str, bool], None],
    name: str = "",
    made_by: str = "",
) -> CalibrationFile:
    """Score the slides (or read what was kept), fit, cross-validate.

    Args:
        data_set: of the slides.
        entries: those to be fitted on.
        manifest: of the scorer.
        settings: complete settings; those that are fitted are where "before" stands.
        profile: makes scores of shares.
        folder: where evidence is kept.
        runtime: threads and cancel.
        progress: called with a slide and False when it begins, True when it is done.
        name: of the calibration.
        made_by: who.

    Raises:
        CalibrationRefused: with the reasons, as many as possible before any slide is scored.
        Cancelled: from the runtime.
        StorageError: nothing can be kept.
    """
    spec = manifest.calibration
    if spec is None or spec.method not in METHODS:
        raise CalibrationRefused([f"{manifest.title} has nothing that can be calibrated by this command."])
    known, excluded, notes = _known(entries, profile)
    _refuse(known, excluded)
    settings = {**settings, SETTING: ""}
    method = METHODS[spec.method](spec, settings)
    # The evidence does not depend on what is fitted, so all calls share it.
    usual = {**settings, **{s.id: s.default for s in manifest.settings if s.id in spec.settings}}
    weights: dict[str, str] = {}
    used = []
    for entry, score in known:
        progress(entry.id, False)
        scored = score_entry(entry, manifest, usual, folder, runtime, keep=_sample, for_calibration=True)
        shares = truth_of(entry, profile).shares
        reason = _reason(scored)
        if not reason and scored.result is not None:
            weights |= scored.result.provenance.weights
            reason = method.add(KnownSlide(entry.id, group_of(entry, data_set.rule.by), score, shares), scored.result)
        if reason:
            excluded[entry.id] = reason
        else:
            used.append((entry, score))
        progress(entry.id, True)
    _refuse(used, excluded)
    fitted = method.fit(profile, runtime.check)
    found = fitted.comparison
    if not found.better:
        notes.append(
            "On slides that it was not fitted on it does no better than the settings before: these slides give no "
            "reason to use it."
        )
    for identifier, reason in excluded.items():
        notes.append(f"{identifier} was left out: {reason}")
    return CalibrationFile(
        name=name or f"{data_set.name}, {datetime.now(UTC):%Y-%m-%d}",
        scorer=manifest.id,
        scorer_version=manifest.version,
        method=spec.method,
        settings=fitted.settings,
        fixed={k: v for k, v in settings.items() if k not in spec.settings and k != SETTING},
        weights=weights,
        data_set=data_set.name,
        data_set_hash=data_set.hash,
        profile=profile.id,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=made_by or _user(),
        before=found.before,
        after=found.after,
        cross_validated=found.cross_validated,
        slides=found.slides,
        notes=tuple(notes),
        extra={
            "folds": found.folds,
            "better": found.better,
            **fitted.extra,
            **{f"before_{key}": value for key, value in fitted.before.items()},
        },
    )


def _known(
    entries: Sequence[SlideEntry], profile: Profile
) -> tuple[list[tuple[SlideEntry, int]], dict[str, str], list[str]]:
    """Slides with their score, the reason by id of those without, and notes.

    Raises:
        CalibrationRefused: labels contradict one another.
    """
    known: list[tuple[SlideEntry, int]] = []
    excluded: dict[str, str] = {}
    notes: list[str] = []
    contradictions = []
    by_file: dict[tuple[Path, Path | None], tuple[str, int]] = {}
    for entry in entries:
        try:
            truth = truth_of(entry, profile)
        except TruthError as error:
            excluded[entry.id] = str(error)
            continue
        if truth.score is None:
            excluded[entry.id] = "its score is not known."
            continue
        other = by_file.setdefault((entry.slide, entry.roi), (entry.id, truth.score))
        if other[0] != entry.id:
            if other[1] != truth.score:
                contradictions.append(
                    f"{other[0]} and {entry.id} are the same slide and region with different scores; keep one."
                )
            continue
        if truth.shares is not None:
            counted = score_of(Shares.from_percent(truth.shares), profile)
            if counted is not None and abs(counted - truth.score) >= CONTRADICTION:
                contradictions.append(
                    f"{entry.id}: its score and its shares contradict each other (the guideline says {counted} of "
                    f"these shares, the score is {truth.score}). Mend the one that is wrong."
                )
        known.append((entry, truth.score))
    if contradictions:
        raise CalibrationRefused(contradictions)
    if len(known) > MANY_SLIDES:
        notes.append(f"{len(known)} slides were used; {MANY_SLIDES} are usually enough.")
    return known, excluded, notes


def _refuse(known: Sequence[tuple[Any, int]], excluded: Mapping[str, str]) -> None:
    reasons = problems([(item.id, score) for item, score in known], excluded)
    if reasons:
        raise CalibrationRefused(reasons)


def _reason(scored: ScoredSlide) -> str:
    """Why a slide cannot be fitted on; "" where it can."""
    if scored.result is None:
        return scored.problem
    return "" if scored.result.not_assessable is None else scored.result.not_assessable.reason


def _sample(evidence: Evidence) -> Evidence:
    """At most ``KEPT_CELLS`` cells, the same ones each time, without outlines."""
    if isinstance(evidence, CellTable) and len(evidence) > KEPT_CELLS:
        keep = np.zeros(len(evidence), bool)
        keep[np.random.default_rng(1).choice(len(evidence), KEPT_CELLS, replace=False)] = True
        evidence = replace(evidence, contours=None, contour_starts=None).selected(keep)
    return without_outlines(evidence)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
