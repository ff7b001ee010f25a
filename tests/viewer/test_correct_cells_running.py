"""Cells of parts that have arrived can be corrected while the run goes on; what was said holds at its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.evidence import NOT_SCORED, CellTable, concatenated
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.scoring_model import ScoringState
from tests.viewer.test_correct_cells import LEFT, NONE, TOOL, drag, expected, line, place, point, press
from tests.viewer.test_main_window import messages, write_slide
from tests.viewer.test_surface_window import new_window, open_in

STEP = 64.0
"""Px between the cells of the trial scorer, which stand in the middle of squares of this size."""


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run goes on beyond its third tile when this file is there."""
    path = tmp_path / "gate"
    monkeypatch.setenv("TRIAL_GATE", str(path))
    return path


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, gate: Path, trial_scorers: Path) -> MainWindow:
    """Three of twelve tiles have arrived, and the run goes on."""
    made = new_window(qtbot)
    open_in(qtbot, made, write_slide(tmp_path / "discs.ome.tif", 0.5, (1280, 1664)))
    made.session.add(Annotation.drawn(shapely.box(0, 0, 1664, 1280), Role.ROI), "Draw region")
    made.canvas.set_viewport(made.canvas.viewport.centred(300, 300))
    made.canvas.set_magnification(20)
    made.canvas.motion.settle()
    made.controller.set_scorer("gated")
    made.commands[TOOL].trigger()
    assert made.controller.run()
    qtbot.waitUntil(lambda: len(parts(made)) == 3 and made.controller.shares is not None)
    return made


def parts(window: MainWindow) -> list[CellTable]:
    return [e for e in window.controller.evidence if isinstance(e, CellTable)]


def cell_at(column: int, row: int) -> tuple[float, float]:
    return STEP * (column + 0.5), STEP * (row + 0.5)


def class_of(window: MainWindow, column: int, row: int) -> str | None:
    table = concatenated(parts(window))
    x, y = cell_at(column, row)
    found = np.flatnonzero((table.x == x) & (table.y == y))
    return table.scheme.names[table.classes[found[0]]] if len(found) else None


def target(window: MainWindow) -> str:
    found = window.correcting.bar.findChild(QLabel, "correctTarget")
    assert isinstance(found, QLabel)
    return found.text()


def go_on(qtbot: QtBot, window: MainWindow, gate: Path) -> None:
    gate.touch()
    qtbot.waitUntil(lambda: window.controller.state is ScoringState.ANSWERED)


def test_a_cell_is_corrected_while_the_run_goes_on_and_stays_so_at_its_end(
    qtbot: QtBot, window: MainWindow, gate: Path
) -> None:
    before = window.controller.shares
    assert class_of(window, 4, 4) == "0"
    point(window, *cell_at(4, 4))
    press(window, "3")
    point(window, *cell_at(5, 4))
    press(window, Qt.Key.Key_Delete)
    assert window.controller.state is ScoringState.RUNNING
    assert class_of(window, 4, 4) == "3+"
    assert class_of(window, 5, 4) is None
    qtbot.waitUntil(lambda: window.controller.shares != before)
    assert window.evidence.readout_at(*cell_at(4, 4), window.canvas.viewport).startswith("reader: 3+ (scorer: 0)")
    assert messages(window) == ""
    window.commands["undo"].trigger()
    assert class_of(window, 5, 4) == "1+"
    window.commands["redo"].trigger()
    go_on(qtbot, window, gate)
    (table,) = parts(window)
    assert class_of(window, 4, 4) == "3+"
    assert class_of(window, 5, 4) is None
    assert table.scorer_classes is not None
    assert (table.scorer_classes != NOT_SCORED).sum() == 1
    assert window.controller.shares == expected(window)
    qtbot.waitUntil(lambda: line(window) == "You gave 1 cell another class and removed 1")
    window.commands["undo"].trigger()
    assert class_of(window, 5, 4) == "1+"


def test_cells_drawn_round_across_tiles_are_corrected_together(qtbot: QtBot, window: MainWindow, gate: Path) -> None:
    # Tiles are eight cells wide.
    x0, y0 = STEP * 6, STEP * 2
    x1, y1 = STEP * 10, STEP * 5
    drag(window, (x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
    assert target(window) == "12 cells"
    press(window, "2")
    assert {class_of(window, c, r) for c in range(6, 10) for r in range(2, 5)} == {"2+"}
    assert len(window.session.cell_corrections) == 12
    go_on(qtbot, window, gate)
    assert {class_of(window, c, r) for c in range(6, 10) for r in range(2, 5)} == {"2+"}
    assert window.controller.shares == expected(window)


def test_chosen_cells_stay_chosen_while_parts_come_in_and_when_the_run_ends(
    qtbot: QtBot, window: MainWindow, gate: Path
) -> None:
    x0, y0, x1, y1 = STEP * 2, STEP * 2, STEP * 4, STEP * 4
    drag(window, (x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
    assert len(window.chosen_cells) == 4
    go_on(qtbot, window, gate)
    press(window, "3")
    assert len(window.session.cell_corrections) == 4
    assert {class_of(window, c, r) for c in (2, 3) for r in (2, 3)} == {"3+"}
    (table,) = parts(window)
    assert table.scorer_classes is not None
    assert (table.scorer_classes != NOT_SCORED).sum() == 4


def test_what_was_said_before_holds_for_parts_as_they_arrive(qtbot: QtBot, window: MainWindow, gate: Path) -> None:
    point(window, *cell_at(4, 4))
    press(window, "3")
    window.controller.cancel()
    qtbot.waitUntil(lambda: window.controller.state is ScoringState.PARTLY_SCORED)
    assert class_of(window, 4, 4) == "3+"
    window.session.undo_stack.undo()
    assert class_of(window, 4, 4) == "0"
    window.session.undo_stack.redo()
    kept = window.controller.kept_result
    assert kept is not None
    (found,) = [e for e in kept.evidence if isinstance(e, CellTable)]
    assert found.scorer_classes is None
    gate.touch()
    assert window.controller.run()
    qtbot.waitUntil(lambda: window.controller.state is ScoringState.ANSWERED)
    assert class_of(window, 4, 4) == "3+"
    assert window.controller.shares == expected(window)


def test_the_cell_under_a_pointer_that_rests_is_known_when_its_part_arrives(
    qtbot: QtBot, window: MainWindow, gate: Path
) -> None:
    window.canvas.set_viewport(window.canvas.viewport.centred(*cell_at(4, 12)))
    window.canvas.motion.settle()
    point(window, *cell_at(4, 12))
    assert target(window) == "No cell"
    go_on(qtbot, window, gate)
    assert target(window) == "Cell: 0"
    press(window, "2")
    assert target(window) == "Cell: 2+"
    assert class_of(window, 4, 12) == "2+"


def test_another_cell_is_meant_when_the_view_moves_under_a_pointer_that_rests(window: MainWindow) -> None:
    point(window, *cell_at(4, 4))
    view = window.canvas.viewport
    window.canvas.set_viewport(view.centred(view.cx + STEP, view.cy))
    window.canvas.motion.settle()
    assert target(window) == "Cell: 1+"
    press(window, "3")
    assert class_of(window, 4, 4) == "0"
    assert class_of(window, 5, 4) == "3+"


def test_a_click_chooses_a_cell_while_the_run_goes_on(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.mouseClick(window.canvas, LEFT, NONE, place(window, *cell_at(3, 3)))
    assert len(window.chosen_cells) == 1
    assert target(window) == "Cell: 3+"
    press(window, Qt.Key.Key_Escape)
    assert len(window.chosen_cells) == 0
    assert window.controller.state is ScoringState.RUNNING


def test_a_cell_can_be_looked_at_while_the_run_goes_on(qtbot: QtBot, window: MainWindow, gate: Path) -> None:
    window.panels["Cells"].set_open(True)
    window.commands["tool_select"].trigger()
    qtbot.mouseClick(window.canvas, LEFT, NONE, place(window, *cell_at(3, 3)))
    qtbot.waitUntil(lambda: ("Class", "3+") in window.panels.cells.chosen.numbers)
    # Those that were chosen stay it while parts come in, and another one is added to them.
    gate.touch()
    qtbot.waitUntil(lambda: window.controller.state is ScoringState.ANSWERED)
    ctrl = Qt.KeyboardModifier.ControlModifier
    qtbot.mouseClick(window.canvas, LEFT, ctrl, place(window, *cell_at(4, 3)))
    assert len(window.chosen_cells) == 2
    qtbot.waitUntil(lambda: not window.cells.shown.pausing and window.panels.cells.idle)
