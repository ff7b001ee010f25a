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
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

HANDOVER_S = 0.0005
"""So long a Python thread keeps Python's lock while others wait for it."""
SLICE_NS = 100_000
"""The main thread asks for the processor in slices so short, the shortest there are: sooner rather than longer."""

_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call sched_setattr, which few versions of the C library offer."""
_ATTR = "=IIQiIQQQII"
"""struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, and two clamps (sched(7))."""
_RESET_ON_FORK = 1


def give_way() -> None:
    """The calling thread, and those that it starts from now on, wait for their turn when they wake.

    They have as much of the processor as before (``SCHED_BATCH``, sched(7)).
    """
    if sys.platform == "linux":
        # A container may forbid it.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def answer_at_once() -> None:
    """The calling thread has the processor soon after it wakes, and Python's lock soon after it asks for it.

    Threads and processes that it starts do not. Linux before 6.12 knows no slices of single threads.
    """
    # Python workers hand the lock over sooner, so that the main thread paints on time.
    sys.setswitchinterval(HANDOVER_S)
    number = _SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return
    size = struct.calcsize(_ATTR)
    attributes = struct.pack(_ATTR, size, os.SCHED_OTHER, _RESET_ON_FORK, 0, 0, SLICE_NS, 0, 0, 0, 0)
    # What it answers is of no use: where it is forbidden the window works as well as before.
    ctypes.CDLL(None).syscall(ctypes.c_long(number), ctypes.c_int(0), attributes, ctypes.c_uint(0))


def worker(target: Callable[..., None], name: str, *args: Any) -> threading.Thread:
    """A thread that works for the main thread and gives way to it; not started, and no reason to stay at the end."""

    def run() -> None:
        give_way()
        target(*args)

    return threading.Thread(target=run, name=name, daemon=True)
