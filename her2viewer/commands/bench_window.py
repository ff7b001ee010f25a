"""The real window for a measurement: nothing of the person who measures is read or changed."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PySide6.QtCore import QEvent, QObject

from her2viewer.cases.places import OWN_CASES
from her2viewer.commands import exit_codes
from her2viewer.commands.bench_clock import until
from her2viewer.commands.output import CommandError

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from her2viewer.viewer.canvas.canvas import SlideCanvas
    from her2viewer.viewer.canvas.viewport import Viewport
    from her2viewer.viewer.main_window import MainWindow

PATIENCE_S = 60.0


class BenchWindow:
    """A window and the program's time."""

    def __init__(self, app: QApplication, window: MainWindow) -> None:
        self.app = app
        self.window = window

    def open(self, path: Path | None) -> None:
        """Open a slide, or the bundled sample, and wait until it is whole on the screen.

        Raises:
            CommandError: it does not open.
        """
        window = self.window
        before = window.session.slide
        if path is None:
            window.open_sample()
        else:
            window.open_slide(path)

        def there() -> bool:
            slide = window.session.slide
            return slide is not None and slide is not before and window.canvas.sharp

        if not self.wait(there, PATIENCE_S):
            raise CommandError(exit_codes.SLIDE_UNREADABLE, f"{path or 'The sample'} did not open in the window.")

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let the program work until ``done``; False after so many seconds."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                return False
            self.pass_time(0.02)
        return True

    def until(self, moment: float) -> None:
        """Let the program work until ``moment`` of ``time.perf_counter``."""
        until(self.app, moment)

    def pass_time(self, seconds: float) -> None:
        """Let the program work for so long."""
        end = time.monotonic() + seconds
        while True:
            self.app.processEvents()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.004))


@contextmanager
def bench_window(size: tuple[int, int], application: Callable[[], Any]) -> Iterator[BenchWindow]:
    """A shown window of ``size`` px; settings, recent files, models and cases are those of a new user."""
    with tempfile.TemporaryDirectory(prefix="her2viewer-bench-") as home, ExitStack() as stack:
        # The case of a slide may lie beside it: what is looked at here is not what its reader looked at.
        for name, value in (("HER2VIEWER_HOME", home), (OWN_CASES, "own")):
            stack.callback(_set, name, os.environ.get(name))
            os.environ[name] = value
        app = application()
        from her2viewer.viewer.main_window import MainWindow

        window = MainWindow()
        window.resize(*size)
        window.show()
        try:
            yield BenchWindow(app, window)
        finally:
            window.close()
            app.processEvents()


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


class Shown(NamedTuple):
    """A frame of the whole view."""

    at: float
    """When it was painted, s of ``time.perf_counter``."""
    view: Viewport


class FrameClock(QObject):
    """Notes the frames of a canvas. Keep a reference."""

    def __init__(self, canvas: SlideCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.shown: list[Shown] = []
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Paint in the canvas' place, to know when it is through."""
        if event.type() != QEvent.Type.Paint or watched is not self._canvas:
            return False
        self._canvas.event(event)
        if event.rect() == self._canvas.rect():  # type: ignore[attr-defined]
            self.shown.append(Shown(time.perf_counter(), self._canvas.frame_view))
        return True


def answers(steps: list[Shown], shown: list[Shown]) -> list[float]:
    """For each step the time (ms) to the first frame that shows it or a later one; steps that have none are left out.

    Args:
        steps: when each view was asked for.
        shown: the frames, in their order.
    """
    found: list[float] = []
    newest = -1
    for frame in shown:
        # Views may come back: only what was asked for by then.
        asked = [i for i in range(newest + 1, len(steps)) if steps[i].at < frame.at and steps[i].view == frame.view]
        if asked:
            found += [1000 * (frame.at - step.at) for step in steps[newest + 1 : asked[-1] + 1]]
            newest = asked[-1]
    return found
