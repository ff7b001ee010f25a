"""The answer under every profile, and the choice of the one in use."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QButtonGroup, QGridLayout, QRadioButton, QVBoxLayout, QWidget

from her2viewer.guidelines.decision import Decision
from her2viewer.viewer.panels.words import AFTER_FIRST_PAINT_MS, ElidedRadio, label, set_role
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.scoring_model import ScoringState


class ProfilesPanel(QWidget):
    """One row for each profile; a click makes it the one in use."""

    def __init__(self, controller: ScoringController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("profilesPanel")
        self._controller = controller
        self._buttons: dict[str, QRadioButton] = {}
        self._answers: dict[str, QWidget] = {}
        self._group = QButtonGroup(self)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.addLayout(self._grid)
        controller.decision_changed.connect(self._show)
        controller.reading_changed.connect(self._show)
        # Reading the profiles takes time that the first paint of the window should not wait for.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._fill)
        self._later.start(AFTER_FIRST_PAINT_MS)
        if controller.state is not ScoringState.NO_SLIDE:
            self._fill()

    @property
    def answers(self) -> dict[str, str]:
        """Answer as shown by profile id."""
        return {key: widget.property("text") for key, widget in self._answers.items()}

    def choose(self, profile: str) -> None:
        """As a click on that profile."""
        self._fill()
        self._buttons[profile].click()

    def _fill(self) -> None:
        """List the profiles; happens once."""
        if self._buttons:
            return
        self._later.stop()
        for at, profile in enumerate(self._controller.profiles.values()):
            button = ElidedRadio(profile.title)
            button.setToolTip(
                f"{profile.title}\n{profile.reference}\nCounts {profile.counts.value}. Click to use it."
            )
            button.clicked.connect(lambda _=False, key=profile.id: self._controller.change_reading(profile=key))
            answer = label(wrap=False)
            answer.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._group.addButton(button)
            self._grid.addWidget(button, at, 0)
            self._grid.addWidget(answer, at, 1)
            self._buttons[profile.id], self._answers[profile.id] = button, answer
        self._show()

    def _show(self, *_: object) -> None:
        if not self._buttons:
            return
        decision = self._controller.decision
        decisions = {d.profile: d for d in self._controller.others}
        if decision is not None:
            decisions[decision.profile] = decision
        self._buttons[self._controller.profile.id].setChecked(True)
        for key, answer in self._answers.items():
            found = decisions.get(key)
            answer.setProperty("text", "" if found is None else short_answer(found))
            answer.setToolTip("" if found is None else found.headline + (f"\n{found.reason}" if found.reason else ""))
            set_role(answer, "amber" if found is not None and (found.near or found.review) else "")


def short_answer(decision: Decision) -> str:
    """``2+ equivocal``; flags and reasons are in the tip."""
    if decision.outcome == "cannot_be_determined":
        return "none"
    return " ".join(w for w in (decision.score, decision.status) if w) or "not evaluable"
