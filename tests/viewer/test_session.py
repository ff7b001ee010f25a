"""The document of the window: edits, undo, preview, selection, lock."""

from __future__ import annotations

import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.region import Region
from her2viewer.viewer.session import Session


def box(x: float, side: float = 10, role: Role = Role.ROI) -> Annotation:
    return Annotation.drawn(shapely.box(x, 0, x + side, side), role)


def test_every_edit_is_one_step_of_undo(qtbot: QtBot) -> None:
    session = Session()
    first, second = box(0), box(20)
    session.add(first, "Draw rectangle")
    session.add(second, "Draw rectangle")
    assert session.selection == (second.id,)
    session.undo_stack.undo()
    assert session.annotations.items == (first,)
    assert session.selection == (first.id,)
    session.undo_stack.undo()
    assert len(session.annotations) == 0
    session.undo_stack.redo()
    session.undo_stack.redo()
    assert session.annotations.items == (first, second)


@given(steps=st.lists(st.sampled_from(["add", "move", "remove"]), max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undoing_all_edits_gives_back_the_first_state(qtbot: QtBot, steps: list[str]) -> None:
    session = Session()
    start = AnnotationSet((box(0),))
    session.set_slide(None, None, start)
    seen = [start]
    for i, step in enumerate(steps):
        now = session.annotations
        if step == "add" or not len(now):
            session.add(box(10.0 * i), "Draw")
        elif step == "move":
            moved = now.items[0].with_geometry(shapely.affinity.translate(now.items[0].geometry, 3, 0))
            session.edit("Move", now.replaced(moved))
        else:
            session.edit("Delete", now.removed(now.items[-1].id))
        seen.append(session.annotations)
    for expected in reversed(seen[:-1]):
        session.undo_stack.undo()
        assert session.annotations == expected


def test_a_preview_moves_the_region_and_leaves_no_step(qtbot: QtBot) -> None:
    session = Session()
    session.add(box(0), "Draw")
    regions: list[Region] = []
    session.region_changed.connect(regions.append)
    dragged = session.annotations.replaced(session.annotations.items[0].with_geometry(shapely.box(0, 0, 50, 10)))
    session.preview(dragged)
    assert regions[-1].area_px == 500
    assert session.undo_stack.count() == 1
    session.edit("Move edge", dragged)
    session.undo_stack.undo()
    assert session.region.area_px == 100


def test_a_selection_holds_only_what_is_there(qtbot: QtBot) -> None:
    session = Session()
    one = box(0)
    session.add(one, "Draw")
    session.select([one.id, "never"])
    assert session.selection == (one.id,)
    session.edit("Delete", session.annotations.removed(one.id))
    assert session.selection == ()


def test_a_locked_case_takes_no_edit(qtbot: QtBot) -> None:
    session = Session()
    session.set_locked(True)
    session.add(box(0), "Draw")
    assert len(session.annotations) == 0
    assert session.undo_stack.count() == 0


def test_another_slide_starts_with_an_empty_history(qtbot: QtBot) -> None:
    session = Session()
    session.add(box(0), "Draw")
    session.set_slide(None, None, AnnotationSet((box(5),)))
    assert not session.undo_stack.canUndo()
    assert session.region.bounds == (5, 0, 15, 10)
