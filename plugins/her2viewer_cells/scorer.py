"""The scorer: estimate, then tile after tile from where the reader looks: cells in threads, classes by a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from her2viewer.api import (
    WITHOUT_MODEL,
    Event,
    Evidence,
    Finished,
    ModelError,
    ModelFolder,
    Network,
    Partial,
    Progress,
    Region,
    Runtime,
    ScorerError,
    ScoringInput,
    Tile,
    TilePlan,
    deconvolution,
    find_artefacts,
    find_model,
    in_order,
    prepared,
    tables_of,
    wait,
)
from her2viewer_cells.classes import MPP, probabilities, table_of
from her2viewer_cells.detection import DetectionRules, detect
from her2viewer_cells.finder import ALIGN, Finder
from her2viewer_cells.tile import Found, Means, look
from her2viewer_cells.verdict import (
    NUCLEAR_SHARE,
    Tally,
    after_cells,
    before_anything,
    before_cells,
    warnings_for,
)

PLUGIN = "cells"


class CellsScorer:
    """Every cell found and classed after Vandenberghe et al. 2017; see README.md of the plugin."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Compile the detection: on a new machine that takes longer than many a run."""
        _compile()

    def score(self, request: ScoringInput, runtime: Runtime) -> Iterator[Event]:
        """Cells of the region with class, probabilities, membrane OD and completeness.

        Raises:
            Cancelled: from ``runtime.check()``.
            ScorerError: the model is missing or damaged, a setting or an earlier estimate cannot be used.
            SlideError: the slide cannot be read at all.
        """
        reason = before_anything(request.pixel_size.mpp)
        if reason is not None:
            yield Finished(not_assessable=reason)
            return
        if request.region.empty:
            raise ScorerError("Nothing is outlined. Draw a region around the invasive carcinoma first.")
        # The network loads and loops are compiled while the stain is estimated.
        pool = ThreadPoolExecutor(max(1, runtime.threads), thread_name_prefix="cells")
        helpers = ThreadPoolExecutor(2, thread_name_prefix="cells-helper")
        try:
            loading, compiling = helpers.submit(_networks, request.settings, runtime), helpers.submit(_compile)
            yield Progress("Estimating stain", 0, 0)
            known = prepared(request, runtime, before=before_cells, nuclear_share=NUCLEAR_SHARE)
            if known.refusal is not None:
                yield Finished(not_assessable=known.refusal, warnings=known.warnings)
                return
            yield Progress("Loading network", 0, 0)
            (model, network), found_by = wait(loading, runtime.check)
            wait(compiling, runtime.check)
            means = Means(
                request.slide,
                TilePlan.of(request.slide, request.pixel_size, MPP, exact=True, align=ALIGN),
                request.region,
                tables_of(known.estimate),
                replace(DetectionRules(), contrast=float(request.settings["nucleus_contrast"])),
                float(request.settings["faint"]),
                finder=None if found_by is None else Finder(found_by[1], float(request.settings["nucleus_from"])),
            )
            if request.settings["leave_out_artefacts"]:
                yield Progress("Looking for artefacts", 0, 0)
                artefacts = find_artefacts(
                    request.slide,
                    request.pixel_size,
                    request.region,
                    background=known.estimate.background,
                    haematoxylin=known.estimate.haematoxylin,
                    dab=known.estimate.dab,
                    check=runtime.check,
                )
                means = replace(means, artefacts=artefacts)
            tiles = _from_focus(means.plan.tiles(request.region), request.region, request.focus)
            tally = Tally(request.pixel_size)
            yield Progress("Cells", 0, len(tiles))

            def work(tile: Tile) -> Found:
                with runtime.timed("Finding cells", (tile.size / means.plan.downsample) ** 2):
                    return look(tile, means)

            for done, (tile, found) in enumerate(in_order(tiles, work, pool, runtime), start=1):
                if found is None:
                    tally.unread += 1
                else:
                    yield Partial(_evidence(found, network, tally), request.region.intersection(tile.region))
                yield Progress("Cells", done, len(tiles))
        finally:
            # On cancel, what has not begun never begins; what runs ends within a fraction of a second. Loading
            # cannot be interrupted, and is not waited for.
            helpers.shutdown(wait=False, cancel_futures=True)
            pool.shutdown(wait=True, cancel_futures=True)
        entire = request.region.area_px >= 0.99 * request.whole.area_px
        reason = after_cells(tally) if entire else None
        yield Finished(
            estimates=known.estimate.as_json() if reason is None else {},
            not_assessable=reason,
            warnings=(*known.warnings, *warnings_for(known.estimate, tally, len(tiles), entire=entire)),
            weights={m.name: m.sha256 for m in (model, *(() if found_by is None else (found_by[0],)))},
        )


def _evidence(found: Found, network: Network, tally: Tally) -> tuple[Evidence, ...]:
    table = table_of(found, probabilities(found, network))
    tally.add(table, found.quality)
    return (table,) if found.quality is None else (table, found.quality)


Loaded = tuple[ModelFolder, Network]


def _networks(settings: Mapping[str, Any], runtime: Runtime) -> tuple[Loaded, Loaded | None]:
    """That for the classes, and that for the nuclei unless they are found without.

    Raises:
        ScorerError: a model is missing, damaged or cannot run here.
    """
    try:
        classes = find_model(PLUGIN, str(settings["model"]))
        chosen = str(settings["finder"])
        nuclei = None if chosen == WITHOUT_MODEL else find_model(PLUGIN, chosen)
    except ModelError as error:
        raise ScorerError(str(error)) from error
    return (classes, runtime.network(classes)), None if nuclei is None else (nuclei, runtime.network(nuclei))


def _from_focus(tiles: list[Tile], region: Region, focus: tuple[float, float] | None) -> list[Tile]:
    """The nearest to where the reader looks first; from the middle of the region outwards where that is elsewhere."""
    x0, y0, x1, y1 = region.bounds
    if focus is None or not (x0 <= focus[0] <= x1 and y0 <= focus[1] <= y1):
        focus = ((x0 + x1) / 2, (y0 + y1) / 2)
    x, y = focus

    def far(tile: Tile) -> tuple[float, float, float]:
        half = tile.size / 2
        return (tile.x + half - x) ** 2 + (tile.y + half - y) ** 2, tile.y, tile.x

    return sorted(tiles, key=far)


def _compile() -> None:
    """Run everything once on a few pixels, so that compiling happens while the reader sees "Preparing"."""
    import cv2

    from her2viewer.api import deconvolve, membrane_of, rings_of
    from her2viewer_cells.tile import CONTRAST, REACH

    cv2.setNumThreads(1)  # The tiles are what is shared out; OpenCV's own threads would only fight over cores.
    rgb = np.full((96, 96, 3), 240, np.uint8)
    for x, y in ((30, 30), (60, 60)):
        cv2.circle(rgb, (x, y), 9, (120, 120, 180), -1)
    tables = deconvolution((240.0, 240.0, 240.0), (0.62, 0.61, 0.48), (0.22, 0.48, 0.85))
    haematoxylin, dab = deconvolve(rgb, tables)
    nuclei = detect(haematoxylin, dab, MPP, DetectionRules())
    membrane_of(rings_of(nuclei, dab, MPP, REACH), 0.1, CONTRAST)
