"""The scorer: estimate, then block after block from where the reader looks: tumour, patches, classes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import (
    Event,
    Evidence,
    Finished,
    ModelError,
    ModelFolder,
    Network,
    NotAssessable,
    Partial,
    Progress,
    Region,
    ResultWarning,
    Runtime,
    ScorerError,
    ScoringInput,
    StainEstimate,
    TileError,
    averaged,
    compact_dab,
    deconvolution,
    deconvolve,
    entered_stains,
    estimate_stains,
    find_artefacts,
    find_model,
    on_white_glass,
)
from her2viewer_surface.blocks import Answer, Means, Tally, answer_of
from her2viewer_surface.plan import BLOCK, STRIDE, WINDOW, Block, Plan
from her2viewer_surface.segmentation import Segmentation
from her2viewer_surface.verdict import after_all, after_fields, before_anything, before_networks, warnings_for

PLUGIN = "surface"
Glass = tuple[float, float, float]
FIELD_UM = 0.5
FIELD_PX = 448
FIELDS = 8
"""Fields looked at for a nuclear stain."""
AHEAD = 2
"""Blocks read while the networks work."""
CHECK_S = 0.1


@dataclass(frozen=True)
class Picture:
    """What was read for a block: windows that are missing, and the block itself, on white glass at 1 um/px."""

    places: list[tuple[int, int]]
    windows: list[NDArray[np.uint8]]
    block: NDArray[np.uint8]


class SurfaceScorer:
    """Tumour surface by HER2 class after Pham et al. 2022; see README.md of the plugin."""

    def score(self, request: ScoringInput, runtime: Runtime) -> Iterator[Event]:
        """See ``her2viewer.api.Scorer``."""
        reason = before_anything(request.pixel_size.mpp)
        if reason is not None:
            yield Finished(not_assessable=reason)
            return
        if request.region.empty:
            raise ScorerError("Nothing is outlined. Draw a region around the invasive carcinoma first.")
        yield Progress("Estimating stain", 0, 0)
        estimate, warnings, reason = _estimate(request, runtime)
        if reason is not None:
            yield Finished(not_assessable=reason, warnings=tuple(warnings))
            return
        yield Progress("Loading networks", 0, 0)
        segmenter, classifier = (_model(request.settings, role) for role in ("segmenter", "classifier"))
        means = _means(request, runtime, estimate, runtime.network(classifier), classifier)
        segmentation = Segmentation(runtime.network(segmenter))
        warnings += yield from _blocks(request, runtime, estimate.background, means, segmentation)
        entire = request.region.area_px >= 0.99 * request.whole.area_px
        reason = after_all(means.tally) if entire else None
        warnings += warnings_for(estimate, means.tally, entire=entire)
        yield Finished(
            estimates=estimate.as_json() if reason is None else {},
            not_assessable=reason,
            warnings=tuple(warnings),
            weights={model.name: model.sha256 for model in (segmenter, classifier)},
        )


def _estimate(
    request: ScoringInput, runtime: Runtime
) -> tuple[StainEstimate, list[ResultWarning], NotAssessable | None]:
    """Glass and stains, what the reader must know of them, and what speaks against scoring."""
    if request.estimates:
        try:
            return StainEstimate.from_json(request.estimates), [], None
        except (KeyError, TypeError, ValueError) as error:
            raise ScorerError(
                f"The stain estimates of the earlier run cannot be used again ({error}). Score the whole region anew."
            ) from error
    estimate = estimate_stains(
        request.slide,
        request.pixel_size,
        request.whole,
        working_um=max(FIELD_UM, request.pixel_size.mpp),
        entered=entered_stains(request.settings),
        check=runtime.check,
    )
    warnings: list[ResultWarning] = []
    for look in (before_networks, lambda e: after_fields(e, lambda: _fields(request, e, runtime))):
        reason = look(estimate)
        if reason is None:
            continue
        if reason.code == "no_tissue" or not request.settings["score_anyway"]:
            return estimate, warnings, reason
        warnings.append(ResultWarning(reason.code, reason.reason))
    return estimate, warnings, None


def _fields(request: ScoringInput, estimate: StainEstimate, runtime: Runtime) -> Any:
    """How DAB lies in some fields spread over the tissue."""
    tables = deconvolution(estimate.background, estimate.haematoxylin, estimate.dab)
    um = max(FIELD_UM, request.pixel_size.mpp)
    places = estimate.samples
    found = []
    for pick in np.unique(np.linspace(0, len(places) - 1, min(FIELDS, len(places))).round().astype(int)):
        runtime.check()
        x, y = places[int(pick)]
        try:
            rgb = request.slide.read_at(um / request.pixel_size.mpp, x, y, FIELD_PX, FIELD_PX)
        except TileError:
            continue
        found.append(compact_dab(deconvolve(rgb, tables)[1], um))
    return averaged(found)


def _model(settings: Mapping[str, Any], role: str) -> ModelFolder:
    try:
        return find_model(PLUGIN, str(settings[role]))
    except ModelError as error:
        raise ScorerError(str(error)) from error


def _means(
    request: ScoringInput, runtime: Runtime, estimate: StainEstimate, network: Network, model: ModelFolder
) -> Means:
    finished = model.more.get("finished")
    alphas = np.asarray(finished.get("alphas", (1, 1, 1, 1)) if isinstance(finished, Mapping) else (1, 1, 1, 1))
    if alphas.shape != (4,) or not (np.isfinite(alphas).all() and (alphas > 0).all()):
        raise ScorerError(f"The logit factors of the model {model.name} are wrong; get it again.")
    artefacts = None
    if request.settings["leave_out_artefacts"]:
        artefacts = find_artefacts(
            request.slide,
            request.pixel_size,
            request.region,
            background=estimate.background,
            haematoxylin=estimate.haematoxylin,
            dab=estimate.dab,
            check=runtime.check,
        )
    return Means(
        plan=Plan.of(request.pixel_size),
        region=request.region,
        classifier=network,
        alphas=alphas.astype(np.float32),
        threshold=float(request.settings["threshold"]),
        artefacts=artefacts,
        tally=Tally(request.pixel_size),
    )


def _blocks(
    request: ScoringInput, runtime: Runtime, glass: Glass, means: Means, segmentation: Segmentation
) -> Generator[Event, None, list[ResultWarning]]:
    """All blocks, read ahead by a thread while the networks work; ``means`` keeps the tally."""
    blocks = means.plan.blocks(request.region, request.focus)
    unread = 0
    yield Progress("Tumour and classes", 0, len(blocks))

    def read(block: Block, places: list[tuple[int, int]]) -> Picture:
        with runtime.timed("Reading", BLOCK * BLOCK):
            return _read(request, means.plan, glass, block, places)

    with ThreadPoolExecutor(1, thread_name_prefix="surface-reader") as pool:
        try:
            asked: set[tuple[int, int]] = set()
            waiting: deque[tuple[Block, Future[Picture]]] = deque()
            rest = iter(blocks)
            done = 0
            while True:
                while len(waiting) < AHEAD + 1 and (block := next(rest, None)) is not None:
                    # Windows that a block before it in the queue will have computed need not be read again.
                    places = [at for at in segmentation.missing(block) if at not in asked]
                    asked.update(places)
                    waiting.append((block, pool.submit(read, block, places)))
                if not waiting:
                    break
                block, future = waiting.popleft()
                try:
                    picture = _wait(future, runtime.check)
                    asked.difference_update(picture.places)
                    segmentation.add(picture.places, picture.windows)
                    if late := segmentation.missing(block):
                        # Forgotten meanwhile, or lost with a block that could not be read.
                        more = _read(request, means.plan, glass, block, late)
                        segmentation.add(more.places, more.windows)
                    answer = answer_of(block, picture.block, segmentation.probability(block), means)
                except TileError:
                    unread += 1
                    answer = Answer((), None)
                done += 1
                if answer.evidence:
                    yield _partial(answer.evidence, means.plan.region_of(block), request.region)
                yield Progress("Tumour and classes", done, len(blocks))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if not unread:
        return []
    text = f"{unread} of {len(blocks)} areas of the slide could not be read and were left out."
    return [ResultWarning("unread", text)]


def _partial(evidence: tuple[Evidence, ...], square: Region, region: Region) -> Partial:
    return Partial(evidence, region.intersection(square))


def _read(request: ScoringInput, plan: Plan, glass: Glass, block: Block, places: list[tuple[int, int]]) -> Picture:
    """Everything that a block needs in one read.

    Raises:
        TileError: a part cannot be decoded.
    """
    lefts = [block.x, *(column * STRIDE for column, _ in places)]
    tops = [block.y, *(row * STRIDE for _, row in places)]
    rights = [block.x + BLOCK, *(column * STRIDE + WINDOW for column, _ in places)]
    bottoms = [block.y + BLOCK, *(row * STRIDE + WINDOW for _, row in places)]
    x, y = min(lefts), min(tops)
    d = plan.downsample
    rgb = request.slide.read_at(d, x * d, y * d, max(rights) - x, max(bottoms) - y)
    white = on_white_glass(rgb, glass)
    windows = [
        white[row * STRIDE - y : row * STRIDE - y + WINDOW, column * STRIDE - x : column * STRIDE - x + WINDOW]
        for column, row in places
    ]
    inner = white[block.y - y : block.y - y + BLOCK, block.x - x : block.x - x + BLOCK]
    return Picture(places, windows, inner)


def _wait(future: Future[Picture], check: Callable[[], None]) -> Picture:
    while True:
        check()
        try:
            return future.result(timeout=CHECK_S)
        except NotYet:
            # A result may itself be a TimeoutError from a network share.
            if future.done():
                raise
