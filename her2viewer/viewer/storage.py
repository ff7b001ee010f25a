"""The one thread that saves, loads and exports. The window hands over immutable values and gets answers back."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, QThread, Signal

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    name: str
    work: Callable[[], Any]
    done: Callable[[Any], None] | None
    failed: Callable[[str], None] | None
    key: str
    quiet: bool


def sentence_of(name: str, error: BaseException) -> str:
    """What went wrong, for the reader: ``name`` is what was being done ("Saving the annotations")."""
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{name} failed: {error.strerror}{where}. Check the folder and the free space."
    text = str(error).strip()
    known = type(error).__module__.startswith("her2viewer")
    if text and (known or isinstance(error, ValueError | OSError)):
        return f"{name} failed. {text}"
    return f"{name} failed for a reason that this program does not know ({type(error).__name__}); see the log."


class Storage(QThread):
    """Runs jobs one after the other, in the order given.

    ``submit`` may be called from the main thread only; callbacks run on the main thread too. Jobs with the same
    ``key`` replace one that is still waiting: only the newest state is written.
    """

    failed = Signal(str)
    """A sentence for the message bar, for a job that has no ``failed`` callback of its own."""
    busy_changed = Signal(bool)
    _finished = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("storage")
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._current: _Job | None = None
        self._open = 0
        self._finished.connect(self._deliver)
        self.start()

    @property
    def busy(self) -> bool:
        """True while a job that matters to the reader waits or runs."""
        return self._open > 0

    def submit(
        self,
        name: str,
        work: Callable[[], Any],
        *,
        done: Callable[[Any], None] | None = None,
        failed: Callable[[str], None] | None = None,
        key: str = "",
        quiet: bool = False,
    ) -> int:
        """Do ``work()`` in the storage thread.

        Args:
            name: what is being done, as the beginning of a sentence: "Saving the annotations".
            work: must not touch Qt; values only.
            done: gets what ``work`` returned.
            failed: gets a sentence instead of the signal ``failed``.
            key: jobs of one key replace each other while they wait.
            quiet: neither counted as busy nor reported when it fails.

        Returns:
            How many waiting jobs this one replaced; their callbacks are not called.
        """
        job = _Job(name, work, done, failed, key, quiet)
        with self._wake:
            replaced = [j for j in self._jobs if key and j.key == key]
            for old in replaced:
                self._jobs.remove(old)
            self._jobs.append(job)
            self._wake.notify()
        self._count((not quiet) - sum(1 for j in replaced if not j.quiet))
        return len(replaced)

    def drain(self, timeout_s: float = 60.0) -> bool:
        """Wait until everything given so far is done and its callbacks were called; False where time ran out."""
        with self._wake:
            done = self._wake.wait_for(lambda: not self._jobs and self._current is None, timeout_s)
        # The answers wait as events of this object, which the event loop would deliver later.
        QCoreApplication.sendPostedEvents(self)
        return done

    def wait_for(self, key: str, timeout_s: float = 60.0) -> bool:
        """Wait until no job of that key waits or runs; False where time ran out. Not for the main thread."""

        def done() -> bool:
            return all(job.key != key for job in (*self._jobs, *([self._current] if self._current else [])))

        with self._wake:
            return self._wake.wait_for(done, timeout_s)

    def close(self, timeout_ms: int = 60_000) -> bool:
        """Finish what waits, then end the thread. True when everything was done in time."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        return self.wait(timeout_ms)

    def run(self) -> None:
        """The thread itself."""
        while True:
            with self._wake:
                while not self._jobs and not self._closing:
                    self._wake.wait()
                if not self._jobs:
                    return
                job = self._current = self._jobs.popleft()
            result, error = None, None
            try:
                result = job.work()
            except Exception as caught:
                error = caught
                log.warning("%s failed", job.name, exc_info=caught)
            self._finished.emit(job, result, error)
            with self._wake:
                self._current = None
                self._wake.notify_all()

    def _deliver(self, job: _Job, result: Any, error: BaseException | None) -> None:
        if not job.quiet:
            self._count(-1)
        if error is None:
            if job.done is not None:
                job.done(result)
        elif job.failed is not None:
            job.failed(sentence_of(job.name, error))
        elif not job.quiet:
            self.failed.emit(sentence_of(job.name, error))

    def _count(self, change: int) -> None:
        before = self._open > 0
        self._open += change
        if (self._open > 0) != before:
            self.busy_changed.emit(self._open > 0)
