"""Where the scorer works, why on no GPU, and what memory is held: in the status bar and in Help, About."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from her2viewer.commands.checks import run_checks
from her2viewer.scoring.runtime.devices import devices
from her2viewer.viewer.dialogs.help import AboutDialog
from her2viewer.viewer.main_window import MainWindow
from tests.helpers.surface_models import install
from tests.viewer.test_main_window import shows, write_slide

pytestmark = [
    pytest.mark.skipif(devices()[0].kind != "cpu", reason="the best device here is no processor"),
    # A tip on the offscreen platform.
    pytest.mark.qt_log_ignore("does not support raise", extend=True),
]


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[MainWindow]:
    install()
    made = MainWindow()
    qtbot.addWidget(made)
    made.resize(1280, 800)
    made.show()
    path = write_slide(tmp_path / "discs.ome.tif", 0.5)
    made.open_slide(path)
    qtbot.waitUntil(lambda: shows(made, path))
    yield made
    made.close()


def chip(window: MainWindow) -> QLabel:
    found = window.status.findChild(QLabel, "device")
    assert isinstance(found, QLabel)
    return found


def tip(window: MainWindow) -> str:
    label = chip(window)
    middle = label.rect().center()
    QApplication.sendEvent(label, QHelpEvent(QEvent.Type.ToolTip, middle, label.mapToGlobal(middle)))
    return label.toolTip()


def test_the_chip_says_of_each_scorer_where_it_works_and_why_on_no_gpu(qtbot: QtBot, window: MainWindow) -> None:
    controller = window.controller
    assert controller.scorer == "membrane"
    qtbot.waitUntil(lambda: chip(window).text() == "CPU (no network)")
    assert "has no network that a GPU could run" in tip(window)
    controller.set_scorer("surface")
    # Its networks are loaded at once, for a run that may follow.
    qtbot.waitUntil(lambda: chip(window).text().startswith("CPU"))
    reason = {check.name: check for check in run_checks()}["GPU"].detail
    assert reason.startswith("No GPU is used: ")
    assert reason in tip(window)
    qtbot.waitUntil(lambda: chip(window).text().endswith(")"))
    controller.set_settings({**controller.settings_of("surface"), "device": "cpu"})
    qtbot.waitUntil(lambda: chip(window).text().endswith("(as chosen)"))
    assert "No GPU is used: the setting Device asks for CPU." in tip(window)
    # What is known of the other scorer still holds.
    controller.set_scorer("membrane")
    qtbot.waitUntil(lambda: chip(window).text() == "CPU (no network)")


def test_memory_and_the_limit_of_what_is_kept_are_told_where_the_chip_leads(qtbot: QtBot, window: MainWindow) -> None:
    kept = next(line for line in tip(window).splitlines() if line.startswith("Tiles of slides: "))
    limit = {check.name: check for check in run_checks()}["Memory"].detail.partition("tiles of slides: ")[2]
    assert limit.startswith("at most ")
    assert kept.endswith(limit)
    QTest.mouseClick(chip(window), Qt.MouseButton.LeftButton, pos=QPoint(4, 4))
    about = next(d for d in window.findChildren(AboutDialog) if d.isVisible())

    def told() -> list[str]:
        return [label.text() for label in about.findChildren(QLabel)]

    assert "Memory of the window" in told()
    before = next(text for text in told() if text.endswith(limit))
    window.commands["mag_40"].trigger()
    qtbot.waitUntil(lambda: any(text.endswith(limit) and text != before for text in told()))
    about.reject()


def test_while_a_run_goes_on_the_window_still_fits_a_small_screen(qtbot: QtBot, window: MainWindow) -> None:
    window.controller.set_scorer("surface")
    qtbot.waitUntil(lambda: chip(window).text().endswith(")") and "network" not in chip(window).text())
    long = chip(window).text()
    window.status.set_progress("Tumour and classes", 1.0, 3599, can_cancel=True)
    assert window.minimumSizeHint().width() <= 1280
    window.resize(window.minimumSizeHint().width(), 800)
    qtbot.waitUntil(lambda: chip(window).text() != long)
    # What there is no room for is in the tip.
    assert long.startswith(chip(window).text())
    assert "No GPU is used" in tip(window)
    window.status.end_progress()
    window.resize(1280, 800)
    qtbot.waitUntil(lambda: chip(window).text() == long)
