"""Client of the scoring process: starts it, feeds it, watches it, ends it. Free of Qt; one owner thread."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from her2viewer.scoring.frames import FrameReader, FrameWriter
from her2viewer.scoring.job import JobRequest
from her2viewer.scoring.messages import Cancel, Died, FromProcess, JobCancelled, Prepare, Start

CANCEL_PATIENCE_S = 1.0
"""How long a scorer may take to see a cancel before its process is ended."""

_END_S = 2.0
"""How long a process whose messages have ended may take to end itself."""
_LOG_TAIL = 20_000
_KEPT = "The slide, the regions and all saved results are kept; run again."
_UNREADABLE = (
    f"What the scorer sent could not be read, and its process was ended. {_KEPT} If it happens again, report it to "
    "the authors of the scorer."
)


class ScoringProcess:
    """One warm process that runs one job after the other.

    ``receive`` gives what it says; a death that nobody asked for arrives there as ``Died``, and the next ``start``
    makes a new process.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: FrameWriter | None = None
        self._log: IO[bytes] | None = None
        self._inbox: queue.Queue[FromProcess | None] = queue.Queue()
        self._pump: threading.Thread | None = None
        self._job = 0
        self._cancelling: tuple[int, float] | None = None

    @property
    def alive(self) -> bool:
        """Whether a process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id, for display and for tests that kill it from outside."""
        # Asked from other threads too, while the owner may let go of the process.
        process = self._process
        return process.pid if process is not None else None

    def warm_up(self, scorer: str, settings: Mapping[str, Any] | None = None) -> bool:
        """Start the process if there is none and let a scorer prepare, so that the first run need not wait.

        ``Prepared`` is then to come, unless another order follows at once. Returns whether a process was started,
        whose ``Ready`` comes before it.

        Raises:
            OSError: the process cannot be started.
        """
        started = not self.alive
        self._ensure()
        assert self._writer is not None
        with contextlib.suppress(OSError):
            self._writer.send(Prepare(scorer, dict(settings or {})))
        return started

    def _ensure(self) -> None:
        if self.alive:
            return
        self._drop()
        self._log = tempfile.TemporaryFile(prefix="her2viewer-scoring-")  # noqa: SIM115 (closed in _drop)
        frozen = getattr(sys, "frozen", False)
        command = [sys.executable, *(["--scoring-process"] if frozen else ["-m", "her2viewer.scoring.worker"])]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Ctrl-C in a terminal is for the window, which then ends this process in order.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._writer = FrameWriter(process.stdin)
        self._inbox = queue.Queue()
        self._pump = threading.Thread(
            target=_pump, args=(FrameReader(process.stdout), self._inbox), name="scoring-messages", daemon=True
        )
        self._pump.start()

    def start(self, request: JobRequest) -> int:
        """Begin a job; returns its number. One at a time: wait for its end before the next.

        Raises:
            OSError: the process cannot be started.
        """
        self._ensure()
        self._job += 1
        self._cancelling = None
        assert self._writer is not None
        # A process that died just now is reported by ``receive``.
        with contextlib.suppress(OSError):
            self._writer.send(Start(self._job, request))
        return self._job

    def cancel(self) -> None:
        """Ask the running job to stop. ``receive`` then gives ``JobCancelled``, at the latest after one second."""
        if self._cancelling is not None:
            return
        self._cancelling = (self._job, time.monotonic() + CANCEL_PATIENCE_S)
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.send(Cancel(self._job))

    def receive(self, timeout: float) -> FromProcess | None:
        """What the process says next, or None after ``timeout`` seconds.

        Also where the patience of a cancel runs out: the process is then ended and ``JobCancelled`` returned.
        """
        deadline = time.monotonic() + timeout
        while True:
            wait = max(0.0, deadline - time.monotonic())
            if self._cancelling is not None:
                wait = min(wait, max(0.0, self._cancelling[1] - time.monotonic()))
            try:
                message = self._inbox.get(timeout=wait) if wait > 0 else self._inbox.get_nowait()
            except queue.Empty:
                if self._cancelling is not None and time.monotonic() >= self._cancelling[1]:
                    job = self._cancelling[0]
                    self.kill()
                    return JobCancelled(job)
                if time.monotonic() >= deadline:
                    return None
                continue
            if message is not None:
                if isinstance(message, JobCancelled):
                    self._cancelling = None
                return message
            return self._ended()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
        self._drop()

    def close(self) -> None:
        """End the process in order; at the latest after a second by force."""
        process = self._process
        if process is None:
            return
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
        self._drop()

    def _ended(self) -> FromProcess:
        process = self._process
        sentence = _UNREADABLE
        if process is not None:
            try:
                sentence = _death_sentence(process.wait(timeout=_END_S))
            except subprocess.TimeoutExpired:
                # It runs, but what it said cannot be read.
                process.kill()
                process.wait()
        log = self._tail()
        job = self._cancelling
        self._drop()
        if job is not None:
            return JobCancelled(job[0])
        return Died(sentence, log)

    def _drop(self) -> None:
        self._cancelling = None
        if self._process is not None:
            self._process.wait()
            if self._pump is not None:
                self._pump.join()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        if self._log is not None:
            self._log.close()
        self._process = self._writer = self._log = self._pump = None
        self._inbox = queue.Queue()

    def _tail(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL))
        return self._log.read().decode("utf-8", "replace")


def _pump(reader: FrameReader, inbox: queue.Queue[FromProcess | None]) -> None:
    """Move messages from the pipe into the queue; None says that the pipe has ended."""
    try:
        while True:
            inbox.put(reader.receive())
    except Exception:
        # Mostly the end of the pipe; else a message that cannot be read, after which no other one can be either.
        inbox.put(None)


def _death_sentence(code: int) -> str:
    if code < 0:
        if -code == getattr(signal, "SIGKILL", 9):
            return (
                "The scoring process was ended from outside, by a person or by the system because memory ran out. "
                f"{_KEPT} If it happens again, outline a smaller region or close other programs."
            )
        return f"The scoring process crashed (signal {-code}). {_KEPT} The log says where."
    return f"The scoring process ended unexpectedly (exit code {code}). {_KEPT} The log says more."
