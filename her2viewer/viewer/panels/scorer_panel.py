"""Which scorer, with which settings; Run, progress and Cancel."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from her2viewer.scoring.manifest import Manifest
from her2viewer.viewer.panels.settings_form import SettingsForm
from her2viewer.viewer.panels.words import AFTER_FIRST_PAINT_MS, ElidedRadio, label, say
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.scoring_model import ScoringState
from her2viewer.viewer.scoring_progress import RunProgress

_RUN_TEXT = {
    ScoringState.PARTLY_SCORED: "Score the new part",
    ScoringState.ANSWERED: "Run again",
    ScoringState.NOT_ASSESSABLE: "Run again",
    ScoringState.FAILED: "Run again",
}


class ScorerPanel(QWidget):
    """The list of scorers, unusable ones greyed with their reason, the big button, and the settings folded below."""

    run_pressed = Signal()
    """The big button goes down; the run begins when it comes up."""

    def __init__(self, controller: ScoringController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("scorerPanel")
        self._controller = controller
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QRadioButton] = {}
        self._filled = False
        self._list = QVBoxLayout()
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(4)
        self._summary = label("", "muted")
        self._run = QPushButton("Run")
        self._run.setObjectName("primaryButton")
        self._run.pressed.connect(self.run_pressed)
        self._run.clicked.connect(controller.run)
        self._cancel = QPushButton("Cancel")
        self._cancel.setObjectName("cancelButton")
        self._cancel.setToolTip("Esc. What has been scored so far is kept")
        self._cancel.clicked.connect(controller.cancel)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(8)
        self._stage = label("", "muted", wrap=False)
        for keeper in (self._bar, self._stage):
            policy = keeper.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            keeper.setSizePolicy(policy)
        self._note = label("", "amber")
        self._fold = QToolButton()
        self._fold.setObjectName("settingsFold")
        self._fold.setText("Settings")
        self._fold.setCheckable(True)
        self._fold.setArrowType(Qt.ArrowType.RightArrow)
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.toggled.connect(self._show_form)
        self._form = SettingsForm()
        self._form.hide()
        self._form.edited.connect(controller.set_settings)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(self._list)
        column.addWidget(self._summary)
        column.addWidget(self._run)
        column.addWidget(self._cancel)
        column.addWidget(self._bar)
        column.addWidget(self._stage)
        column.addWidget(self._note)
        column.addWidget(self._fold)
        column.addWidget(self._form)
        controller.state_changed.connect(self._show)
        controller.scorer_changed.connect(self._show)
        controller.scorers_changed.connect(self._fill_anew)
        controller.result_changed.connect(self._show)
        controller.progress.connect(self._show_progress)
        # Looking for scorers takes time that the first paint of the window should not wait for.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._fill)
        self._later.start(AFTER_FIRST_PAINT_MS)
        self._show()

    @property
    def form(self) -> SettingsForm:
        """The form of the chosen scorer's settings."""
        return self._form

    @property
    def run_button(self) -> QPushButton:
        """The big button."""
        return self._run

    @property
    def cancel_button(self) -> QPushButton:
        """In the place of the big one while a scorer runs."""
        return self._cancel

    @property
    def stage(self) -> str:
        """Progress as shown."""
        return self._stage.text() if self._stage.isVisibleTo(self) else ""

    def choose(self, scorer: str) -> None:
        """As a click on that scorer."""
        self._fill()
        self._buttons[scorer].click()

    def _fill(self) -> None:
        """List the scorers, once and whenever there are others."""
        if self._filled:
            return
        self._filled = True
        self._later.stop()
        for entry in self._controller.scorers:
            button = ElidedRadio(entry.title)
            button.clicked.connect(lambda _=False, key=entry.id: self._controller.set_scorer(key))
            self._group.addButton(button)
            self._buttons[entry.id] = button
            self._list.addWidget(button)
            if entry.usable and entry.manifest is not None:
                button.setToolTip(_about(entry.manifest))
            else:
                button.setEnabled(False)
                button.setToolTip(entry.problem or "This scorer cannot be used.")
                reason = label(entry.problem or "", "small")
                reason.setIndent(22)
                self._list.addWidget(reason)
        self._show()

    def _fill_anew(self) -> None:
        if not self._filled:
            return
        while (item := self._list.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for button in self._buttons.values():
            self._group.removeButton(button)
        self._buttons.clear()
        self._filled = False
        self._fill()

    def _show(self, *_: object) -> None:
        controller = self._controller
        state = controller.state
        if not self._filled:
            if state is ScoringState.NO_SLIDE:
                self._run.setEnabled(False)
                self._run.setToolTip(controller.obstacle)
                for hidden in (self._summary, self._cancel, self._note, self._fold, self._bar, self._stage):
                    hidden.hide()
                return
            # Comes back here.
            self._fill()
            return
        manifest = controller.manifest
        busy = state in (ScoringState.RUNNING, ScoringState.CANCELLING)
        if (chosen := self._buttons.get(controller.scorer)) is not None:
            chosen.setChecked(True)
        for entry in controller.scorers:
            self._buttons[entry.id].setEnabled(entry.usable and not busy)
        say(self._summary, "" if manifest is None else f"{manifest.stain}. Counts {_counts(manifest)}.")
        obstacle = controller.obstacle
        self._run.setVisible(not busy)
        self._run.setEnabled(not obstacle)
        self._run.setText(_RUN_TEXT.get(state, "Run"))
        self._run.setToolTip(obstacle or "Enter")
        self._cancel.setVisible(busy)
        self._cancel.setEnabled(state is ScoringState.RUNNING)
        self._cancel.setText("Cancelling..." if state is ScoringState.CANCELLING else "Cancel")
        self._bar.setVisible(busy)
        self._stage.setVisible(busy)
        if not busy:
            self._bar.setRange(0, 1)
            self._bar.setValue(0)
        differ = controller.settings_differ and not busy
        say(self._note, "The answer was made with other settings. Run again to apply these." if differ else "")
        self._form.setEnabled(not busy)
        if manifest is not None:
            self._form.set_settings(manifest.settings, controller.settings_of(manifest.id))
        self._fold.setVisible(manifest is not None and bool(manifest.settings))

    def _show_progress(self, progress: RunProgress) -> None:
        if progress.fraction is None:
            self._bar.setRange(0, 0)
        else:
            self._bar.setRange(0, 1000)
            self._bar.setValue(round(1000 * progress.fraction))
        self._stage.setText(progress.text)

    def _show_form(self, shown: bool) -> None:
        self._fold.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self._form.setVisible(shown)


def _counts(manifest: Manifest) -> str:
    return {"cells": "tumour cells", "surface": "tumour surface", "nothing": "nothing, gives an answer of its own"}[
        manifest.counts
    ]


def _about(manifest: Manifest) -> str:
    words = [f"{manifest.title} {manifest.version}", manifest.summary]
    if manifest.paper:
        words.append(manifest.paper + (f", doi:{manifest.doi}" if manifest.doi else ""))
    return "\n".join(words)
