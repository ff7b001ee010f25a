"""The cells that were found: counted, as points of a plot, in clusters; and those that the reader has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QTabBar, QVBoxLayout, QWidget

from her2viewer.domain.evidence import CellTable
from her2viewer.domain.palette import DEFAULT_PALETTE
from her2viewer.domain.shares import CountedUnit
from her2viewer.scoring.cell_clusters import CellCluster
from her2viewer.viewer.cell_browsing import CellBrowsing
from her2viewer.viewer.cell_selection import same_places
from her2viewer.viewer.latest import LatestWork, trouble
from her2viewer.viewer.overlays.cluster_outlines import ClusterLayer
from her2viewer.viewer.panels.cells_chosen import ChosenCells
from her2viewer.viewer.panels.cells_clusters import CellClusters
from her2viewer.viewer.panels.cells_counts import CellCounts
from her2viewer.viewer.panels.cells_points import MOST_POINTS, MOST_WHILE_GROWING, CellPoints, points_of
from her2viewer.viewer.panels.trouble import Trouble
from her2viewer.viewer.panels.words import label, say
from her2viewer.viewer.shown_cells import ShownCells

if TYPE_CHECKING:
    from her2viewer.viewer.panels.cells_plot import CellPlot

_EMPTY = "Run a scorer that counts cells: what it finds is told here."
_RUNNING = "The plot follows as soon as cells have arrived."
_GROWING = "So far: the run goes on."
_NO_MEASURES = "This scorer does not measure membrane OD and completeness."
PAGES = ("Counts", "Plot", "Clusters")


class CellsPanel(QWidget):
    """Costs nothing while it is folded; a page is worked out when it is first seen."""

    place_wanted = Signal(float, float, float, float)
    """Box in level-0 px that is to be shown."""

    def __init__(
        self, shown: ShownCells, browsing: CellBrowsing, outlines: ClusterLayer, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("cellsPanel")
        self._shown, self._browsing = shown, browsing
        self._palette = DEFAULT_PALETTE
        self._work = LatestWork("place cells in the plot", self)
        self._of: tuple[object, object] = (None, None)
        """Table and region of the plot."""
        self.plot: CellPlot | None = None
        """Made when it is first looked at."""
        self.pages = QTabBar()
        self.pages.setObjectName("cellPages")
        self.pages.setAccessibleName("Counts, plot or clusters of the cells")
        self.pages.setExpanding(True)
        self.pages.setDrawBase(False)
        for page in PAGES:
            self.pages.addTab(page)
        self._empty = label(_EMPTY, "muted")
        self._title = label("", "muted")
        self.counts = CellCounts()
        self.clusters = CellClusters(shown, outlines)
        self._plot_page = QWidget()
        self._plot_column = QVBoxLayout(self._plot_page)
        self._plot_column.setContentsMargins(0, 0, 0, 0)
        self._plot_words = label("", "muted")
        self._plot_column.addWidget(self._plot_words)
        self.trouble = Trouble()
        self.trouble.again.connect(self._place_again)
        self._plot_column.addWidget(self.trouble)
        self.chosen = ChosenCells(browsing)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(6)
        for widget in (
            self._empty,
            self.pages,
            self._title,
            self.counts,
            self._plot_page,
            self.clusters,
            self.chosen,
        ):
            column.addWidget(widget)
        self.pages.currentChanged.connect(lambda _: self.refresh())
        self.clusters.gone_to.connect(self._go_to_cluster)
        shown.counted.connect(self._count)
        shown.changed.connect(self.refresh)
        browsing.current_changed.connect(self._show_chosen)
        self.refresh()

    @property
    def idle(self) -> bool:
        """True when nothing is being worked out."""
        return not self._work.busy and self.clusters.idle

    @property
    def words(self) -> str:
        """What is said in place of the pages or the plot; "" where both are there."""
        shown = (w for w in (self._empty, self._plot_words) if w.isVisible())
        return " ".join(w.text() for w in shown)

    def set_palette(self, palette: str) -> None:
        """Class colours by the id of a palette."""
        self._palette = palette
        self.counts.set_palette(palette)
        if self.plot is not None:
            self.plot.set_palette(palette)

    def show_page(self, page: str) -> None:
        """Counts, Plot or Clusters."""
        self.pages.setCurrentIndex(PAGES.index(page))

    def refresh(self) -> None:
        """Show what is known now on the page that is seen."""
        if not self.isVisible():
            return
        there = self._has_cells()
        page = PAGES[self.pages.currentIndex()]
        self._empty.setVisible(not there)
        for widget in (self.pages, self.chosen):
            widget.setVisible(there)
        self.counts.setVisible(there and page == "Counts")
        self._plot_page.setVisible(there and page == "Plot")
        self.clusters.setVisible(there and page == "Clusters")
        say(self._title, self._shown.title if there else "")
        self._count()
        if self._plot_page.isVisible():
            self._place()
        self.clusters.refresh()
        self.chosen.refresh()

    def stop(self) -> None:
        """The window closes."""
        self._work.stop()
        self.clusters.stop()

    def showEvent(self, event: QShowEvent) -> None:
        """What changed meanwhile is made up for."""
        super().showEvent(event)
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        """Outlines of clusters are there while their list is."""
        super().hideEvent(event)
        self.clusters.hide_outlines()

    def _has_cells(self) -> bool:
        shares = self._shown.shares
        return (shares is not None and shares.unit is CountedUnit.CELLS) or self._shown.table is not None

    def _count(self) -> None:
        if not self.isVisible():
            return
        if self._empty.isVisible() == self._has_cells():
            self.refresh()
        elif self.counts.isVisible():
            self.counts.set_shares(self._shown.shares)
            say(self._title, self._shown.title)

    def _place(self) -> None:
        table, region = self._shown.table, self._shown.region
        if table is None or region.empty:
            self._work.forget()
            self._of = (None, None)
            self._take(None, _RUNNING if table is None else "")
        elif table is not self._of[0] or region is not self._of[1]:
            self._of, growing = (table, region), self._shown.growing

            def work() -> tuple[CellPoints | None, str]:
                points = points_of(table, region, MOST_WHILE_GROWING if growing else MOST_POINTS)
                return points, _NO_MEASURES if points is None else _GROWING if growing else ""

            self._work.order(work, lambda found: self._take(*found), self._fail)

    def _place_again(self) -> None:
        self._of = (None, None)
        self._place()

    def _fail(self, error: Exception) -> None:
        self._take(None, "")
        self.trouble.tell(trouble("The plot", error))

    def _take(self, points: CellPoints | None, words: str) -> None:
        say(self._plot_words, words)
        self.trouble.tell("")
        if points is not None and self.plot is None:
            from her2viewer.viewer.panels.cells_plot import CellPlot

            self.plot = CellPlot()
            self.plot.set_palette(self._palette)
            self.plot.drawn.connect(self._choose)
            self._plot_column.addWidget(self.plot)
        if self.plot is not None:
            self.plot.setVisible(points is not None)
            self.plot.set_points(points)
            self._show_chosen()

    def _choose(self, indices: NDArray[np.int64], add: bool) -> None:
        points = None if self.plot is None else self.plot.points
        if points is None or points.table is not self._shown.table:
            return
        chosen = self._shown.chosen
        if add and chosen.table is points.table:
            indices = np.union1d(chosen.indices, indices)
        chosen.set(points.table, indices)

    def _show_chosen(self) -> None:
        if self.plot is None or not self.isVisible():
            return
        chosen, points = self._shown.chosen, self.plot.points
        if points is None or not _alike(chosen.table, points.table):
            self.plot.set_chosen(np.zeros(0, dtype=np.int64), None)
        else:
            self.plot.set_chosen(chosen.indices, self._browsing.current)

    def _go_to_cluster(self, cluster: CellCluster) -> None:
        table = self._shown.table
        if table is not None and len(cluster.indices) and cluster.indices[-1] < len(table):
            self._shown.chosen.set(table, cluster.indices)
        self.place_wanted.emit(*cluster.outline.bounds)


def _alike(one: CellTable | None, other: CellTable) -> bool:
    """Whether cells go by the same numbers in both: of a run that goes on, the longer one begins as the shorter."""
    if one is None or one is other:
        return one is other
    shorter, longer = sorted((one, other), key=len)
    return same_places(shorter, longer, begins=True)
