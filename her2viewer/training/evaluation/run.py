"""One scorer over a set, from slides to its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.guidelines.profiles import Profile
from her2viewer.scoring.manifest import Manifest
from her2viewer.training.dataset import SlideEntry
from her2viewer.training.evaluation.masks import MaskCounts, mask_counts, mask_report
from her2viewer.training.evaluation.measures import answers, heterogeneity, level_report, share_report
from her2viewer.training.evaluation.report import ReaderReport
from her2viewer.training.evaluation.scored import score_entry
from her2viewer.training.evaluation.slides import SlideRow, labels_of, slide_row, slide_units
from her2viewer.training.evaluation.statuses import status_report
from her2viewer.training.evaluation.truth import Truth, TruthError, truth_of
from her2viewer.training.evaluation.units import Units, cell_units, field_units, joined, patch_units, tumour_only

if TYPE_CHECKING:
    from her2viewer.scoring.runtime import LocalRuntime


def evaluate_scorer(
    entries: Sequence[SlideEntry],
    manifest: Manifest,
    settings: Mapping[str, Any],
    profile: Profile,
    *,
    folder: Path,
    runtime: LocalRuntime,
    draws: tuple[int, int],
    by: Literal["patient", "slide"],
    progress: Callable[[str, bool], None],
) -> ReaderReport:
    """Score every slide (or read what was kept) and compare it with what is known of it.

    Args:
        entries: the slides.
        manifest: of the scorer.
        settings: complete.
        profile: makes scores of shares.
        folder: where results are kept.
        runtime: threads and cancel.
        draws: number and seed of the bootstrap.
        by: what the bootstrap draws, where patients are known.
        progress: called with a slide and False when it begins, True when it is done.

    Raises:
        Cancelled: from the runtime.
        StorageError: nothing can be kept.
    """
    rows = []
    masks: list[MaskCounts] = []
    parts: dict[str, list[Units]] = {"cell": [], "patch": [], "field": []}
    for entry in entries:
        progress(entry.id, False)
        group = group_of(entry, by)
        scored = score_entry(entry, manifest, settings, folder, runtime)
        try:
            truth = truth_of(entry, profile)
        except TruthError as error:
            truth = Truth(entry.score_index, entry.shares, None)
            scored = replace(scored, problem=scored.problem or str(error))
        rows.append(slide_row(scored, truth, profile, group))
        answered = scored.result is not None and scored.result.not_assessable is None
        if answered and (counts := mask_counts(scored, truth.score, group)) is not None:
            masks.append(counts)
        if answered and truth.cells is not None:
            found = {
                "cell": cell_units(scored, truth.cells, group),
                "patch": patch_units(scored, truth.cells, group),
                "field": field_units(scored, truth.cells, group, profile),
            }
            for level, units in found.items():
                if units is not None:
                    parts[level].append(units)
        progress(entry.id, True)
    levels = [units for name in parts if (units := joined(parts[name])) is not None and len(units)]
    if parts["cell"] and (cells := joined(parts["cell"])) is not None:
        levels.insert(1, tumour_only(cells))
    report = reader_report(
        manifest.id, manifest.version, rows, levels, settings=settings, draws=draws, labels=labels_of(profile)
    )
    return replace(report, masks=mask_report(masks, *draws))


def reader_report(
    name: str,
    version: str,
    rows: Sequence[SlideRow],
    levels: Sequence[Units],
    *,
    draws: tuple[int, int],
    labels: tuple[str, ...] = HER2_LABELS,
    settings: Mapping[str, Any] | None = None,
) -> ReaderReport:
    """The report of rows that are known already.

    Args:
        name: of the scorer or reader.
        version: of the scorer.
        rows: one a slide.
        levels: finer levels.
        draws: number and seed of the bootstrap.
        labels: classes of a slide.
        settings: of the scorer.
    """
    slides = slide_units(rows, labels)
    return ReaderReport(
        name=name,
        version=version,
        rows=list(rows),
        answers=answers(rows),
        levels=[*(level_report(units, *draws) for units in levels), level_report(slides, *draws)],
        shares=share_report(rows, *draws),
        entropy=heterogeneity(rows),
        settings=settings or {},
        slides=slides,
        labels=labels,
        statuses=status_report(rows, labels, draws),
        draws=draws[0],
    )


def group_of(entry: SlideEntry, by: Literal["patient", "slide"]) -> str:
    """What the bootstrap and the cross-validation keep together."""
    return f"{entry.lab or ''}|{entry.patient}" if by == "patient" and entry.patient else entry.id
