"""What is scored, what is known, what follows from it: between the session, the scoring thread and the panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from her2viewer.domain.evidence import Evidence
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.decision import Decision
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, Profile, load_profiles
from her2viewer.scoring.aggregate import ShareCounter
from her2viewer.scoring.contract import Progress
from her2viewer.scoring.job import JobRequest, request_after
from her2viewer.scoring.manifest import Manifest
from her2viewer.scoring.registry import ScorerEntry
from her2viewer.slides.slide import Slide
from her2viewer.viewer.scoring_knowledge import NOTHING, Held, Knowledge
from her2viewer.viewer.scoring_model import (
    Reading,
    ScorerChoice,
    ScoringState,
    counts_of,
    decisions_on,
    reusable_result,
    shown_warnings,
)
from her2viewer.viewer.scoring_progress import RunProgress, TimeLeft
from her2viewer.viewer.scoring_watcher import Run, ScoringWatcher
from her2viewer.viewer.session import Session

_FRAME_MS = 16
_RUNNING_MS = 120
"""While evidence streams in, numbers change about eight times a second: readable, and cheap."""


class ScoringController(QObject):
    """Main-thread model of scoring. Never blocks: the work is done by ``ScoringWatcher`` and its process."""

    state_changed = Signal(object)
    """ScoringState."""
    progress = Signal(object)
    """RunProgress while running."""
    evidence_added = Signal(object)
    """tuple[Evidence, ...] of one more part, to be shown beside what is there."""
    evidence_changed = Signal(object)
    """tuple[Evidence, ...] to be shown instead of what is there."""
    scored_changed = Signal(object, object)
    """Region of the reader, Region that is scored."""
    shares_changed = Signal(object)
    """Shares | None of the present region."""
    decision_changed = Signal(object, object)
    """Decision | None, tuple[Decision, ...] of the other profiles."""
    result_changed = Signal(object)
    """Result | None: a run has ended or a result was restored; what the case keeps."""
    failed = Signal(str, str)
    """Sentence, log."""
    device_known = Signal(str)
    reading_changed = Signal(object)
    """Reading."""
    scorer_changed = Signal(str)
    """Another scorer, or other settings of it."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session: Session | None = None
        self._choice = ScorerChoice()
        self._reading = Reading()
        self._known = Knowledge(self)
        self._known.counted.connect(self._refresh)
        self._profiles: dict[str, Profile] = {}
        self._state = ScoringState.NO_SLIDE
        self._progress: RunProgress | None = None
        self._time_left = TimeLeft()
        self._failure: tuple[str, str] | None = None
        self._run: Run | None = None
        self._runs = 0
        self._cancelling = False
        self._shares: Shares | None = None
        self._decisions: tuple[Decision | None, tuple[Decision, ...]] = (None, ())
        self._watcher = ScoringWatcher(self)
        self._watcher.device_known.connect(self.device_known)
        self._watcher.progress.connect(self._on_progress)
        self._watcher.partial.connect(self._on_partial)
        self._watcher.finished_run.connect(self._on_finished)
        self._watcher.stopped_run.connect(self._on_stopped)
        self._watcher.failed_run.connect(self._on_failed)
        # Many edits and parts within a frame are one update.
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._update)

    # -- what is asked of it --------------------------------------------------------------------------------------

    @property
    def state(self) -> ScoringState:
        """Where the reader is."""
        return self._state

    @property
    def scorers(self) -> tuple[ScorerEntry, ...]:
        """All installed scorers, usable or with the reason why not; read at first use."""
        return self._choice.entries

    @property
    def scorer(self) -> str:
        """Id of the chosen scorer."""
        return self._choice.id

    @property
    def manifest(self) -> Manifest | None:
        """Manifest of the chosen scorer; None where it cannot be used."""
        return self._choice.manifest

    @property
    def profiles(self) -> dict[str, Profile]:
        """All guideline profiles by id, read at first use."""
        if not self._profiles:
            self._profiles = load_profiles()
        return self._profiles

    @property
    def profile(self) -> Profile:
        """The profile in use; the default where the chosen one is not there."""
        return self.profiles.get(self._reading.profile) or self.profiles[DEFAULT_PROFILE]

    @property
    def reading(self) -> Reading:
        """What the pathologist has added."""
        return self._reading

    @property
    def shares(self) -> Shares | None:
        """Shares of the present region."""
        return self._shares

    @property
    def decision(self) -> Decision | None:
        """What the profile in use says."""
        return self._decisions[0]

    @property
    def others(self) -> tuple[Decision, ...]:
        """What the other profiles say."""
        return self._decisions[1]

    @property
    def run_progress(self) -> RunProgress | None:
        """How far the present run is."""
        return self._progress

    @property
    def failure(self) -> tuple[str, str] | None:
        """Sentence and log of the last failure, until the next run or another slide."""
        return self._failure

    @property
    def scoring_pid(self) -> int | None:
        """Process id of the scoring process, where there is one."""
        return self._watcher.pid

    @property
    def scored(self) -> Region:
        """What the chosen scorer has looked at."""
        held = self._held
        return NOTHING if held is None else held.scored

    @property
    def coverage(self) -> float:
        """Share 0 to 1 of the region that is scored."""
        return self._known.coverage(self.scorer, self._region)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All evidence that is shown."""
        return () if self._held is None else self._held.shown()

    @property
    def known_scorers(self) -> tuple[str, ...]:
        """Ids of the scorers that something is known from for this slide."""
        return self._known.scorers

    def evidence_of(self, scorer: str) -> tuple[Evidence, ...]:
        """All evidence that is known from one scorer, whether or not it is the one shown."""
        held = self._known.get(scorer)
        return () if held is None else held.shown()

    def scored_by(self, scorer: str) -> Region:
        """What that scorer has looked at."""
        held = self._known.get(scorer)
        return NOTHING if held is None else held.scored

    @property
    def result(self) -> Result | None:
        """The result for the region as it is now: shares and warnings follow the outline."""
        return None if self._held is None else self._held.result_for(self._region, self.coverage)

    @property
    def settings_differ(self) -> bool:
        """True when the answer shown was made with other settings than those chosen now."""
        held = self._held
        if held is None or held.result is None or self.manifest is None:
            return False
        return dict(held.result.provenance.settings) != self.settings_of(self.scorer)

    @property
    def locked(self) -> bool:
        """The case is signed."""
        return self._session is not None and self._session.locked

    @property
    def obstacle(self) -> str:
        """Why the scorer cannot be run now, as a sentence; "" where it can."""
        if self._run is not None:
            return "The scorer is running."
        match self._state:
            case ScoringState.NO_SLIDE:
                return "Open a slide first."
            case ScoringState.NO_PIXEL_SIZE:
                return "Enter the pixel size of this slide first (File, Pixel size)."
            case ScoringState.NO_ROI:
                return "Outline the invasive carcinoma first: P polygon, F freehand, B brush."
        if problem := self._choice.problem:
            return problem
        if self.locked:
            return "The case is signed: amend it before scoring again."
        return ""

    # -- what the reader does -------------------------------------------------------------------------------------

    def set_session(self, session: Session) -> None:
        """Follow this session."""
        self._session = session
        session.slide_changed.connect(self._on_slide)
        session.pixel_size_changed.connect(self._on_pixel_size)
        session.region_changed.connect(self._on_region)
        session.locked_changed.connect(lambda _: self.state_changed.emit(self._state))
        self._on_slide(session.slide)

    def warm_up(self) -> None:
        """Start the scoring process and let the scorer prepare, so that the first run need not wait for them."""
        if self.manifest is not None:
            self._watcher.warm_up(self.manifest.id)

    def run(self) -> bool:
        """Score what is not yet scored; False where it cannot be done now (see ``obstacle``)."""
        session, manifest = self._session, self.manifest
        if (
            self.obstacle
            or session is None
            or session.slide is None
            or manifest is None
            or session.pixel_size is None
        ):
            return False
        request = JobRequest(
            scorer=manifest.id,
            slide_path=str(session.slide.path),
            slide_identity=session.slide.identity,
            pixel_size=session.pixel_size,
            region=session.region,
            control=session.annotations.control_region(),
            settings=self.settings_of(manifest.id),
        )
        held = self._held
        # Run once more on what is fully scored with the same settings: then the reader wants it done anew.
        again = self.coverage == 1 and not self.settings_differ
        previous = None if held is None or again else reusable_result(held.result, request)
        request = request_after(previous, request, manifest)
        if request.scored.empty:
            previous = None
            self._known.begin(manifest.id, manifest.counts, session.pixel_size)
            self.evidence_changed.emit(())
        self._runs += 1
        self._run = Run(self._runs, request, manifest, previous)
        self._failure = None
        self._cancelling = False
        self._time_left = TimeLeft()
        self._progress = RunProgress("Starting", None, None)
        self._watcher.start_run(self._run)
        self._refresh()
        self.progress.emit(self._progress)
        return True

    def cancel(self) -> None:
        """Cancel the run; the state is "cancelling" until it has really stopped."""
        if self._run is not None and not self._cancelling:
            self._cancelling = True
            self._watcher.cancel_run()
            self._set_state()

    def restore(self, result: Result | None) -> None:
        """Show a saved result, or none."""
        session = self._session
        if result is None or session is None or session.pixel_size is None:
            self._known.clear()
            self.evidence_changed.emit(())
            self._refresh()
            return
        scorer = result.provenance.scorer
        entry = self._choice.entry(scorer)
        counts = entry.manifest.counts if entry is not None and entry.manifest is not None else counts_of(result)
        self._known.restore(result, counts, session.pixel_size)
        self._choice.keep_settings(scorer, result.provenance.settings)
        self._choice.id = scorer
        self.scorer_changed.emit(scorer)
        self.evidence_changed.emit(result.evidence)
        self._refresh()

    def set_scorer(self, scorer: str) -> None:
        """Choose another scorer; what is known from it is shown again."""
        if scorer == self.scorer or self._run is not None:
            return
        self._choice.id = scorer
        self._failure = None
        self.scorer_changed.emit(scorer)
        self.evidence_changed.emit(self.evidence)
        self._refresh()

    def settings_of(self, scorer: str) -> dict[str, Any]:
        """Complete settings of a scorer: what was chosen over the defaults; {} for an unusable one."""
        return self._choice.settings_of(scorer)

    def keep_settings(self, scorer: str, settings: Mapping[str, Any]) -> None:
        """Settings remembered from an earlier session."""
        self._choice.keep_settings(scorer, settings)

    def set_settings(self, settings: Mapping[str, Any]) -> None:
        """Settings of the chosen scorer; they count from the next run on.

        Raises:
            ValueError: one is out of its range; the sentence names it.
        """
        if self._choice.choose_settings(settings):
            self.scorer_changed.emit(self.scorer)
            self.state_changed.emit(self._state)

    def set_reading(self, reading: Reading) -> None:
        """What the pathologist adds has changed."""
        if reading != self._reading:
            self._reading = reading
            self.reading_changed.emit(reading)
            self._decide()

    def change_reading(self, **changes: Any) -> None:
        """``set_reading`` with some fields changed."""
        self.set_reading(replace(self._reading, **changes))

    def shutdown(self) -> None:
        """End the scoring process and its thread; the window closes."""
        self._timer.stop()
        self._run = None
        self._watcher.close()

    # -- what the session says ------------------------------------------------------------------------------------

    @property
    def _held(self) -> Held | None:
        return self._known.get(self.scorer)

    @property
    def _region(self) -> Region:
        return NOTHING if self._session is None else self._session.region

    def _on_slide(self, slide: Slide | None) -> None:
        self._drop_run()
        self._known.clear()
        self._failure = None
        self._reading = Reading(profile=self._reading.profile)
        self.reading_changed.emit(self._reading)
        self.evidence_changed.emit(())
        self.result_changed.emit(None)
        self._refresh()

    def _on_pixel_size(self, pixel_size: PixelSize | None) -> None:
        # Cells and areas were measured with the old size: they are not worth keeping.
        if self._known.keep_fitting(pixel_size) or self._run is not None:
            self._drop_run()
            self.evidence_changed.emit(self.evidence)
            self.result_changed.emit(self.result)
        self._refresh()

    def _on_region(self, region: Region) -> None:
        self._set_state()
        if not self._timer.isActive():
            self._timer.start(_FRAME_MS)

    def _drop_run(self) -> None:
        if self._run is not None:
            self._watcher.cancel_run()
        self._run, self._progress, self._cancelling = None, None, False

    # -- what the thread says -------------------------------------------------------------------------------------

    def _mine(self, number: int) -> bool:
        return self._run is not None and self._run.number == number

    def _on_progress(self, number: int, event: Progress) -> None:
        if self._mine(number):
            self._progress = self._time_left.update(event.stage, event.done, event.total)
            self.progress.emit(self._progress)

    def _on_partial(self, number: int, evidence: tuple[Evidence, ...], covered: Region) -> None:
        if not self._mine(number):
            return
        if self._held is not None:
            self._held.add(evidence, covered)
        self.evidence_added.emit(evidence)
        if not self._timer.isActive():
            self._timer.start(_RUNNING_MS)

    def _on_finished(self, number: int, result: Result, counter: ShareCounter) -> None:
        if not self._mine(number):
            return
        if self._held is not None:
            self._held.finish(result, counter)
        self._end_run()
        self._refresh()
        self.result_changed.emit(self.result)

    def _on_stopped(self, number: int, so_far: Result | None) -> None:
        if self._mine(number):
            self._keep(so_far)
            self._end_run()
            self._refresh()
            self.result_changed.emit(self.result)

    def _on_failed(self, number: int, sentence: str, log: str, so_far: Result | None) -> None:
        if self._mine(number):
            self._keep(so_far)
            self._end_run()
            self._failure = (sentence, log)
            self._refresh()
            self.failed.emit(sentence, log)
            self.result_changed.emit(self.result)

    def _keep(self, so_far: Result | None) -> None:
        held = self._held
        if held is None:
            return
        if so_far is not None:
            held.finish(so_far)
        elif held.result is None:
            self._known.drop(self.scorer)
            self.evidence_changed.emit(())
        elif held.evidence and self._run is not None:
            # Parts that came to nothing: what was known before them stands.
            request = self._run.request
            self._known.restore(held.result, self._run.manifest.counts, request.pixel_size)
            self.evidence_changed.emit(held.result.evidence)

    def _end_run(self) -> None:
        self._run, self._progress, self._cancelling = None, None, False

    # -- what follows ---------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        self._timer.stop()
        self._set_state()
        self._update()

    def _update(self) -> None:
        shares = None if self._held is None else self._held.shares(self._region)
        self.scored_changed.emit(self._region, self.scored)
        if shares != self._shares:
            self._shares = shares
            self.shares_changed.emit(shares)
        self._decide()
        self._set_state()

    def _decide(self) -> None:
        # A run in progress or one that failed shows its numbers, and no answer: that comes at the end of a run.
        unfinished = self._run is not None or self._failure is not None
        result = None if unfinished or self._region.empty or self._held is None else self._held.result
        decisions: tuple[Decision | None, tuple[Decision, ...]] = (None, ())
        if result is not None and self._held is not None and self._held.stands(self._region):
            result = replace(result, shares=self._shares, warnings=shown_warnings(result, self.coverage))
            decisions = decisions_on(result, self.profiles, self.profile, self._reading)
        if decisions != self._decisions:
            self._decisions = decisions
            self.decision_changed.emit(*decisions)

    def _set_state(self) -> None:
        state = self._state_now()
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)

    def _state_now(self) -> ScoringState:
        session = self._session
        held = self._held
        if self._run is not None:
            return ScoringState.CANCELLING if self._cancelling else ScoringState.RUNNING
        if session is None or session.slide is None:
            return ScoringState.NO_SLIDE
        if session.region.empty:
            return ScoringState.NO_ROI
        if session.pixel_size is None:
            return ScoringState.NO_PIXEL_SIZE
        if self._failure is not None:
            return ScoringState.FAILED
        if held is None or held.result is None or not held.stands(session.region):
            return ScoringState.READY
        if held.result.not_assessable is not None:
            return ScoringState.NOT_ASSESSABLE
        return ScoringState.ANSWERED if self.coverage == 1 else ScoringState.PARTLY_SCORED
