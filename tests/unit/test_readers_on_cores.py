"""A reader keeps to a core of its own while it hurries, and to none afterwards."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from her2viewer.viewer.canvas.core import Core

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def in_thread(work: Callable[[], None]) -> None:
    """Run there; what fails there fails here."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]


@pytest.mark.skipif(CORES < 2, reason="needs two cores and a system that lets a thread choose")
def test_as_many_readers_as_cores_have_a_core_each_while_they_hurry_and_all_cores_afterwards() -> None:
    everything, own = os.sched_getaffinity(0), []

    def hurry(number: int) -> None:
        core = Core(number, CORES)
        assert os.sched_getaffinity(0) == everything
        core.keep(True)
        own.append(os.sched_getaffinity(0))
        core.keep(False)
        assert os.sched_getaffinity(0) == everything

    for number in range(CORES):
        in_thread(lambda number=number: hurry(number))  # type: ignore[misc]
    assert all(len(cores) == 1 for cores in own)
    assert set.union(*own) == everything
    assert os.sched_getaffinity(0) == everything, "other threads are left as they are"


@pytest.mark.skipif(CORES < 2, reason="needs two cores and a system that lets a thread choose")
def test_where_there_are_cores_to_spare_a_reader_chooses_none() -> None:
    everything = os.sched_getaffinity(0)

    def hurry() -> None:
        Core(0, CORES - 1).keep(True)
        assert os.sched_getaffinity(0) == everything

    in_thread(hurry)
