from __future__ import annotations

import logging
import threading

import pytest
from pytestqt.qtbot import QtBot

from her2viewer.viewer.latest import LatestWork


def test_of_orders_that_come_meanwhile_only_the_last_is_done_and_told(qtbot: QtBot) -> None:
    work, gate = LatestWork("test work"), threading.Event()
    done: list[str] = []
    told: list[str] = []

    def job(name: str):
        def run() -> str:
            gate.wait(20)
            done.append(name)
            return name

        return run

    for name in ("first", "second", "third"):
        work.order(job(name), told.append)
    assert work.busy
    gate.set()
    qtbot.waitUntil(lambda: not work.busy)
    assert done == ["first", "third"]
    assert told == ["third"]


def test_what_is_forgotten_is_not_told(qtbot: QtBot) -> None:
    work, gate = LatestWork("test work"), threading.Event()
    told: list[int] = []
    work.order(lambda: (gate.wait(20), 1)[1], told.append)
    work.forget()
    gate.set()
    qtbot.waitUntil(lambda: not work.busy)
    assert told == []


def test_a_failure_is_logged_and_the_next_order_is_done(qtbot: QtBot, caplog: pytest.LogCaptureFixture) -> None:
    work = LatestWork("test work")
    told: list[int] = []
    why: list[Exception] = []
    with caplog.at_level(logging.ERROR):
        work.order(lambda: 1 // 0, told.append, why.append)
        qtbot.waitUntil(lambda: not work.busy)
    assert "test work failed" in caplog.text
    assert isinstance(why[0], ZeroDivisionError)
    work.order(lambda: 7, told.append)
    qtbot.waitUntil(lambda: told == [7])


def test_work_is_done_beside_the_main_thread_and_told_in_it(qtbot: QtBot) -> None:
    work = LatestWork("test work")
    told: list[tuple[str, str]] = []
    work.order(
        lambda: threading.current_thread().name, lambda name: told.append((name, threading.current_thread().name))
    )
    qtbot.waitUntil(lambda: len(told) == 1)
    assert told == [("test work", threading.main_thread().name)]


def test_a_failure_that_nobody_waits_for_any_more_is_not_told(qtbot: QtBot) -> None:
    work, gate = LatestWork("test work"), threading.Event()
    told: list[object] = []
    work.order(lambda: (gate.wait(20), 1 // 0), told.append, told.append)
    work.order(lambda: 7, told.append, told.append)
    gate.set()
    qtbot.waitUntil(lambda: told == [7])
    assert not work.busy
