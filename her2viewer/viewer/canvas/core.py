"""A thread that keeps to one core for a moment."""

from __future__ import annotations

import os
from contextlib import suppress


class Core:
    """One of the cores for one of several threads of a kind. For the thread that it is made in.

    Threads that wake one another often are put on one core by the system, which takes them for one piece of work:
    readers then take turns of some ms although another core is idle, for as long as most jumps last. Only Linux lets
    a thread choose, and only where there are no fewer threads than cores it chooses: with more cores the system
    finds a free one, and a chosen one may be busy with something else.
    """

    def __init__(self, number: int, of: int) -> None:
        """The thread has this ``number``, 0 to ``of`` - 1."""
        self._all: set[int] = set()
        self._kept = False
        if hasattr(os, "sched_getaffinity"):
            # 0 is the calling thread.
            self._all = os.sched_getaffinity(0)
        self._own = {sorted(self._all)[number % len(self._all)]} if 1 < len(self._all) <= of else set()

    def keep(self, kept: bool) -> None:
        """Run on the own core alone from now on, or on any."""
        if kept != self._kept and self._own:
            self._kept = kept
            with suppress(OSError):  # the system may take cores away
                os.sched_setaffinity(0, self._own if kept else self._all)
