"""Who has the processor first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from her2viewer.turns import HANDOVER_S, SLICE_NS, worker

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads of other systems have no such policies")

SHOW = """
import ctypes, os, struct, sys, threading
from her2viewer.turns import answer_at_once
number = {"x86_64": 315, "aarch64": 275}[os.uname().machine]
def attributes():
    found = ctypes.create_string_buffer(56)
    ctypes.CDLL(None).syscall(ctypes.c_long(number), 0, found, 56, 0)
    return struct.unpack("=IIQiIQQQII", found.raw)
before = attributes()
answer_at_once()
after = attributes()
started = []
thread = threading.Thread(target=lambda: started.append(attributes()))
thread.start()
thread.join()
print(before[5], after[1], after[5], started[0][5], sys.getswitchinterval())
"""


@linux
def test_a_worker_gives_way_and_the_thread_that_starts_it_does_not() -> None:
    seen: list[tuple[int, str, bool]] = []

    def work(name: str) -> None:
        seen.append((os.sched_getscheduler(0), name, threading.current_thread().daemon))

    thread = worker(work, "a worker", "given")
    assert thread.name == "a worker"
    thread.start()
    thread.join()
    assert seen == [(os.SCHED_BATCH, "given", True)]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@linux
def test_the_main_thread_asks_for_short_slices_and_those_it_starts_do_not() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True).stdout.split()
    usual, policy, own, started = (int(value) for value in shown[:4])
    assert float(shown[4]) == HANDOVER_S
    assert policy == os.SCHED_OTHER
    if usual == 0:
        pytest.skip("this Linux knows no slices of single threads")
    assert own == SLICE_NS < usual
    assert started == usual


def test_a_worker_tells_what_went_wrong_as_any_thread() -> None:
    told: list[object] = []
    before, threading.excepthook = threading.excepthook, lambda args: told.append(args.exc_type)

    def work() -> None:
        raise IndexError

    try:
        thread = worker(work, "fails")
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    assert told == [IndexError]
