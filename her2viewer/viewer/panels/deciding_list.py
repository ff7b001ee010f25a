"""The patches on which the answer hangs: a click, Enter or the keys D and Shift+D go there."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from her2viewer.domain.evidence import ClassMap
from her2viewer.domain.palette import DEFAULT_PALETTE, her2_colors
from her2viewer.scoring.certainty import DecidingPatch, deciding_patches
from her2viewer.viewer.panels.layers_panel import swatch
from her2viewer.viewer.panels.words import label
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.session import Session

_EACH = 3
_PAUSE_MS = 200
"""After the last change; while a stroke is drawn the list stands still."""
_ROW = 22


class DecidingList(QWidget):
    """The surest 3+ and 2+ patches, then the faintest 1+; hidden where a scorer classes no patches."""

    chosen = Signal(object)
    """DecidingPatch to be shown."""

    def __init__(self, controller: ScoringController, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller, self._session = controller, session
        self._palette = DEFAULT_PALETTE
        self.patches: tuple[DecidingPatch, ...] = ()
        """As listed."""
        self._list = QListWidget()
        self._list.setObjectName("decidingList")
        self._list.setAccessibleName("Patches that decide")
        self._list.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setUniformItemSizes(True)
        self._list.setIconSize(QSize(10, 10))
        self._list.itemClicked.connect(lambda item: self._go(self._list.row(item)))
        self._list.itemActivated.connect(lambda item: self._go(self._list.row(item)))
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 0)
        column.setSpacing(4)
        title = label("Patches that decide", "heading", wrap=False)
        title.setToolTip("D goes to the next one, Shift+D to the one before")
        column.addWidget(title)
        column.addWidget(self._list)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self.refresh)
        for signal in (controller.shares_changed, controller.decision_changed, controller.evidence_changed):
            signal.connect(self._later)
        self.hide()

    def set_palette(self, palette: str) -> None:
        """Class colours by the id of a palette."""
        if palette != self._palette:
            self._palette = palette
            self._fill()

    def step(self, direction: int) -> bool:
        """Go to the next (1) or previous (-1) patch, round at the ends; False where there is none."""
        if self._timer.isActive():
            self.refresh()
        if not self.patches:
            return False
        row = self._list.currentRow()
        start = -1 if row < 0 and direction > 0 else max(row, 0)
        self._go((start + direction) % len(self.patches))
        return True

    def refresh(self) -> None:
        """List the patches of the evidence as it is now."""
        self._timer.stop()
        found: tuple[DecidingPatch, ...] = ()
        if self._controller.decision is not None:
            maps = (e for e in self._controller.evidence if isinstance(e, ClassMap) and e.scheme.counted)
            class_map = next(maps, None)
            if class_map is not None:
                found = deciding_patches(class_map, self._session.region, _EACH)
        if found != self.patches:
            self.patches = found
            self._fill()

    def _later(self, *_: object) -> None:
        # Where nothing is left to go to, nothing is shown; else the list stands until the reader pauses.
        if self._controller.decision is None:
            self.refresh()
        else:
            self._timer.start()

    def _fill(self) -> None:
        self._list.clear()
        colors = her2_colors(self._palette)
        for patch in self.patches:
            item = QListWidgetItem(swatch(QColor(*colors[patch.her2])), patch_text(patch))
            item.setSizeHint(QSize(0, _ROW))
            item.setToolTip("Click to go there" + ("; shown at 40x" if patch.her2 == 1 else ""))
            self._list.addItem(item)
        self._list.setFixedHeight(_ROW * len(self.patches) + 2 * self._list.frameWidth() + 2)
        self.setVisible(bool(self.patches))

    def _go(self, row: int) -> None:
        if 0 <= row < len(self.patches):
            self._list.setCurrentRow(row)
            self.chosen.emit(self.patches[row])


def patch_text(patch: DecidingPatch) -> str:
    """``3+ p 0.98, tumour 100 %`` or ``1+ against 0: 0.52, tumour 80 %``."""
    chance = f"against 0: {patch.certainty:.2f}" if patch.her2 == 1 else f"p {patch.certainty:.2f}"
    return f"{patch.kind} {chance}, tumour {100 * patch.tumour:.0f} %"
