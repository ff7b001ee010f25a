"""The cells that are shown, and the part of them that is spoken of: one place for plots, lists and maps to ask."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.cell_corrections import CellCorrections
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.shares import Shares
from her2viewer.viewer.cell_selection import CellSelection, shown_cells
from her2viewer.viewer.latest import LatestWork
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.session import Session

_PAUSE_MS = 200
"""After the last change: what takes its time is worked out when the reader pauses."""
_GROW_MS, _GROW_MS_A_CELL = 2_000, 0.01
"""While a run goes on, what has arrived is put together again after so long: rarely where there is much of it, for
plots and maps follow from it, and the run wants the processor, too."""


class ShownCells(QObject):
    """Follows evidence, outlines and selection of one window."""

    changed = Signal()
    """Perhaps another table, or another region, and the reader has paused."""
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
        self._stale = True
        """Corrected tables are made when they are asked for, which takes a moment: not while nobody looks."""
        self._grown: CellTable | None = None
        """What had arrived of a run that still goes on."""
        self._joined: tuple[int, CellCorrections | None] = (0, None)
        """What it was put together of: so many cells, under these corrections."""
        self._asked = False
        """Somebody looks at more than the counts."""
        self._joining = LatestWork("put the cells of a run together", self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.timeout.connect(self._go_on)
        self._of_active: tuple[AnnotationSet | None, Region | None] = (None, None)
        self._active_id = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._tell)
        for signal in (
            controller.evidence_added,
            controller.evidence_corrected,
            controller.result_changed,
            controller.shares_changed,
            controller.cells_settled,
        ):
            signal.connect(self._look)
        controller.evidence_changed.connect(self._replaced)
        for signal in (session.selection_changed, session.region_changed, session.pixel_size_changed):
            signal.connect(self._look)

    @property
    def table(self) -> CellTable | None:
        """As it is shown; None without cells. While a run adds to them, those that had arrived a moment ago."""
        if self._stale:
            self._stale = False
            before, self._table = self._table, shown_cells(self._controller.evidence)
            if self._table is not None:
                self._grown = None
            elif self._grown is None:
                # Until the first of them are put together.
                self._grown = before
        if self._table is None:
            self._asked = True
            self._join()
        return self._grown if self._table is None else self._table

    @property
    def growing(self) -> bool:
        """Whether ``table`` is of a run that still goes on."""
        return self._table is None and self._grown is not None

    @property
    def choosable(self) -> CellTable | None:
        """Whose cells can be chosen: ``table``, and while a run goes on those that have arrived."""
        # There is nothing to plot yet, but cells can be looked at and corrected.
        cells = self._controller.cells
        return self.table if cells is None else cells.table

    @property
    def pausing(self) -> bool:
        """True from a change until ``changed`` tells of it."""
        return self._timer.isActive() or self._joining.busy

    @property
    def pixel_size(self) -> PixelSize | None:
        """Of the slide."""
        return self._session.pixel_size

    @property
    def slide(self) -> str:
        """Identity of the slide; "" without one."""
        return "" if self._session.slide is None else self._session.slide.identity

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
        self._stale = True
        self.counted.emit()
        self._timer.start()

    def _replaced(self, *_: object) -> None:
        """Something else is shown: what was chosen must not outlive it for a moment."""
        self._stale = True
        self._table = self._grown = None
        self._joining.forget()
        self._follow()
        self._look()

    def _join(self) -> None:
        cells = self._controller.cells
        if self._pause.isActive() or self._joining.busy or cells is None or not len(cells):
            return
        now = (len(cells), cells.corrections)
        if now == self._joined and self._grown is not None:
            # Nothing new: look again after a while.
            self._pause.start(_GROW_MS)
            return
        self._asked, self._joined = False, now
        self._joining.order(cells.joined(), self._take)

    def _take(self, table: CellTable) -> None:
        if self._table is not None:
            # The run has ended meanwhile.
            return
        self._grown = table
        self._pause.start(round(_GROW_MS + _GROW_MS_A_CELL * len(table)))
        self.changed.emit()

    def _go_on(self) -> None:
        if self._asked and self._table is None:
            self._join()

    def stop(self) -> None:
        """The window closes."""
        self._pause.stop()
        self._joining.stop()

    def _follow(self) -> None:
        if len(self.chosen):
            self.chosen.follow(self.choosable)

    def _tell(self) -> None:
        self._follow()
        self.changed.emit()
