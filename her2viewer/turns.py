"""Who has the processor first: the thread that paints, before all that work for it. Linux only; elsewhere nothing is
done. No Qt here.

A thread that is woken may take the processor from the one that runs. On a virtual machine the system mostly wakes it
on the very core of the thread that woke it, though another core is idle (a core that rests looks taken there): the
main thread ordered a picture and then waited for a core until the picture was made.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from contextlib import suppress

HANDOVER_S = 0.0005
"""So long a Python thread keeps Python's lock while others wait for it."""
SHORT_NS, LONG_NS = 100_000, 6_000_000
"""The shortest slice of the processor's time that a thread may ask for, and one of twice the usual or more: enough
to make way for any other thread, while what gives way to it waits no longer than that.
"""
CROWDED_NS, CALM_NS = 4_000_000, 300_000
"""A worker that waits more than the first for a core in each of its pieces of work is not alone with the main thread.
When it hardly waits any more it may be again. Beside the main thread alone it waits 5 ms at most and mostly 0.1; as
one that gives way, beside a scorer on all cores, 7 and up to 400.
"""
CALM = 60
"""Pieces in a row."""
LAST = 5
"""The mean is that of the last pieces, about so many."""

_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call sched_setattr, which few versions of the C library offer."""
_ATTR = "=IIQiIQQQII"
"""struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, and two clamps (sched(7))."""
_RESET_ON_FORK = 1


def answer_at_once() -> None:
    """The calling thread has the processor soon after it wakes, and Python's lock soon after it asks for it.

    Threads and processes that it starts do not. Linux before 6.12 knows no slices of single threads.
    """
    # Python workers hand the lock over sooner, so that the main thread paints on time.
    sys.setswitchinterval(HANDOVER_S)
    _ask_for_slices(SHORT_NS, _RESET_ON_FORK)


def work_in_the_background() -> None:
    """The calling thread, and all that it starts from now on, make way at once for a thread that wakes.

    They have as much of the processor as before, in longer slices. Linux before 6.12 knows no such slices.
    """
    _ask_for_slices(LONG_NS, 0)


def _ask_for_slices(nanoseconds: int, flags: int) -> None:
    number = _SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    size = struct.calcsize(_ATTR)
    attributes = struct.pack(_ATTR, size, os.SCHED_OTHER, flags, nice, 0, nanoseconds, 0, 0, 0, 0)
    # What it answers is of no use: where it is forbidden the program works as well as before.
    ctypes.CDLL(None).syscall(ctypes.c_long(number), ctypes.c_int(0), attributes, ctypes.c_uint(0))


class Turn:
    """Of a worker that serves the main thread: it gives way to a thread that runs when it wakes (``SCHED_BATCH``).

    Not while other programs or a scorer keep the cores busy: then it would wait for them as well, again and again in
    one piece of work. It is known by how long the thread waited for a core. Kept from one thread to the next of the
    same kind; used by one thread at a time.
    """

    def __init__(self) -> None:
        self.crowded = False
        """Others keep the cores busy."""
        self._mean = 0.0
        """What the last pieces waited, ns."""
        self._calm = 0
        self._waited = 0
        self._gives_way: bool | None = None

    def begin(self) -> None:
        """A thread begins to work; to be called in it."""
        self._gives_way = None
        self._waited = _waited_ns()
        self._take()

    def next(self) -> None:
        """A piece of work is done."""
        before, self._waited = self._waited, _waited_ns()
        self.note(self._waited - before)

    def note(self, waited_ns: int) -> None:
        """The last piece waited so long for a core."""
        self._mean += (waited_ns - self._mean) / LAST
        if self._mean > CROWDED_NS:
            self.crowded, self._calm = True, 0
        elif self.crowded:
            self._calm = self._calm + 1 if self._mean < CALM_NS else 0
            self.crowded = self._calm < CALM
        self._take()

    def _take(self) -> None:
        gives_way = not self.crowded
        if sys.platform != "linux" or gives_way == self._gives_way:
            return
        self._gives_way = gives_way
        # A container may forbid it.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH if gives_way else os.SCHED_OTHER, os.sched_param(0))


def _waited_ns() -> int:
    """How long the calling thread has waited for a core so far; 0 where the system does not say."""
    try:
        with open("/proc/thread-self/schedstat", "rb") as file:
            return int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
