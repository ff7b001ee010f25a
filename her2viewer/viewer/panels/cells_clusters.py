"""The clusters of cells of one class: how many cells, how large, and the way to each."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.pixelsize import mm2_column
from her2viewer.scoring.cell_clusters import LEAST_CELLS, LINK_UM, CellCluster, ClusterSearch
from her2viewer.scoring.cell_maps import inside
from her2viewer.viewer.latest import LatestWork, trouble
from her2viewer.viewer.overlays.cluster_outlines import ClusterLayer
from her2viewer.viewer.panels.calm import CalmCombo, CalmSpin
from her2viewer.viewer.panels.trouble import Trouble
from her2viewer.viewer.panels.words import label, say
from her2viewer.viewer.settings import Settings
from her2viewer.viewer.shown_cells import ShownCells

_ROWS = 200
LINK_RANGE_UM = (5, 100)
"""From cells that touch to nests of one duct or one front."""
LEAST_RANGE = (2, 1000)
_KEPT_LINK, _KEPT_LEAST = "clusters/link_um", "clusters/least_cells"
_CHOICES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("3+", (3,)),
    ("2+ and 3+", (2, 3)),
    *((name, (code,)) for code, name in reversed(tuple(enumerate(HER2_LABELS[:3])))),
)


class CellClusters(QWidget):
    """A page of the panel of cells; works only while it is seen."""

    gone_to = Signal(object)
    """CellCluster that the reader wants to see."""

    def __init__(self, shown: ShownCells, layer: ClusterLayer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("cellClusters")
        self._shown, self._layer = shown, layer
        self._work = LatestWork("find clusters of cells", self)
        self._of: tuple[object, ...] = ()
        """What the list speaks of: table, region, classes, pixel size, distance, least size."""
        self._slide = ""
        """On which they were looked for."""
        self.clusters: tuple[CellCluster, ...] = ()
        self.classes = CalmCombo()
        self.classes.setAccessibleName("Class of the clustered cells")
        for name, codes in _CHOICES:
            self.classes.addItem(f"Cells of class {name}", codes)
        self.classes.currentIndexChanged.connect(lambda _: self.refresh())
        self.link = _field(LINK_RANGE_UM, round(LINK_UM), " µm", "Greatest distance between cells of a cluster")
        self.link.setToolTip("Cells whose centres lie no farther apart belong to one cluster")
        self.least = _field(LEAST_RANGE, LEAST_CELLS, "", "Fewest cells of a cluster")
        self.least.setToolTip("Smaller groups are not listed")
        for field in (self.link, self.least):
            field.valueChanged.connect(lambda _: self.refresh())
        self.outlines = QCheckBox("Outlines on the tissue")
        self.outlines.setChecked(True)
        self.outlines.toggled.connect(lambda _: self._draw())
        self.summary = label("", "muted")
        self.trouble = Trouble()
        self.trouble.again.connect(self._again)
        self.list = QListWidget()
        self.list.setObjectName("clusterList")
        self.list.setAccessibleName("Clusters of cells")
        self.list.setToolTip("Click one to go there. Cells written as CSV or GeoJSON carry these numbers.")
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFixedHeight(184)
        self.list.itemClicked.connect(lambda item: self.go(self.list.row(item)))
        self.list.itemActivated.connect(lambda item: self.go(self.list.row(item)))
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.classes, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(top)
        column.addLayout(self._limits())
        column.addWidget(self.outlines)
        column.addWidget(self.summary)
        column.addWidget(self.trouble)
        column.addWidget(self.list)

    @property
    def idle(self) -> bool:
        """True when nothing is being worked out."""
        return not self._work.busy

    @property
    def search(self) -> ClusterSearch | None:
        """How the clusters of what is shown now are found; None where nobody looked at any on this slide."""
        size = self._shown.pixel_size
        if size is None or not self._slide or self._slide != self._shown.slide:
            return None
        codes: tuple[int, ...] = self.classes.currentData()
        return ClusterSearch(codes, self._shown.region, size, self.link.value(), self.least.value())

    def restore(self, settings: Settings) -> None:
        """Distance and least size as they were chosen last."""
        for key, field in ((_KEPT_LINK, self.link), (_KEPT_LEAST, self.least)):
            kept = settings.numbers(key)
            if len(kept) == 1 and field.minimum() <= kept[0] <= field.maximum():
                field.setValue(kept[0])

    def save(self, settings: Settings) -> None:
        """Keep distance and least size."""
        settings.set(_KEPT_LINK, [self.link.value()])
        settings.set(_KEPT_LEAST, [self.least.value()])

    def refresh(self) -> None:
        """Find the clusters of what is shown now, if that is another than before."""
        if not self.isVisible():
            self._draw()
            return
        table, region, size = self._shown.table, self._shown.region, self._shown.pixel_size
        codes: tuple[int, ...] = self.classes.currentData()
        link, least = self.link.value(), self.least.value()
        now = (table, region, codes, size, link, least)
        if self._of and table is self._of[0] and region is self._of[1] and now[2:] == self._of[2:]:
            self._draw()
            return
        self._of = now
        if table is None or size is None or region.empty:
            self._work.forget()
            self._take((), 0)
            say(self.summary, "Clusters are told as soon as cells have arrived.")
            return
        growing = self._shown.growing
        if not growing:
            say(self.summary, "Looking for clusters...")
        search, self._slide = ClusterSearch(codes, region, size, link, least), self._shown.slide
        classes = [k for k, code in enumerate(table.scheme.her2) if code in codes]

        def work() -> tuple[tuple[CellCluster, ...], int]:
            every = int((np.isin(table.classes, classes) & inside(table, region)).sum())
            return search.found(table), every

        self._work.order(work, lambda found: self._take(*found, growing=growing), self._fail)

    def hide_outlines(self) -> None:
        """The page is no longer seen: its outlines go with it."""
        self._layer.set_clusters(())

    def go(self, row: int) -> None:
        """Show one cluster on the tissue and choose its cells."""
        if 0 <= row < len(self.clusters):
            self.list.setCurrentRow(min(row, self.list.count() - 1))
            self._draw()
            self.gone_to.emit(self.clusters[row])

    def stop(self) -> None:
        """The window closes."""
        self._work.stop()

    def _again(self) -> None:
        self._of = ()
        self.refresh()

    def _fail(self, error: Exception) -> None:
        self._take((), 0)
        say(self.summary, "")
        self.trouble.tell(trouble("The clusters", error))

    def _limits(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        for words, field in (("Distance up to", self.link), ("Cells from", self.least)):
            name = label(words, "muted", wrap=False)
            name.setBuddy(field)
            row.addWidget(name)
            row.addWidget(field)
        row.addStretch(1)
        return row

    def _take(self, found: tuple[CellCluster, ...], every: int, *, growing: bool = False) -> None:
        self.trouble.tell("")
        row, scrolled = self.list.currentRow(), self.list.verticalScrollBar().value()
        looked_at = self.clusters[row] if growing and 0 <= row < len(self.clusters) else None
        self.clusters = found
        self.list.clear()
        listed = found[:_ROWS]
        areas = mm2_column([c.area_mm2 for c in listed])
        for number, (cluster, area) in enumerate(zip(listed, areas, strict=True), 1):
            self.list.addItem(QListWidgetItem(f"{number}.  {len(cluster):,} cells, {area}"))
        self.list.setVisible(bool(found))
        words = _summary(found, every, self.link.value(), self.least.value())
        say(self.summary, f"{words} So far: the run goes on." if growing else words)
        if looked_at is not None:
            # It has grown, or is another one in the row of sizes by now.
            cell = looked_at.indices[0]
            self.list.setCurrentRow(next((k for k, c in enumerate(listed) if cell in c.indices), -1))
            self.list.verticalScrollBar().setValue(scrolled)
        self._draw()

    def _draw(self) -> None:
        row = self.list.currentRow()
        wanted = self.clusters if self.outlines.isChecked() and self.isVisible() else ()
        self._layer.set_clusters(wanted, row if row >= 0 else None)


def _field(bounds: tuple[int, int], value: int, unit: str, name: str) -> CalmSpin:
    made = CalmSpin()
    made.setRange(*bounds)
    made.setValue(value)
    made.setSuffix(unit)
    made.setAccessibleName(name)
    made.setAlignment(Qt.AlignmentFlag.AlignRight)
    made.setButtonSymbols(CalmSpin.ButtonSymbols.NoButtons)
    made.setFixedWidth(58)
    return made


def _summary(found: tuple[CellCluster, ...], every: int, link_um: int, least: int) -> str:
    rule = f"no farther than {link_um} µm from the next, {least} cells or more"
    if not found:
        return f"No cluster ({rule})."
    cells = sum(len(c) for c in found)
    more = f"; the {_ROWS} largest are listed" if len(found) > _ROWS else ""
    word = "cluster" if len(found) == 1 else "clusters"
    return f"{len(found):,} {word} with {cells:,} of {every:,} such cells ({rule}){more}."
