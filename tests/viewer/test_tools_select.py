"""Selecting, moving, corners, nudges on a real canvas; the commands on what is selected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from shapely import Point, box

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools import commands
from her2viewer.viewer.tools.handles import corners_in_view
from tests.helpers.desk import ALT, SHIFT, Desk

RIGHT = Qt.MouseButton.RightButton


@pytest.fixture
def a() -> Annotation:
    return Annotation.drawn(box(1000, 1000, 2000, 2000), Role.ROI, name="A")


@pytest.fixture
def b() -> Annotation:
    return Annotation.drawn(box(2500, 1000, 3500, 2000), Role.ROI, name="B")


@pytest.fixture
def desk(qtbot: QtBot, a: Annotation, b: Annotation) -> Desk:
    desk = Desk(qtbot)
    desk.put(a, b)
    return desk


# --- selecting -------------------------------------------------------------------------------------------------


def test_a_click_selects_shift_adds_and_takes_away_and_a_click_beside_clears(
    desk: Desk, a: Annotation, b: Annotation
) -> None:
    desk.click((1500, 1500))
    assert desk.session.selection == (a.id,)
    desk.click((3000, 1500), SHIFT)
    assert desk.session.selection == (a.id, b.id)
    desk.click((1500, 1500), SHIFT)
    assert desk.session.selection == (b.id,)
    desk.click((2250, 2700))
    assert desk.session.selection == ()


def test_an_exclusion_inside_a_region_can_be_picked(desk: Desk) -> None:
    inner = Annotation.drawn(box(1300, 1300, 1600, 1600), Role.EXCLUDE)
    desk.put(inner, *desk.annotations)
    desk.click((1450, 1450))
    assert desk.session.selection == (inner.id,)


def test_on_a_turned_slide_a_click_finds_what_lies_under_the_pointer(desk: Desk, b: Annotation) -> None:
    desk.canvas.set_viewport(desk.canvas.viewport.rotated(70))
    desk.click((3000, 1500))
    assert desk.session.selection == (b.id,)


def test_hidden_outlines_cannot_be_picked(desk: Desk) -> None:
    desk.canvas.overlays_hidden = True
    desk.click((1500, 1500))
    assert desk.session.selection == ()
    desk.canvas.overlays_hidden = False
    desk.layer.visible = False
    desk.click((1500, 1500))
    assert desk.session.selection == ()


def test_a_right_click_selects_what_its_menu_is_about(desk: Desk, b: Annotation) -> None:
    desk.click((3000, 1500), button=RIGHT)
    assert desk.session.selection == (b.id,)


# --- moving ----------------------------------------------------------------------------------------------------


def test_dragging_an_unselected_region_pans_and_moves_nothing(desk: Desk, a: Annotation, b: Annotation) -> None:
    start = desk.canvas.viewport
    at = desk.screen((1500, 1500))
    desk.press((1500, 1500))
    for dx in (20, 60, 100):
        desk.move(desk.canvas.viewport.to_slide(at.x() + dx, at.y()))
    desk.release((1500, 1500))
    assert desk.annotations == (a, b)
    assert desk.session.selection == ()
    assert (start.cx - desk.canvas.viewport.cx) * start.scale == pytest.approx(100, abs=1)


def test_dragging_what_is_selected_moves_it_in_one_undo_step(desk: Desk, a: Annotation, b: Annotation) -> None:
    desk.session.select((a.id,))
    view = desk.canvas.viewport
    desk.drag([(1500, 1500), (1500, 2300)])
    assert desk.canvas.viewport == view
    x0, y0, x1, y1 = desk.annotations[0].geometry.bounds
    assert (x0, x1) == pytest.approx((1000, 2000), abs=6)
    assert (y0, y1) == pytest.approx((1800, 2800), abs=6)
    assert desk.session.undo_stack.count() == 1
    desk.session.undo_stack.undo()
    assert desk.annotations == (a, b)


def test_all_selected_regions_move_together(desk: Desk, a: Annotation, b: Annotation) -> None:
    desk.session.select((a.id, b.id))
    desk.drag([(1500, 1500), (1500, 1000)])
    tops = [x.geometry.bounds[1] for x in desk.annotations]
    assert tops == pytest.approx([500, 500], abs=6)
    assert desk.session.undo_stack.count() == 1


def test_the_region_follows_a_drag_before_it_ends(desk: Desk, a: Annotation, qtbot: QtBot) -> None:
    desk.session.select((a.id,))
    desk.press((1500, 1500))
    desk.move((2000, 1500))
    desk.move((3000, 1500))
    # A lies on B now: half of what was outlined is left.
    qtbot.waitUntil(lambda: abs(desk.session.region.area_px - 1e6) < 2e4)
    assert desk.session.annotations.items[0] == a
    desk.key(Qt.Key.Key_Escape)
    assert desk.session.region.area_px == pytest.approx(2e6)
    desk.release((3000, 1500))
    assert desk.annotations[0] == a


def test_a_region_dragged_partly_off_the_slide_is_cut_and_wholly_off_is_refused(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.canvas.set_viewport(desk.canvas.viewport.fitted(-4000, -3000, 8000, 6000))
    desk.drag([(1500, 1500), (0, 1500)])
    assert desk.annotations[0].geometry.area == pytest.approx(0.5e6, rel=0.05)
    desk.drag([(250, 1500), (-3000, 1500)])
    assert desk.annotations[0].geometry.area == pytest.approx(0.5e6, rel=0.05)
    assert "outside the slide" in desk.messages[-1]
    assert desk.session.undo_stack.count() == 1


def test_a_locked_region_does_not_move_and_says_why(desk: Desk, a: Annotation) -> None:
    locked = replace(a, locked=True)
    desk.put(locked)
    desk.session.select((a.id,))
    desk.drag([(1500, 1500), (2500, 1500)])
    assert desk.only == locked
    assert "locked" in desk.messages[-1]


def test_in_a_signed_case_nothing_moves(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.session.set_locked(True)
    desk.drag([(1500, 1500), (2500, 1500)])
    desk.drag([(1000, 1000), (500, 500)])
    desk.key(Qt.Key.Key_Left)
    assert desk.annotations[0] == a
    assert all("signed" in m for m in desk.messages)
    assert desk.messages


def test_arrow_keys_nudge_and_a_run_of_them_is_one_undo_step(desk: Desk, a: Annotation, qtbot: QtBot) -> None:
    desk.session.select((a.id,))
    for _ in range(5):
        desk.key(Qt.Key.Key_Right)
    desk.key(Qt.Key.Key_Down, SHIFT)
    qtbot.waitUntil(lambda: desk.session.undo_stack.count() > 0)
    assert desk.session.undo_stack.count() == 1
    step = 1 / desk.canvas.viewport.scale
    x0, y0, _, _ = desk.annotations[0].geometry.bounds
    assert (x0, y0) == pytest.approx((1000 + 5 * step, 1000 + 10 * step))


def test_on_a_turned_slide_nudges_follow_the_screen(desk: Desk, a: Annotation, qtbot: QtBot) -> None:
    desk.canvas.set_viewport(desk.canvas.viewport.rotated(90))
    desk.session.select((a.id,))
    desk.hover((100, 100))
    before = desk.screen((1000, 1000))
    desk.key(Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: desk.session.undo_stack.count() > 0)
    moved = desk.annotations[0].geometry.exterior.coords
    after = min((desk.screen(p) for p in moved), key=lambda p: (p - before).manhattanLength())
    assert (after.x() - before.x(), after.y() - before.y()) == pytest.approx((1, 0), abs=0.01)


def test_without_a_selection_arrow_keys_pan(desk: Desk) -> None:
    start = desk.canvas.viewport
    desk.key(Qt.Key.Key_Right)
    assert desk.canvas.viewport.cx != start.cx


# --- corners ---------------------------------------------------------------------------------------------------


def test_a_corner_is_dragged_by_its_handle(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.drag([(1000, 1000), (500, 500)])
    assert desk.annotations[0].geometry.area == pytest.approx(1.5e6, rel=0.01)
    assert desk.session.undo_stack.undoText() == "Move corner"
    desk.session.undo_stack.undo()
    assert desk.annotations[0] == a


def test_a_click_on_a_handle_changes_nothing(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.click((1000, 1000))
    assert desk.session.undo_stack.count() == 0
    assert desk.session.selection == (a.id,)


def test_a_corner_dragged_across_the_outline_leaves_a_valid_region(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.drag([(1000, 1000), (2300, 1700)])
    assert desk.annotations[0].geometry.is_valid


def test_a_double_click_on_an_edge_adds_a_corner(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.double_click((1500, 1000))
    assert len(desk.annotations[0].geometry.exterior.coords) == 6
    assert desk.annotations[0].geometry.area == pytest.approx(1e6, rel=0.01)
    assert desk.session.undo_stack.count() == 1


def test_alt_drag_on_an_edge_pulls_a_new_corner_out(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.drag([(1500, 1000), (1500, 500)], ALT)
    assert desk.annotations[0].geometry.area == pytest.approx(1.25e6, rel=0.01)
    assert desk.session.undo_stack.count() == 1


def test_delete_over_a_handle_removes_the_corner_and_elsewhere_the_region(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.hover((1000, 1000))
    desk.key(Qt.Key.Key_Delete)
    assert desk.annotations[0].geometry.area == pytest.approx(0.5e6)
    desk.hover((1800, 1800))
    desk.toolbox.delete()
    assert a.id not in [x.id for x in desk.annotations]


def test_a_right_click_on_a_handle_removes_the_corner_and_opens_no_menu(desk: Desk, a: Annotation) -> None:
    asked: list[QPoint] = []
    desk.canvas.context_menu_requested.connect(lambda _x, _y, at: asked.append(at))
    desk.session.select((a.id,))

    def right_click(point: tuple[float, float]) -> None:
        desk.click(point, button=RIGHT)
        at = desk.screen(point).toPoint()
        menu = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, desk.canvas.mapToGlobal(at))
        QApplication.sendEvent(desk.canvas, menu)

    right_click((1000, 1000))
    assert desk.annotations[0].geometry.area == pytest.approx(0.5e6)
    assert not asked
    right_click((1800, 1800))
    assert len(asked) == 1


def test_the_last_three_corners_stay(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.click((1000, 1000), button=RIGHT)
    desk.click((2000, 1000), button=RIGHT)
    assert desk.annotations[0].geometry.area > 0
    assert "three corners" in desk.messages[-1]


def test_a_region_with_thousands_of_corners_shows_handles_only_when_zoomed_in(desk: Desk) -> None:
    dense = Annotation.drawn(Point(2000, 1500).buffer(1000, quad_segs=2000), Role.ROI)
    desk.put(dense)
    desk.session.select((dense.id,))
    assert corners_in_view(dense.geometry, desk.canvas.viewport) == []
    close = desk.canvas.viewport.fitted(2950, 1450, 3050, 1550)
    assert 10 < len(corners_in_view(dense.geometry, close)) <= 400


def test_a_note_is_moved_and_its_text_edited(desk: Desk) -> None:
    note = replace(Annotation.drawn(Point(500, 500), Role.NOTE), text="old")
    desk.put(note)
    desk.click((500, 500))
    desk.drag([(500, 500), (800, 900)])
    assert desk.only.geometry.distance(Point(800, 900)) < 8
    desk.double_click((desk.only.geometry.x, desk.only.geometry.y))
    editor = desk.toolbox.note_editor
    assert editor is not None
    assert editor.text() == "old"
    QTest.keyClicks(editor, "new")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    assert desk.only.text == "new"


def test_a_double_click_on_tissue_zooms_in(desk: Desk) -> None:
    before = desk.canvas.viewport.downsample
    desk.double_click((2250, 2700))
    assert desk.canvas.viewport.downsample < before


def test_esc_gives_up_one_thing_at_a_time(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    desk.toolbox.toggle_role(Role.EXCLUDE)
    desk.click((100, 100))
    assert desk.toolbox.cancel()
    assert desk.toolbox.state.role is Role.EXCLUDE
    assert desk.toolbox.cancel()
    assert desk.toolbox.state.role is Role.ROI
    assert desk.toolbox.cancel()
    assert desk.session.selection == ()
    assert not desk.toolbox.cancel()


# --- commands --------------------------------------------------------------------------------------------------


def shown(session: Session) -> list[str]:
    return [x.name for x in session.annotations]


def test_merge_makes_one_region_of_the_selected_ones(desk: Desk, a: Annotation, b: Annotation) -> None:
    desk.session.select((b.id, a.id))
    assert commands.merge_selected(desk.session) is None
    assert shown(desk.session) == ["B"]
    assert desk.only.geometry.area == pytest.approx(2e6)


def test_subtract_cuts_the_others_out_of_the_one_selected_first(desk: Desk, a: Annotation) -> None:
    hole = Annotation.drawn(box(1400, 1400, 1600, 1600), Role.ROI, name="hole")
    desk.put(hole, a)
    desk.session.select((a.id, hole.id))
    assert commands.subtract_selected(desk.session) is None
    assert desk.annotations[1].geometry.area == pytest.approx(0.96e6)
    assert desk.annotations[0] == hole


def test_regions_of_different_kinds_are_not_merged(desk: Desk, a: Annotation) -> None:
    other = Annotation.drawn(box(0, 0, 10, 10), Role.EXCLUDE)
    desk.put(a, other)
    desk.session.select((a.id, other.id))
    assert "one kind" in str(commands.merge_selected(desk.session))


def test_the_class_of_a_region_can_be_changed_with_its_colour_and_what_is_scored(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    assert commands.set_class_selected(desk.session, Role.EXCLUDE, "Benign gland") is None
    changed = desk.annotations[0]
    assert (changed.role, changed.class_name, changed.name) == (Role.EXCLUDE, "Benign gland", "A")
    assert changed.color != a.color
    assert desk.session.region.area_px == pytest.approx(1e6)
    assert "already" in str(commands.set_class_selected(desk.session, Role.EXCLUDE, "Benign gland"))


def test_a_copy_lies_beside_its_original_and_is_selected(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    assert commands.duplicate_selected(desk.session) is None
    copy = desk.annotations[-1]
    assert copy.id != a.id
    assert desk.session.selection == (copy.id,)
    assert 0 < copy.geometry.symmetric_difference(a.geometry).area < 0.5e6


def test_locking_protects_a_region_and_unlocking_frees_it(desk: Desk, a: Annotation) -> None:
    desk.session.select((a.id,))
    assert commands.set_locked_selected(desk.session, True) is None
    assert "locked" in str(commands.delete_selected(desk.session))
    assert "locked" in str(commands.smooth_selected(desk.session))
    assert len(desk.annotations) == 2
    assert commands.set_locked_selected(desk.session, False) is None
    assert commands.delete_selected(desk.session) is None
    assert shown(desk.session) == ["B"]


@pytest.mark.parametrize(
    "command",
    [
        commands.delete_selected,
        commands.merge_selected,
        commands.subtract_selected,
        commands.smooth_selected,
        commands.fill_holes_selected,
        commands.duplicate_selected,
        lambda session: commands.set_locked_selected(session, True),
        lambda session: commands.set_class_selected(session, Role.CONTROL),
    ],
)
def test_with_nothing_selected_each_command_says_why_it_does_nothing(
    desk: Desk, command: Callable[[Session], str | None]
) -> None:
    reason = command(desk.session)
    assert reason
    assert reason.endswith((".", ")"))
    assert desk.session.undo_stack.count() == 0


@pytest.mark.parametrize(
    "command",
    [
        commands.delete_selected,
        commands.merge_selected,
        commands.subtract_selected,
        commands.smooth_selected,
        commands.duplicate_selected,
        lambda session: commands.set_locked_selected(session, True),
        lambda session: commands.set_class_selected(session, Role.CONTROL),
        lambda session: commands.rename(session, session.selection[0], "other"),
        lambda session: commands.add_note(session, 10, 10, "text"),
    ],
)
def test_in_a_signed_case_each_command_refuses(desk: Desk, command: Callable[[Session], str | None]) -> None:
    commands.select_all(desk.session)
    before = desk.session.annotations
    desk.session.set_locked(True)
    assert "signed" in str(command(desk.session))
    assert desk.session.annotations is before


def test_every_command_is_undone_exactly(desk: Desk, a: Annotation, b: Annotation) -> None:
    start = desk.session.annotations
    for command in (
        commands.delete_selected,
        commands.merge_selected,
        commands.smooth_selected,
        commands.duplicate_selected,
        lambda session: commands.set_class_selected(session, Role.CONTROL),
        lambda session: commands.rename(session, a.id, "other"),
        lambda session: commands.add_note(session, 10, 10, "text"),
        lambda session: commands.set_locked_selected(session, True),
    ):
        desk.session.select((a.id, b.id))
        assert command(desk.session) is None
        assert desk.session.annotations != start
        desk.session.undo_stack.undo()
        assert desk.session.annotations == start


def test_the_pointer_shape_says_what_a_drag_would_do(desk: Desk, a: Annotation) -> None:
    desk.hover((1500, 1500))
    assert desk.canvas.cursor().shape() == Qt.CursorShape.PointingHandCursor
    desk.session.select((a.id,))
    desk.hover((1500, 1500))
    assert desk.canvas.cursor().shape() == Qt.CursorShape.SizeAllCursor
    desk.hover((1000, 1000))
    assert desk.canvas.cursor().shape() == Qt.CursorShape.CrossCursor
    desk.hover((2250, 2700))
    assert desk.canvas.cursor().shape() == Qt.CursorShape.ArrowCursor


@pytest.mark.parametrize("turned", [0.0, 30.0])
def test_a_part_that_is_painted_alone_looks_as_in_the_whole(
    desk: Desk, a: Annotation, b: Annotation, qtbot: QtBot, turned: float
) -> None:
    desk.session.select((a.id,))
    desk.canvas.rotate(turned)
    qtbot.waitUntil(lambda: desk.canvas.sharp)
    whole = desk.canvas.grab().toImage()
    width, height = desk.canvas.width(), desk.canvas.height()
    for column in range(4):
        for row in range(4):
            part = QRect(column * width // 4 + 3, row * height // 4 + 5, width // 5, height // 5)
            assert desk.canvas.grab(part).toImage() == whole.copy(part), (column, row)
