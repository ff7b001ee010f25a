"""Where the readers of tiles may run after a jump."""

from __future__ import annotations

import os
import threading

import pytest

from her2viewer.viewer.canvas.cores import Place

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system places threads itself")


def places(readers: int, cores: set[int], monkeypatch: pytest.MonkeyPatch) -> list[list[set[int]]]:
    """What each of some readers asks for in a jump and after it."""
    asked: dict[int, list[set[int]]] = {i: [] for i in range(readers)}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    for i in range(readers):
        monkeypatch.setattr(os, "sched_setaffinity", lambda _, mask, i=i: asked[i].append(set(mask)))
        place = Place(i, readers)
        for alone in (False, True, True, False, False):
            place.keep(alone)
    return list(asked.values())


@pytest.mark.parametrize("cores", [{0, 1}, {2, 5, 7}], ids=["two", "three of some"])
def test_readers_have_cores_of_their_own_for_the_jump_only(cores: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = places(len(cores), cores, monkeypatch)
    assert all(after == cores for _, after in asked)
    own = [jump for jump, _ in asked]
    assert all(len(core) == 1 for core in own)
    assert set.union(*own) == cores


@pytest.mark.parametrize(("readers", "cores"), [(2, {0}), (2, {0, 1, 2, 3})], ids=["one core", "cores to spare"])
def test_where_there_is_nothing_to_keep_apart_the_system_decides(
    readers: int, cores: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert places(readers, cores, monkeypatch) == [[]] * readers


def test_only_the_thread_itself_is_placed() -> None:
    before = os.sched_getaffinity(0)
    found: list[set[int]] = []

    def work() -> None:
        place = Place(0, len(before))
        place.keep(True)
        found.append(os.sched_getaffinity(0))
        place.keep(False)
        found.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0] <= before
    assert found[1] == before == os.sched_getaffinity(0)


def test_a_core_that_was_taken_away_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})

    def refused(_: int, mask: set[int]) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refused)
    Place(1, 2).keep(True)
