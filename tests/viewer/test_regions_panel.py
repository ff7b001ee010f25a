"""The list of regions beside a real session and canvas."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QFontMetrics
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu
from pytestqt.qtbot import QtBot
from shapely import Point, box

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.viewer.panels.regions_panel import RegionsPanel
from tests.helpers.desk import Desk

ROI = Annotation.drawn(box(0, 0, 2000, 2000), Role.ROI)
DCIS = Annotation.drawn(box(500, 500, 1500, 1500), Role.EXCLUDE, "In situ carcinoma")
CONTROL = Annotation.drawn(box(3000, 0, 3500, 500), Role.CONTROL, name="Slide control")
NOTE = replace(Annotation.drawn(Point(1000, 2500), Role.NOTE), text="weak here")


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot)


@pytest.fixture
def panel(desk: Desk, qtbot: QtBot) -> RegionsPanel:
    panel = RegionsPanel(desk.session, desk.toolbox.state)
    qtbot.addWidget(panel)
    panel.resize(220, 300)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def rows(panel: RegionsPanel) -> list[tuple[str, str]]:
    items = [panel.tree.topLevelItem(i) for i in range(panel.tree.topLevelItemCount())]
    return [(item.text(0), item.text(1)) for item in items if item is not None]


def entry(menu: QMenu, text: str) -> QAction:
    for action in menu.actions():
        if action.text() == text:
            return action
        sub = action.menu()
        if isinstance(sub, QMenu):
            for inner in sub.actions():
                if inner.text() == text:
                    return inner
    raise AssertionError(text)


def test_rows_are_ordered_by_role_with_areas_in_mm2_and_the_total_is_what_will_be_scored(
    desk: Desk, panel: RegionsPanel
) -> None:
    desk.put(NOTE, CONTROL, DCIS, ROI)
    assert rows(panel) == [
        ("Invasive carcinoma", "1.00"),
        ("− In situ carcinoma", "0.25"),
        ("Slide control", "0.06"),
        ("weak here", ""),
    ]
    assert panel.total.text() == "0.75 mm²"


def test_the_empty_list_says_what_to_do(desk: Desk, panel: RegionsPanel) -> None:
    assert panel.empty.isVisible()
    assert "P polygon, F freehand, B brush" in panel.empty.text()
    desk.put(ROI)
    assert not panel.empty.isVisible()
    desk.session.set_slide(None, None, type(desk.session.annotations)())
    assert "Open a slide" in panel.empty.text()


def test_selection_goes_both_ways(desk: Desk, panel: RegionsPanel, qtbot: QtBot) -> None:
    desk.put(ROI, DCIS)
    desk.session.select((DCIS.id,))
    assert [i.text(0) for i in panel.tree.selectedItems()] == ["− In situ carcinoma"]
    first = panel.tree.topLevelItem(0)
    qtbot.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=panel.tree.visualItemRect(first).center())
    assert desk.session.selection == (ROI.id,)
    second = panel.tree.visualItemRect(panel.tree.topLevelItem(1)).center()
    qtbot.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, second)
    assert desk.session.selection == (ROI.id, DCIS.id)


def test_the_region_selected_first_stays_first_whatever_its_row(
    desk: Desk, panel: RegionsPanel, qtbot: QtBot
) -> None:
    desk.put(ROI, DCIS)
    desk.session.select((DCIS.id,))
    row = panel.tree.visualItemRect(panel.tree.topLevelItem(0)).center()
    qtbot.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, row)
    assert desk.session.selection == (DCIS.id, ROI.id)


def editor_of(panel: RegionsPanel) -> QLineEdit:
    editor = panel.tree.viewport().findChild(QLineEdit)
    assert editor is not None
    return editor


def enter(editor: QLineEdit) -> None:
    """Qt takes what was typed over only when control is back in the event loop."""
    QTest.keyClick(editor, Qt.Key.Key_Return)
    QApplication.processEvents()


def test_f2_renames_in_place_and_undo_takes_the_name_back(desk: Desk, panel: RegionsPanel) -> None:
    desk.put(ROI)
    desk.session.select((ROI.id,))
    panel.tree.setFocus()
    QTest.keyClick(panel.tree, Qt.Key.Key_F2)
    editor = editor_of(panel)
    editor.setText("Core 3")
    enter(editor)
    assert desk.only.name == "Core 3"
    assert rows(panel)[0][0] == "Core 3"
    desk.session.undo_stack.undo()
    assert desk.only == ROI
    assert rows(panel)[0][0] == "Invasive carcinoma"


def test_leaving_the_shown_title_as_it_is_makes_no_edit(desk: Desk, panel: RegionsPanel) -> None:
    desk.put(DCIS)
    panel.tree.setCurrentItem(panel.tree.topLevelItem(0))
    panel.rename_current()
    enter(editor_of(panel))
    assert desk.session.undo_stack.count() == 0


def test_a_note_is_edited_as_text(desk: Desk, panel: RegionsPanel) -> None:
    desk.put(NOTE)
    panel.tree.setCurrentItem(panel.tree.topLevelItem(0))
    panel.rename_current()
    editor = editor_of(panel)
    editor.setText("strong here")
    enter(editor)
    assert (desk.only.text, desk.only.name) == ("strong here", "")


def test_locked_regions_and_signed_cases_cannot_be_renamed(desk: Desk, panel: RegionsPanel) -> None:
    desk.put(replace(ROI, locked=True), DCIS)
    panel.tree.setCurrentItem(panel.tree.topLevelItem(0))
    panel.rename_current()
    assert panel.tree.viewport().findChild(QLineEdit) is None
    desk.session.set_locked(True)
    panel.tree.setCurrentItem(panel.tree.topLevelItem(1))
    panel.rename_current()
    assert panel.tree.viewport().findChild(QLineEdit) is None


def test_areas_and_total_follow_a_drag(desk: Desk, panel: RegionsPanel, qtbot: QtBot) -> None:
    desk.put(ROI)
    desk.session.select((ROI.id,))
    desk.press((2000, 2000))
    desk.move((2500, 2000))
    desk.move((4000, 2000))
    qtbot.waitUntil(lambda: panel.total.text().startswith("1.5"))
    assert rows(panel)[0][1].startswith("1.5")
    assert desk.only == ROI
    desk.key(Qt.Key.Key_Escape)
    assert panel.total.text() == "1.00 mm²"
    assert rows(panel)[0][1] == "1.00"
    desk.release((4000, 2000))


def test_another_pixel_size_changes_all_areas(desk: Desk, panel: RegionsPanel) -> None:
    desk.put(ROI)
    desk.session.set_pixel_size(PixelSize(1.0, 1.0, PixelSizeSource.USER))
    assert rows(panel)[0][1] == "4.00"
    assert panel.total.text() == "4.00 mm²"


def test_the_menu_works_on_what_is_selected(desk: Desk, panel: RegionsPanel) -> None:
    second = Annotation.drawn(box(1000, 1000, 3000, 3000), Role.ROI)
    desk.put(ROI, second)
    desk.session.select((ROI.id, second.id))
    entry(panel.menu(), "Merge").trigger()
    assert len(desk.annotations) == 1
    entry(panel.menu(), "Exclude: Artefact").trigger()
    assert (desk.only.role, desk.only.class_name) == (Role.EXCLUDE, "Artefact")
    assert entry(panel.menu(), "Exclude: Artefact").isChecked()
    entry(panel.menu(), "Lock").trigger()
    assert desk.only.locked
    entry(panel.menu(), "Delete").trigger()
    assert desk.only.locked
    entry(panel.menu(), "Unlock").trigger()
    entry(panel.menu(), "Delete").trigger()
    assert not desk.annotations


def test_menu_entries_that_do_not_apply_are_grey_and_say_why(desk: Desk, panel: RegionsPanel) -> None:
    desk.put(ROI)
    desk.session.select((ROI.id,))
    merge = entry(panel.menu(), "Merge")
    assert not merge.isEnabled()
    assert "two" in merge.toolTip()
    desk.session.set_locked(True)
    delete = entry(panel.menu(), "Delete")
    assert not delete.isEnabled()
    assert "signed" in delete.toolTip()


def test_zoom_to_asks_for_the_bounds_of_what_is_selected(desk: Desk, panel: RegionsPanel) -> None:
    asked: list[tuple[float, ...]] = []
    panel.zoom_requested.connect(lambda *box: asked.append(box))
    desk.put(ROI, NOTE)
    desk.session.select((ROI.id,))
    entry(panel.menu(), "Zoom to").trigger()
    assert asked[-1] == (-100, -100, 2100, 2100)
    desk.session.select((NOTE.id,))
    panel.zoom_to_selected()
    x0, y0, x1, y1 = asked[-1]
    assert x0 < 1000 < x1
    assert y0 < 2500 < y1


def test_delete_in_the_list_deletes_and_reports_why_it_cannot(desk: Desk, panel: RegionsPanel) -> None:
    said: list[str] = []
    panel.message.connect(said.append)
    desk.put(replace(ROI, locked=True), DCIS)
    desk.session.select((DCIS.id,))
    QTest.keyClick(panel.tree, Qt.Key.Key_Delete)
    assert [a.id for a in desk.annotations] == [ROI.id]
    desk.session.select((ROI.id,))
    QTest.keyClick(panel.tree, Qt.Key.Key_Delete)
    assert len(desk.annotations) == 1
    assert "locked" in said[-1]


def test_in_a_narrow_column_areas_are_whole_and_names_are_cut(desk: Desk, panel: RegionsPanel) -> None:
    desk.put(replace(ROI, name="A very long name of a region that does not fit"))
    QApplication.processEvents()
    header = panel.tree.header()
    width = QFontMetrics(panel.tree.font()).horizontalAdvance("1.00")
    assert header.sectionSize(1) >= width
    assert header.length() <= panel.tree.viewport().width()


def test_without_a_pixel_size_the_column_says_that_it_counts_pixels(qtbot: QtBot) -> None:
    desk = Desk(qtbot, mpp=None)
    panel = RegionsPanel(desk.session)
    qtbot.addWidget(panel)
    desk.put(ROI)
    assert panel.tree.headerItem().text(1) == "px²"
    assert rows(panel)[0][1] == "4,000,000"
    desk.session.set_pixel_size(PixelSize(0.5, 0.5, PixelSizeSource.USER))
    assert panel.tree.headerItem().text(1) == "mm²"
