"""Answer, why, profiles and scorer panels on a real controller with restored results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QPlainTextEdit, QRadioButton
from pytestqt.qtbot import QtBot
from shapely import box

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import NotAssessable, Provenance, Result
from her2viewer.domain.shares import percent_text
from her2viewer.scoring.manifest import Setting
from her2viewer.viewer.panels.answer_panel import AnswerPanel
from her2viewer.viewer.panels.profiles_panel import ProfilesPanel
from her2viewer.viewer.panels.reading_form import ReadingForm
from her2viewer.viewer.panels.scorer_panel import ScorerPanel
from her2viewer.viewer.panels.settings_form import SettingsForm
from her2viewer.viewer.panels.why_panel import WhyPanel
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.scoring_model import ScoringState
from her2viewer.viewer.session import Session
from tests.helpers.array_slide import ArraySlide

SIZE = PixelSize(0.5, 0.5, PixelSizeSource.FILE)
WHOLE = Region.rectangle(0, 0, 1000, 1000)
SLIDE = ArraySlide(np.full((1000, 1000, 3), 240, np.uint8))


def result(amounts: tuple[int, int, int, int], problem: NotAssessable | None = None) -> Result:
    """Cells of each class in one column each, so that an outline can take classes away."""
    classes = np.repeat(np.arange(4), amounts).astype(np.uint8)
    rng = np.random.default_rng(0)
    x = (100 + 200.0 * classes + rng.uniform(0, 100, len(classes))).astype(np.float32)
    y = rng.uniform(0, 1000, len(classes)).astype(np.float32)
    provenance = Provenance("grid", "1", "0", SLIDE.identity, WHOLE.hash, 0.5, "from file", "CPU", {"step_px": 64})
    table = CellTable("Cells", CELL_SCHEME, x, y, classes)
    return Result(provenance, WHOLE, () if problem else (table,), not_assessable=problem)


@pytest.fixture
def session(qtbot: QtBot) -> Session:
    made = Session()
    made.set_slide(SLIDE, SIZE, AnnotationSet((Annotation.drawn(box(0, 0, 1000, 1000), Role.ROI),)))
    return made


@pytest.fixture
def controller(session: Session, trial_scorers: Path) -> Iterator[ScoringController]:
    made = ScoringController()
    made.set_session(session)
    made.set_scorer("grid")
    yield made
    made.shutdown()


def outline(session: Session, x0: float, y0: float, x1: float, y1: float) -> None:
    drawn = session.annotations.items[0]
    session.edit("Edit", session.annotations.replaced(drawn.with_geometry(box(x0, y0, x1, y1))))


def test_each_state_has_its_own_sentence(qtbot: QtBot, controller: ScoringController, session: Session) -> None:
    panel = AnswerPanel(controller)
    qtbot.addWidget(panel)
    said = [panel.sentence]
    assert "Run the scorer" in said[0]
    session.set_slide(SLIDE, SIZE, AnnotationSet())
    said.append(panel.sentence)
    assert "P polygon" in said[-1]
    session.set_slide(SLIDE, None, AnnotationSet((Annotation.drawn(box(0, 0, 9, 9), Role.ROI),)))
    said.append(panel.sentence)
    assert "pixel size" in said[-1]
    session.set_slide(None, None, AnnotationSet())
    said.append(panel.sentence)
    assert len(set(said)) == 4


def test_the_answer_shows_score_shares_and_denominator(qtbot: QtBot, controller: ScoringController) -> None:
    panel = AnswerPanel(controller)
    qtbot.addWidget(panel)
    controller.restore(result((61, 21, 14, 4)))
    assert panel.headline == "2+ equivocal"
    assert panel.bars.texts == ("61.0 %", "21.0 %", "14.0 %", "4.0 %")
    assert panel._counted.text() == "of 100 tumour cells"


def test_numbers_and_answer_follow_the_outline(qtbot: QtBot, controller: ScoringController, session: Session) -> None:
    panel, why = AnswerPanel(controller), WhyPanel(controller)
    qtbot.addWidget(panel)
    qtbot.addWidget(why)
    controller.restore(result((50, 20, 10, 20)))
    assert panel.headline == "3+ positive"
    height = len(why.row_texts)
    # The last column of cells, 3+, lies beyond x = 700.
    outline(session, 0, 0, 700, 1000)
    qtbot.waitUntil(lambda: panel.headline == "2+ equivocal", timeout=2000)
    assert panel.bars.texts == ("62.5 %", "25.0 %", "12.5 %", "0.0 %")
    assert len(why.row_texts) == height


def test_an_answer_on_a_part_of_the_region_does_not_look_final(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    panel = AnswerPanel(controller)
    qtbot.addWidget(panel)
    controller.restore(result((50, 20, 10, 20)))
    # Below y = 1000 nothing was scored.
    outline(session, 0, 0, 1000, 2000)
    qtbot.waitUntil(lambda: panel.headline == "3+ positive so far", timeout=2000)
    outline(session, 0, 0, 1000, 1000)
    qtbot.waitUntil(lambda: panel.headline == "3+ positive", timeout=2000)


def test_why_shows_every_row_with_its_number_and_marks_the_one_that_fired(
    qtbot: QtBot, controller: ScoringController
) -> None:
    why = WhyPanel(controller)
    qtbot.addWidget(why)
    assert why.row_texts == []
    controller.restore(result((61, 21, 14, 4)))
    rows = why.row_texts
    assert rows[0] == ("3+ > 10 %", "4.0 %", "no")
    assert rows[1] == ("2+ > 10 %", "14.0 %", "YES")
    assert all(verdict == "" for _, _, verdict in rows[2:])
    assert len(rows) == len(controller.profile.rows)
    assert "6.0 percentage points to 3+ positive" in why._margin.text()
    assert "hybridisation" in why._next.text()
    assert "control" in why._missing.text()
    assert "100 tumour cells" in why._counted.text()


def test_a_row_that_is_to_be_confirmed_carries_a_dagger(qtbot: QtBot, controller: ScoringController) -> None:
    why = WhyPanel(controller)
    qtbot.addWidget(why)
    controller.restore(result((80, 20, 0, 0)))
    fired = [row for row in why.row_texts if row[2] == "YES"]
    assert fired == [("1+ > 10 % †", "20.0 %", "YES")]
    assert "To be confirmed" in why._confirm.text()


def test_limited_3_is_flagged_with_words(qtbot: QtBot, controller: ScoringController) -> None:
    panel = AnswerPanel(controller)
    qtbot.addWidget(panel)
    controller.restore(result((88, 0, 6, 6)))
    assert panel.headline == "2+ equivocal"
    assert panel._flags.text().startswith("Limited 3+")
    assert panel._near.isVisibleTo(panel)


def test_not_assessable_says_why_and_what_to_do(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    panel = AnswerPanel(controller)
    qtbot.addWidget(panel)
    controller.restore(result((0, 0, 0, 0), NotAssessable("glass", "There is no tissue.", "Outline tissue.")))
    assert controller.state is ScoringState.NOT_ASSESSABLE
    assert panel.headline == "Not assessable"
    assert panel.sentence == "There is no tissue."
    assert panel._advice.text() == "Outline tissue."
    assert not panel._numbers.isVisibleTo(panel)
    # Another outline may well be assessable.
    outline(session, 0, 0, 500, 500)
    assert controller.state is ScoringState.READY
    qtbot.waitUntil(lambda: panel.headline == "", timeout=2000)


def test_a_grown_outline_says_how_much_is_scored(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    panel = AnswerPanel(controller)
    qtbot.addWidget(panel)
    controller.restore(result((61, 21, 14, 4)))
    assert panel._covered.text == ""
    outline(session, 0, 0, 1220, 1000)
    qtbot.waitUntil(lambda: panel._covered.text == "82 % of the ROI scored", timeout=2000)


def test_the_profiles_show_their_answers_and_a_click_chooses_one(qtbot: QtBot, controller: ScoringController) -> None:
    panel, answer = ProfilesPanel(controller), AnswerPanel(controller)
    qtbot.addWidget(panel)
    qtbot.addWidget(answer)
    controller.restore(result((900, 0, 100, 0)))
    assert panel.answers["pham_2022"] == "2+ equivocal"
    assert panel.answers["vandenberghe_2017"] == "negative"
    assert panel.answers["asco_cap_2018_2023"].startswith("0+")
    panel.choose("pham_2022")
    assert answer.headline == "2+ equivocal"
    assert controller.reading.profile == "pham_2022"
    controller.change_reading(profile="vandenberghe_2017")
    checked = [b.full_text for b in panel.findChildren(QRadioButton) if b.isChecked()]  # type: ignore[attr-defined]
    assert checked == [controller.profile.title]


def test_what_is_read_is_edited_and_kept_until_the_case_is_signed(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    form = ReadingForm(controller)
    qtbot.addWidget(form)
    form.show()
    own = form.findChild(QComboBox, "ownScore")
    own.setCurrentIndex(own.findData("1+"))
    own.activated.emit(own.currentIndex())
    control = form.findChild(QComboBox, "controlChecked")
    control.setCurrentIndex(1)
    control.activated.emit(1)
    form.findChild(QCheckBox, "patternMarked").click()
    comment = form.findChild(QPlainTextEdit, "comment")
    qtbot.keyClicks(comment, "seen")
    form.keep_comment()
    reading = controller.reading
    assert (reading.own_score, reading.control_checked, reading.pattern_marked, reading.comment) == (
        "1+",
        True,
        True,
        "seen",
    )
    session.set_locked(True)
    assert not own.isEnabled()
    assert comment.isReadOnly()


def test_a_wheel_over_a_field_that_is_not_chosen_changes_nothing(qtbot: QtBot, controller: ScoringController) -> None:
    panel = ReadingForm(controller)
    qtbot.addWidget(panel)
    panel.show()
    own = panel.findChild(QComboBox, "ownScore")
    panel.setFocus()
    own.clearFocus()
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(own.mapToGlobal(QPoint(5, 5))),
        QPoint(0, -120),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    own.wheelEvent(event)
    assert own.currentIndex() == 0
    assert not event.isAccepted()


def test_the_marks_of_a_biopsy_profile_can_be_set(qtbot: QtBot, controller: ScoringController) -> None:
    panel, form = AnswerPanel(controller), ReadingForm(controller)
    qtbot.addWidget(panel)
    qtbot.addWidget(form)
    controller.restore(result((61, 21, 14, 4)))
    controller.change_reading(profile="gastric_2016_biopsy")
    assert panel.headline == "Not evaluable"
    boxes = {b.text(): b for b in form.findChildren(QCheckBox)}
    assert form.minimumSizeHint().width() <= 272
    boxes["Cluster of ≥ 5 cells, strong"].click()
    assert panel.headline == "3+ positive"


def test_unusable_scorers_are_greyed_with_their_reason(qtbot: QtBot, controller: ScoringController) -> None:
    panel = ScorerPanel(controller)
    qtbot.addWidget(panel)
    buttons = dict(panel._buttons)
    assert buttons["grid"].isEnabled()
    assert buttons["grid"].isChecked()
    assert not buttons["needy"].isEnabled()
    assert "a_module_nobody_has" in buttons["needy"].toolTip()
    panel.choose("slow")
    assert controller.scorer == "slow"


def test_run_and_cancel_take_turns_and_progress_is_shown(
    qtbot: QtBot, session: Session, controller: ScoringController, tmp_path: Path
) -> None:
    import tifffile

    from her2viewer.slides.open import open_slide

    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, np.full((2048, 2048, 3), 240, np.uint8), tile=(256, 256), photometric="rgb")
    with open_slide(path) as slide:
        panel, answer = ScorerPanel(controller), AnswerPanel(controller)
        qtbot.addWidget(panel)
        qtbot.addWidget(answer)
        session.set_slide(slide, SIZE, AnnotationSet())
        assert not panel.run_button.isEnabled()
        assert "Outline" in panel.run_button.toolTip()
        session.add(Annotation.drawn(box(0, 0, 2048, 2048), Role.ROI), "Draw")
        assert panel.run_button.isEnabled()
        panel.choose("slow")
        with qtbot.waitSignal(controller.evidence_added, timeout=30_000):
            panel.run_button.click()
        assert answer.headline == "Scoring"
        assert not panel.run_button.isVisibleTo(panel)
        qtbot.waitUntil(lambda: panel.stage.startswith("Cells"), timeout=10_000)
        panel.cancel_button.click()
        assert panel.cancel_button.text() == "Cancelling..."
        assert not panel.cancel_button.isEnabled()
        qtbot.waitUntil(lambda: panel.run_button.isVisibleTo(panel), timeout=10_000)
        assert panel.run_button.text() == "Score the new part"
        session.set_slide(None, None, AnnotationSet())


SETTINGS = (
    Setting("od", "Threshold", "float", 0.1, 0.03, 0.5, unit="OD", help="From here on.", group="Classes"),
    Setting("n", "Number", "int", 3, 1, 9),
    Setting("table", "Table", "choice", "breast", choices=("breast", "gastric")),
    Setting("strict", "Strict", "bool", True),
    Setting("vector", "Vector", "text", ""),
)


def test_the_settings_form_is_drawn_from_the_manifest_and_gives_its_values(qtbot: QtBot) -> None:
    form = SettingsForm()
    qtbot.addWidget(form)
    form.set_settings(SETTINGS, {"od": 0.125, "table": "gastric"})
    assert form.values == {"od": 0.125, "n": 3, "table": "gastric", "strict": True, "vector": ""}
    assert "0.03 to 0.5 OD" in form.field("od").toolTip()
    heard: list[dict[str, object]] = []
    form.edited.connect(heard.append)
    form.field("n").setValue(7)  # type: ignore[attr-defined]
    form.field("strict").click()  # type: ignore[attr-defined]
    assert heard[-1]["n"] == 7
    assert heard[-1]["strict"] is False
    form.reset()
    assert heard[-1] == {s.id: s.default for s in SETTINGS}


def test_settings_that_were_changed_ask_for_another_run(qtbot: QtBot, controller: ScoringController) -> None:
    panel = ScorerPanel(controller)
    qtbot.addWidget(panel)
    controller.restore(result((61, 21, 14, 4)))
    assert panel._note.text() == ""
    panel.form.field("step_px").setValue(32)  # type: ignore[attr-defined]
    assert controller.settings_of("grid") == {"step_px": 32}
    assert "other settings" in panel._note.text()


@pytest.mark.parametrize(
    ("percent", "text"),
    [
        (0.0, "0.0 %"),
        (0.01, "<0.1 %"),
        (10.0, "10.0 %"),
        (10.04, "10.04 %"),
        (9.96, "9.96 %"),
        (9.9999, "<10 %"),
        (10.0001, ">10 %"),
        (14.26, "14.3 %"),
        (100.0, "100.0 %"),
        (99.999, "<100 %"),
    ],
)
def test_a_printed_percentage_never_crosses_a_limit(percent: float, text: str) -> None:
    assert percent_text(percent) == text


def test_a_large_saved_result_is_counted_beside_the_main_thread(
    qtbot: QtBot, controller: ScoringController, session: Session
) -> None:
    saved = result((61_000, 21_000, 14_000, 14_000))
    controller.restore(saved)
    assert controller.shares is None
    qtbot.waitUntil(lambda: controller.shares is not None, timeout=10_000)
    assert controller.decision is not None
    assert controller.decision.score == "3+"
    outline(session, 0, 0, 700, 1000)
    qtbot.waitUntil(lambda: controller.decision is not None and controller.decision.score == "2+", timeout=2000)
