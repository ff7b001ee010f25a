"""The cells that are shown, and the part of them that is spoken of: one place for plots, lists and maps to ask."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.shares import Shares
from her2viewer.viewer.cell_selection import CellSelection, shown_cells
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.session import Session

_PAUSE_MS = 200
"""After the last change: what takes its time is worked out when the reader pauses."""


class ShownCells(QObject):
    """Follows evidence, outlines and selection of one window."""

    changed = Signal()
    """Another table, or another region, and the reader has paused."""
    counted = Signal()
    """Shares are others; several times a second while an outline is dragged."""

    def __init__(
        self,
        session: Session,
        controller: ScoringController,
        chosen: CellSelection,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._controller, self.chosen = session, controller, chosen
        self._table: CellTable | None = None
        self._told: tuple[CellTable | None, Region] = (None, Region.of(()))
        self._of_active: tuple[AnnotationSet | None, Region | None] = (None, None)
        self._active_id = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._tell)
        for signal in (
            controller.evidence_changed,
            controller.evidence_added,
            controller.evidence_corrected,
            controller.result_changed,
            controller.shares_changed,
        ):
            signal.connect(self._look)
        for signal in (session.selection_changed, session.region_changed, session.pixel_size_changed):
            signal.connect(self._look)

    @property
    def table(self) -> CellTable | None:
        """As it is shown; None without cells, and while a run still adds to them."""
        return self._table

    @property
    def pausing(self) -> bool:
        """True from a change until ``changed`` tells of it."""
        return self._timer.isActive()

    @property
    def pixel_size(self) -> PixelSize | None:
        """Of the slide."""
        return self._session.pixel_size

    @property
    def active(self) -> Annotation | None:
        """The one region that is selected; None where all regions are spoken of together."""
        if len(self._session.selection) != 1:
            return None
        one = self._session.annotations.get(self._session.selection[0])
        return one if one is not None and one.role is Role.ROI else None

    @property
    def region(self) -> Region:
        """What is spoken of: the region that is selected, less exclusions, else all of them."""
        one = self.active
        rois = self._session.annotations.with_role(Role.ROI)
        if one is None or len(rois) < 2:
            return self._session.region
        known, region = self._of_active
        if known is not self._session.annotations or region is None or self._active_id != one.id:
            others = [a for a in self._session.annotations if a.role is not Role.ROI]
            region = AnnotationSet((one, *others)).region()
            self._of_active, self._active_id = (self._session.annotations, region), one.id
        return region

    @property
    def title(self) -> str:
        """What is spoken of, in words."""
        rois = self._session.annotations.with_role(Role.ROI)
        one = self.active
        if one is None or len(rois) < 2:
            return "All regions together" if len(rois) > 1 else ""
        return one.name or f"Region {[a.id for a in rois].index(one.id) + 1}"

    @property
    def shares(self) -> Shares | None:
        """Of ``region``."""
        whole = self._controller.shares
        if whole is None or self.region is self._session.region:
            return whole
        return self._controller.shares_in(self.region)

    def _look(self, *_: object) -> None:
        table = shown_cells(self._controller.evidence)
        if table is not self._table:
            self._table = table
            self.chosen.follow(table)
        self.counted.emit()
        self._timer.start()

    def _tell(self) -> None:
        now = (self._table, self.region)
        if now[0] is not self._told[0] or now[1] is not self._told[1]:
            self._told = now
            self.changed.emit()
