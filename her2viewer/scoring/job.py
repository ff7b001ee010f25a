"""One run of one scorer on one region: the same generator serves the command line and the scoring process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from her2viewer import __version__
from her2viewer.domain.evidence import Evidence
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import Provenance, Result, ResultWarning
from her2viewer.scoring.aggregate import shares_of
from her2viewer.scoring.calibration_file import applied
from her2viewer.scoring.contract import Event, Finished, Partial, ScorerError, ScoringInput
from her2viewer.scoring.manifest import Manifest
from her2viewer.scoring.merge import EvidenceStore
from her2viewer.scoring.registry import DEVICE_SETTING, find_scorer, load_scorer
from her2viewer.scoring.temperature import tempered
from her2viewer.slides.slide import Slide

if TYPE_CHECKING:
    from her2viewer.scoring.runtime.local import LocalRuntime

_LEAST_NEW_PX = 4.0
"""New area below this is the rounding of outlines, not a part to score (level-0 px2)."""


@dataclass(frozen=True)
class JobRequest:
    """What is to be scored, as plain values that cross to another process."""

    scorer: str
    slide_path: str
    slide_identity: str
    pixel_size: PixelSize
    region: Region
    control: Region = field(default_factory=lambda: Region.of(()))
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Complete settings; ``Manifest.complete`` makes them."""
    scored: Region = field(default_factory=lambda: Region.of(()))
    """What an earlier run with the same settings has covered: left out of this run."""
    estimates: Mapping[str, Any] = field(default_factory=dict)
    """Estimates of that earlier run, used again so that old and new parts agree."""
    focus: tuple[float, float] | None = None
    """Where the reader looks, level-0 px: scored first."""
    threads: int | None = None
    for_calibration: bool = False
    """See ``ScoringInput``."""

    @property
    def todo(self) -> Region:
        """The part of the region that is new."""
        new = self.region.difference(self.scored)
        return Region.of(()) if new.area_px < _LEAST_NEW_PX else new


@dataclass(frozen=True)
class JobDone:
    """Last event of a job."""

    finished: Finished
    provenance: Provenance


JobEvent = Event | JobDone


def request_after(previous: Result | None, request: JobRequest, manifest: Manifest) -> JobRequest:
    """The request, told what an earlier result already covers, where that result can be used again.

    It can when slide, scorer and its version, settings and pixel size are the same, it was assessable, and it has
    looked at some of this region: an outline somewhere else on the slide is a question of its own.
    """
    if (
        previous is None
        or previous.not_assessable is not None
        or not reusable(previous, request, manifest)
        or previous.scored.intersection(request.region).area_px < _LEAST_NEW_PX
    ):
        return replace(request, scored=Region.of(()), estimates={})
    return replace(request, scored=previous.scored, estimates=dict(previous.provenance.estimates))


def reusable(previous: Result, request: JobRequest, manifest: Manifest) -> bool:
    """Whether evidence of ``previous`` may stand beside that of a new run."""
    p = previous.provenance
    return (
        p.scorer == request.scorer
        and p.scorer_version == manifest.version
        and p.slide_identity == request.slide_identity
        and abs(p.mpp - request.pixel_size.mpp) < 1e-9
        and dict(p.settings) == dict(request.settings)
    )


def run_job(request: JobRequest, slide: Slide, runtime: LocalRuntime) -> Iterator[JobEvent]:
    """Run the scorer on what is new in the region; ``JobDone`` comes last.

    Raises:
        Cancelled: the reader cancelled.
        ScorerError: the scorer cannot be found, loaded or go on.
        SlideError: the slide cannot be read.
    """
    manifest = find_scorer(request.scorer)
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    todo = request.todo
    finished: Finished | None = None
    if todo.empty and not request.scored.empty:
        finished = Finished(estimates=request.estimates)
    else:
        scorer = load_scorer(manifest)
        runtime.prefer(str(request.settings.get(DEVICE_SETTING, "auto")))
        given = ScoringInput(
            slide=slide,
            pixel_size=request.pixel_size,
            region=todo,
            whole=request.region,
            control=request.control,
            settings=dict(request.settings),
            estimates=dict(request.estimates),
            focus=request.focus,
            for_calibration=request.for_calibration,
        )
        for event in scorer.score(given, runtime):
            runtime.check()
            if isinstance(event, Finished):
                finished = event
            else:
                yield event
        if finished is None:
            raise ScorerError(f"The scorer {manifest.title!r} ended without an answer. Report this to its authors.")
    finished = tempered(finished, manifest, request.settings)
    # The core says which calibration was used, so that no scorer can forget it.
    hashes, warnings = applied(manifest, request.settings, finished.weights)
    finished = replace(finished, weights={**finished.weights, **hashes}, warnings=(*finished.warnings, *warnings))
    yield JobDone(
        finished,
        Provenance(
            scorer=manifest.id,
            scorer_version=manifest.version,
            program_version=__version__,
            slide_identity=request.slide_identity,
            region_hash=request.region.hash,
            mpp=request.pixel_size.mpp,
            mpp_source=str(request.pixel_size.source),
            device=runtime.device,
            settings=dict(request.settings),
            estimates=dict(finished.estimates),
            weights=dict(finished.weights),
            started=started,
            duration_s=time.monotonic() - clock,
        ),
    )


class ResultBuilder:
    """Puts the events of a job together with what an earlier result holds."""

    def __init__(self, request: JobRequest, manifest: Manifest, previous: Result | None) -> None:
        self._request = request
        self._manifest = manifest
        self._previous = previous if previous is not None and not request.scored.empty else None
        self._store = EvidenceStore(self._previous.evidence if self._previous else ())
        self._covered = [self._previous.scored] if self._previous else []
        self._missing = request.region.difference(self._previous.scored) if self._previous else request.region

    @property
    def covered(self) -> Region:
        """What the evidence at hand completes. It knows what it leaves of the region of the run."""
        if len(self._covered) != 1:
            self._covered = [Region.of(part.geometry for part in self._covered)]
        return self._covered[0].leaving(self._request.region, self._missing)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All evidence at hand, joined."""
        return self._store.merged()

    def add(self, event: JobEvent) -> None:
        """Take in one event."""
        if isinstance(event, Partial):
            self._store.add(event.evidence)
            self._covered.append(event.covered)
            self._missing = self._missing.without(event.covered)

    def result(self, done: JobDone) -> Result:
        """The whole result after the last event."""
        finished = done.finished
        self._store.add(finished.evidence)
        evidence = self._store.merged()
        not_assessable = finished.not_assessable
        warnings = finished.warnings
        if not_assessable is not None and self._counted_before():
            # The new part alone (glass beside the tissue, say) does not undo what was assessable before.
            text = f"The part that was added to the region was not assessable: {not_assessable.reason}"
            warnings = (*warnings, ResultWarning(not_assessable.code, text))
            not_assessable = None
        if self._previous is not None:
            known = {w.code for w in warnings}
            kept = (w for w in self._previous.warnings if w.code not in known and not w.of_region)
            warnings = (*kept, *warnings)
        # A finished run has looked at the whole region, also where it found nothing worth a partial.
        scored = self.covered.union(self._request.region).leaving(self._request.region, Region.of(()))
        shares = None
        if not_assessable is None:
            shares = shares_of(evidence, self._request.region, self._manifest.counts, self._request.pixel_size)
        return Result(
            provenance=done.provenance,
            scored=scored,
            evidence=evidence,
            shares=shares,
            score=finished.score,
            score_probabilities=finished.score_probabilities,
            status=finished.status,
            status_probability=finished.status_probability,
            not_assessable=not_assessable,
            warnings=warnings,
        )

    def _counted_before(self) -> bool:
        """Whether the earlier result found tumour in what is still inside the region."""
        if self._previous is None:
            return False
        request = self._request
        shares = shares_of(self._previous.evidence, request.region, self._manifest.counts, request.pixel_size)
        return shares is None or shares.total > 0


def score_slide(
    request: JobRequest,
    slide: Slide,
    runtime: LocalRuntime,
    previous: Result | None = None,
    on_event: Callable[[JobEvent], None] | None = None,
) -> Result:
    """Run a job in this process to its end, as the command line does.

    Raises:
        Cancelled, ScorerError, SlideError: as ``run_job``.
    """
    manifest = find_scorer(request.scorer)
    request = request_after(previous, request, manifest)
    builder = ResultBuilder(request, manifest, previous)
    done: JobDone | None = None
    for event in run_job(request, slide, runtime):
        builder.add(event)
        if isinstance(event, JobDone):
            done = event
        if on_event is not None:
            on_event(event)
    if done is None:
        raise ScorerError("The run ended without an answer.")
    return builder.result(done)
