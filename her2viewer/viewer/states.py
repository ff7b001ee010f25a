"""What the canvas says in each state: the card while nothing is open, else the sentence on what to do next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from her2viewer import RESEARCH_USE
from her2viewer.viewer.icons import set_icon
from her2viewer.viewer.recent import RecentSlides
from her2viewer.viewer.scoring_model import ScoringState

_MOST_RECENT = 5


SENTENCES: dict[ScoringState, str] = {
    # Nothing open: the card in the middle says it.
    ScoringState.NO_SLIDE: "",
    ScoringState.NO_ROI: "Outline the invasive carcinoma: P polygon, F freehand, B brush, T rectangle",
    ScoringState.NO_PIXEL_SIZE: "The pixel size is unknown. Enter it (File, Pixel size) to have the region scored",
    ScoringState.READY: "Press Enter to score the region. X outlines what is to be left out",
    ScoringState.RUNNING: "Scoring. Move about, edit the outline, correct what has arrived; Esc cancels",
    ScoringState.CANCELLING: "Cancelling...",
    ScoringState.ANSWERED: "G shows the field that decides, hold H for the bare tissue, Ctrl+E writes the report",
    ScoringState.PARTLY_SCORED: "The hatched part has not been scored yet: press Enter to score what is new",
    ScoringState.NOT_ASSESSABLE: "Not assessable: the panel on the right says why, and what to do",
    ScoringState.FAILED: "The scorer failed; nothing you drew is lost. Press Enter to try again",
}
DRAWING = "Double click or Enter closes the outline, Backspace takes a corner back, Esc drops it"
HIDDEN = "All overlays are hidden: O shows them"
SIGNED = "Read and signed: outlines are locked until the case is amended"


def sentence(
    state: ScoringState, *, opening: str = "", locked: bool = False, drawing: bool = False, hidden: bool = False
) -> str:
    """What to do next, in one sentence for the canvas.

    Args:
        state: where the reader is with the scorer.
        opening: name of the slide that is being opened.
        locked: the case is signed.
        drawing: an outline is begun and not yet closed.
        hidden: all overlays are hidden.
    """
    if opening:
        return f"Opening {opening}..."
    if drawing:
        return DRAWING
    if hidden:
        return HIDDEN
    if locked and state not in (ScoringState.RUNNING, ScoringState.CANCELLING, ScoringState.NO_SLIDE):
        return SIGNED
    return SENTENCES[state]


class StartCard(QFrame):
    """In the middle of the canvas while nothing is open: drop a slide, open one, take the sample or a recent one."""

    def __init__(
        self,
        canvas: QWidget,
        recent: RecentSlides,
        *,
        open_clicked: Callable[[], None],
        sample_clicked: Callable[[], None],
        recent_clicked: Callable[[Path], None],
    ) -> None:
        super().__init__(canvas)
        self.setObjectName("stateCard")
        self._canvas = canvas
        self._recent = recent
        self._recent_clicked = recent_clicked
        title = QLabel("Drop a slide here")
        title.setProperty("role", "headline")
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        what = QLabel("or open one: SVS, NDPI, MRXS, SCN, TIFF, OME-TIFF, DICOM, VSI exports, PNG, JPEG")
        what.setProperty("role", "muted")
        what.setWordWrap(True)
        what.setAlignment(Qt.AlignmentFlag.AlignCenter)
        opener = QPushButton("Open slide...")
        opener.setObjectName("primaryButton")
        opener.setToolTip("Ctrl+O")
        opener.clicked.connect(open_clicked)
        sample = QPushButton("Open the sample slide")
        sample.setToolTip("A small synthetic HER2 slide with its region")
        sample.clicked.connect(sample_clicked)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(opener)
        row.addWidget(sample)
        row.addStretch(1)
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        self._buttons: list[QWidget] = []
        limits = QLabel(RESEARCH_USE)
        limits.setProperty("role", "small")
        limits.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(32, 24, 32, 16)
        column.setSpacing(12)
        column.addWidget(title)
        column.addWidget(what)
        column.addLayout(row)
        column.addLayout(self._list)
        column.addWidget(limits)
        recent.changed.connect(self._fill)
        canvas.installEventFilter(self)
        self._fill()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and watched is self._canvas:
            self._place()
        return super().eventFilter(watched, event)

    def _fill(self) -> None:
        for old in self._buttons:
            self._list.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._buttons = []
        paths = self._recent.paths[:_MOST_RECENT]
        if paths:
            heading = QLabel("RECENT")
            heading.setProperty("role", "heading")
            self._buttons.append(heading)
        for path in paths:
            gone = self._recent.missing(path)
            button = QPushButton(path.name + (" (not found)" if gone else ""))
            button.setObjectName("linkButton")
            button.setEnabled(not gone)
            button.setToolTip(f"{path}\nIt is no longer there, or its drive is not connected" if gone else str(path))
            set_icon(button, "recent", "muted")
            button.clicked.connect(lambda _=False, chosen=path: self._recent_clicked(chosen))
            self._buttons.append(button)
        for widget in self._buttons:
            self._list.addWidget(widget)
            # Before the card is measured: a layout passes over what is hidden.
            widget.show()
        self._place()

    def _place(self) -> None:
        width = min(480, max(280, self._canvas.width() - 32))
        self.setFixedWidth(width)
        self.adjustSize()
        x = (self._canvas.width() - self.width()) // 2
        y = (self._canvas.height() - self.height()) // 2
        self.move(max(0, x), max(0, y))
