"""What is scored, what is known, what follows from it: between the session, the scoring thread and the panels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, QTimer
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.cell_corrections import CellCorrections
from her2viewer.domain.corrections import Bounds, Corrections
from her2viewer.domain.evidence import Evidence
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.guidelines.decision import Decision
from her2viewer.scoring.aggregate import ShareCounter
from her2viewer.scoring.calibration_file import SETTING
from her2viewer.scoring.contract import Progress
from her2viewer.scoring.job import JobRequest, request_after
from her2viewer.slides.slide import Slide
from her2viewer.viewer.scoring_facts import ScoringFacts
from her2viewer.viewer.scoring_model import (
    Reading,
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
_MOVING_MS = 500
"""While the view moves nobody reads them, and the movement needs the main thread."""
_END = object()
_RUNNING_SHARE = 12
"""So many times what they take is between two of them: regions of many corners take longer."""


class ScoringController(ScoringFacts):
    """Main-thread model of scoring. Never blocks: the work is done by ``ScoringWatcher`` and its process."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._known.counted.connect(self._refresh)
        self._known.cells_corrected.connect(self.cells_corrected)
        self._time_left = TimeLeft()
        self._runs = 0
        self.focus: Callable[[], tuple[float, float] | None] = lambda: None
        """Where the reader looks, level-0 px: what lies there is scored first."""
        self.moving: Callable[[], bool] = lambda: False
        """Whether the reader is just moving the view: what comes from the scorer then is shown a little later."""
        self._arrived: list[tuple[Evidence, ...]] = []
        """Known, and not yet shown."""
        self._stroke: Bounds | None = None
        """A box around the strokes on the tumour mask that are still being drawn."""
        self._cells_open = False
        """Cells were corrected, and nothing follows yet."""
        self._watcher = ScoringWatcher(self)
        self._watcher.device_known.connect(self.device_known)
        self._watcher.progress.connect(self._on_progress)
        self._watcher.partial.connect(self._on_partial)
        self._watcher.finished_run.connect(self._on_finished)
        self._watcher.stopped_run.connect(self._on_stopped)
        self._watcher.failed_run.connect(self._on_failed)
        self._following: Iterator[None] | None = None
        """What is left of an update that is under way."""
        self._outdated = False
        """Something changed since that one began."""
        self._update_ms = 0.0
        """What following the evidence took last."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._update)

    @property
    def scoring_pid(self) -> int | None:
        """Process id of the scoring process, where there is one."""
        return self._watcher.pid

    # -- what the reader does -------------------------------------------------------------------------------------

    def set_session(self, session: Session) -> None:
        """Follow this session."""
        self._session = session
        session.slide_changed.connect(self._on_slide)
        session.pixel_size_changed.connect(self._on_pixel_size)
        session.region_changed.connect(self._on_region)
        session.corrections_changed.connect(self._on_corrections)
        session.correction_dropped.connect(lambda: self._on_corrections(session.corrections))
        session.corrected_live.connect(self._on_stroke)
        session.cell_corrections_changed.connect(self._on_cells)
        session.locked_changed.connect(lambda _: self.state_changed.emit(self._state))
        self._on_slide(session.slide)

    def warm_up(self) -> None:
        """Start the scoring process and let the scorer prepare, so that the first run need not wait for them."""
        if self.manifest is not None:
            self._watcher.warm_up(self.manifest.id, self.settings_of(self.manifest.id))

    def reread_scorers(self) -> None:
        """See whether models were installed or removed while the window was open; cheap where none was."""
        if self._choice.reread():
            self.scorers_changed.emit()
            self._refresh()

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
            focus=self.focus(),
        )
        held = self._held
        # Run once more on what is fully scored with the same settings: then the reader wants it done anew.
        again = self.coverage == 1 and not self.settings_differ
        previous = None if held is None or again else reusable_result(held.result, request)
        request = request_after(previous, request, manifest)
        if request.scored.empty:
            previous = None
            self._known.begin(manifest.id, manifest.counts, session.pixel_size)
            self._change_evidence(())
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
            self._change_evidence(())
            self._refresh()
            return
        scorer = result.provenance.scorer
        entry = self._choice.entry(scorer)
        counts = entry.manifest.counts if entry is not None and entry.manifest is not None else counts_of(result)
        self._known.restore(result, counts, session.pixel_size)
        self._choice.keep_settings(scorer, result.provenance.settings)
        self._choice.id = scorer
        self.scorer_changed.emit(scorer)
        self._show_evidence()
        self._refresh()

    def set_scorer(self, scorer: str) -> None:
        """Choose another scorer; what is known from it is shown again."""
        if scorer == self.scorer or self._run is not None:
            return
        self._choice.id = scorer
        self._failure = None
        self.scorer_changed.emit(scorer)
        self._show_evidence()
        self._refresh()

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

    @property
    def calibration_problem(self) -> str:
        """Why the chosen scorer cannot be calibrated; "" where it can."""
        manifest = self._choice.manifest
        if manifest is None:
            return self._choice.problem
        if manifest.calibration is None:
            return "This scorer has nothing that could be fitted. Choose another scorer first."
        return ""

    def use_calibration(self, path: str) -> None:
        """Take what a calibration file says from now on.

        Raises:
            ValueError: it cannot be used; the sentence says why.
        """
        self.set_settings({**self.settings_of(self.scorer), SETTING: path})

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

    def _on_slide(self, slide: Slide | None) -> None:
        self._drop_run()
        self._known.clear()
        self._stroke = None
        self._failure = None
        self._reading = Reading(profile=self._reading.profile)
        self.reading_changed.emit(self._reading)
        self._change_evidence(())
        self.result_changed.emit(None)
        self._refresh()

    def _on_pixel_size(self, pixel_size: PixelSize | None) -> None:
        # Cells and areas were measured with the old size: they are not worth keeping.
        if self._known.keep_fitting(pixel_size) or self._run is not None:
            self._drop_run()
            self._show_evidence()
            self.result_changed.emit(self.result)
        self._refresh()

    def _on_region(self, region: Region) -> None:
        self._set_state()
        self._update_in(_FRAME_MS)

    def _on_stroke(self, area: BaseGeometry, tumour: bool) -> None:
        held = self._held
        if held is None or not held.live.paint(area, tumour):
            return
        self._stroke = _around(self._stroke, area.bounds)
        self._follow_mask(area.bounds)

    def _on_corrections(self, corrections: Corrections) -> None:
        within, self._stroke = _around(self._stroke, corrections.changed(self._known.corrections)), None
        if within is not None:
            self._known.correct(corrections, within)
            self._follow_mask(within)

    def _on_cells(self, corrections: CellCorrections) -> None:
        self._known.correct_cells(corrections)
        self._cells_open = True
        # A key is no drag: nothing more comes within this frame.
        self._update_in(0)

    def _follow_mask(self, within: Bounds) -> None:
        held = self._held
        if held is None or not held.live.correctable:
            return
        self.evidence_corrected.emit(held.live.surface, within)
        self._update_in(_FRAME_MS)

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

    def _on_partial(
        self, number: int, evidence: tuple[Evidence, ...], covered: Region, counter: ShareCounter | None = None
    ) -> None:
        if not self._mine(number):
            return
        if self._held is not None:
            self._held.add(evidence, covered, counter)
        self._arrived.append(evidence)
        if not self.moving():
            self._show_arrived()
        self._update_in(self._pause_ms())

    def _pause_ms(self) -> int:
        """Between two updates while a scorer runs."""
        return max(_MOVING_MS if self.moving() else _RUNNING_MS, round(_RUNNING_SHARE * self._update_ms))

    def _show_arrived(self) -> None:
        while self._arrived:
            self._show_next()

    def _show_next(self) -> None:
        held, evidence = self._held, self._arrived.pop(0)
        if held is None:
            self.evidence_added.emit(evidence)
            return
        self.evidence_added.emit(tuple(held.live.current(item) for item in evidence))
        for item in evidence:
            # Removed cells are no evidence, but where they were is marked.
            if (patch := held.live.patch_of(item)) is not None:
                self.cells_corrected.emit(self.scorer, patch)

    def _on_finished(self, number: int, result: Result, counter: ShareCounter) -> None:
        if not self._mine(number):
            return
        self._show_arrived()
        if self._held is not None:
            self._held.finish(result, counter)
        self._end_run()
        self._refresh()
        self.result_changed.emit(self.result)

    def _on_stopped(self, number: int, so_far: Result | None) -> None:
        if self._mine(number):
            self._show_arrived()
            self._keep(so_far)
            self._end_run()
            self._refresh()
            self.result_changed.emit(self.result)

    def _on_failed(self, number: int, sentence: str, log: str, so_far: Result | None) -> None:
        if self._mine(number):
            self._show_arrived()
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
            self._change_evidence(())
        elif held.evidence and self._run is not None:
            # Parts that came to nothing: what was known before them stands.
            request = self._run.request
            self._known.restore(held.result, self._run.manifest.counts, request.pixel_size)
            self._show_evidence()

    def _end_run(self) -> None:
        self._run, self._progress, self._cancelling = None, None, False

    def _change_evidence(self, evidence: tuple[Evidence, ...]) -> None:
        # What has arrived is among it, or of no use any more.
        self._arrived.clear()
        self.evidence_changed.emit(evidence)

    def _show_evidence(self) -> None:
        self._change_evidence(self.evidence)
        for patch in () if self._held is None else self._held.live.corrected_cells:
            # Removed cells are no evidence, but where they were is marked.
            self.cells_corrected.emit(self.scorer, patch)

    # -- what follows ---------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        self._timer.stop()
        self._following, self._outdated = None, False
        self._set_state()
        self._update()

    def _update_in(self, milliseconds: int) -> None:
        """Many edits and parts within that time are one update."""
        if self._following is not None:
            self._outdated = True
        elif not self._timer.isActive():
            self._timer.start(milliseconds)

    def _update(self) -> None:
        """Follow what has changed; while the view moves beside a scorer piece by piece, between its frames."""
        if self._following is None:
            self._following, self._update_ms = self._follow(), 0.0
        steps = self._following
        while True:
            begun = time.perf_counter()
            try:
                more = next(steps, _END) is not _END
            except Exception:
                # What follows is not to wait for it.
                self._following = None
                raise
            self._update_ms += 1000 * (time.perf_counter() - begun)
            if self._following is not steps:
                # Whoever was told made all of it follow.
                return
            if not more:
                break
            if self._run is not None and self.moving():
                self._timer.start(_FRAME_MS)
                return
        self._following = None
        if self._outdated:
            self._outdated = False
            self._timer.start(self._pause_ms())

    def _follow(self) -> Iterator[None]:
        while self._arrived:
            self._show_next()
            yield
        self.scored_changed.emit(self._region, self.scored)
        yield
        shares = None if self._held is None else self._held.shares(self._region)
        if shares != self._shares:
            self._shares = shares
            self.shares_changed.emit(shares)
        self._decide()
        self._set_state()
        if self._cells_open:
            self._cells_open = False
            self.cells_settled.emit()

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


def _around(first: Bounds | None, second: Bounds | None) -> Bounds | None:
    """The smallest box that holds both."""
    if first is None or second is None:
        return first or second
    return (min(first[0], second[0]), min(first[1], second[1]), max(first[2], second[2]), max(first[3], second[3]))
