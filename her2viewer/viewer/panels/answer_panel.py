"""The answer: score, status, flags, shares with their cut-off lines, and what was counted."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from her2viewer import RESEARCH_USE
from her2viewer.domain.cell_corrections import CellChange, count_text
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.corrections import MaskChange
from her2viewer.domain.pixelsize import mm2_number
from her2viewer.domain.result import Result
from her2viewer.domain.shares import CountedUnit, Shares, percent_text
from her2viewer.guidelines.decision import Decision
from her2viewer.viewer import theme
from her2viewer.viewer.panels.share_bars import ShareBars
from her2viewer.viewer.panels.words import label, say, set_role
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.scoring_model import ScoringState, coverage_text

_SENTENCES = {
    ScoringState.NO_SLIDE: "Open a slide to begin.",
    ScoringState.NO_PIXEL_SIZE: "The pixel size of this slide is unknown. Enter it first (File, Pixel size).",
    ScoringState.NO_ROI: "Outline the invasive carcinoma: P polygon, F freehand, B brush.",
    ScoringState.READY: "Nothing has been scored yet. Run the scorer below, or press Enter.",
    ScoringState.RUNNING: "The numbers grow while the scorer works. The answer comes at its end.",
    ScoringState.CANCELLING: "Cancelling. What has been scored so far is kept.",
}

_FLAGS = {
    "limited 3+": "Strong, complete stain in few cells only: confirm it by eye.",
    "heterogeneous": "The strong stain is confined to a part of the tumour.",
    "review": "No literal row of the guideline fits: your own score is needed.",
    "unusual pattern": "Marked by you.",
    "scorer's own answer": "The scorer gives no shares: no row of the guideline was evaluated.",
}


class AnswerPanel(QWidget):
    """Shows the controller's answer; every state has its own sentence."""

    def __init__(self, controller: ScoringController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("answerPanel")
        self._controller = controller
        self._score = label(wrap=False)
        self._score.setObjectName("scoreHeadline")
        self._status = label(wrap=False)
        self._status.setObjectName("statusHeadline")
        self._near = label("● close call", "amber", wrap=False)
        self._near.setObjectName("nearMark")
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 0, 0)
        top.setSpacing(8)
        for widget in (self._score, self._status):
            top.addWidget(widget, 0, Qt.AlignmentFlag.AlignBaseline)
        top.addStretch(1)
        top.addWidget(self._near, 0, Qt.AlignmentFlag.AlignBaseline)
        self._flags = label()
        self._flags.setObjectName("answerFlags")
        self._flags.setProperty("role", "amber")
        self._sentence = label()
        self._sentence.setObjectName("answerSentence")
        self._advice = label()
        self._log = QPushButton("Show the log")
        self._log.setObjectName("linkButton")
        self._log.clicked.connect(self._show_log)
        self._bars = ShareBars()
        self._counted = label("", "muted")
        self._counted.setObjectName("countedLine")
        self._left_out = label("", "small")
        self._unclassified = label("", "small")
        self._unclassified.setObjectName("unclassifiedLine")
        self._unclassified.setToolTip("Tumour in patches with too little of it, or that hold nothing to be classed")
        self._corrected = label("", "small")
        self._corrected.setObjectName("correctedLine")
        self._covered = CoverageLine()
        self._numbers = QWidget()
        numbers = QVBoxLayout(self._numbers)
        numbers.setContentsMargins(0, 4, 0, 0)
        numbers.setSpacing(2)
        for part in (
            self._bars,
            self._counted,
            self._left_out,
            self._unclassified,
            self._corrected,
            self._covered,
        ):
            numbers.addWidget(part)
        self._profile = label("", "small")
        self._use = label(RESEARCH_USE, "small")
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(4)
        column.addLayout(top)
        words: tuple[QWidget, ...] = (self._flags, self._sentence, self._advice, self._log)
        for item in (*words, self._numbers, self._profile, self._use):
            column.addWidget(item)
        controller.state_changed.connect(self._show)
        controller.decision_changed.connect(self._show)
        controller.shares_changed.connect(self._show)
        controller.cells_settled.connect(self._show)
        controller.scored_changed.connect(self._show_coverage)
        theme.notifier().changed.connect(self._dress)
        self._dress()
        self._show()

    @property
    def headline(self) -> str:
        """Score and status as shown."""
        return " ".join(w.text() for w in (self._score, self._status) if w.isVisibleTo(self) and w.text())

    @property
    def sentence(self) -> str:
        """The sentence under the headline, "" where none is shown."""
        return self._sentence.text() if self._sentence.isVisibleTo(self) else ""

    @property
    def bars(self) -> ShareBars:
        """The bars of the classes."""
        return self._bars

    def set_palette(self, palette: str) -> None:
        """Class colours by the id of a palette."""
        self._bars.set_palette(palette)

    def _show(self, *_: object) -> None:
        state, decision = self._controller.state, self._controller.decision
        shares = self._controller.shares
        score, status, sentence, advice = "", "", _SENTENCES.get(state, ""), ""
        role = ""
        if state is ScoringState.FAILED and self._controller.failure is not None:
            score, role = "Scoring failed", "red"
            sentence = self._controller.failure[0]
        elif state is ScoringState.RUNNING or state is ScoringState.CANCELLING:
            score, role = "Scoring" if state is ScoringState.RUNNING else "Cancelling", "muted"
        elif decision is not None:
            score, status, sentence, advice = self._answer(decision)
            if state is ScoringState.PARTLY_SCORED:
                # What is not yet scored may turn the answer: it must not look final.
                role = "muted"
                if status:
                    status += " so far"
        say(self._score, score)
        set_role(self._score, role)
        say(self._status, status)
        answered = decision is not None and decision.outcome == "score"
        self._near.setVisible(answered and decision is not None and decision.near)
        self._show_near(decision)
        flags = "" if decision is None or state is ScoringState.FAILED else flag_text(decision)
        say(self._flags, flags)
        say(self._sentence, sentence)
        say(self._advice, advice)
        self._log.setVisible(state is ScoringState.FAILED)
        if shares is not None:
            self._bars.set_shares(shares, self._controller.profile.limits, near_classes(decision))
        self._numbers.setVisible(shares is not None)
        counted, left_out = ("", "") if shares is None else counted_texts(shares)
        self._counted.setText(counted)
        say(self._left_out, left_out)
        say(self._unclassified, "" if shares is None else unclassified_text(shares))
        changes = (change_text(self._controller.change), *cell_change_texts(self._controller.cell_change))
        say(self._corrected, "" if shares is None else "\n".join(text for text in changes if text))
        self._show_coverage()
        say(self._profile, "" if decision is None else decision.profile_title)
        self._profile.setToolTip("" if decision is None else decision.profile_reference)
        self._use.setVisible(decision is not None)

    def _answer(self, decision: Decision) -> tuple[str, str, str, str]:
        if decision.outcome == "cannot_be_determined":
            result: Result | None = self._controller.result
            title = "Not assessable" if result is not None and result.not_assessable is not None else "No answer"
            return title, "", decision.reason, " ".join(decision.next_steps)
        if decision.outcome == "not_evaluable" and not (decision.score or decision.status):
            return "Not evaluable", "", decision.reason, ""
        reason = decision.reason if decision.outcome == "not_evaluable" else ""
        if not decision.score:
            return decision.status, "", reason, ""
        return decision.score, decision.status, reason, ""

    def _show_near(self, decision: Decision | None) -> None:
        if decision is None or not decision.near:
            return
        points = "" if decision.margin is None else f"{abs(decision.margin):.1f} percentage points from "
        other = decision.nearest or "another answer"
        self._near.setToolTip(f"{points}{other}" if points else f"The interval reaches {other}")

    def _show_coverage(self, *_: object) -> None:
        state = self._controller.state
        known = state in (
            ScoringState.RUNNING,
            ScoringState.CANCELLING,
            ScoringState.PARTLY_SCORED,
            ScoringState.FAILED,
        )
        self._covered.set_coverage(self._controller.coverage if known else 1.0)

    def _dress(self, *_: object) -> None:
        t = theme.tokens()
        self.setStyleSheet(
            f"QLabel#scoreHeadline {{ font-size: {t.font_headline + 8}px; font-weight: 700; }}"
            f"QLabel#statusHeadline {{ font-size: {t.font_headline - 2}px; }}"
        )

    def _show_log(self) -> None:
        failure = self._controller.failure
        if failure is None:
            return
        dialog = QDialog(self)
        dialog.setWindowTitle("Log of the scoring process")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.resize(720, 420)
        text = QPlainTextEdit(failure[1] or "The scoring process has left no log.")
        text.setReadOnly(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(dialog.reject)
        column = QVBoxLayout(dialog)
        column.addWidget(label(failure[0]))
        column.addWidget(text)
        column.addWidget(buttons)
        dialog.open()


class CoverageLine(QWidget):
    """How much of the ROI is scored, with the hatch that marks the rest on the tissue; its room is kept."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._coverage = 1.0
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self.hide()

    @property
    def text(self) -> str:
        """``82 % of the ROI scored``; "" when all of it is."""
        if self._coverage >= 1:
            return ""
        return f"{coverage_text(self._coverage)} of the ROI scored"

    def set_coverage(self, coverage: float) -> None:
        """Share 0 to 1 of the ROI; 1 hides the line."""
        if coverage != self._coverage:
            self._coverage = coverage
            self.setVisible(coverage < 1)
            self.setAccessibleName(self.text)
            self.update()

    def sizeHint(self) -> QSize:
        """One line."""
        return QSize(160, 20)

    def minimumSizeHint(self) -> QSize:
        """One line."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the hatched swatch and the words."""
        t = theme.tokens()
        painter = QPainter(self)
        swatch = self.rect().adjusted(0, 4, 0, -4)
        swatch.setWidth(20)
        painter.setPen(QPen(t.color("muted"), 1))
        painter.setBrush(QBrush(QColor(t.muted), Qt.BrushStyle.BDiagPattern))
        painter.drawRect(swatch)
        painter.setPen(t.color("amber"))
        painter.drawText(self.rect().adjusted(28, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.text)
        painter.end()


def flag_text(decision: Decision) -> str:
    """All flags with what they mean, one to a line."""
    return "\n".join(f"{f[:1].upper()}{f[1:]}. {_FLAGS.get(f, '')}".strip() for f in decision.flags)


def near_classes(decision: Decision | None) -> frozenset[str]:
    """Labels of the classes whose number lies close to its limit."""
    if decision is None:
        return frozenset()
    return frozenset(test.quantity for test in decision.trace if test.near and test.quantity in HER2_LABELS)


def counted_texts(shares: Shares) -> tuple[str, str]:
    """``of 4,312 tumour cells`` and ``1,020 other cells left out``."""
    if shares.unit is CountedUnit.CELLS:
        return f"of {shares.total:,.0f} {shares.unit.value}", f"{shares.excluded:,.0f} other cells left out"
    left_out = f"{mm2_number(shares.excluded)} mm² of other tissue left out" if shares.excluded > 0 else ""
    return (f"of {mm2_number(shares.total)} mm² of {shares.unit.value} (a proxy of cells)", left_out)


def unclassified_text(shares: Shares) -> str:
    """``0.12 mm² (4.0 %) of the tumour not classified``; "" where all of it is."""
    if shares.unclassified <= 0:
        return ""
    share = percent_text(100 * shares.unclassified_fraction, limits=())
    return f"{mm2_number(shares.unclassified)} mm² ({share}) of the tumour not classified"


def cell_change_texts(change: CellChange) -> tuple[str, str]:
    """``You gave 12 cells another class and removed 1``, and how many corrections find no cell; "" for nothing."""
    parts = []
    if change.reclassified:
        parts.append(f"gave {count_text(change.reclassified)} another class")
    if change.removed:
        parts.append(f"removed {count_text(change.removed) if not parts else f'{change.removed:,}'}")
    said = f"You {' and '.join(parts)}" if parts else ""
    fits = "fits" if change.unfit == 1 else "fit"
    lost = "correction" if change.unfit == 1 else "corrections"
    return said, f"{change.unfit:,} {lost} of yours {fits} no cell" if change.unfit else ""


def change_text(change: MaskChange) -> str:
    """``You added 0.12 mm² and removed 0.30 mm² of tumour``; "" where nothing was corrected."""
    parts = [
        f"{verb} {mm2_number(amount)} mm²"
        for verb, amount in (("added", change.added), ("removed", change.removed))
        if amount > 0
    ]
    return f"You {' and '.join(parts)} of tumour" if parts else ""
