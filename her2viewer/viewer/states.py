"""Which state the window is in, and the sentence that says what to do next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from her2viewer import RESEARCH_USE
from her2viewer.viewer.icons import set_icon
from her2viewer.viewer.recent import RecentSlides

_MOST_RECENT = 5


class State(StrEnum):
    """Where the reader is on the way from nothing to a report."""

    NOTHING_OPEN = "nothing open"
    OPENING = "opening"
    NO_PIXEL_SIZE = "no pixel size"
    NO_ROI = "no roi"
    READY = "ready"
    RUNNING = "running"
    CANCELLING = "cancelling"
    ANSWER = "answer"
    PARTLY_SCORED = "partly scored"
    NOT_ASSESSABLE = "not assessable"
    FAILED = "failed"
    SIGNED = "signed"


@dataclass(frozen=True)
class Situation:
    """The facts that the state follows from."""

    opening: str = ""
    """Name of the slide that is being opened."""
    slide: bool = False
    pixel_size: bool = False
    roi: bool = False
    scorer: str = ""
    """Title of the scorer that Run would start."""
    running: bool = False
    cancelling: bool = False
    answer: bool = False
    covered: bool = True
    """Everything inside the region has been scored."""
    not_assessable: bool = False
    failed: bool = False
    locked: bool = False

    @property
    def state(self) -> State:
        if self.opening:
            return State.OPENING
        if not self.slide:
            return State.NOTHING_OPEN
        if self.running:
            return State.CANCELLING if self.cancelling else State.RUNNING
        if self.locked:
            return State.SIGNED
        if not self.roi:
            return State.NO_ROI
        if not self.pixel_size:
            return State.NO_PIXEL_SIZE
        if self.failed:
            return State.FAILED
        if self.not_assessable:
            return State.NOT_ASSESSABLE
        if self.answer:
            return State.ANSWER if self.covered else State.PARTLY_SCORED
        return State.READY

    @property
    def sentence(self) -> str:
        """What to do next, for the canvas; empty where the window itself says it."""
        return {
            State.NOTHING_OPEN: "",
            State.OPENING: f"Opening {self.opening}...",
            State.NO_PIXEL_SIZE: "The pixel size is unknown. Enter it (File, Pixel size) to have the region scored",
            State.NO_ROI: "Outline the invasive carcinoma: P polygon, F freehand, B brush, T rectangle",
            State.READY: f"Press Enter to run {self.scorer or 'the scorer'}. X outlines what is to be left out",
            State.RUNNING: "Scoring. You can move about and edit the outline meanwhile; Esc cancels",
            State.CANCELLING: "Cancelling...",
            State.ANSWER: "G shows the field that decides, hold H for the bare tissue, Ctrl+E writes the report",
            State.PARTLY_SCORED: "The hatched part has not been scored yet: press Enter to score what is new",
            State.NOT_ASSESSABLE: "Not assessable: the panel on the right says why, and what to do",
            State.FAILED: "The scorer failed; nothing you drew is lost. Press Enter to try again",
            State.SIGNED: "Read and signed: outlines are locked until the case is amended",
        }[self.state]


class StartCard(QFrame):
    """In the middle of the canvas while nothing is open: drop a slide, open one, take the sample or a recent one."""

    def __init__(
        self,
        canvas: QWidget,
        recent: RecentSlides,
        *,
        open_clicked: Callable[[], None],
        sample_clicked: Callable[[], None],
        recent_clicked: Callable[[object], None],
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
        self._place()

    def _place(self) -> None:
        width = min(480, max(280, self._canvas.width() - 32))
        self.setFixedWidth(width)
        self.adjustSize()
        x = (self._canvas.width() - self.width()) // 2
        y = (self._canvas.height() - self.height()) // 2
        self.move(max(0, x), max(0, y))
