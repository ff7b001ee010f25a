"""What a scorer of HER2 immunohistochemistry does first: glass and stains, and whether to go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from her2viewer.domain.result import NotAssessable, ResultWarning
from her2viewer.scoring.assessable import averaged, entered_stains, nuclear_stain
from her2viewer.scoring.contract import Runtime, ScorerError, ScoringInput
from her2viewer.slides.slide import TileError
from her2viewer.stains.deconvolution import Deconvolution, deconvolution, deconvolve
from her2viewer.stains.estimate import StainEstimate, estimate_stains
from her2viewer.stains.kind import CompactDab, compact_dab

FIELD_UM = 0.5
FIELD_PX = 448
FIELDS = 8
"""Fields looked at for a nuclear stain."""
ANYWAY = "score_anyway"
"""Id of the setting by which a reader has refusals turned into warnings."""


@dataclass(frozen=True)
class Prepared:
    """What is known of a slide before it is scored."""

    estimate: StainEstimate
    warnings: tuple[ResultWarning, ...]
    """Refusals that the reader has overruled."""
    refusal: NotAssessable | None
    """Why nothing should be scored; None: go on."""


def prepared(
    request: ScoringInput,
    runtime: Runtime,
    *,
    before: Callable[[StainEstimate], NotAssessable | None],
    nuclear_share: float,
) -> Prepared:
    """Glass and stains of the slide: those of an earlier run, else estimated and judged.

    Args:
        request: what is to be scored; its settings hold ``background``, ``haematoxylin``, ``dab`` and ``ANYWAY``.
        runtime: of the run.
        before: reasons that the estimate alone shows.
        nuclear_share: share of the brown area in spots like nuclei from which this is a nuclear stain.

    Raises:
        Cancelled: from ``runtime.check()``.
        ScorerError: earlier estimates or entered stains cannot be used.
        SlideError: the slide cannot be read at all.
    """
    if request.estimates:
        try:
            return Prepared(StainEstimate.from_json(request.estimates), (), None)
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
    for look in (before, lambda e: nuclear_stain(_dab_of_fields(request, e, runtime), nuclear_share)):
        reason = look(estimate)
        if reason is None:
            continue
        if reason.code == "no_tissue" or not request.settings[ANYWAY]:
            return Prepared(estimate, tuple(warnings), reason)
        warnings.append(ResultWarning(reason.code, reason.reason))
    return Prepared(estimate, tuple(warnings), None)


def tables_of(estimate: StainEstimate) -> Deconvolution:
    """Tables for the deconvolution of a slide.

    Raises:
        ScorerError: the stain vectors cannot be told apart.
    """
    try:
        return deconvolution(estimate.background, estimate.haematoxylin, estimate.dab)
    except ValueError as error:
        raise ScorerError(f"{error} Change them in the settings of the scorer.") from error


def _dab_of_fields(request: ScoringInput, estimate: StainEstimate, runtime: Runtime) -> CompactDab:
    """How DAB lies in some fields spread over the tissue."""
    tables = tables_of(estimate)
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
