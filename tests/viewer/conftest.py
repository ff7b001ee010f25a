"""What the viewer tests share: slides whose reads wait for the test, and a check that nothing is left running."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shiboken6
import tifffile
from PySide6.QtCore import QCoreApplication, QEvent, QThread, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import AnnotationSet
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.slides.open import open_slide
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.session import Session
from tests.helpers.canvases import MakeCanvas, canvases
from tests.helpers.gated_slide import GatedSlide

GRACE_S = 30.0
"""Threads and timers may take this long to end by themselves after a test: a loaded machine is slow."""
PATIENCE_MS = 30_000
"""What is waited for may take this long. Waiting ends when it happens, so a long patience costs nothing."""


@pytest.fixture
def qtbot(qtbot: QtBot) -> QtBot:
    """pytest-qt's own, with deadlines that hold on a loaded machine, too."""
    wait_until, wait_signal = qtbot.waitUntil, qtbot.waitSignal

    def until(callback: Callable[[], object], *, timeout: int = 0) -> None:
        wait_until(callback, timeout=max(timeout, PATIENCE_MS))

    def signal(awaited: Any, *, timeout: int = 0, **options: Any) -> Any:
        return wait_signal(awaited, timeout=max(timeout, PATIENCE_MS), **options)

    qtbot.waitUntil, qtbot.waitSignal = until, signal  # type: ignore[method-assign, assignment]
    return qtbot


@pytest.fixture(autouse=True)
def _look_as_before() -> Iterator[None]:
    """A test that dresses the application leaves its font and style sheet to no other."""
    app = QApplication.instance()
    before = (app.styleSheet(), app.font(), app.palette()) if isinstance(app, QApplication) else None
    yield
    app = QApplication.instance()
    if not isinstance(app, QApplication) or before is None or app.styleSheet() == before[0]:
        return
    app.setStyleSheet(before[0])
    app.setFont(before[1])
    app.setPalette(before[2])


@pytest.fixture
def gated_slide() -> Iterator[GatedSlide]:
    """4000 x 3000 px on two levels (1 and 4); the gate is opened again after the test."""
    slide = GatedSlide()
    yield slide
    slide.gate.set()


@pytest.fixture
def make_canvas(qtbot: QtBot) -> Iterator[MakeCanvas]:
    """``make_canvas(slide, width, height)`` gives a shown canvas that is shut down after the test."""
    with canvases(qtbot) as make:
        yield make


@pytest.fixture
def session(tmp_path: Path, qtbot: QtBot) -> Iterator[Session]:
    """A session on a pale slide of 2048 x 2048 px, without annotations."""
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, np.full((2048, 2048, 3), 240, np.uint8), tile=(256, 256), photometric="rgb")
    slide = open_slide(path)
    made = Session()
    made.set_slide(slide, PixelSize(0.5, 0.5, PixelSizeSource.USER), AnnotationSet())
    yield made
    slide.close()


@pytest.fixture
def controller(session: Session, trial_scorers: Path) -> Iterator[ScoringController]:
    """Of that session, with the scorer ``grid`` chosen; its process is real."""
    made = ScoringController()
    made.set_session(session)
    made.set_scorer("grid")
    yield made
    made.shutdown()
    assert not made._watcher.isRunning()
    assert made.scoring_pid is None


_started_timers: weakref.WeakSet[QTimer] = weakref.WeakSet()
_started_threads: weakref.WeakSet[QThread] = weakref.WeakSet()


@pytest.fixture(autouse=True, scope="session")
def _record_what_is_started() -> Iterator[None]:
    timer_start, thread_start = QTimer.start, QThread.start

    def start_timer(self: QTimer, *args: object) -> None:
        _started_timers.add(self)
        timer_start(self, *args)

    def start_thread(self: QThread, *args: object) -> None:
        _started_threads.add(self)
        thread_start(self, *args)

    QTimer.start, QThread.start = start_timer, start_thread  # type: ignore[method-assign, assignment]
    yield
    QTimer.start, QThread.start = timer_start, thread_start  # type: ignore[method-assign]


def _left_running(before: set[threading.Thread]) -> list[str]:
    # A dummy is Python's view of a thread that Qt started: it stays listed after that has ended.
    mine = [t for t in threading.enumerate() if not isinstance(t, threading._DummyThread)]
    left = [f"thread {t.name}" for t in mine if t not in before and t.is_alive()]
    left += [
        f"QThread {t.objectName() or type(t).__name__}"
        for t in list(_started_threads)
        if shiboken6.isValid(t) and t.isRunning()
    ]
    left += [
        f"timer of {type(t.parent()).__name__}"
        for t in list(_started_timers)
        if shiboken6.isValid(t) and t.isActive()
    ]
    return left


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Fails a test that leaves a thread, a QThread or a running QTimer behind.

    Autouse fixtures end last, so widgets given to ``qtbot.addWidget`` are already closed by then.
    """
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + GRACE_S
    while True:
        if QCoreApplication.instance() is not None:
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            QCoreApplication.processEvents()
        left = _left_running(before)
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    for timer in list(_started_timers):
        if shiboken6.isValid(timer):
            timer.stop()
    assert not left, f"left running after the test: {', '.join(left)}"
