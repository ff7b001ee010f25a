"""Why: every row of the guideline with its number against its limit, the margin, what to do, what is missing."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from her2viewer.domain.shares import percent_text
from her2viewer.guidelines.decision import Decision, RowTest
from her2viewer.guidelines.profiles import Profile, Row
from her2viewer.viewer import theme
from her2viewer.viewer.panels.words import label, say, set_role
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.scoring_model import ScoringState


class WhyPanel(QWidget):
    """The trace of the decision. All rows of the profile stand there from the start, so that nothing jumps."""

    def __init__(self, controller: ScoringController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("whyPanel")
        self._controller = controller
        self._rows: list[_TraceRow] = []
        self._profile = ""
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(0)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnStretch(0, 1)
        self._margin = label()
        self._margin.setObjectName("marginLine")
        self._counted = label("", "muted")
        self._confirm = label("", "small")
        self._next_title, self._next = label("NEXT", "heading"), label()
        self._missing_title, self._missing = label("MISSING", "heading"), label("", "amber")
        self._comment_title, self._comments = label("COMMENTS", "heading"), label("", "muted")
        self._empty = label("No row of the guideline has been tested.", "muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(4)
        column.addWidget(self._empty)
        column.addLayout(self._grid)
        for item in (self._margin, self._counted, self._confirm):
            column.addWidget(item)
        for title, text in (
            (self._next_title, self._next),
            (self._missing_title, self._missing),
            (self._comment_title, self._comments),
        ):
            column.addSpacing(4)
            column.addWidget(title)
            column.addWidget(text)
        controller.decision_changed.connect(self._show)
        theme.notifier().changed.connect(self._dress)
        self._dress()
        self._show()

    @property
    def row_texts(self) -> list[tuple[str, str, str]]:
        """Condition, number and verdict of each row shown."""
        return [row.texts for row in self._rows if row.shown]

    def _show(self, *_: object) -> None:
        decision = self._controller.decision
        traced = decision is not None and bool(decision.trace)
        running = self._controller.state in (ScoringState.RUNNING, ScoringState.CANCELLING)
        # While a run adds to an answer the rows stay where they are, without numbers.
        self._lay_out(self._controller.profile if traced or (running and self._rows) else None)
        self._empty.setVisible(not self._rows)
        if decision is None:
            for row in self._rows:
                row.show_test(None)
            for item in (self._margin, self._counted, self._confirm):
                say(item, "")
            self._sections("", "", "")
            return
        tests = {test.row: test for test in decision.trace}
        for row in self._rows:
            row.show_test(tests.get(row.row.id))
        say(self._margin, margin_text(decision), "amber" if decision.near else "")
        say(self._counted, f"Counted: {decision.counted}." if traced else "")
        say(self._confirm, confirm_text(decision))
        # Without a trace the answer panel has given the reason and what to do.
        following = bullets(decision.next_steps) if decision.outcome != "cannot_be_determined" else ""
        comments = (*decision.comments, decision.profile_reference) if traced else decision.comments
        self._sections(following, bullets(decision.missing), bullets(comments))

    def _dress(self, *_: object) -> None:
        t = theme.tokens()
        self.setStyleSheet(
            "QLabel#traceCell { padding: 0 6px; }"
            f'QLabel#traceCell[role="fired"] {{ background: {t.selected}; font-weight: 600; }}'
            f'QLabel#traceCell[role="firedAmber"] {{ background: {t.selected}; color: {t.amber}; font-weight: 600; }}'
        )

    def _sections(self, following: str, missing: str, comments: str) -> None:
        for title, target, text in (
            (self._next_title, self._next, following),
            (self._missing_title, self._missing, missing),
            (self._comment_title, self._comments, comments),
        ):
            say(target, text)
            title.setVisible(bool(text))

    def _lay_out(self, profile: Profile | None) -> None:
        wanted = "" if profile is None else profile.id
        if wanted == self._profile:
            return
        self._profile = wanted
        for row in self._rows:
            row.remove(self._grid)
        self._rows = [] if profile is None else [_TraceRow(self._grid, i, r) for i, r in enumerate(profile.rows)]


class _TraceRow:
    """One row: condition, number, verdict."""

    def __init__(self, grid: QGridLayout, at: int, row: Row) -> None:
        self.row = row
        self._condition = label(condition_text(row), wrap=False)
        self._value = label(wrap=False)
        self._verdict = label(wrap=False)
        self._value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._verdict.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._condition.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._condition.setMinimumWidth(80)
        # Room for the widest number and verdict from the start.
        self._value.setMinimumWidth(64)
        self._verdict.setMinimumWidth(40)
        self._cells = (self._condition, self._value, self._verdict)
        for column, cell in enumerate(self._cells):
            cell.setFixedHeight(24)
            cell.setObjectName("traceCell")
            grid.addWidget(cell, at, column)
            # A layout shows what is new in it only later: it would take no room until then.
            cell.show()

    @property
    def texts(self) -> tuple[str, str, str]:
        return (self._condition.text(), self._value.text(), self._verdict.text())

    @property
    def shown(self) -> bool:
        return not self._condition.isHidden()

    def show_test(self, test: RowTest | None) -> None:
        """What the row was held against; None: an earlier row had fired."""
        fired = test is not None and test.fired
        self._value.setText("" if test is None or test.value is None else percent_text(test.value))
        self._verdict.setText("" if test is None else "YES" if fired else "no")
        mark = " †" if self.row.confirm or (test is not None and test.confirm) else ""
        self._condition.setText(condition_text(self.row, test) + mark)
        near = test is not None and test.near
        for cell in self._cells:
            role = "fired" if fired else "muted" if test is None else ""
            set_role(cell, role)
            cell.setToolTip(self._tip(test))
        if near:
            set_role(self._value, "firedAmber" if fired else "amber")

    def _tip(self, test: RowTest | None) -> str:
        words = [self.row.question]
        if self.row.pattern:
            words.append(self.row.pattern + ".")
        if test is None:
            words.append("Not tested: an earlier row fired.")
        elif test.margin is not None and test.limit is not None:
            words.append(f"Margin {test.margin:+.2f} percentage points to the limit of {test.limit:g} %.")
        confirm = test.confirm if test is not None else self.row.confirm
        if confirm:
            words.append(f"To be confirmed: {confirm}")
        return "\n".join(words)

    def remove(self, grid: QGridLayout) -> None:
        for cell in self._cells:
            grid.removeWidget(cell)
            # Deleted only later: until then it would shine through the new rows.
            cell.hide()
            cell.deleteLater()


def condition_text(row: Row, test: RowTest | None = None) -> str:
    """``3+ > 10 %``, with the limit that was really applied; a row without a number keeps its question."""
    if row.limit is None:
        return {"pattern": "Unusual pattern"}.get(row.id, row.question.rstrip("?"))
    operator, limit = row.effective(by_program=True)
    if test is not None and test.limit is not None:
        operator, limit = test.operator, test.limit
    return f"{row.quantity} {operator.replace('>=', '≥').replace('<=', '≤')} {limit:g} %"


def margin_text(decision: Decision) -> str:
    """``Margin 4.2 points to 3+ positive``."""
    if decision.margin is None:
        return ""
    other = f" to {decision.nearest}" if decision.nearest else ""
    return f"Margin {percent_text(abs(decision.margin)).removesuffix(' %')} percentage points{other}."


def confirm_text(decision: Decision) -> str:
    """What the dagger means, and the note of the row that fired."""
    notes = [test.confirm for test in decision.trace if test.confirm and test.fired]
    if notes:
        return "† To be confirmed: " + " ".join(notes)
    return "† to be confirmed in the guideline's own text" if any(t.confirm for t in decision.trace) else ""


def bullets(texts: tuple[str, ...]) -> str:
    """One text as it is, several as a list."""
    return texts[0] if len(texts) == 1 else "\n".join(f"• {text}" for text in texts)
