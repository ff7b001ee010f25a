"""Who has the processor first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from her2viewer.turns import CALM, CROWDED_NS, HANDOVER_S, LAST, LONG_NS, SHORT_NS, Turn

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads of other systems have no such policies")

SHOW = """
import ctypes, os, struct, sys, threading
from her2viewer import turns
number = {"x86_64": 315, "aarch64": 275}[os.uname().machine]
def attributes():
    found = ctypes.create_string_buffer(56)
    ctypes.CDLL(None).syscall(ctypes.c_long(number), 0, found, 56, 0)
    return struct.unpack("=IIQiIQQQII", found.raw)
os.nice(3)
before = attributes()
getattr(turns, sys.argv[1])()
after = attributes()
started = []
thread = threading.Thread(target=lambda: started.append(attributes()))
thread.start()
thread.join()
print(before[5], after[1], after[5], started[0][5], after[3], sys.getswitchinterval())
"""


def slices(which: str) -> tuple[int, int, int, float]:
    """The usual slice, that of the thread, that of one that it starts (ns), and Python's interval (s)."""
    shown = subprocess.run(
        [sys.executable, "-c", SHOW, which], capture_output=True, text=True, check=True
    ).stdout.split()
    usual, policy, own, started, nice = (int(value) for value in shown[:5])
    assert policy == os.SCHED_OTHER
    assert nice == 3, "it stays as it was"
    if usual == 0:
        pytest.skip("this Linux knows no slices of single threads")
    return usual, own, started, float(shown[5])


@linux
def test_the_main_thread_asks_for_short_slices_and_those_it_starts_do_not() -> None:
    usual, own, started, interval = slices("answer_at_once")
    assert own == SHORT_NS < usual
    assert started == usual
    assert interval == HANDOVER_S


@linux
def test_a_scorer_and_all_its_threads_work_in_long_slices() -> None:
    usual, own, started, interval = slices("work_in_the_background")
    assert own == started == LONG_NS > usual
    assert interval > HANDOVER_S


def in_a_thread(work: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


@linux
def test_a_worker_gives_way_until_it_has_to_wait_and_again_when_it_is_calm() -> None:
    turn = Turn()

    def first() -> list[int]:
        turn.begin()
        seen = [os.sched_getscheduler(0)]
        turn.note(LAST * CROWDED_NS)
        seen.append(os.sched_getscheduler(0))
        turn.note(2 * CROWDED_NS)
        return [*seen, os.sched_getscheduler(0)]

    assert in_a_thread(first) == [os.SCHED_BATCH, os.SCHED_BATCH, os.SCHED_OTHER]

    def second() -> list[int]:
        turn.begin()
        seen = [os.sched_getscheduler(0)]
        for _ in range(CALM - 1):
            turn.note(0)
        seen.append(os.sched_getscheduler(0))
        for _ in range(4 * LAST):
            turn.note(0)
        return [*seen, os.sched_getscheduler(0)]

    assert in_a_thread(second) == [os.SCHED_OTHER, os.SCHED_OTHER, os.SCHED_BATCH], "the next thread knows it"
    assert os.sched_getscheduler(0) == os.SCHED_OTHER, "the thread that starts it is not touched"


@linux
def test_how_long_a_thread_waited_is_taken_from_the_system() -> None:
    turn = Turn()
    noted: list[int] = []

    def work() -> None:
        turn.begin()
        turn.note = noted.append  # type: ignore[method-assign]
        turn.next()
        turn.next()

    in_a_thread(work)
    assert len(noted) == 2
    assert all(0 <= waited < 60_000_000_000 for waited in noted)
