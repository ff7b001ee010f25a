"""What counts as looked at closely, its share of the region, and that it comes back with the case."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.reviewed import share_text
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.motion import Clock
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.reviewed import MOST_SPEED
from tests.helpers.canvases import rgb

PATIENCE_MS = 20_000
REGION = (1000, 800, 3400, 2600)


class TestClock:
    """Goes on only when it is told to."""

    __test__ = False

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def slide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4400 x 3400 px at 0.5 um: 20x is 1:1."""
    path = tmp_path_factory.mktemp("slides") / "slide.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    pixels = np.full((3400, 4400, 3), (225, 205, 215), np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", compression="zlib", metadata=metadata)
    return path


@pytest.fixture
def window(qtbot: QtBot, slide_file: Path, tmp_path: Path) -> Iterator[MainWindow]:
    made = make_window(qtbot)
    own = tmp_path / "own" / slide_file.name
    own.parent.mkdir()
    shutil.copy(slide_file, own)
    show(made, qtbot, own)
    yield made
    made.close()


def make_window(qtbot: QtBot) -> MainWindow:
    made = MainWindow()
    made.controller.warm_up = lambda: None  # type: ignore[method-assign]
    qtbot.addWidget(made)
    made.resize(1200, 800)
    made.show()
    made.commanding.set_smooth(False)
    return made


def show(window: MainWindow, qtbot: QtBot, path: Path) -> None:
    window.open_slide(path)
    qtbot.waitUntil(lambda: window.session.slide is not None, timeout=PATIENCE_MS)
    window.canvas.setFocus()


def outline(window: MainWindow, box: tuple[float, float, float, float] = REGION) -> None:
    drawn = Annotation.drawn(shapely.box(*box), Role.ROI)
    window.session.edit("Draw region", AnnotationSet((drawn,)), ())
    assert window.reviewing.squares is not None


def look(window: MainWindow, qtbot: QtBot, x: float, y: float, power: float = 20) -> None:
    """Show a place until it counts, or would count if it were close enough."""
    window.canvas.set_magnification(power)
    window.canvas.set_viewport(window.canvas.viewport.centred(x, y))
    rest(window, qtbot)


def rest(window: MainWindow, qtbot: QtBot) -> None:
    # It was told that it is sharp; where it is close enough, its time runs from then on.
    qtbot.waitUntil(lambda: window.canvas._sharp, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not window.reviewing._rest.isActive(), timeout=PATIENCE_MS)


def seen(window: MainWindow) -> int:
    assert window.reviewing.map is not None
    return int(window.reviewing.map.seen.sum())


def shown(window: MainWindow) -> str:
    return window.status._reviewed.text()


def test_a_close_look_counts_and_a_distant_one_does_not(window: MainWindow, qtbot: QtBot) -> None:
    outline(window)
    look(window, qtbot, 2200, 1700, power=10)
    assert seen(window) == 0
    assert shown(window) == "reviewed 0 %"
    look(window, qtbot, 2200, 1700)
    view = window.canvas.viewport
    assert seen(window) == pytest.approx(view.width * view.height / 2500, rel=0.1)
    share = window.reviewing.share
    assert share is not None
    assert share == pytest.approx(view.width * view.height / (2400 * 1800), rel=0.15)
    qtbot.waitUntil(lambda: shown(window) == f"reviewed {share_text(share)}", timeout=PATIENCE_MS)


@pytest.fixture
def timed(window: MainWindow, qtbot: QtBot) -> TestClock:
    """A clock of the test's own; all tiles are at hand."""
    outline(window)
    window.canvas.set_magnification(20)
    for x in (1500, 2200, 2900):
        window.canvas.set_viewport(window.canvas.viewport.centred(x, 1700))
        qtbot.waitUntil(lambda: window.canvas.sharp, timeout=PATIENCE_MS)
    clock = TestClock()
    window.reviewing.clock = clock
    window.reviewing.begin(None)
    return clock


def frame(canvas: SlideCanvas) -> None:
    """What happens 60 times a second; the painting itself is not needed."""
    canvas._next_frame()
    canvas._painted()


def pan(window: MainWindow, clock: Clock, speed: float, seconds: float) -> None:
    """Move to the left at ``speed`` views a second, 60 times a second."""
    view = window.canvas.viewport
    for _ in range(int(60 * seconds)):
        clock.now += 1 / 60  # type: ignore[attr-defined]
        window.canvas.set_viewport(window.canvas.viewport.panned(speed * view.width / view.dpr / 60, 0))
        frame(window.canvas)


def test_a_slow_pan_is_reading_and_a_quick_one_is_not(window: MainWindow, timed: TestClock) -> None:
    pan(window, timed, 4 * MOST_SPEED, 0.5)
    assert seen(window) == 0
    pan(window, timed, MOST_SPEED / 4, 2)
    assert seen(window) > 100


def test_a_glance_does_not_count_and_glances_add_up(window: MainWindow, timed: TestClock) -> None:
    canvas = window.canvas
    here, there = canvas.viewport.centred(2900, 1700), canvas.viewport.centred(1500, 1700)
    for _ in range(2):
        canvas.set_viewport(there)
        frame(canvas)
        timed.now += 0.26
        assert seen(window) == 0
        canvas.set_viewport(here)
    # Too short for the other place, which was seen for no time at all.
    assert seen(window) == pytest.approx(here.width * here.height / 2500, rel=0.1)


def test_what_is_not_sharp_yet_is_not_looked_at(
    window: MainWindow, timed: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window.canvas.loader, "set_wanted", lambda keys, urgent=None: None)
    window.canvas.store.clear()
    window.canvas.set_viewport(window.canvas.viewport.centred(1500, 1000))
    frame(window.canvas)
    timed.now += 5
    window.canvas.set_viewport(window.canvas.viewport.centred(1600, 1000))
    assert seen(window) == 0


def test_tab_shows_all_of_the_region_and_says_how_much(window: MainWindow, qtbot: QtBot) -> None:
    outline(window, (1000, 800, 2300, 1900))
    QTest.keyClick(window.canvas, Qt.Key.Key_Tab)
    assert window.canvas.magnification == pytest.approx(20), "from the whole slide it goes close"
    count = len(window.walk._fields)
    assert count > 2
    for number in range(1, count + 1):
        assert window.walk.position == f"field {number}/{count}"
        rest(window, qtbot)
        assert shown(window).startswith(f"field {number}/{count}   reviewed ")
        assert window.reviewing.share is not None
        QTest.keyClick(window.canvas, Qt.Key.Key_Tab)
    assert window.reviewing.share == 1
    qtbot.waitUntil(lambda: shown(window) == f"field 1/{count}   reviewed 100 %", timeout=PATIENCE_MS)
    assert "100 % of the region" in window.messages.shown[-1].text
    QTest.keyClick(window.canvas, Qt.Key.Key_U)
    assert "All of the region was looked at" in window.messages.shown[-1].text


def test_the_region_changes_and_the_share_with_it(window: MainWindow, qtbot: QtBot) -> None:
    outline(window)
    look(window, qtbot, 2200, 1700)
    view = window.canvas.viewport
    x0, y0, x1, y1 = view.bounds()
    outline(window, (x0 + 100, y0 + 100, x1 - 100, y1 - 100))
    assert window.reviewing.share == 1
    window.session.undo_stack.undo()
    qtbot.waitUntil(lambda: (window.reviewing.share or 0) < 0.5, timeout=PATIENCE_MS)
    window.session.edit("Clear", AnnotationSet(), ())
    qtbot.waitUntil(lambda: window.reviewing.share is None, timeout=PATIENCE_MS)
    assert shown(window) == ""


def test_it_comes_back_with_the_case_and_can_be_forgotten_and_taken_back(window: MainWindow, qtbot: QtBot) -> None:
    outline(window)
    look(window, qtbot, 2200, 1700)
    before = seen(window)
    assert window.session.slide is not None
    path = window.session.slide.path
    window.close()
    case = next(path.parent.glob("*.her2case"))
    assert json.loads((case / "reviewed.json").read_text())["version"] == 1

    again = make_window(qtbot)
    show(again, qtbot, path)
    assert seen(again) == before
    assert again.reviewing.share is not None
    again.commands["reset_reviewed"].trigger()
    assert seen(again) == 0
    message = again.messages.shown[-1]
    assert "forgotten" in message.text
    next(b for b in message.findChildren(QPushButton) if b.text() == "Take back").click()
    assert seen(again) == before
    again.close()
    assert "map of what was looked at restored" in (case / "journal.jsonl").read_text()


def test_an_older_case_and_a_damaged_map_open_with_nothing_looked_at(window: MainWindow, qtbot: QtBot) -> None:
    outline(window)
    look(window, qtbot, 2200, 1700)
    assert window.session.slide is not None
    path = window.session.slide.path
    window.close()
    kept = next(path.parent.glob("*.her2case")) / "reviewed.json"
    for content in (None, "no json"):
        kept.unlink(missing_ok=True)
        if content is not None:
            kept.write_text(content)
        again = make_window(qtbot)
        show(again, qtbot, path)
        assert len(again.session.annotations) == 1
        assert again.reviewing.share == 0
        assert ("reviewed.json" in " ".join(m.text for m in again.messages.shown)) == (content is not None)
        again.close()


def test_looking_about_saves_nothing_before_something_is_drawn(window: MainWindow, qtbot: QtBot) -> None:
    look(window, qtbot, 2200, 1700)
    assert seen(window) > 0
    assert window.session.slide is not None
    path = window.session.slide.path
    window.close()
    assert not list(path.parent.glob("*.her2case"))


def test_another_pixel_size_begins_anew_and_says_so(window: MainWindow, qtbot: QtBot) -> None:
    outline(window)
    look(window, qtbot, 2200, 1700)
    window.flow.set_pixel_size(PixelSize(0.5, 0.5, PixelSizeSource.USER, ""))
    assert seen(window) > 0
    window.flow.set_pixel_size(PixelSize(0.25, 0.25, PixelSizeSource.USER, ""))
    assert seen(window) == 0
    assert "begins anew" in window.messages.shown[-1].text


def test_the_map_shades_what_was_looked_at(window: MainWindow, qtbot: QtBot) -> None:
    outline(window)
    overview = window.canvas.overview
    qtbot.waitUntil(lambda: all(key in window.canvas.store for key in overview.tiles()), timeout=PATIENCE_MS)
    plain = rgb(overview.grab().toImage()).astype(int)
    look(window, qtbot, 2200, 1700)
    window.canvas.fit()
    qtbot.waitUntil(lambda: window.canvas.sharp, timeout=PATIENCE_MS)
    shaded = rgb(overview.grab().toImage()).astype(int)
    h, w = shaded.shape[:2]
    middle, corner = (h // 2, w // 2), (h // 8, w // 8)
    assert shaded[middle][0] < plain[middle][0] - 20, "less red: greener"
    assert abs(shaded[corner] - plain[corner]).max() < 6


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (0.0004, "<1 %"), (0.01, "1 %"), (0.58, "58 %"), (0.9999, "99 %"), (1.0, "100 %")],
)
def test_a_share_is_never_rounded_up_to_all(share: float, words: str) -> None:
    assert share_text(share) == words
