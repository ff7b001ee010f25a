"""Correction of cells in the window: by keys, regions, menu and bar; numbers, hover, undo and case follow."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdf
import pytest
import shapely
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QCursor, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QMessageBox, QToolButton
from pytestqt.qtbot import QtBot

from her2viewer.cases.cell_corrections_file import FILE, read_cell_corrections
from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, SaidClass
from her2viewer.domain.classes import CELL_SCHEME, ClassScheme
from her2viewer.domain.evidence import NOT_SCORED, CellTable
from her2viewer.domain.shares import Shares
from her2viewer.training.dataset import read_data_set
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.tools.correct_cells import HIDDEN, NO_CELLS, NO_TARGET, class_keys
from tests.helpers.cell_evidence import SEVEN, STEP, cells_result, lattice_cells
from tests.viewer.test_main_window import messages, write_slide
from tests.viewer.test_surface_window import new_window, open_in

TOOL = "tool_correct_cells"
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> MainWindow:
    made = new_window(qtbot)
    open_in(qtbot, made, write_slide(tmp_path / "discs.ome.tif", 0.5, (1280, 1664)))
    made.session.add(Annotation.drawn(shapely.box(0, 0, 1664, 1280), Role.ROI), "Draw region")
    put_cells(made)
    made.canvas.set_viewport(made.canvas.viewport.centred(300, 300))
    made.canvas.set_magnification(20)
    made.canvas.motion.settle()
    made.commands[TOOL].trigger()
    return made


def put_cells(window: MainWindow, table: CellTable | None = None) -> CellTable:
    """As if the scorer had just run on the region."""
    table = table or lattice_cells()
    size = window.session.pixel_size
    assert size is not None
    window.controller.restore(cells_result((table,), window.session.region, size))
    return table


def place(window: MainWindow, x: float, y: float) -> QPoint:
    return QPoint(*(round(v) for v in window.canvas.viewport.to_screen(x, y)))


def cell_at(column: int, row: int) -> tuple[float, float]:
    return 100 + STEP * column, 100 + STEP * row


def point(window: MainWindow, x: float, y: float) -> None:
    at = QPointF(place(window, x, y))
    moved = QMouseEvent(
        QEvent.Type.MouseMove,
        at,
        QPointF(window.canvas.mapToGlobal(at)),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.NoButton,
        NONE,
    )
    QApplication.sendEvent(window.canvas, moved)


def press(window: MainWindow, key: str | Qt.Key) -> None:
    QTest.keyClick(window.canvas, getattr(Qt.Key, f"Key_{key}") if isinstance(key, str) else key)


def drag(window: MainWindow, *points: tuple[float, float], modifier: Qt.KeyboardModifier = NONE) -> None:
    QTest.mousePress(window.canvas, LEFT, modifier, place(window, *points[0]))
    for x, y in points[1:]:
        QTest.mouseMove(window.canvas, place(window, x, y))
    QTest.mouseRelease(window.canvas, LEFT, modifier, place(window, *points[-1]))


def around(left: int, top: int, right: int, bottom: int) -> tuple[tuple[float, float], ...]:
    """Corners of a rectangle round cells of the lattice."""
    x0, y0 = cell_at(left, top)
    x1, y1 = cell_at(right, bottom)
    half = STEP / 2
    return ((x0 - half, y0 - half), (x1 + half, y0 - half), (x1 + half, y1 + half), (x0 - half, y1 + half))


def table_now(window: MainWindow) -> CellTable:
    (table,) = window.controller.evidence
    assert isinstance(table, CellTable)
    return table


def class_of(window: MainWindow, column: int, row: int) -> str | None:
    table = table_now(window)
    x, y = cell_at(column, row)
    found = np.flatnonzero((table.x == x) & (table.y == y))
    return table.scheme.names[table.classes[found[0]]] if len(found) else None


def expected(window: MainWindow) -> Shares | None:
    size = window.session.pixel_size
    assert size is not None
    return cells_result(window.controller.evidence, window.session.region, size).shares


def settled(window: MainWindow) -> bool:
    return window.controller.shares == expected(window)


def line(window: MainWindow) -> str:
    found = window.panels.answer.findChild(QLabel, "correctedLine")
    assert isinstance(found, QLabel)
    return found.text() if found.isVisibleTo(window.panels.answer) else ""


def test_a_key_says_the_class_of_the_cell_under_the_pointer(qtbot: QtBot, window: MainWindow) -> None:
    before = window.controller.shares
    zoom = window.canvas.viewport.downsample
    assert class_of(window, 5, 5) == "0"
    point(window, *cell_at(5, 5))
    press(window, "2")
    assert class_of(window, 5, 5) == "2+"
    assert window.canvas.viewport.downsample == zoom
    qtbot.waitUntil(lambda: settled(window) and window.controller.shares != before)
    assert line(window) == "You gave 1 cell another class"
    words = window.evidence.readout_at(*cell_at(5, 5), window.canvas.viewport)
    assert words.startswith("reader: 2+ (scorer: 0)")
    assert window.commands["undo"].text() == "Undo Class 2+ for 1 cell"
    # The pointer rests, and what it is told is no longer true.
    said = window.status.findChild(QLabel, "readout")
    assert isinstance(said, QLabel)
    assert "reader: 2+ (scorer: 0)" in said.toolTip()


@pytest.mark.parametrize(
    ("key", "name"), [("S", "stroma"), ("I", "immune"), ("A", "artefact"), ("0", "0"), ("3", "3+")]
)
def test_every_class_of_the_scheme_has_its_key(window: MainWindow, key: str, name: str) -> None:
    point(window, *cell_at(15, 5))
    assert class_of(window, 15, 5) == "1+"
    press(window, key)
    assert class_of(window, 15, 5) == name


def test_keys_of_other_tools_are_theirs_again_when_the_tool_is_put_away(window: MainWindow) -> None:
    window.commands["tool_select"].trigger()
    assert not window.correcting.bar.isVisible()
    zoom = window.canvas.viewport.downsample
    point(window, *cell_at(5, 5))
    press(window, "2")
    window.canvas.motion.settle()
    assert window.canvas.viewport.downsample != zoom
    assert window.session.cell_corrections.empty


def test_delete_removes_a_cell_and_undo_brings_it_back(qtbot: QtBot, window: MainWindow) -> None:
    table, before = table_now(window), window.controller.shares
    point(window, *cell_at(5, 5))
    press(window, Qt.Key.Key_Delete)
    assert class_of(window, 5, 5) is None
    assert len(table_now(window)) == len(table) - 1
    qtbot.waitUntil(lambda: settled(window) and window.controller.shares != before)
    assert line(window) == "You removed 1 cell"
    window.commands["undo"].trigger()
    assert table_now(window).classes.tolist() == table.classes.tolist()
    qtbot.waitUntil(lambda: window.controller.shares == before)
    assert line(window) == ""
    window.commands["redo"].trigger()
    assert class_of(window, 5, 5) is None


def test_a_line_drawn_round_cells_chooses_them_and_one_key_says_what_they_all_are(
    qtbot: QtBot, window: MainWindow
) -> None:
    drag(window, *around(4, 4, 7, 6), around(4, 4, 7, 6)[0])
    assert len(window.chosen_cells) == 12
    label = window.correcting.bar.findChild(QLabel, "correctTarget")
    assert isinstance(label, QLabel)
    assert label.text() == "12 cells"
    press(window, "3")
    assert all(class_of(window, c, r) == "3+" for c in range(4, 8) for r in range(4, 7))
    assert class_of(window, 8, 5) != "3+"
    assert len(window.chosen_cells) == 0
    qtbot.waitUntil(lambda: settled(window))
    window.commands["undo"].trigger()
    assert window.session.cell_corrections.empty


def test_after_a_key_for_several_cells_the_one_under_the_resting_pointer_is_named_at_once(
    qtbot: QtBot, window: MainWindow
) -> None:
    x, y = cell_at(5, 5)
    drag(window, *around(4, 4, 7, 6), (x - 5, y))
    label = window.correcting.bar.findChild(QLabel, "correctTarget")
    said = window.status.findChild(QLabel, "readout")
    assert isinstance(label, QLabel)
    assert isinstance(said, QLabel)
    assert label.text() == f"{len(window.chosen_cells)} cells"
    press(window, "3")
    assert label.text() == "Cell: 3+"
    qtbot.waitUntil(lambda: "reader: 3+ (scorer: 0)" in said.toolTip())
    press(window, "1")
    assert label.text() == "Cell: 1+"
    assert class_of(window, 5, 5) == "1+"
    assert class_of(window, 6, 5) == "3+"
    window.commands["undo"].trigger()
    window.commands["undo"].trigger()
    qtbot.waitUntil(lambda: label.text() == "Cell: 0")


def test_the_cell_under_a_resting_pointer_is_named_when_the_tool_is_chosen_by_its_key(window: MainWindow) -> None:
    window.commands["tool_select"].trigger()
    at = place(window, *cell_at(5, 5))
    QCursor.setPos(window.canvas.mapToGlobal(at))
    QTest.mouseMove(window.canvas, at)
    press(window, "E")
    label = window.correcting.bar.findChild(QLabel, "correctTarget")
    assert isinstance(label, QLabel)
    assert label.text() == "Cell: 0"


def test_the_bar_covers_neither_legend_nor_scale_bar(window: MainWindow) -> None:
    bar, legend = window.correcting.bar, window.legend
    assert legend.isVisible()
    assert bar.isVisible()
    # In this window the bar needs the place above the scale bar: the legend stands higher.
    raised = legend.y()
    assert not bar.geometry().intersects(legend.geometry())
    window.commands["tool_select"].trigger()
    low = legend.y()
    assert low > raised
    window.resize(1900, 800)
    window.commands[TOOL].trigger()
    assert legend.y() == low
    assert not bar.geometry().intersects(legend.geometry())


def test_control_draws_a_rectangle_and_shift_adds_to_what_is_chosen(window: MainWindow) -> None:
    a = around(4, 4, 5, 5)
    drag(window, a[0], a[2], modifier=Qt.KeyboardModifier.ControlModifier)
    assert len(window.chosen_cells) == 4
    QTest.mouseClick(window.canvas, LEFT, Qt.KeyboardModifier.ControlModifier, place(window, *cell_at(8, 8)))
    assert len(window.chosen_cells) == 5
    QTest.mouseClick(window.canvas, LEFT, Qt.KeyboardModifier.ControlModifier, place(window, *cell_at(8, 8)))
    assert len(window.chosen_cells) == 4
    drag(window, *around(8, 8, 9, 9), around(8, 8, 9, 9)[0], modifier=Qt.KeyboardModifier.ShiftModifier)
    assert len(window.chosen_cells) == 8
    press(window, Qt.Key.Key_Escape)
    assert len(window.chosen_cells) == 0
    assert window.toolbox.current.id == "correct_cells"


def test_the_scorers_word_counts_again_where_the_readers_is_taken_back(window: MainWindow) -> None:
    point(window, *cell_at(5, 5))
    press(window, "3")
    press(window, "Z")
    assert class_of(window, 5, 5) == "0"
    assert window.session.cell_corrections.empty
    press(window, Qt.Key.Key_Delete)
    assert class_of(window, 5, 5) is None
    press(window, "Z")
    assert class_of(window, 5, 5) == "0"


def test_the_menu_of_a_cell_does_what_the_keys_do(qtbot: QtBot, window: MainWindow) -> None:
    x, y = cell_at(6, 6)
    menu = window.correcting.menu_at(x, y, window)
    assert menu is not None
    texts = {a.text().split("\t")[0]: a for a in menu.actions()}
    assert [t for t in texts if t[:1].isdigit()] == ["1 cell", "0", "1+", "2+", "3+"]
    texts["immune"].trigger()
    assert class_of(window, 6, 6) == "immune"
    menu.deleteLater()
    window.commands["tool_select"].trigger()
    assert window.correcting.menu_at(x, y, window) is None


def test_the_buttons_of_the_bar_speak_of_the_chosen_cell(window: MainWindow) -> None:
    QTest.mouseClick(window.canvas, LEFT, NONE, place(window, *cell_at(6, 6)))
    button = next(b for b in window.correcting.bar.findChildren(QToolButton) if b.accessibleName() == "stroma")
    button.click()
    assert class_of(window, 6, 6) == "stroma"


def test_where_nothing_can_be_corrected_the_tool_says_why(window: MainWindow) -> None:
    point(window, 20, 20)
    press(window, "2")
    assert NO_TARGET in messages(window)
    point(window, *cell_at(5, 5))
    window.session.set_locked(True)
    press(window, "2")
    assert "signed" in messages(window)
    window.session.set_locked(False)
    window.commands["overlays"].trigger()
    QTest.mouseClick(window.canvas, LEFT, NONE, place(window, *cell_at(5, 5)))
    assert HIDDEN in messages(window)
    window.controller.restore(None)
    QTest.mouseClick(window.canvas, LEFT, NONE, place(window, *cell_at(5, 5)))
    assert NO_CELLS in messages(window)
    assert window.session.cell_corrections.empty


def test_cells_that_are_not_shown_are_not_corrected(window: MainWindow) -> None:
    layer = window.evidence.cells
    assert layer is not None
    layer.set_shown(SEVEN.names.index("0"), False)
    drag(window, *around(0, 4, 8, 6), around(0, 4, 8, 6)[0])
    table = table_now(window)
    assert len(window.chosen_cells) > 0
    assert "0" not in {table.scheme.names[k] for k in table.classes[window.chosen_cells.indices]}


def test_corrections_are_kept_in_the_case_beside_what_the_scorer_found(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    found, shares_found = table_now(window), window.controller.shares
    point(window, *cell_at(5, 5))
    press(window, "2")
    point(window, *cell_at(6, 5))
    press(window, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: window.controller.shares != shares_found)
    window.keeper.save_result(window.controller.kept_result)
    window.keeper.flush()
    store = window.keeper.store
    assert store is not None
    qtbot.waitUntil(lambda: window.keeper.state == "saved" and (store.folder / FILE).exists())
    assert len(read_cell_corrections(store.folder / FILE)) == 2
    kept = store.load_result("cells")
    assert kept is not None
    assert kept.evidence[0].classes.tolist() == found.classes.tolist()  # type: ignore[union-attr]
    assert kept.shares == shares_found
    shares = expected(window)
    slide = window.session.slide.path
    window.flow.close()
    qtbot.waitUntil(lambda: window.session.slide is None)
    open_in(qtbot, window, slide)
    qtbot.waitUntil(lambda: window.controller.shares == shares)
    assert class_of(window, 5, 5) == "2+"
    assert class_of(window, 6, 5) is None
    assert line(window) == "You gave 1 cell another class and removed 1"


def test_a_correction_that_finds_no_cell_any_more_is_kept_and_said(qtbot: QtBot, window: MainWindow) -> None:
    point(window, *cell_at(5, 5))
    press(window, "2")
    table = lattice_cells()
    there = (table.x == cell_at(5, 5)[0]) & (table.y == cell_at(5, 5)[1])
    put_cells(window, table.selected(~there))
    qtbot.waitUntil(lambda: "1 correction of yours fits no cell" in line(window))
    assert len(window.session.cell_corrections) == 1
    put_cells(window, table)
    qtbot.waitUntil(lambda: line(window) == "You gave 1 cell another class")


def test_a_table_with_one_class_for_all_that_is_no_tumour_can_be_corrected_too(window: MainWindow) -> None:
    table = lattice_cells()
    classes = np.where(table.classes < 3, 4, table.classes.astype(np.int64) - 3).astype(np.uint8)
    put_cells(window, CellTable("Cells", CELL_SCHEME, table.x, table.y, classes))
    assert class_keys(CELL_SCHEME) == ("0", "1", "2", "3", "N")
    point(window, *cell_at(5, 5))
    press(window, "N")
    assert class_of(window, 5, 5) == "not tumour"


def test_no_two_classes_share_a_key_and_none_takes_a_key_that_is_needed() -> None:
    scheme = ClassScheme(("stroma", "smooth muscle", "vessels", "0", "1+"), (-1, -1, -1, 0, 1))
    keys = class_keys(scheme)
    assert keys == ("S", "M", "L", "0", "1")


def test_corrections_of_before_hold_when_the_region_is_scored_again(qtbot: QtBot, window: MainWindow) -> None:
    x, y = cell_at(5, 5)
    window.session.correct_cells("Said", NO_CELL_CORRECTIONS.after(x + 2, y - 2, SaidClass("3+", 3)))
    put_cells(window)
    assert class_of(window, 5, 5) == "3+"
    table = table_now(window)
    assert table.scorer_classes is not None
    assert (table.scorer_classes != NOT_SCORED).sum() == 1


def test_report_table_and_geojson_tell_what_the_reader_corrected(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    point(window, *cell_at(5, 5))
    press(window, "2")
    point(window, *cell_at(6, 5))
    press(window, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: settled(window))
    paths = {kind: tmp_path / f"report.{kind}" for kind in ("json", "csv", "pdf", "geojson")}
    for kind, path in paths.items():
        window.exporting.write_report(kind, path)
    qtbot.waitUntil(lambda: all(path.exists() for path in paths.values()))
    told = json.loads(paths["json"].read_text())["corrections"]["cells"]
    assert (told["reclassified"], told["removed"], told["unfit"]) == (1, 1, 0)
    assert [220.0, 220.0, 0] in told["said"]["cells"]
    rows = list(csv.DictReader(paths["csv"].read_text().splitlines()))
    assert len(rows) == len(table_now(window))
    (corrected,) = [row for row in rows if row["scorer_class"]]
    assert (corrected["class"], corrected["scorer_class"]) == ("2+", "0")
    features = json.loads(paths["geojson"].read_text())["features"]
    said = [f["properties"] for f in features if f["properties"]["measurements"]["Class by the reader"]]
    assert len(said) == 1
    assert said[0]["classification"]["names"] == ["Tumor", "2+"]
    assert said[0]["metadata"] == {"Class of the scorer": "0"}
    text = " ".join("".join(page.extract_text() for page in pypdf.PdfReader(paths["pdf"]).pages).split())
    assert "The reader gave 1 cell another class and removed 1." in text
    assert "with what the scorer saw and the reader corrected" in text


def test_corrected_cells_go_from_the_menu_into_a_data_set(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    assert not window.commands["export_training"].isEnabled()
    point(window, *cell_at(5, 5))
    press(window, "2")
    assert window.commands["export_training"].isEnabled()
    window.commands["export_training"].trigger()
    dialog = next(d for d in window.findChildren(QFileDialog) if d.isVisible())
    folder = tmp_path / "set"
    folder.mkdir()
    dialog.fileSelected.emit(str(folder))
    dialog.reject()
    question = window.findChild(QMessageBox, "trainingExtent")
    assert isinstance(question, QMessageBox)
    next(b for b in question.buttons() if b.text() == "All cells there").click()
    qtbot.waitUntil(lambda: "1,200 cells written to" in messages(window))
    (entry,) = read_data_set(folder / "SET.toml").slides
    assert entry.slide == window.session.slide.path


def test_a_view_of_another_scorer_follows_and_its_shares_are_corrected_when_it_is_chosen(
    qtbot: QtBot, window: MainWindow
) -> None:
    size = window.session.pixel_size
    assert size is not None
    table = lattice_cells()
    other = cells_result((table,), window.session.region, size)
    window.controller.restore(replace(other, provenance=replace(other.provenance, scorer="membrane")))
    window.controller.set_scorer("cells")
    view = window.comparing.show_scorer("membrane")
    assert view is not None
    qtbot.waitUntil(lambda: view.evidence is not None and view.evidence.cells is not None)
    window.commands[TOOL].trigger()
    point(window, *cell_at(5, 5))
    press(window, "3")
    assert class_of(window, 5, 5) == "3+"
    words = view.evidence.readout_at(*cell_at(5, 5), window.canvas.viewport)
    assert words.startswith("reader: 3+ (scorer: 0)")
    shares = expected(window)
    window.controller.set_scorer("membrane")
    qtbot.waitUntil(lambda: window.controller.shares == shares)


def test_cells_chosen_in_a_plot_are_what_a_key_speaks_of(window: MainWindow) -> None:
    table = table_now(window)
    window.chosen_cells.set(table, [3, 7, 11])
    point(window, *cell_at(5, 5))
    press(window, "3")
    now = table_now(window)
    assert now.scorer_classes is not None
    assert np.flatnonzero(now.scorer_classes != NOT_SCORED).tolist() == [3, 7, 11]


def test_after_a_removal_chosen_cells_are_still_those_that_were_chosen(window: MainWindow) -> None:
    point(window, *cell_at(2, 2))
    press(window, Qt.Key.Key_Delete)
    drag(window, *around(4, 4, 5, 5), around(4, 4, 5, 5)[0])
    press(window, "3")
    assert all(class_of(window, c, r) == "3+" for c in (4, 5) for r in (4, 5))
    assert len(window.session.cell_corrections) == 5


def test_on_a_narrow_canvas_the_bar_has_two_rows_and_no_name_is_cut(qtbot: QtBot, window: MainWindow) -> None:
    put_cells(window)
    window.commands["tool_correct_cells"].trigger()
    bar = window.correcting.bar
    qtbot.waitUntil(bar.isVisible)

    def rows() -> list[list[str]]:
        buttons = sorted(bar.findChildren(QToolButton), key=lambda b: (b.y(), b.x()))
        assert all(b.width() >= b.sizeHint().width() for b in buttons)
        return [[b.accessibleName() for b in buttons if b.y() == y] for y in sorted({b.y() for b in buttons})]

    whole = ["0", "1+", "2+", "3+", "artefact", "stroma", "immune", "Remove", "Back"]
    window.resize(1900, 800)
    qtbot.waitUntil(lambda: rows() == [whole])
    # Fonts differ: narrower and narrower until one row is too long.
    for width in range(1800, 1000, -20):
        window.resize(width, 800)
        qtbot.waitUntil(lambda: len(rows()) in (1, 2))
        if len(rows()) == 2:
            break
    assert rows() == [whole[:4], whole[4:]]
    assert bar.x() >= 0
    window.resize(1900, 800)
    qtbot.waitUntil(lambda: rows() == [whole])
