"""What the pathologist adds: own score, comment, an unusual pattern, whether the control was looked at."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, QTimer
from PySide6.QtWidgets import QCheckBox, QGridLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from her2viewer.viewer.panels.calm import CalmCombo
from her2viewer.viewer.panels.words import label
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.scoring_model import Reading, ScoringState

OWN_SCORES = ("", "0", "1+", "2+", "3+", "not assessable")
_CONTROLS = (("not checked", None), ("stains as it should", True), ("does not stain as it should", False))
_PATTERN_TIP = (
    "Moderate to intense but incomplete stain (basolateral, lateral, U-shaped), cytoplasmic stain that hides the "
    "membrane, or any other unusual pattern: the guideline then gives 2+."
)
_KEEP_AFTER_MS = 600


class ReadingForm(QWidget):
    """Edits the controller's ``Reading``; a comment is kept shortly after the last key."""

    def __init__(self, controller: ScoringController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("readingForm")
        self._controller = controller
        self._score = CalmCombo()
        self._score.setObjectName("ownScore")
        self._score.setAccessibleName("Own score")
        for value in OWN_SCORES:
            self._score.addItem(value or "none yet", value)
        self._control = CalmCombo()
        self._control.setObjectName("controlChecked")
        self._control.setAccessibleName("Control tissue")
        for text, checked in _CONTROLS:
            self._control.addItem(text, checked)
        self._pattern = QCheckBox("Unusual pattern (marks 2+)")
        self._pattern.setObjectName("patternMarked")
        self._pattern.setToolTip(_PATTERN_TIP)
        self._marks = QVBoxLayout()
        self._marks.setSpacing(2)
        self._mark_boxes: dict[str, QCheckBox] = {}
        self._marks_of = ""
        self._comment = QPlainTextEdit()
        self._comment.setObjectName("comment")
        self._comment.setAccessibleName("Comment")
        self._comment.setPlaceholderText("Comment for the report")
        self._comment.setTabChangesFocus(True)
        self._comment.setFixedHeight(56)
        self._comment.installEventFilter(self)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for at, (title, field) in enumerate((("Own score", self._score), ("Control", self._control))):
            grid.addWidget(label(title, wrap=False), at, 0)
            grid.addWidget(field, at, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(4)
        column.addLayout(grid)
        column.addWidget(self._pattern)
        column.addLayout(self._marks)
        column.addWidget(self._comment)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_KEEP_AFTER_MS)
        self._timer.timeout.connect(self.keep_comment)
        self._score.activated.connect(lambda _: controller.change_reading(own_score=self._score.currentData()))
        self._control.activated.connect(
            lambda _: controller.change_reading(control_checked=self._control.currentData())
        )
        self._pattern.clicked.connect(lambda on: controller.change_reading(pattern_marked=on))
        self._comment.textChanged.connect(self._timer.start)
        controller.reading_changed.connect(self._show)
        controller.state_changed.connect(self._show_state)
        self._show(controller.reading)
        self._show_state()

    def _show_state(self, *_: object) -> None:
        """A signed case is shown and not edited; without a slide there is nothing to read."""
        self._show_marks(self._controller.reading)
        locked = self._controller.locked
        closed = self._controller.state is ScoringState.NO_SLIDE
        why = "Open a slide first" if closed else "The case is signed: amend it to change this" if locked else ""
        for field in (self._score, self._control, self._pattern, *self._mark_boxes.values()):
            field.setEnabled(not why)
            field.setToolTip(why)
        if not why:
            self._pattern.setToolTip(_PATTERN_TIP)
        self._comment.setReadOnly(bool(why))
        self._comment.setToolTip(why)

    def keep_comment(self) -> None:
        """Hand the comment over now; also before the window closes."""
        self._timer.stop()
        text = self._comment.toPlainText()
        if text != self._controller.reading.comment:
            self._controller.change_reading(comment=text)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The comment is kept when its field is left."""
        if event.type() == QEvent.Type.FocusOut:
            self.keep_comment()
        return False

    def _show(self, reading: Reading) -> None:
        self._score.setCurrentIndex(max(0, self._score.findData(reading.own_score)))
        controls = [checked for _, checked in _CONTROLS]
        self._control.setCurrentIndex(controls.index(reading.control_checked))
        self._pattern.setChecked(reading.pattern_marked)
        if reading.comment != self._comment.toPlainText() and not self._timer.isActive():
            with QSignalBlocker(self._comment):
                self._comment.setPlainText(reading.comment)
        self._show_marks(reading)

    def _show_marks(self, reading: Reading) -> None:
        if self._controller.state is ScoringState.NO_SLIDE:
            # The profiles are not read before the first paint.
            return
        profile = self._controller.profile
        if profile.id != self._marks_of:
            self._marks_of = profile.id
            for box in self._mark_boxes.values():
                self._marks.removeWidget(box)
                box.deleteLater()
            self._mark_boxes = {}
            for row in profile.rows:
                if row.mark and row.mark != "pattern":
                    box = QCheckBox(row.question.rstrip("?").replace("5 or more", "≥ 5"))
                    # A long question must not push the column wider than its place.
                    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
                    box.clicked.connect(self._take_marks)
                    self._mark_boxes[row.mark] = box
                    self._marks.addWidget(box)
            self._pattern.setVisible("pattern" in profile.marks)
        for mark, box in self._mark_boxes.items():
            box.setChecked(mark in reading.marks)

    def _take_marks(self) -> None:
        marks = frozenset(mark for mark, box in self._mark_boxes.items() if box.isChecked())
        self._controller.change_reading(marks=marks)
