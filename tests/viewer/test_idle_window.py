"""Bug: the hint laid itself out again for ever, so that an idle window took a whole processor core."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from her2viewer.viewer.main_window import MainWindow


class _Counting(QObject):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Paint, QEvent.Type.LayoutRequest, QEvent.Type.UpdateRequest):
            self.seen[f"{type(watched).__name__} {event.type().name}"] += 1
        return False


@pytest.fixture
def window(qtbot: QtBot) -> MainWindow:
    made = MainWindow()
    made.controller.warm_up = lambda: None  # type: ignore[method-assign]
    qtbot.addWidget(made)
    made.resize(1280, 800)
    made.show()
    return made


@pytest.mark.parametrize("with_slide", [False, True])
@pytest.mark.parametrize("with_message", [False, True])
def test_a_window_in_which_nothing_happens_paints_nothing(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, with_slide: bool, with_message: bool
) -> None:
    if with_slide:
        path = tmp_path / "slide.ome.tif"
        metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        tifffile.imwrite(
            path, np.full((700, 900, 3), 230, np.uint8), tile=(256, 256), photometric="rgb", metadata=metadata
        )
        window.open_slide(path)
        qtbot.waitUntil(lambda: window.session.slide is not None, timeout=20_000)
    if with_message:
        window.messages.show_message("A sentence that stays until it is closed.", "error")
    qtbot.wait(800)
    counting = _Counting()
    application = QApplication.instance()
    assert application is not None
    application.installEventFilter(counting)
    qtbot.wait(400)
    application.removeEventFilter(counting)
    # The caret of a text field may blink once; a loop gives hundreds.
    assert sum(counting.seen.values()) < 12, counting.seen
