"""The scorer: estimate, survey, then tile after tile on a few threads, always in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from her2viewer.api import (
    CELL_SCHEME,
    CellTable,
    ClassMap,
    Event,
    Evidence,
    Finished,
    Heatmap,
    NotAssessable,
    Partial,
    Progress,
    ResultWarning,
    Runtime,
    ScorerError,
    ScoringInput,
    StainEstimate,
    Tile,
    TilePlan,
    deconvolution,
    estimate_stains,
    find_artefacts,
    in_order,
    wait,
)
from her2viewer_membrane.analysis import Stain, cells_in, score_tile
from her2viewer_membrane.cells import NOT_TUMOUR
from her2viewer_membrane.rules import Rules, rules_for
from her2viewer_membrane.survey import Survey, survey
from her2viewer_membrane.verdict import (
    Tally,
    about_control,
    after_cells,
    after_survey,
    before_anything,
    before_cells,
    warnings_for,
)

WORKING_UM = 0.5


class MembraneScorer:
    """Classical HER2 membrane scorer; see README.md of the plugin."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Compile the kernels: on a new machine that takes longer than many a run."""
        _compile(rules_for(settings))

    def score(self, request: ScoringInput, runtime: Runtime) -> Iterator[Event]:
        """Cells of the region with their class.

        Raises:
            Cancelled: from ``runtime.check()``.
            ScorerError: settings that contradict one another or estimates that cannot be used.
            SlideError: the slide cannot be read at all.
        """
        rules = replace(rules_for(request.settings), for_calibration=request.for_calibration)
        yield Progress("Preparing", 0, 0)
        with ThreadPoolExecutor(max_workers=max(1, runtime.threads), thread_name_prefix="membrane") as pool:
            try:
                wait(pool.submit(_compile, rules), runtime.check)
                yield from _score(request, runtime, rules, pool)
            finally:
                # On cancel, what has not begun never begins; what runs ends within a fraction of a second.
                pool.shutdown(wait=True, cancel_futures=True)


def _score(request: ScoringInput, runtime: Runtime, rules: Rules, pool: ThreadPoolExecutor) -> Iterator[Event]:
    slide, pixel_size = request.slide, request.pixel_size
    reason = before_anything(pixel_size.mpp)
    if reason is not None:
        yield Finished(not_assessable=reason)
        return
    if request.region.empty:
        raise ScorerError("Nothing is outlined. Draw a region around the invasive carcinoma first.")
    plan = TilePlan.of(slide, pixel_size, WORKING_UM)
    warnings: list[ResultWarning] = []
    if request.estimates:
        estimate, typical = _known(request.estimates)
    else:
        yield Progress("Estimating stain", 0, 0)
        estimate = estimate_stains(
            slide, pixel_size, request.whole, working_um=plan.um, entered=rules.entered, check=runtime.check
        )
        reason = before_cells(estimate, rules)
        if reason is not None and not _go_on(reason, rules, warnings):
            yield Finished(estimates={}, not_assessable=reason, warnings=_plain(estimate, request, rules))
            return
        tables = _tables(estimate)
        yield Progress("Looking at samples", 0, 0)
        seen: Survey = survey(slide, plan, estimate, tables, rules=rules, check=runtime.check)
        reason = after_survey(seen, rules)
        if reason is not None and not _go_on(reason, rules, warnings):
            yield Finished(estimates={}, not_assessable=reason, warnings=_plain(estimate, request, rules))
            return
        typical = seen.typical_density
    artefacts = None
    if rules.verdict.artefacts:
        yield Progress("Looking for artefacts", 0, 0)
        artefacts = find_artefacts(
            slide,
            pixel_size,
            request.region,
            background=estimate.background,
            haematoxylin=estimate.haematoxylin,
            dab=estimate.dab,
            check=runtime.check,
        )
    stain = Stain(estimate.background, _tables(estimate), typical, artefacts)
    tiles = plan.tiles(request.region)
    total, unread = len(tiles), 0
    tally = Tally(typical)
    yield Progress("Cells", 0, total)

    def work(tile: Tile) -> tuple[CellTable, Heatmap, ClassMap | None]:
        return score_tile(slide, tile, plan, request.region, stain=stain, rules=rules)

    for done, (tile, result) in enumerate(in_order(tiles, work, pool, runtime), start=1):
        if result is None:
            unread += 1
        else:
            table, heatmap, quality = result
            tally.add(table, rules)
            tally.add_quality(quality, pixel_size)
            evidence: tuple[Evidence, ...] = (table, heatmap) if quality is None else (table, heatmap, quality)
            yield Partial(evidence, request.region.intersection(tile.region))
        yield Progress("Cells", done, total)
    entire = request.region.area_px >= 0.99 * request.whole.area_px
    reason = after_cells(tally.tumour, rules) if entire else None
    warnings.extend(warnings_for(estimate, pixel_size.mpp, tally, entire=entire, rules=rules))
    control = request.estimates.get("control")
    if not request.control.empty and (control is None or control["region"] != request.control.hash):
        yield Progress("Control tissue", 0, 0)
        control = _control(request, plan, stain, rules, (pool, runtime))
    if not request.control.empty and control is not None:
        warnings.extend(about_control(control["cells"], control["percent"]))
    if unread:
        warnings.append(
            ResultWarning("unread", f"{unread} of {total} areas of the slide could not be read and were left out.")
        )
    estimates = {**estimate.as_json(), "nucleus_od": round(typical, 4), "working_um": round(plan.um, 4)}
    if control is not None:
        estimates["control"] = control
    yield Finished(estimates=estimates if reason is None else {}, not_assessable=reason, warnings=tuple(warnings))


def _control(
    request: ScoringInput, plan: TilePlan, stain: Stain, rules: Rules, means: tuple[ThreadPoolExecutor, Runtime]
) -> dict[str, Any]:
    """Cells of the control tissue by class: shown to the reader, not counted."""

    def work(tile: Tile) -> CellTable:
        return score_tile(request.slide, tile, plan, request.control, stain=stain, rules=rules)[0]

    counts = np.zeros(len(CELL_SCHEME.names), np.int64)
    for _, table in in_order(plan.tiles(request.control), work, *means):
        if table is not None:
            counts += np.bincount(table.classes, minlength=len(counts))
    tumour = counts[:NOT_TUMOUR]
    percent = [round(100 * float(c) / max(int(tumour.sum()), 1), 2) for c in tumour]
    return {"region": request.control.hash, "cells": int(tumour.sum()), "percent": percent}


def _known(estimates: Any) -> tuple[StainEstimate, float]:
    try:
        return StainEstimate.from_json(estimates), float(estimates["nucleus_od"])
    except (KeyError, TypeError, ValueError) as error:
        raise ScorerError(
            f"The stain estimates of the earlier run cannot be used again ({error}). Score the whole region anew."
        ) from error


def _tables(estimate: StainEstimate) -> Any:
    try:
        return deconvolution(estimate.background, estimate.haematoxylin, estimate.dab)
    except ValueError as error:
        raise ScorerError(f"{error} Change them in the settings of the scorer.") from error


def _go_on(reason: NotAssessable, rules: Rules, warnings: list[ResultWarning]) -> bool:
    """Whether to score although ``reason`` speaks against it; then it becomes a warning."""
    if not rules.verdict.anyway or reason.code == "no_tissue":
        return False
    warnings.append(ResultWarning(reason.code, reason.reason))
    return True


def _plain(estimate: StainEstimate, request: ScoringInput, rules: Rules) -> tuple[ResultWarning, ...]:
    return warnings_for(estimate, request.pixel_size.mpp, None, entire=False, rules=rules)


def _compile(rules: Rules) -> None:
    """Run everything once on a few pixels, so that compiling happens while the reader sees "Preparing"."""
    import cv2

    cv2.setNumThreads(1)  # The tiles are what is shared out; OpenCV's own threads would only fight over cores.
    rgb = np.full((96, 96, 3), 240, np.uint8)
    for x, y in ((30, 30), (60, 60)):
        cv2.circle(rgb, (x, y), 9, (120, 120, 180), -1)
    stain = Stain(
        (240.0, 240.0, 240.0), deconvolution((240.0, 240.0, 240.0), (0.62, 0.61, 0.48), (0.22, 0.48, 0.85)), 0.13
    )
    cells_in(rgb, WORKING_UM, stain, rules)
