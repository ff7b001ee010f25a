"""Polygon, freehand, rectangle, brush, note: drawn on a real canvas with pointer events."""

from __future__ import annotations

import math

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAction, QKeySequence, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMainWindow
from pytestqt.qtbot import QtBot
from shapely import Point, box

from her2viewer.domain.annotation import EXCLUSION_CLASSES, Annotation, AnnotationSet, Role
from her2viewer.domain.region import Region
from her2viewer.viewer.tools import commands
from her2viewer.viewer.tools.brush import BrushTool
from her2viewer.viewer.tools.polygon import PolygonTool
from tests.helpers.desk import SHIFT, Desk

SQUARE = [(1000.0, 1000.0), (2000.0, 1000.0), (2000.0, 2000.0), (1000.0, 2000.0)]


@pytest.fixture
def desk(qtbot: QtBot) -> Desk:
    return Desk(qtbot)


def area_mm2(annotation: Annotation) -> float:
    return float(annotation.geometry.area) * 0.25e-6


# --- polygon ---------------------------------------------------------------------------------------------------


def clicked(desk: Desk, points: list[tuple[float, float]]) -> PolygonTool:
    desk.use("polygon")
    for point in points:
        desk.click(point)
    tool = desk.toolbox.current
    assert isinstance(tool, PolygonTool)
    return tool


def test_a_double_click_closes_a_polygon(desk: Desk) -> None:
    clicked(desk, SQUARE[:3])
    desk.double_click(SQUARE[3])
    assert desk.only.geometry.area == pytest.approx(1e6, rel=0.01)
    assert desk.only.role is Role.ROI
    assert len(desk.only.geometry.exterior.coords) == 5
    assert desk.session.selection == (desk.only.id,)
    assert desk.session.undo_stack.undoText() == "Draw polygon"


def test_enter_closes_a_polygon(desk: Desk) -> None:
    clicked(desk, SQUARE)
    desk.key(Qt.Key.Key_Return)
    assert desk.only.geometry.area == pytest.approx(1e6, rel=0.01)


def test_a_click_on_the_first_corner_closes_a_polygon(desk: Desk) -> None:
    clicked(desk, [*SQUARE, (1010.0, 1010.0)])
    assert desk.only.geometry.area == pytest.approx(1e6, rel=0.01)


def test_backspace_takes_the_last_corner_back_and_esc_drops_all(desk: Desk) -> None:
    tool = clicked(desk, SQUARE)
    desk.key(Qt.Key.Key_Backspace)
    assert len(tool.points) == 3
    desk.key(Qt.Key.Key_Escape)
    assert tool.points == []
    assert not desk.annotations
    assert desk.session.region.empty


def test_undo_while_a_polygon_is_drawn_takes_back_its_last_corner_and_not_an_edit(desk: Desk) -> None:
    desk.session.add(Annotation.drawn(box(0, 0, 100, 100), Role.ROI), "Draw")
    tool = clicked(desk, SQUARE)
    desk.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(tool.points) == 3
    assert len(desk.annotations) == 1


def test_two_corners_are_no_polygon(desk: Desk) -> None:
    tool = clicked(desk, SQUARE[:2])
    desk.key(Qt.Key.Key_Return)
    assert not desk.annotations
    assert len(tool.points) == 2
    assert "three corners" in desk.messages[-1]


def test_the_region_follows_while_a_polygon_is_drawn_and_returns_when_it_is_dropped(desk: Desk, qtbot: QtBot) -> None:
    seen: list[Region] = []
    desk.session.region_changed.connect(seen.append)
    clicked(desk, SQUARE[:3])
    desk.hover(SQUARE[3])
    qtbot.waitUntil(lambda: bool(seen) and abs(seen[-1].area_px - 1e6) < 2e4)
    assert desk.session.undo_stack.count() == 0
    desk.key(Qt.Key.Key_Escape)
    assert desk.session.region.empty


def test_the_area_in_mm2_is_read_out_while_drawing(desk: Desk) -> None:
    tool = clicked(desk, SQUARE[:3])
    desk.hover(SQUARE[3])
    assert tool.readout() is not None
    area, size = str(tool.readout()).split("  ·  ")
    assert float(area.removesuffix(" mm²")) == pytest.approx(0.25, abs=0.01)
    assert size.endswith("µm")


def test_without_a_pixel_size_the_area_is_read_out_in_pixels(qtbot: QtBot) -> None:
    desk = Desk(qtbot, mpp=None)
    tool = clicked(desk, SQUARE[:3])
    desk.hover(SQUARE[3])
    assert "px²" in str(tool.readout())


def test_another_tool_closes_a_polygon_that_has_three_corners(desk: Desk) -> None:
    clicked(desk, SQUARE)
    desk.use("select")
    assert desk.only.geometry.area == pytest.approx(1e6, rel=0.01)


def test_keys_of_a_half_drawn_polygon_come_before_the_shortcuts_of_the_window(desk: Desk, qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(desk.canvas)
    fired: list[str] = []
    for name, key in (("run", "Return"), ("delete", "Backspace"), ("cancel", "Esc")):
        action = QAction(name, window)
        action.setShortcut(QKeySequence(key))
        action.triggered.connect(lambda _checked=False, name=name: fired.append(name))
        window.addAction(action)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    desk.canvas.setFocus()
    qtbot.waitUntil(desk.canvas.hasFocus)
    tool = clicked(desk, SQUARE)
    QTest.keyClick(desk.canvas, Qt.Key.Key_Backspace)
    assert len(tool.points) == 3
    QTest.keyClick(desk.canvas, Qt.Key.Key_Return)
    assert len(desk.annotations) == 1
    assert fired == []
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Backspace, Qt.Key.Key_Escape):
        QTest.keyClick(desk.canvas, key)
    assert fired == ["run", "delete", "cancel"]
    window.takeCentralWidget().setParent(None)


# --- freehand and rectangle ------------------------------------------------------------------------------------


def test_freehand_gives_the_area_that_was_drawn_round(desk: Desk) -> None:
    desk.use("freehand")
    angles = [i * 2 * math.pi / 80 for i in range(81)]
    desk.drag([(2000 + 800 * math.cos(a), 1500 + 800 * math.sin(a)) for a in angles])
    assert desk.only.geometry.area == pytest.approx(math.pi * 800**2, rel=0.02)
    assert len(desk.only.geometry.exterior.coords) < 100


def test_a_freehand_line_that_crosses_itself_gives_a_valid_region(desk: Desk) -> None:
    desk.use("freehand")
    desk.drag([(1000, 1000), (3000, 2000), (3000, 1000), (1000, 2000)])
    assert desk.only.geometry.is_valid
    assert desk.only.geometry.area == pytest.approx(1e6, rel=0.05)


@pytest.mark.parametrize("tool", ["freehand", "rectangle"])
def test_a_click_or_a_trembling_hand_draws_nothing(desk: Desk, tool: str) -> None:
    desk.use(tool)
    desk.drag([(1000, 1000), (1010, 1005), (1000, 1010)])
    desk.click((1500, 1500))
    assert not desk.annotations
    assert desk.session.undo_stack.count() == 0


@pytest.mark.parametrize("tool", ["freehand", "rectangle", "brush"])
def test_esc_drops_a_drag(desk: Desk, tool: str) -> None:
    desk.use(tool)
    desk.press((1000, 1000))
    desk.move((1500, 1800))
    desk.move((2500, 1000))
    desk.key(Qt.Key.Key_Escape)
    desk.release((2500, 1000))
    assert not desk.annotations
    assert desk.session.region.empty
    assert not desk.toolbox.state.live


def test_a_rectangle_goes_from_corner_to_corner(desk: Desk) -> None:
    desk.use("rectangle")
    desk.drag([(2000, 2000), (1000, 1500)])
    assert desk.only.geometry.symmetric_difference(box(1000, 1500, 2000, 2000)).area < 20_000


def test_shift_makes_a_square(desk: Desk) -> None:
    desk.use("rectangle")
    desk.drag([(1000, 1000), (2000, 1300)], SHIFT)
    x0, y0, x1, y1 = desk.only.geometry.bounds
    assert x1 - x0 == pytest.approx(y1 - y0)


def test_on_a_turned_slide_a_rectangle_is_parallel_to_the_screen(desk: Desk) -> None:
    desk.canvas.set_viewport(desk.canvas.viewport.rotated(30))
    desk.use("rectangle")
    a, c = (1500.0, 1200.0), (2500.0, 1900.0)
    desk.drag([a, c])
    corners = [desk.screen(p) for p in list(desk.only.geometry.exterior.coords)[:4]]
    assert corners[0].y() == pytest.approx(corners[1].y(), abs=0.01)
    assert corners[1].x() == pytest.approx(corners[2].x(), abs=0.01)


def test_what_lies_outside_the_slide_is_cut_off(desk: Desk) -> None:
    desk.use("rectangle")
    desk.canvas.set_viewport(desk.canvas.viewport.fitted(-1000, -1000, 5000, 4000))
    desk.drag([(-500, -500), (1000, 1000)])
    assert desk.only.geometry.symmetric_difference(box(0, 0, 1000, 1000)).area < 60_000
    assert desk.only.geometry.bounds[:2] == (0, 0)


def test_a_shape_wholly_outside_the_slide_is_refused_with_a_sentence(desk: Desk) -> None:
    desk.use("rectangle")
    desk.canvas.set_viewport(desk.canvas.viewport.fitted(-2000, -1000, 4000, 4000))
    desk.drag([(-1500, 100), (-500, 1000)])
    assert not desk.annotations
    assert "outside the slide" in desk.messages[-1]


# --- roles -----------------------------------------------------------------------------------------------------


def test_exclusions_are_drawn_with_their_class_each_in_a_colour_of_its_own(desk: Desk) -> None:
    for i, name in enumerate(EXCLUSION_CLASSES):
        desk.toolbox.state.set_role(Role.EXCLUDE, name)
        desk.use("rectangle")
        desk.drag([(500 + 1000 * i, 1000), (1000 + 1000 * i, 2000)])
    assert [(a.role, a.class_name) for a in desk.annotations] == [(Role.EXCLUDE, n) for n in EXCLUSION_CLASSES]
    assert len({a.color for a in desk.annotations}) == len(EXCLUSION_CLASSES)
    assert desk.session.undo_stack.undoText() == "Draw rectangle to exclude"


def test_an_exclusion_is_taken_from_the_scored_region_while_it_is_drawn(desk: Desk, qtbot: QtBot) -> None:
    desk.put(Annotation.drawn(box(0, 0, 2000, 2000), Role.ROI))
    desk.toolbox.toggle_role(Role.EXCLUDE)
    desk.use("rectangle")
    desk.press((500, 500))
    desk.move((1000, 1000))
    desk.move((1500, 1500))
    qtbot.waitUntil(lambda: abs(desk.session.region.area_px - 3e6) < 3e4)
    desk.release((1500, 1500))
    assert desk.session.region.area_px == pytest.approx(3e6, rel=0.01)


def test_x_takes_up_a_drawing_tool_and_x_again_goes_back_to_carcinoma(desk: Desk) -> None:
    desk.toolbox.toggle_role(Role.EXCLUDE)
    assert desk.toolbox.current.id == "polygon"
    assert desk.toolbox.state.role is Role.EXCLUDE
    desk.toolbox.toggle_role(Role.EXCLUDE)
    assert desk.toolbox.state.role is Role.ROI
    desk.toolbox.toggle_role(Role.CONTROL)
    desk.use("brush")
    assert desk.toolbox.state.role is Role.CONTROL
    desk.use("select")
    assert desk.toolbox.state.role is Role.ROI


def test_the_exclusion_class_used_last_comes_back(desk: Desk) -> None:
    desk.toolbox.toggle_role(Role.EXCLUDE, "Artefact")
    desk.use("select")
    desk.toolbox.toggle_role(Role.EXCLUDE)
    assert desk.toolbox.state.class_name == "Artefact"


# --- brush -----------------------------------------------------------------------------------------------------


def painted(desk: Desk, points: list[tuple[float, float]], erase: bool = False) -> None:
    desk.use("brush")
    desk.drag(points, SHIFT if erase else Qt.KeyboardModifier.NoModifier)


def test_the_brush_paints_a_region_as_wide_as_its_circle(desk: Desk) -> None:
    desk.toolbox.state.brush_px = 50
    painted(desk, [(1000, 1500), (3000, 1500)])
    x0, y0, x1, y1 = desk.only.geometry.bounds
    assert (y1 - y0) * desk.canvas.viewport.scale == pytest.approx(50, abs=1)
    assert (x1 - x0) * desk.canvas.viewport.scale == pytest.approx(50 + 2000 * desk.canvas.viewport.scale, abs=2)
    assert desk.session.undo_stack.count() == 1


def test_the_brush_adds_to_the_region_that_it_touches(desk: Desk) -> None:
    roi = Annotation.drawn(box(1000, 1000, 2000, 2000), Role.ROI, name="mine")
    desk.put(roi)
    painted(desk, [(1900, 1500), (3000, 1500)])
    assert desk.only.id == roi.id
    assert desk.only.name == "mine"
    assert desk.only.geometry.area > 1.2e6
    desk.session.undo_stack.undo()
    assert desk.session.annotations == AnnotationSet((roi,))


def test_the_brush_begins_a_new_region_where_it_touches_none(desk: Desk) -> None:
    desk.put(Annotation.drawn(box(100, 100, 500, 500), Role.ROI))
    painted(desk, [(2000, 1500), (3000, 1500)])
    assert len(desk.annotations) == 2


def test_the_brush_does_not_add_an_exclusion_to_the_region_below(desk: Desk) -> None:
    roi = Annotation.drawn(box(500, 500, 3500, 2500), Role.ROI)
    desk.put(roi)
    desk.session.select((roi.id,))
    desk.toolbox.toggle_role(Role.EXCLUDE)
    painted(desk, [(1500, 1500), (2500, 1500)])
    assert [a.role for a in desk.annotations] == [Role.ROI, Role.EXCLUDE]
    assert desk.annotations[0] == roi


def test_shift_erases_and_erasing_across_leaves_two_parts(desk: Desk) -> None:
    desk.put(Annotation.drawn(box(1000, 1000, 3000, 2000), Role.ROI))
    painted(desk, [(2000, 800), (2000, 2200)], erase=True)
    assert desk.only.geometry.geom_type == "MultiPolygon"
    assert len(desk.only.geometry.geoms) == 2


def test_erasing_may_begin_outside_the_region(desk: Desk) -> None:
    desk.put(Annotation.drawn(box(1000, 1000, 3000, 2000), Role.ROI))
    painted(desk, [(300, 1500), (1500, 1500)], erase=True)
    assert desk.only.geometry.area < 2e6
    assert not desk.only.geometry.contains(Point(1400, 1500))


def test_erasing_all_of_a_region_removes_it_and_undo_brings_it_back(desk: Desk) -> None:
    roi = Annotation.drawn(box(2000, 1500, 2050, 1550), Role.ROI)
    desk.put(roi)
    painted(desk, [(1950, 1525), (2100, 1525)], erase=True)
    assert not desk.annotations
    desk.session.undo_stack.undo()
    assert desk.only == roi


def test_erasing_nothing_says_so(desk: Desk) -> None:
    painted(desk, [(1000, 1000), (1500, 1000)], erase=True)
    assert desk.messages == ["There is nothing to erase here."]
    assert desk.session.undo_stack.count() == 0


def test_a_locked_region_is_not_painted_on(desk: Desk) -> None:
    roi = Annotation(box(1000, 1000, 2000, 2000), locked=True)
    desk.put(roi)
    painted(desk, [(1500, 1500), (1800, 1500)])
    assert desk.annotations[0] == roi
    assert len(desk.annotations) == 2


def test_the_numbers_follow_the_brush(desk: Desk, qtbot: QtBot) -> None:
    desk.use("brush")
    desk.press((1000, 1500))
    desk.move((1500, 1500))
    desk.move((2500, 1500))
    qtbot.waitUntil(lambda: desk.session.region.area_px > 2e5)
    assert desk.session.undo_stack.count() == 0
    desk.release((2500, 1500))
    assert desk.session.region.area_px == pytest.approx(desk.only.geometry.area)


def test_ctrl_wheel_sets_the_size_of_the_brush_and_leaves_the_zoom(desk: Desk) -> None:
    desk.use("brush")
    size, downsample = desk.toolbox.state.brush_px, desk.canvas.viewport.downsample
    at = QPointF(400, 300)
    for modifiers in (Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier):
        wheel = QWheelEvent(
            at,
            at,
            QPoint(),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            modifiers,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(desk.canvas, wheel)
        if modifiers:
            assert desk.toolbox.state.brush_px > size
            assert desk.canvas.viewport.downsample == downsample
    assert desk.canvas.viewport.downsample < downsample


def test_zoomed_in_the_brush_is_finer_on_the_tissue(desk: Desk) -> None:
    painted(desk, [(1000, 1000)])
    coarse = desk.only.geometry.area
    desk.put()
    view = desk.canvas.viewport
    desk.canvas.set_viewport(view.fitted(900, 900, 1100, 1050))
    painted(desk, [(1000, 1000)])
    assert desk.only.geometry.area < coarse / 50


def test_the_brush_paints_at_the_same_place_after_two_quick_dabs(desk: Desk) -> None:
    desk.use("brush")
    desk.double_click((2000, 1500))
    assert isinstance(desk.toolbox.current, BrushTool)
    assert len(desk.annotations) == 1


# --- note, locks -----------------------------------------------------------------------------------------------


def test_a_note_is_typed_on_the_canvas(desk: Desk) -> None:
    desk.use("note")
    desk.click((1200, 900))
    editor = desk.toolbox.note_editor
    assert editor is not None
    assert editor.isVisible()
    QTest.keyClicks(editor, "weak stain, P and B too")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    assert not editor.isVisible()
    assert desk.only.role is Role.NOTE
    assert desk.only.text == "weak stain, P and B too"
    assert desk.only.geometry.distance(Point(1200, 900)) < 10
    assert desk.session.region.empty


def test_letters_of_a_note_are_not_the_keys_of_the_window(desk: Desk, qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(desk.canvas)
    fired: list[str] = []
    for key in ("P", "Return", "Esc", "Del", "Ctrl+Z"):
        action = QAction(key, window)
        action.setShortcut(QKeySequence(key))
        action.triggered.connect(lambda _checked=False, key=key: fired.append(key))
        window.addAction(action)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    desk.use("note")
    desk.click((1200, 900))
    editor = desk.toolbox.note_editor
    assert editor is not None
    qtbot.waitUntil(editor.hasFocus)
    QTest.keyClicks(editor, "PpX")
    QTest.keyClick(editor, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(editor, "stop")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    assert desk.only.text == "stop"
    assert fired == []
    window.takeCentralWidget().setParent(None)


def test_esc_drops_a_note(desk: Desk) -> None:
    desk.use("note")
    desk.click((1200, 900))
    assert desk.toolbox.note_editor is not None
    QTest.keyClicks(desk.toolbox.note_editor, "no")
    QTest.keyClick(desk.toolbox.note_editor, Qt.Key.Key_Escape)
    assert not desk.annotations
    assert desk.toolbox.note_editor.isHidden()


@pytest.mark.parametrize("tool", ["polygon", "freehand", "rectangle", "brush", "note"])
def test_a_signed_case_takes_no_drawing_and_says_why(desk: Desk, tool: str) -> None:
    desk.session.set_locked(True)
    desk.use(tool)
    desk.drag([(1000, 1000), (2000, 1000), (2000, 2000)])
    desk.key(Qt.Key.Key_Return)
    assert not desk.annotations
    assert not desk.toolbox.state.live
    assert "signed" in desk.messages[0]


@pytest.mark.parametrize("tool", ["polygon", "freehand", "rectangle", "brush"])
def test_another_slide_drops_what_is_half_drawn(desk: Desk, tool: str) -> None:
    desk.use(tool)
    desk.press((1000, 1000))
    desk.move((2000, 1000))
    desk.move((2000, 2000))
    desk.put()
    desk.release((2000, 2000))
    desk.key(Qt.Key.Key_Return)
    assert not desk.annotations
    assert desk.session.region.empty


def test_every_gesture_is_one_undo_step_and_undo_is_exact(desk: Desk) -> None:
    states = [desk.session.annotations]
    clicked(desk, SQUARE)
    desk.key(Qt.Key.Key_Return)
    states.append(desk.session.annotations)
    painted(desk, [(1900, 1500), (3000, 1500)])
    states.append(desk.session.annotations)
    painted(desk, [(2500, 1000), (2500, 2000)], erase=True)
    states.append(desk.session.annotations)
    assert commands.smooth_selected(desk.session) is None
    states.append(desk.session.annotations)
    desk.use("freehand")
    desk.drag([(200, 200), (900, 300), (500, 900)])
    states.append(desk.session.annotations)
    stack = desk.session.undo_stack
    assert stack.count() == len(states) - 1
    for state in reversed(states[:-1]):
        stack.undo()
        assert desk.session.annotations == state
        assert desk.session.region.hash == state.region().hash
    for state in states[1:]:
        stack.redo()
        assert desk.session.annotations == state
