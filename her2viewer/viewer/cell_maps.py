"""Keeps the maps that are worked out of cells in step with them, where one is looked at."""

from __future__ import annotations

from PySide6.QtCore import QObject

from her2viewer.viewer.latest import LatestWork, trouble
from her2viewer.viewer.overlays.derived_maps import DensityLayer, DerivedMapLayer, HeterogeneityLayer
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.shown_cells import ShownCells


class CellMaps(QObject):
    """Adds a density and a heterogeneity layer beside each layer of cells, and fills them when they are shown."""

    def __init__(self, shown: ShownCells, evidence: EvidenceLayers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._shown, self._evidence = shown, evidence
        self._works: dict[str, LatestWork] = {}
        self._choices: dict[str, str] = {}
        """The kind of each map that the reader chose last, by name: on the next slide too."""
        self._offered = False
        evidence.layers_changed.connect(self._offer)
        shown.changed.connect(self.refresh)

    @property
    def idle(self) -> bool:
        """True when nothing is being worked out."""
        return not any(work.busy for work in self._works.values())

    def refresh(self) -> None:
        """Work out anew what is looked at and was made of other cells or another region."""
        for layer in self._evidence.layers:
            if isinstance(layer, DerivedMapLayer) and layer.wanted:
                self._fill(layer)

    def stop(self) -> None:
        """The window closes."""
        for work in self._works.values():
            work.stop()

    def _offer(self) -> None:
        cells = self._evidence.cells
        there = any(isinstance(layer, DerivedMapLayer) for layer in self._evidence.layers)
        if cells is None or there or self._offered:
            return
        # Each addition is told of, too.
        self._offered = True
        for layer in (DensityLayer(cells.scheme), HeterogeneityLayer()):
            if (kept := self._choices.get(layer.title)) in layer.choices:
                layer.set_choice(layer.choices.index(kept))
            layer.changed.connect(lambda layer=layer: self._look_at(layer))
            layer.choice_changed.connect(lambda layer=layer: self._chosen(layer))
            layer.again.connect(lambda layer=layer: self._fill(layer, again=True))
            self._evidence.add(layer)
        self._offered = False

    def _chosen(self, layer: DerivedMapLayer) -> None:
        self._choices[layer.title] = layer.choices[layer.choice]
        self._fill(layer)

    def _look_at(self, layer: DerivedMapLayer) -> None:
        if layer.wanted and not layer.made_of:
            self._fill(layer)

    def _fill(self, layer: DerivedMapLayer, *, again: bool = False) -> None:
        table, region, size = self._shown.table, self._shown.region, self._shown.pixel_size
        now = (table, region, size, layer.choice)
        same = layer.made_of and all(a is b for a, b in zip(now, layer.made_of, strict=True))
        if not layer.wanted or (same and not again):
            return
        layer.made_of = now
        work = self._works.setdefault(layer.title, LatestWork(f"work out {layer.title}", self))
        if table is None or size is None or region.empty:
            work.forget()
            layer.take(None)
            return
        work.order(
            layer.work(table, region, size),
            lambda made: self._take(layer, now, made),
            lambda error: self._fail(layer, now, error),
        )

    def _fail(self, layer: DerivedMapLayer, of: tuple[object, ...], error: Exception) -> None:
        if layer in self._evidence.layers and layer.made_of is of:
            layer.fail(trouble("This map", error))

    def _take(self, layer: DerivedMapLayer, of: tuple[object, ...], made: object) -> None:
        if layer in self._evidence.layers and layer.made_of is of:
            layer.take(made)  # type: ignore[arg-type]
