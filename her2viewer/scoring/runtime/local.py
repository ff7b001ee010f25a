"""A runtime on this machine's processor."""

from __future__ import annotations

import os
import threading

from her2viewer.scoring.contract import Cancelled


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


class LocalRuntime:
    """Cancel flag and number of threads; see ``contract.Runtime``."""

    def __init__(self, threads: int | None = None, cancel: threading.Event | None = None) -> None:
        self.threads = usable_cores() if threads is None else max(1, threads)
        self.device = "CPU"
        self._cancel = threading.Event() if cancel is None else cancel

    def cancel(self) -> None:
        """Ask the scorer to stop; callable from any thread."""
        self._cancel.set()

    def check(self) -> None:
        """Raise ``Cancelled`` once ``cancel`` was called."""
        if self._cancel.is_set():
            raise Cancelled
