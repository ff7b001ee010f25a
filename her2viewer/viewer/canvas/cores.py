"""Keeps the readers of tiles apart for the moment after a jump, when all cores are theirs. No Qt here."""

from __future__ import annotations

import os
from contextlib import suppress


class Place:
    """Where a thread may run: anywhere, or on a core of its own. Everything is for that thread alone.

    Threads that take turns wake one another, and a scheduler likes to let one that was just woken run where the other
    ran: on two cores both readers were seen on the same one for most of a jump, in turn, with the other core idle.
    """

    def __init__(self, index: int, readers: int) -> None:
        """Of the reader ``index`` of so many; where there are more cores than readers nothing is done."""
        allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._all = frozenset(allowed)
        self._own = {allowed[-1 - index % len(allowed)]} if 1 < len(allowed) <= readers else None
        self._alone = False

    def keep(self, alone: bool) -> None:
        """On the core of its own from now on, or anywhere again. Costs nothing where nothing changes."""
        if self._own is None or alone == self._alone:
            return
        # A container may take cores away meanwhile; then the system knows best.
        with suppress(OSError):
            os.sched_setaffinity(0, self._own if alone else self._all)
            self._alone = alone
