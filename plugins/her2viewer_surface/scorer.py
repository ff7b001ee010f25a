"""The scorer: estimate, then block after block from where the reader looks: tumour, patches, classes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import (
    ArtefactMap,
    Cancelled,
    Event,
    Finished,
    ModelError,
    ModelFolder,
    Network,
    Progress,
    Runtime,
    ScorerError,
    ScoringInput,
    StainEstimate,
    deconvolution,
    deconvolve,
    find_artefacts,
    find_model,
    prepared,
    wait,
)
from her2viewer_surface.blocks import Means, Tally, answer_of
from her2viewer_surface.calibration import factors
from her2viewer_surface.delivery import Delivery
from her2viewer_surface.pipeline import segmented
from her2viewer_surface.plan import Plan
from her2viewer_surface.reading import Reader
from her2viewer_surface.segmentation import Segmentation
from her2viewer_surface.verdict import NUCLEAR_SHARE, after_all, before_anything, before_networks, warnings_for

PLUGIN = "surface"
ROLES = ("segmenter", "classifier")
STAGE = "Tumour and classes"


class SurfaceScorer:
    """Tumour surface by HER2 class after Pham et al. 2022; see README.md of the plugin."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Compile what tells stains apart: on a new machine that takes longer than the first classes."""
        _compile()

    def score(self, request: ScoringInput, runtime: Runtime) -> Iterator[Event]:
        """Mask of the invasive tumour and class map of the region.

        Raises:
            Cancelled: from ``runtime.check()``.
            ScorerError: a model is missing or damaged, a setting or an earlier estimate cannot be used.
            SlideError: the slide cannot be read at all.
        """
        reason = before_anything(request.pixel_size.mpp)
        if reason is not None:
            yield Finished(not_assessable=reason)
            return
        if request.region.empty:
            raise ScorerError("Nothing is outlined. Draw a region around the invasive carcinoma first.")
        # Networks load while the stain is estimated, and artefacts are looked for while the first blocks are scored.
        helpers = ThreadPoolExecutor(2, thread_name_prefix="surface-helper")
        begun, over = threading.Event(), threading.Event()
        try:
            loading = helpers.submit(_networks, request.settings, runtime)
            helpers.submit(_compile)
            yield Progress("Estimating stain", 0, 0)
            known = prepared(request, runtime, before=before_networks, nuclear_share=NUCLEAR_SHARE)
            estimate, warnings = known.estimate, list(known.warnings)
            if known.refusal is not None:
                yield Finished(not_assessable=known.refusal, warnings=known.warnings)
                return
            looking = helpers.submit(_artefacts, request, estimate, runtime, begun, over)
            yield Progress("Loading networks", 0, 0)
            models, networks = wait(loading, runtime.check)
            plan = Plan.of(request.pixel_size, networks[0].side, int(request.settings["overlap"]))
            blocks = plan.blocks(request.region, request.focus)
            alphas = _alphas(models[1]) * factors(request.settings)
            threshold = float(request.settings["threshold"])
            means = Means(plan, networks[1], alphas, threshold, with_logits=request.for_calibration)
            reader = Reader(request.slide, plan, estimate.background)
            tally = Tally(request.pixel_size)
            delivery = Delivery(plan, request.region, looking, tally)
            yield Progress(STAGE, 0, len(blocks))
            done = segmented(blocks, reader, Segmentation(networks[0], plan, blocks), runtime)
            for number, (block, picture, tumour) in enumerate(done, start=1):
                yield from delivery.parts(answer_of(block, picture, tumour, means))
                begun.set()
                yield Progress(STAGE, number, len(blocks))
            begun.set()
            if not looking.done():
                yield Progress("Looking for artefacts", 0, 0)
            yield from delivery.rest(runtime.check)
        finally:
            over.set()
            begun.set()
            # Loading cannot be interrupted: a cancel does not wait for it.
            helpers.shutdown(wait=False, cancel_futures=True)
        entire = request.region.area_px >= 0.99 * request.whole.area_px
        reason = after_all(tally) if entire else None
        warnings += warnings_for(estimate, tally, len(blocks), entire=entire)
        yield Finished(
            estimates=estimate.as_json() if reason is None else {},
            not_assessable=reason,
            warnings=tuple(warnings),
            weights={model.name: model.sha256 for model in models},
        )


def _compile() -> None:
    """Run what tells stains apart once on a pixel."""
    tables = deconvolution((240.0, 240.0, 240.0), (0.62, 0.61, 0.48), (0.22, 0.48, 0.85))
    deconvolve(np.full((1, 1, 3), 240, np.uint8), tables)


def _networks(settings: Mapping[str, Any], runtime: Runtime) -> tuple[list[ModelFolder], list[Network]]:
    """Segmenter and classifier.

    Raises:
        ScorerError: one of them is missing, damaged or cannot run here.
    """
    try:
        models = [find_model(PLUGIN, str(settings[role])) for role in ROLES]
    except ModelError as error:
        raise ScorerError(str(error)) from error
    return models, [runtime.network(model) for model in models]


def _alphas(model: ModelFolder) -> NDArray[np.float32]:
    """(4,) factors of the logits from stage 3 of the training; ones for a model that was not calibrated."""
    finished = model.more.get("finished")
    alphas = np.asarray(finished.get("alphas", (1, 1, 1, 1)) if isinstance(finished, Mapping) else (1, 1, 1, 1))
    if alphas.shape != (4,) or not (np.isfinite(alphas).all() and (alphas > 0).all()):
        raise ScorerError(f"The logit factors of the model {model.name} are wrong; get it again.")
    return alphas.astype(np.float32)


def _artefacts(
    request: ScoringInput,
    estimate: StainEstimate,
    runtime: Runtime,
    begun: threading.Event,
    over: threading.Event,
) -> ArtefactMap | None:
    """What is to be left out; looked for once the first classes are on the screen, for they need all cores.

    Raises:
        Cancelled: the reader cancelled, or the run has failed meanwhile.
        SlideError: the slide is gone.
    """
    if not request.settings["leave_out_artefacts"]:
        return None

    def check() -> None:
        if over.is_set():
            raise Cancelled
        runtime.check()

    while not begun.wait(0.2):
        check()
    check()
    return find_artefacts(
        request.slide,
        request.pixel_size,
        request.region,
        background=estimate.background,
        haematoxylin=estimate.haematoxylin,
        dab=estimate.dab,
        check=check,
    )
