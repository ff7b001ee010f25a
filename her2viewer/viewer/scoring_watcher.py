"""The thread that owns the scoring process: starts it, feeds it, watches it, puts its evidence together."""

from __future__ import annotations

import queue
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal

from her2viewer import __version__
from her2viewer.domain.region import Region
from her2viewer.domain.result import Provenance, Result, ResultWarning
from her2viewer.scoring.aggregate import ShareCounter, shares_of
from her2viewer.scoring.contract import Partial, Progress
from her2viewer.scoring.job import JobDone, JobEvent, JobRequest, ResultBuilder
from her2viewer.scoring.manifest import Manifest
from her2viewer.scoring.messages import Died, FromProcess, JobCancelled, JobFailed, JobSays, Prepared, Ready
from her2viewer.scoring.process import ScoringProcess
from her2viewer.scoring.working_on import WorkingOn
from her2viewer.viewer.scoring_model import STOPPED

_POLL_S = 0.03


@dataclass(frozen=True)
class Run:
    """One run as the controller ordered it."""

    number: int
    request: JobRequest
    manifest: Manifest
    previous: Result | None
    """Result whose evidence the run adds to, or None."""


class _Order:
    CANCEL, CLOSE = "cancel", "close"


@dataclass(frozen=True)
class _Warm:
    scorer: str
    settings: Mapping[str, Any]


class ScoringWatcher(QThread):
    """Signals carry the number of their run, so that a late one is known for what it is."""

    device_known = Signal(str, object)
    """Id of a scorer, ``WorkingOn`` of its networks."""
    progress = Signal(int, object)
    """Run number, ``Progress``."""
    partial = Signal(int, object, object, object)
    """Run number, tuple[Evidence, ...], covered Region so far."""
    finished_run = Signal(int, object, object)
    """Run number, Result, ShareCounter."""
    stopped_run = Signal(int, object)
    """Run number, Result of what was scored before the cancel, or None."""
    failed_run = Signal(int, str, str, object)
    """Run number, sentence, log, Result of what was scored before, or None."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("scoring watcher")
        self._orders: queue.Queue[str | _Warm | Run] = queue.Queue()
        self._process = ScoringProcess()
        self._device = "unknown"

    # -- called from the main thread ------------------------------------------------------------------------------

    def warm_up(self, scorer: str, settings: Mapping[str, Any]) -> None:
        """Have the process started and the scorer prepared before they are needed."""
        self._give(_Warm(scorer, settings))

    def start_run(self, run: Run) -> None:
        """Run this as soon as the run before it has ended."""
        self._give(run)

    def cancel_run(self) -> None:
        """Cancel the present run; ``stopped_run`` says when it has really stopped, after about a second at most."""
        self._give(_Order.CANCEL)

    def close(self) -> None:
        """End the process and this thread; waits for both."""
        if self.isRunning():
            self._orders.put(_Order.CLOSE)
            self.wait()

    @property
    def pid(self) -> int | None:
        """Process id of the scoring process, where there is one."""
        return self._process.pid

    def _give(self, order: str | _Warm | Run) -> None:
        self._orders.put(order)
        if not self.isRunning():
            self.start()

    # -- in the thread --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve orders until ``close``."""
        waiting: list[Run] = []
        try:
            while True:
                order = waiting.pop(0) if waiting else self._orders.get()
                if order == _Order.CLOSE:
                    return
                if isinstance(order, _Warm):
                    self._warm(order)
                elif isinstance(order, Run) and not self._serve(order, waiting):
                    return
        finally:
            self._process.close()

    def _warm(self, order: _Warm) -> None:
        # The main thread counts with it as soon as evidence comes; better loaded here and now than there and then.
        import cv2  # noqa: F401

        try:
            self._process.warm_up(order.scorer, order.settings)
        except OSError:
            # The run that needs it will say so in a sentence.
            return
        # Where its networks work is awaited here; an order ends the waiting.
        while self._orders.empty():
            message = self._process.receive(_POLL_S)
            if isinstance(message, Ready):
                self._device = message.device
            elif isinstance(message, Prepared):
                self._prepared(message)
                if message.scorer == order.scorer:
                    return
            elif isinstance(message, Died):
                return

    def _prepared(self, message: Prepared) -> None:
        self.device_known.emit(message.scorer, WorkingOn(message.device, message.no_gpu))

    def _serve(self, run: Run, waiting: list[Run]) -> bool:
        """One run to its end; False when the window closes."""
        builder = ResultBuilder(run.request, run.manifest, run.previous)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self._process.start(run.request)
        except OSError as error:
            sentence = (
                f"The scoring process could not be started ({error.strerror or error}). Close other programs and "
                "run again; if it happens again, install the program anew."
            )
            self.failed_run.emit(run.number, sentence, str(error), None)
            return True
        while True:
            while not self._orders.empty():
                order = self._orders.get()
                if order == _Order.CLOSE:
                    self._process.cancel()
                    return False
                if order == _Order.CANCEL:
                    if waiting:
                        self.stopped_run.emit(waiting.pop().number, None)
                    else:
                        self._process.cancel()
                elif isinstance(order, Run):
                    waiting.append(order)
            message = self._process.receive(_POLL_S)
            try:
                if message is not None and self._take(message, run, builder, started):
                    return True
            except Exception as error:
                # Evidence that does not fit together is the scorer's fault; it must not end this thread.
                self._process.kill()
                sentence = (
                    f"What the scorer sent cannot be used ({type(error).__name__}: {error}). Nothing that was saved "
                    "is lost; report this to the authors of the scorer."
                )
                self.failed_run.emit(run.number, sentence, traceback.format_exc(), None)
                return True

    def _take(self, message: FromProcess, run: Run, builder: ResultBuilder, started: str) -> bool:
        """Handle one message; True when the run has ended."""
        if isinstance(message, Ready):
            self._device = message.device
            if message.loaded:
                self.device_known.emit(run.manifest.id, WorkingOn(message.device, message.no_gpu))
        elif isinstance(message, Prepared):
            self._prepared(message)
        elif isinstance(message, JobSays):
            return self._event(message.event, run, builder)
        elif isinstance(message, JobCancelled):
            self.stopped_run.emit(run.number, self._so_far(run, builder, started))
            return True
        elif isinstance(message, JobFailed | Died):
            self.failed_run.emit(run.number, message.sentence, message.log, self._so_far(run, builder, started))
            return True
        return False

    def _event(self, event: JobEvent, run: Run, builder: ResultBuilder) -> bool:
        if isinstance(event, Progress):
            self.progress.emit(run.number, event)
        elif isinstance(event, Partial):
            builder.add(event)
            covered = builder.covered
            counter = None
            if run.manifest.counts == "surface":
                counter = ShareCounter.of(event.evidence, run.manifest.counts, run.request.pixel_size)
                # The window asks next. With thousands of corners it takes 5 ms: the cover is remembered.
                counter.shares(run.request.region, interval=False)
            self.partial.emit(run.number, event.evidence, covered, counter)
        elif isinstance(event, JobDone):
            result = builder.result(event)
            if event.finished.evidence:
                # Not tied to a part, so no partial has shown it yet.
                self.partial.emit(run.number, event.finished.evidence, builder.covered, None)
            counter = ShareCounter.of(result.evidence, run.manifest.counts, run.request.pixel_size)
            self.finished_run.emit(run.number, result, counter)
            return True
        return False

    def _so_far(self, run: Run, builder: ResultBuilder, started: str) -> Result | None:
        """What a run that was stopped has given: nothing of it is thrown away."""
        covered = builder.covered if run.previous is not None or builder.evidence else Region.of(())
        if covered.empty:
            return None
        request = run.request
        evidence = builder.evidence
        warnings = run.previous.warnings if run.previous is not None else ()
        if not request.estimates:
            text = "The run was stopped before its end; run again to score the rest."
            warnings = (*warnings, ResultWarning(STOPPED, text))
        return Result(
            provenance=Provenance(
                scorer=run.manifest.id,
                scorer_version=run.manifest.version,
                program_version=__version__,
                slide_identity=request.slide_identity,
                region_hash=request.region.hash,
                mpp=request.pixel_size.mpp,
                mpp_source=str(request.pixel_size.source),
                device=self._device,
                settings=dict(request.settings),
                estimates=dict(request.estimates),
                started=started,
            ),
            scored=covered,
            evidence=evidence,
            shares=shares_of(evidence, request.region, run.manifest.counts, request.pixel_size),
            warnings=warnings,
        )
