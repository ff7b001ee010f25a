"""The whole job in the real window without a screen, on the bundled sample: ``make run`` where there is none.

Every step is done with the keys and the mouse that a person would use, said on the terminal, and kept as a picture.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.commands import exit_codes

if TYPE_CHECKING:
    from PySide6.QtCore import QPoint

    from her2viewer.domain.shares import Shares
    from her2viewer.viewer.main_window import MainWindow

SIZE = (1600, 1000)
"""Width and height of the window, px."""
OPEN_S, SCORE_S, WRITE_S = 60.0, 420.0, 120.0
"""Patience in seconds; on a slow machine the first run compiles for a while."""


class TripError(Exception):
    """A step did not come to its end. ``str()`` says which one."""


def main(argv: Sequence[str]) -> int:
    """Make the trip; returns its exit code."""
    parser = argparse.ArgumentParser(prog="make run", description="The whole job on the sample slide, offscreen.")
    parser.add_argument("folder", nargs="?", type=Path, help="where pictures, report and case are left")
    options = parser.parse_args(argv)
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="her2viewer-trip-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # The sample is copied into the user's data folder and its case kept beside it: here, in the trip's own folder.
    # Files of an earlier trip would be found again, so that nothing was left to be scored.
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    os.environ["HER2VIEWER_HOME"] = str(home)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from her2viewer.viewer.app import make_application
    from her2viewer.viewer.main_window import MainWindow

    _silence_the_offscreen_platform()
    app = make_application()
    started = time.monotonic()
    window = MainWindow()
    trip = Trip(window, folder)
    try:
        trip.make()
        code = exit_codes.OK
    except TripError as error:
        trip.picture("failed")
        sys.stdout.write(f"\nThe trip did not come to its end: {error}\n")
        code = exit_codes.PROBLEM
    except KeyboardInterrupt:
        code = exit_codes.CANCELLED
    window.close()
    app.processEvents()
    sys.stdout.write(f"\nIt took {time.monotonic() - started:.0f} s. Pictures, report and case lie in\n{folder}\n")
    return code


class Trip:
    """One trip through the window."""

    def __init__(self, window: MainWindow, folder: Path) -> None:
        self.window = window
        self.folder = folder
        self._step = 0

    def make(self) -> None:
        """All steps.

        Raises:
            TripError: one did not come to its end.
        """
        self.open_window()
        self.open_slide()
        self.score()
        self.read_answer()
        self.look_closer()
        self.edit_region()
        self.write_files()

    # Steps -----------------------------------------------------------------------------------------------

    def open_window(self) -> None:
        """An empty window that says how to begin."""
        self.say("The window opens, with nothing in it yet")
        self.window.resize(*SIZE)
        self.window.show()
        self.settle()
        self.picture("start")

    def open_slide(self) -> None:
        """The sample with its region."""
        self.say("The sample slide is opened")
        session = self.window.session
        self.press("sample")
        self.wait(lambda: session.slide is not None and not session.region.empty, OPEN_S, "opening the sample")
        slide, size = session.slide, session.pixel_size
        assert slide is not None
        if size is None:
            raise TripError("the sample has no pixel size")
        self.tell(f"{slide.path.name}: {slide.width:,} x {slide.height:,} px, {size.mpp:.3g} um/px {size.source}")
        self.tell(f"region of {session.region.area_mm2(size):.2f} mm2 from {len(session.annotations)} outlines")
        self.settle()
        self.picture("slide")

    def score(self) -> None:
        """The scorer runs in its own process while the window stays usable."""
        controller = self.window.controller
        self.say(f"The scorer {controller.scorer!r} is started with Enter")
        from her2viewer.viewer.scoring_model import ScoringState

        running = (ScoringState.RUNNING, ScoringState.CANCELLING)
        self.wait(lambda: controller.state is not ScoringState.NO_ROI, OPEN_S, "getting ready")
        clock = time.monotonic()
        self.key("Enter")
        self.wait(lambda: controller.state in running, OPEN_S, "starting the scorer")
        pictures: list[float] = []
        stages: list[str] = []

        def done() -> bool:
            progress = controller.run_progress
            if progress is not None and progress.stage not in stages:
                stages.append(progress.stage)
                self.tell(f"{progress.stage} ...")
            halfway = progress is not None and bool(controller.evidence) and (progress.fraction or 0) >= 0.4
            if halfway and not pictures and controller.state in running:
                # Cells stand on the tissue before the run has ended.
                pictures.append(time.monotonic())
                self.picture("running")
            return controller.state not in running

        self.wait(done, SCORE_S, "scoring")
        if controller.state is not ScoringState.ANSWERED:
            raise TripError(f"the scorer gave no answer: {controller.state}. {controller.failure or ''}")
        self.tell(f"done after {time.monotonic() - clock:.1f} s")

    def read_answer(self) -> None:
        """The decision and why."""
        self.say("The answer, and why")
        controller = self.window.controller
        decision = controller.decision
        if decision is None or controller.shares is None:
            raise TripError("there is no decision")
        self.tell(f"{_in_words(controller.shares)} of {decision.counted}")
        self.tell(f"{decision.headline} by {decision.profile_title}")
        for row in decision.trace:
            number = "" if row.value is None else f" {row.value:.1f}"
            self.tell(f"  {row.question}{number} {'YES' if row.fired else 'no'}")
        for step in decision.next_steps:
            self.tell(f"next: {step}")
        self.settle()
        self.picture("answer")

    def look_closer(self) -> None:
        """What decides, close enough to see membranes."""
        self.say("G goes to what decides, 4 shows it at 20x; H hides the cells while it is held")
        self.key("G")
        self.key("4")
        self.settle()
        self.picture("cells")
        self.hold("H", lambda: self.picture("tissue"))
        self.key("0")
        self.settle()

    def edit_region(self) -> None:
        """A part is excluded: the numbers follow without scoring again; undo takes it back."""
        self.say("X and a rectangle exclude a part: the numbers follow, nothing is scored again")
        window = self.window
        session, controller = window.session, window.controller
        before = controller.shares
        assert before is not None
        outlines = len(session.annotations)
        self.key("X")
        self.key("T")
        x0, y0, x1, y1 = session.region.bounds
        width, height = x1 - x0, y1 - y0
        self.drag(x0 + 0.1 * width, y0 + 0.1 * height, x0 + 0.45 * width, y0 + 0.9 * height)
        self.wait(lambda: len(session.annotations) > outlines, OPEN_S, "drawing the exclusion")
        self.wait(lambda: _differ(controller.shares, before), OPEN_S, "counting again")
        self.settle()
        now = controller.shares
        assert now is not None
        self.tell(f"before: {_in_words(before)} of {before.total:,.0f} cells")
        self.tell(f"after:  {_in_words(now)} of {now.total:,.0f} cells")
        self.picture("excluded")
        self.press("undo")
        self.wait(lambda: not _differ(controller.shares, before), OPEN_S, "undoing the exclusion")
        self.tell("undone")
        self.press("tool_select")

    def write_files(self) -> None:
        """Report, tables, outlines, and the case that was saved all the time."""
        self.say("Report, tables and outlines are written")
        written = {"pdf": "report.pdf", "json": "report.json", "csv": "cells.csv"}
        for kind, name in written.items():
            self.window.exporting.write_report(kind, self.fresh(name))
        self.window.exporting.export_file(self.fresh("annotations.geojson"))
        for name in (*written.values(), "annotations.geojson"):
            path = self.folder / name
            self.wait(path.exists, WRITE_S, f"writing {name}")
            self.tell(str(path))
        keeper = self.window.keeper
        keeper.flush()
        self.wait(lambda: keeper.state == "saved", WRITE_S, "saving the case")
        store = keeper.store
        if store is None:
            raise TripError("there is no case")
        check = store.verify()
        if not check.ok:
            raise TripError(check.problem)
        self.tell(f"{store.folder} (case; its journal of {check.entries} lines is whole)")
        self.settle()
        self.picture("end")

    # Hands and eyes --------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Begin a step."""
        self._step += 1
        sys.stdout.write(f"\n{self._step}. {text}\n")
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """Something that a step found out."""
        sys.stdout.write(f"   {text}\n")
        sys.stdout.flush()

    def fresh(self, name: str) -> Path:
        """A file to be written; one of an earlier trip is removed."""
        path = self.folder / name
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return path

    def picture(self, name: str) -> None:
        """Keep a picture of the window."""
        path = self.folder / f"{self._step}-{name}.png"
        self.window.grab().save(str(path))
        self.tell(f"[picture] {path.name}")

    def press(self, command: str) -> None:
        """Trigger a command as its menu entry does."""
        action = self.window.commands[command]
        if not action.isEnabled():
            raise TripError(f"{command} is not available: {action.toolTip()}")
        action.trigger()

    def key(self, name: str) -> None:
        """Press and release a key on the slide."""
        from PySide6.QtTest import QTest

        QTest.keyClick(self.window.canvas, _key(name))

    def hold(self, name: str, meanwhile: Callable[[], None]) -> None:
        """Do something while a key is held."""
        from PySide6.QtTest import QTest

        QTest.keyPress(self.window.canvas, _key(name))
        self.settle()
        meanwhile()
        QTest.keyRelease(self.window.canvas, _key(name))

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Drag the mouse between two points of the slide, level-0 px."""
        from PySide6.QtCore import QPoint, Qt
        from PySide6.QtTest import QTest

        canvas, left = self.window.canvas, Qt.MouseButton.LeftButton

        def at(fraction: float) -> QPoint:
            x, y = canvas.viewport.to_screen(x0 + (x1 - x0) * fraction, y0 + (y1 - y0) * fraction)
            return QPoint(round(x), round(y))

        QTest.mousePress(canvas, left, Qt.KeyboardModifier.NoModifier, at(0))
        for i in range(1, 11):
            QTest.mouseMove(canvas, at(i / 10))
            QTest.qWait(10)
        QTest.mouseRelease(canvas, left, Qt.KeyboardModifier.NoModifier, at(1))

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Let the window work until something is true.

        Raises:
            TripError: it does not come true in that time.
        """
        from PySide6.QtTest import QTest

        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TripError(f"{what} took more than {seconds:.0f} s")
            QTest.qWait(20)

    def settle(self, seconds: float = 15.0) -> None:
        """Wait until the picture of the window stands still: all tiles are there."""
        from PySide6.QtTest import QTest

        end = time.monotonic() + seconds
        before: Any = None
        while time.monotonic() < end:
            QTest.qWait(250)
            now = self.window.grab().toImage()
            if before is not None and now == before:
                return
            before = now


def _silence_the_offscreen_platform() -> None:
    """Offscreen, Qt says at each step that there is no window manager; everything else it says stays."""
    from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

    def handler(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
        if "propagateSizeHints" not in message:
            sys.stderr.write(f"{message}\n")

    qInstallMessageHandler(handler)


def _key(name: str) -> Any:
    from PySide6.QtCore import Qt

    return getattr(Qt.Key, f"Key_{'Return' if name == 'Enter' else name}")


def _in_words(shares: Shares) -> str:
    from her2viewer.domain.classes import HER2_LABELS

    return ", ".join(f"{name} {value:.1f} %" for name, value in zip(HER2_LABELS, shares.percent, strict=True))


def _differ(one: Shares | None, other: Shares) -> bool:
    return one is not None and abs(one.total - other.total) > 0.5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
