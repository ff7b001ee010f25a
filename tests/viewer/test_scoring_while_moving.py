"""What comes from a scorer while the reader moves the view: known at once, shown piece by piece, none of it lost."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from shapely import box

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.region import Region
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.session import Session

LONG = 30_000


def roi(x0: float, y0: float, x1: float, y1: float) -> Annotation:
    return Annotation.drawn(box(x0, y0, x1, y1), Role.ROI)


def test_what_comes_while_the_view_moves_is_known_at_once_and_shown_a_little_later_all_of_it(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    session.add(roi(0, 0, 2048, 2048), "Draw")
    controller.moving = lambda: True
    added: list[CellTable] = []
    controller.evidence_added.connect(added.extend)
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert len(added) > 1
    assert sum(len(t) for t in added) == sum(len(e) for e in controller.evidence if isinstance(e, CellTable))


def test_what_has_arrived_is_not_shown_where_all_is_shown_anew(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("slow")
    session.add(roi(0, 0, 2048, 2048), "Draw")
    controller.moving = lambda: True
    added: list[object] = []
    controller.evidence_added.connect(added.append)
    controller.run()
    qtbot.waitUntil(lambda: bool(controller.evidence), timeout=LONG)
    assert added == [], "known, and the view moves"
    session.set_slide(None, None, AnnotationSet())
    assert controller.evidence == ()
    qtbot.wait(700)
    assert added == []


def test_an_outline_drawn_while_parts_are_being_shown_is_followed(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("slow")
    session.add(roi(0, 0, 2048, 2048), "Draw")
    controller.moving = lambda: True
    regions: list[Region] = []
    controller.scored_changed.connect(lambda region, _: regions.append(region))
    controller.run()
    qtbot.waitUntil(lambda: controller._following is not None, timeout=LONG)
    session.edit("Draw", AnnotationSet([roi(0, 0, 700, 2048)]))
    drawn = session.region
    qtbot.waitUntil(lambda: bool(regions) and regions[-1] is drawn, timeout=LONG)
    held = controller._held
    assert held is not None
    qtbot.waitUntil(lambda: controller.shares == held.shares(drawn), timeout=LONG)


def test_between_two_pieces_the_window_has_its_turn(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("slow")
    session.add(roi(0, 0, 2048, 2048), "Draw")
    controller.moving = lambda: True
    turns, turn = [], 0

    def next_turn() -> None:
        nonlocal turn
        turn += 1

    controller._timer.timeout.connect(next_turn)
    for signal in (controller.evidence_added, controller.scored_changed, controller.shares_changed):
        signal.connect(lambda *_: turns.append(turn))
    with qtbot.waitSignal(controller.shares_changed, timeout=LONG):
        controller.run()
    turns.clear()
    qtbot.waitUntil(lambda: len(turns) >= 6, timeout=LONG)
    assert len(set(turns)) == len(turns), "no two pieces in one turn"


def test_an_error_in_an_update_does_not_hold_up_those_that_follow(
    qtbot: QtBot, controller: ScoringController, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions: list[Region] = []
    controller.scored_changed.connect(lambda region, _: regions.append(region))

    def fails() -> None:
        monkeypatch.undo()
        raise ZeroDivisionError

    monkeypatch.setattr(controller, "_decide", fails)
    with qtbot.captureExceptions() as found:
        session.add(roi(0, 0, 500, 500), "Draw")
        qtbot.waitUntil(lambda: len(found) == 1)
        session.add(roi(600, 0, 900, 500), "Draw")
        qtbot.waitUntil(lambda: bool(regions) and regions[-1] is session.region)
    assert [kind for kind, *_ in found] == [ZeroDivisionError]
