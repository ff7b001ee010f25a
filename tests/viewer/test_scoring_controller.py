"""The scoring controller with a real session, a real slide file and the real scoring process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from shapely import box

from her2viewer.cases.geojson import read_geojson
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.evidence import CellTable, concatenated
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.resources import resource_path
from her2viewer.slides.open import open_slide
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.scoring_model import STOPPED, ScoringState
from her2viewer.viewer.session import Session

SIZE = PixelSize(0.5, 0.5, PixelSizeSource.USER)
LONG = 30_000


def roi(x0: float, y0: float, x1: float, y1: float) -> Annotation:
    return Annotation.drawn(box(x0, y0, x1, y1), Role.ROI)


def wait_for(qtbot: QtBot, controller: ScoringController, state: ScoringState) -> None:
    qtbot.waitUntil(lambda: controller.state is state, timeout=LONG)


def table_of(controller: ScoringController) -> CellTable:
    return concatenated([e for e in controller.evidence if isinstance(e, CellTable)])


def test_the_state_follows_the_reader_from_no_slide_to_an_answer(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    assert controller.state is ScoringState.NO_ROI
    assert "Outline" in controller.obstacle
    assert not controller.run()
    session.add(roi(0, 0, 1024, 1024), "Draw")
    assert controller.state is ScoringState.READY
    assert controller.obstacle == ""
    seen: list[ScoringState] = []
    controller.state_changed.connect(seen.append)
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        assert controller.run()
        assert controller.state is ScoringState.RUNNING
        assert not controller.run()
    assert seen == [ScoringState.RUNNING, ScoringState.ANSWERED]
    assert controller.shares is not None
    assert controller.shares.percent == (25, 25, 25, 25)
    assert controller.shares.total == 256
    assert controller.decision is not None
    assert controller.decision.score == "3+"
    assert controller.decision.profile not in [d.profile for d in controller.others]
    assert len(controller.others) == len(controller.profiles) - 1
    session.set_slide(None, None, AnnotationSet())
    assert controller.state is ScoringState.NO_SLIDE
    assert controller.result is None
    assert controller.decision is None


def test_without_a_pixel_size_nothing_runs(controller: ScoringController, session: Session) -> None:
    session.set_slide(session.slide, None, AnnotationSet((roi(0, 0, 100, 100),)))
    assert controller.state is ScoringState.NO_PIXEL_SIZE
    assert "pixel size" in controller.obstacle
    assert not controller.run()


def test_numbers_follow_the_outline_without_another_run(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    session.add(roi(0, 0, 1024, 1024), "Draw")
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    drawn = session.annotations.items[0]
    # While it is being dragged, before any undo step: two of sixteen columns of cells are left.
    with qtbot.waitSignal(controller.shares_changed, timeout=1000):
        session.preview(session.annotations.replaced(drawn.with_geometry(box(0, 0, 128, 1024))))
    assert controller.shares is not None
    assert controller.shares.percent == (50, 50, 0, 0)
    assert controller.state is ScoringState.ANSWERED
    assert controller.decision is not None
    assert controller.decision.score == "1+"
    assert controller.result is not None
    assert controller.result.shares == controller.shares
    assert controller.result.provenance.region_hash == session.region.hash


def test_a_larger_outline_is_partly_scored_and_only_its_new_part_is_scored(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    session.add(roi(0, 0, 512, 512), "Draw")
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    drawn = session.annotations.items[0]
    session.edit("Edit", session.annotations.replaced(drawn.with_geometry(box(0, 0, 1024, 512))))
    assert controller.state is ScoringState.PARTLY_SCORED
    assert controller.coverage == pytest.approx(0.5)

    def said() -> bool:
        decision = controller.decision
        return decision is not None and any("50 %" in text for text in decision.missing)

    qtbot.waitUntil(said)
    added: list[CellTable] = []
    controller.evidence_added.connect(added.extend)
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert controller.state is ScoringState.ANSWERED
    assert sum(len(t) for t in added) == 64
    assert min(float(t.x.min()) for t in added if len(t)) > 512
    table = table_of(controller)
    assert len(table) == 128
    assert len(np.unique(np.stack([table.x, table.y]), axis=1).T) == 128
    # The second run was handed the estimates of the first.
    assert controller.result is not None
    assert controller.result.provenance.estimates == {"runs": 2}


def test_cancel_says_cancelling_until_it_has_stopped_and_keeps_what_was_scored(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("slow")
    session.add(roi(0, 0, 2048, 2048), "Draw")
    with qtbot.waitSignal(controller.evidence_added, timeout=LONG):
        controller.run()
    controller.cancel()
    assert controller.state is ScoringState.CANCELLING
    with qtbot.waitSignal(controller.result_changed, timeout=3000):
        pass
    assert controller.state is ScoringState.PARTLY_SCORED
    assert 0 < controller.coverage < 1
    kept = len(table_of(controller))
    assert kept > 0
    # The same outline goes on from there; nothing is scored twice.
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert controller.state is ScoringState.ANSWERED
    assert len(table_of(controller)) == 1024
    assert controller.result is not None
    assert STOPPED not in [w.code for w in controller.result.warnings]


def test_another_outline_after_a_cancel_starts_anew_since_the_estimates_are_unknown(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("slow")
    session.add(roi(0, 0, 2048, 2048), "Draw")
    with qtbot.waitSignal(controller.evidence_added, timeout=LONG):
        controller.run()
    controller.cancel()
    wait_for(qtbot, controller, ScoringState.PARTLY_SCORED)
    session.edit("Edit", AnnotationSet((roi(0, 0, 1024, 512),)))
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert len(table_of(controller)) == 128
    assert controller.result is not None
    assert controller.result.provenance.estimates == {"runs": 1}


def test_a_scorer_that_never_listens_is_ended_after_a_second(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("deaf")
    session.add(roi(0, 0, 512, 512), "Draw")
    controller.run()
    qtbot.waitUntil(lambda: controller.scoring_pid is not None, timeout=LONG)
    qtbot.wait(400)
    controller.cancel()
    assert controller.state is ScoringState.CANCELLING
    wait_for(qtbot, controller, ScoringState.READY)
    controller.set_scorer("grid")
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert controller.state is ScoringState.ANSWERED


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_process_killed_from_outside_is_a_sentence_and_can_be_run_again(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("slow")
    session.add(roi(0, 0, 2048, 2048), "Draw")
    with qtbot.waitSignal(controller.evidence_added, timeout=LONG):
        controller.run()
    pid = controller.scoring_pid
    assert pid is not None
    with qtbot.waitSignal(controller.failed, timeout=LONG) as caught:
        os.kill(pid, signal.SIGKILL)
    assert "ended from outside" in caught.args[0]
    assert controller.state is ScoringState.FAILED
    # Numbers of a part are no answer, however far the run came.
    assert controller.decision is None
    assert controller.failure is not None
    assert len(table_of(controller)) > 0
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        assert controller.run()
    assert controller.state is ScoringState.ANSWERED
    assert len(table_of(controller)) == 1024


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        ("crash", "crashed"),
        ("memory", "memory of this computer"),
        ("bug", "ZeroDivisionError"),
        ("refuses", "cannot be told apart"),
        ("noimport", "cannot be loaded"),
    ],
)
def test_a_failing_scorer_is_a_sentence_with_a_log(
    qtbot: QtBot, controller: ScoringController, session: Session, scorer: str, words: str
) -> None:
    controller.set_scorer(scorer)
    session.add(roi(0, 0, 512, 512), "Draw")
    with qtbot.waitSignal(controller.failed, timeout=LONG) as caught:
        controller.run()
    assert words in caught.args[0]
    assert caught.args[1].strip()
    assert controller.state is ScoringState.FAILED
    assert len(session.annotations) == 1


def test_another_slide_while_running_drops_the_run_and_its_late_words(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("slow")
    session.add(roi(0, 0, 2048, 2048), "Draw")
    with qtbot.waitSignal(controller.evidence_added, timeout=LONG):
        controller.run()
    session.set_slide(session.slide, SIZE, AnnotationSet((roi(0, 0, 512, 512),)))
    assert controller.state is ScoringState.READY
    assert controller.evidence == ()
    # A new run waits for the end of the old one and then works.
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        assert controller.run()
    assert controller.state is ScoringState.ANSWERED
    assert len(table_of(controller)) == 64


def test_a_saved_result_is_shown_again_and_used_again(
    qtbot: QtBot, controller: ScoringController, session: Session, trial_scorers: Path
) -> None:
    session.add(roi(0, 0, 512, 512), "Draw")
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    saved = controller.result
    annotations = session.annotations
    session.set_slide(session.slide, SIZE, annotations)
    assert controller.state is ScoringState.READY
    shown: list[object] = []
    controller.evidence_changed.connect(shown.append)
    controller.restore(saved)
    assert controller.state is ScoringState.ANSWERED
    assert controller.shares is not None
    assert controller.shares.total == 64
    assert shown[-1] == saved.evidence  # type: ignore[union-attr]
    drawn = session.annotations.items[0]
    session.edit("Edit", session.annotations.replaced(drawn.with_geometry(box(0, 0, 1024, 512))))
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert controller.result is not None
    assert controller.result.provenance.estimates == {"runs": 2}


def test_other_settings_start_anew(qtbot: QtBot, controller: ScoringController, session: Session) -> None:
    session.add(roi(0, 0, 512, 512), "Draw")
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert not controller.settings_differ
    controller.set_settings({"step_px": 32})
    assert controller.settings_differ
    with pytest.raises(ValueError, match="Step"):
        controller.set_settings({"step_px": 5000})
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert not controller.settings_differ
    assert len(table_of(controller)) == 256


def test_what_the_pathologist_marks_changes_the_decision_and_not_the_shares(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    session.add(roi(0, 0, 64, 512), "Draw")
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    assert controller.decision is not None
    assert controller.decision.score == "0"
    before = controller.shares
    controller.change_reading(pattern_marked=True)
    assert controller.decision.score == "2+"
    assert controller.shares == before
    controller.change_reading(pattern_marked=False, profile="vandenberghe_2017")
    assert controller.decision.profile == "vandenberghe_2017"
    assert controller.decision.status == "negative"


def test_another_pixel_size_makes_the_old_numbers_go(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    session.add(roi(0, 0, 512, 512), "Draw")
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    session.set_pixel_size(SIZE)
    assert controller.state is ScoringState.ANSWERED
    session.set_pixel_size(replace(SIZE, x_um=0.25, y_um=0.25))
    assert controller.state is ScoringState.READY
    assert controller.shares is None


def test_an_unusable_scorer_says_why(controller: ScoringController, session: Session) -> None:
    session.add(roi(0, 0, 512, 512), "Draw")
    controller.set_scorer("needy")
    assert "a_module_nobody_has" in controller.obstacle
    assert not controller.run()
    controller.set_scorer("future")
    assert "API 99" in controller.obstacle


def test_run_again_on_what_is_fully_scored_starts_anew(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    session.add(roi(0, 0, 512, 512), "Draw")
    for _ in range(2):
        with qtbot.waitSignal(controller.result_changed, timeout=LONG):
            assert controller.run()
    assert controller.result is not None
    assert controller.result.provenance.estimates == {"runs": 1}
    assert len(table_of(controller)) == 64


def test_the_membrane_scorer_answers_on_the_sample_slide_and_follows_its_outline(qtbot: QtBot) -> None:
    with open_slide(resource_path("sample", "sample_her2.tif")) as slide:
        session, controller = Session(), ScoringController()
        controller.set_session(session)
        size = slide.pixel_size
        assert size is not None
        imported = read_geojson(resource_path("sample", "sample_her2.geojson"))
        session.set_slide(slide, size, imported)
        parts: list[object] = []
        controller.evidence_added.connect(parts.append)
        with qtbot.waitSignal(controller.result_changed, timeout=LONG):
            assert controller.run()
        assert controller.state is ScoringState.ANSWERED, controller.failure
        assert len(parts) > 1
        whole = controller.shares
        assert whole is not None
        assert whole.total > 100
        x0, y0, x1, _ = session.region.bounds
        session.edit("Edit", session.annotations.added(Annotation.drawn(box(x0, y0, x1, y0 + 400), Role.EXCLUDE)))
        qtbot.waitUntil(lambda: controller.shares != whole, timeout=2000)
        assert controller.shares is not None
        assert controller.shares.total < whole.total
        assert controller.state is ScoringState.ANSWERED
        session.set_slide(None, None, AnnotationSet())
        controller.shutdown()


def test_parts_that_came_to_nothing_are_not_counted_and_what_was_known_stands(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    controller.set_scorer("fickle")
    session.add(roi(0, 0, 512, 512), "Draw")
    with qtbot.waitSignal(controller.result_changed, timeout=LONG):
        controller.run()
    before = table_of(controller)
    drawn = session.annotations.items[0]
    session.edit("Edit", session.annotations.replaced(drawn.with_geometry(box(0, 0, 1024, 512))))
    with qtbot.waitSignal(controller.failed, timeout=LONG) as said:
        controller.run()
    assert "cannot be used" in said.args[0]
    assert controller.coverage == pytest.approx(0.5)
    assert len(table_of(controller)) == len(before) == 64
    assert controller.shares is not None
    assert controller.shares.total == 64


@pytest.fixture
def window(qtbot: QtBot, session: Session, trial_scorers: Path, tmp_path: Path, monkeypatch) -> Iterator[MainWindow]:
    """With the slide of the session open and outlined; scorers that leave a thread behind say so in ``tmp_path``."""
    monkeypatch.setenv("TRIAL_LEFT", str(tmp_path))
    made = MainWindow()
    qtbot.addWidget(made)
    made.resize(1000, 700)
    made.show()
    assert session.slide is not None
    made.open_slide(session.slide.path)
    qtbot.waitUntil(lambda: made.session.slide is not None)
    made.session.set_pixel_size(SIZE)
    made.session.add(roi(0, 0, 512, 512), "Draw")
    yield made
    made.close()


@pytest.mark.parametrize("ends", ["by an error", "by a cancel"])
def test_nothing_that_a_scorer_began_goes_on_after_its_run(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, ends: str
) -> None:
    controller = window.controller
    controller.set_scorer("leaves")
    if ends == "by a cancel":
        controller.set_settings({"step_px": 128})
    window.commands["run"].trigger()
    qtbot.waitUntil((tmp_path / "working").exists)
    if ends == "by a cancel":
        window.commands["cancel"].trigger()
    after = ScoringState.FAILED if ends == "by an error" else ScoringState.READY
    qtbot.waitUntil(lambda: controller.state is after)
    # The thread says so itself, and the process that it runs in was not ended for it.
    pid = controller.scoring_pid
    qtbot.waitUntil((tmp_path / "stopped").exists)
    assert pid is not None
    assert controller.scoring_pid == pid
