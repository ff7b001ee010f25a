"""All evidence of the open slide as layers of the canvas: made as evidence comes, hidden and shown together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from her2viewer.domain.corrections import Bounds
from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, Heatmap, TissueMask
from her2viewer.domain.palette import DEFAULT_PALETTE
from her2viewer.domain.region import Region
from her2viewer.domain.shares import Shares
from her2viewer.scoring.certainty import uncertainty
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.base import ClassLayer, EvidenceLayer
from her2viewer.viewer.overlays.cells import CellLayer
from her2viewer.viewer.overlays.grids import ClassMapLayer, HeatmapLayer
from her2viewer.viewer.overlays.legend import LegendWidget
from her2viewer.viewer.overlays.scored_mask import ScoredMaskLayer
from her2viewer.viewer.overlays.tissue_mask import TissueMaskLayer

_DEFAULT_OPACITY = {"cells": 1.0, "class_map": 0.6, "heatmap": 0.6, "mask": 0.9}


class LayerHost(Protocol):
    """What of the canvas is needed here."""

    def add_layer(self, layer: Layer) -> None:
        """Draw this layer too, above those already there."""

    def remove_layer(self, layer: Layer) -> None:
        """Draw it no longer."""


class EvidenceLayers(QObject):
    """Keeps the layers in step with the evidence of the controller."""

    layers_changed = Signal()
    """A layer came or went."""
    visibility_changed = Signal(bool)
    """True: all overlays are hidden for the moment."""

    def __init__(self, host: LayerHost, legend: LegendWidget | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._host = host
        self._legend = legend
        self._layers: dict[tuple[str, str], EvidenceLayer] = {}
        self._slide_size = (1.0, 1.0)
        self._palette = DEFAULT_PALETTE
        self._hidden = False
        self._shares: Shares | None = None
        self._clip: Region | None = None
        self._remembered: dict[tuple[str, str], tuple[bool, float]] = {}
        self._tops: dict[tuple[str, str], float | None] = {}
        """Where the reader let scales end: on the next slide too."""
        self.mask = ScoredMaskLayer(self)
        host.add_layer(self.mask)
        self._legend_timer = QTimer(self)
        self._legend_timer.setSingleShot(True)
        self._legend_timer.setInterval(16)
        self._legend_timer.timeout.connect(self._show_legend)

    # -- evidence -------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[EvidenceLayer, ...]:
        """The evidence layers, in the order in which they came."""
        return tuple(self._layers.values())

    def set_slide(self, width: float, height: float) -> None:
        """Another slide, of that size in level-0 px: all evidence goes."""
        self._slide_size = (max(1.0, width), max(1.0, height))
        self.clear()

    def clear(self) -> None:
        """Take all evidence away. What the reader chose for a layer is kept for when it comes again."""
        for key, layer in self._layers.items():
            self._remembered[key] = (layer.wanted, layer.opacity)
            if isinstance(layer, HeatmapLayer):
                self._tops[key] = layer.top
            self._host.remove_layer(layer)
            if isinstance(layer, CellLayer | ClassMapLayer | TissueMaskLayer):
                layer.stop()
            layer.deleteLater()
        self._layers = {}
        self.set_missing(Region.of(()))
        self._clip = None
        self._shares = None
        self.layers_changed.emit()
        self._show_legend()

    def append(self, evidence: Iterable[Evidence]) -> None:
        """Add parts as they arrive; a layer is made with the first part of its name and kind."""
        evidence, before = tuple(evidence), len(self._layers)
        cells = any(isinstance(x, CellTable) for x in evidence) or any(key[0] == "cells" for key in self._layers)
        for item in evidence:
            layer = self._layer(item, wanted=not cells or isinstance(item, CellTable))
            match layer, item:
                case CellLayer(), CellTable():
                    layer.append(item)
                case ClassMapLayer(), ClassMap():
                    layer.append(item)
                    self._mask_classes(item.grid.bounds)
                case HeatmapLayer(), Heatmap():
                    layer.append(item)
                case TissueMaskLayer(), TissueMask():
                    layer.append(item)
                    self._mask_classes(item.grid.bounds)
            # Worked out of the probabilities, so it is kept nowhere.
            derived = uncertainty(item) if isinstance(item, ClassMap) else None
            if derived is not None:
                below = self._layer(derived, wanted=False)
                if isinstance(below, HeatmapLayer):
                    below.append(derived)
        if len(self._layers) > before:
            # After the first part is in: whoever hears it may ask a layer for its unit and scale.
            self.layers_changed.emit()

    def correct(self, evidence: Iterable[Evidence], box: Bounds) -> None:
        """Tumour masks and class maps in place of those shown; they differ inside ``box`` (level-0 px) alone."""
        by_layer: dict[tuple[str, str], list[Evidence]] = {}
        for item in evidence:
            by_layer.setdefault((item.kind, item.name), []).append(item)
        for key, items in by_layer.items():
            layer = self._layers.get(key)
            if isinstance(layer, TissueMaskLayer):
                layer.set_parts([item for item in items if isinstance(item, TissueMask)], box)
                self._mask_classes(box)
            elif isinstance(layer, ClassMapLayer):
                maps = [item for item in items if isinstance(item, ClassMap)]
                layer.set_parts(maps, box)
                derived = [heat for part in maps if (heat := uncertainty(part)) is not None]
                below = self._layers.get((derived[0].kind, derived[0].name)) if derived else None
                if isinstance(below, HeatmapLayer):
                    below.set_parts(derived)

    def correct_cells(self, patch: CellTable) -> None:
        """Cells as the reader corrected them, told by their places; removed ones have the class ``NO_CELL``."""
        layer = self._layers.get((patch.kind, patch.name))
        if isinstance(layer, CellLayer):
            layer.correct(patch)

    def replace(self, evidence: Iterable[Evidence]) -> None:
        """Show exactly this evidence, for a result of a saved case."""
        self.clear()
        self.append(evidence)

    def set_shares(self, shares: Shares | None) -> None:
        """Numbers of the region for the legends."""
        self._shares = shares
        for layer in self._layers.values():
            layer.set_shares(shares)

    def set_region(self, region: Region, scored: Region) -> None:
        """The region of the reader: evidence outside it is not shown, what is not scored in it is hatched."""
        if scored.empty:
            self.set_missing(Region.of(()))
            clip = None
        else:
            self.set_missing(region.difference(scored))
            clip = None if region.geometry.covers(scored.geometry) else region
        self._clip = clip
        for layer in self._layers.values():
            layer.set_clip(clip)

    def set_missing(self, missing: Region) -> None:
        """What is hatched as not yet scored."""
        self.mask.set_missing(missing)

    # -- what the reader chooses ----------------------------------------------------------------------------------

    @property
    def palette(self) -> str:
        """Id of the palette in use."""
        return self._palette

    def set_palette(self, palette: str) -> None:
        """Use another set of class colours in all layers."""
        self._palette = palette
        for layer in self._layers.values():
            layer.set_palette(palette)

    @property
    def all_hidden(self) -> bool:
        """True while all overlays are hidden together."""
        return self._hidden

    def set_all_hidden(self, hidden: bool) -> None:
        """Hide all overlays, or show again those that were shown."""
        if hidden == self._hidden:
            return
        self._hidden = hidden
        for layer in (*self._layers.values(), self.mask):
            layer.set_suppressed(hidden)
        self._show_legend()
        self.visibility_changed.emit(hidden)

    def toggle_all(self) -> None:
        """Hide all if they are shown, else show them."""
        self.set_all_hidden(not self._hidden)

    def change_opacity(self, step: float) -> None:
        """More or less of all visible layers, for the keys ``[`` and ``]``."""
        for layer in self._layers.values():
            if layer.wanted:
                layer.opacity = round(layer.opacity + step, 2)

    def readout_at(self, x: float, y: float, viewport: Viewport) -> str:
        """What the visible layers say of a slide point (level-0 px), the topmost first; "" for nothing."""
        words = [
            text
            for layer in reversed((self.mask, *self._layers.values()))
            if layer.visible and (text := layer.readout(x, y, viewport))
        ]
        return "  |  ".join(words)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _layer(self, item: Evidence, *, wanted: bool) -> EvidenceLayer | None:
        """The layer of this evidence; a new one is shown if ``wanted``, unless the reader chose otherwise before.

        Where there are cells, maps wait unseen until the reader asks for them: both at once hide the tissue.
        """
        key = (item.kind, item.name)
        layer = self._layers.get(key)
        if layer is not None:
            return layer
        title = item.name[:1].upper() + item.name[1:]
        if isinstance(item, CellTable):
            layer = CellLayer(title, item.scheme, self._slide_size, self)
        elif isinstance(item, ClassMap):
            layer = ClassMapLayer(title, item.scheme, self)
        elif isinstance(item, Heatmap):
            layer = HeatmapLayer(title, self)
        elif isinstance(item, TissueMask):
            layer = TissueMaskLayer(title, self)
        else:
            return None
        wanted, opacity = self._remembered.get(key, (wanted, _DEFAULT_OPACITY[item.kind]))
        self._put(key, layer, wanted, opacity)
        return layer

    def add(self, layer: EvidenceLayer) -> None:
        """A layer that follows from others, until the evidence is another one; unseen until it is asked for."""
        key = ("derived", layer.title)
        wanted, opacity = self._remembered.get(key, (False, _DEFAULT_OPACITY["heatmap"]))
        layer.setParent(self)
        self._put(key, layer, wanted, opacity)
        self.layers_changed.emit()

    def _put(self, key: tuple[str, str], layer: EvidenceLayer, wanted: bool, opacity: float) -> None:
        layer.visible = wanted
        layer.opacity = opacity
        if isinstance(layer, HeatmapLayer):
            layer.set_top(self._tops.get(key))
        layer.set_palette(self._palette)
        layer.set_suppressed(self._hidden)
        layer.set_clip(self._clip)
        layer.set_shares(self._shares)
        layer.legend_changed.connect(self._legend_timer.start)
        self._layers[key] = layer
        self._host.add_layer(layer)
        self._legend_timer.start()

    def _mask_classes(self, box: Bounds) -> None:
        """Classes of the tumour are coloured where the tumour is, however the evidence came in."""
        masks = [
            part for layer in self._layers.values() if isinstance(layer, TissueMaskLayer) for part in layer.parts
        ]
        for layer in self._layers.values():
            if masks and isinstance(layer, ClassMapLayer) and layer.scheme.counted:
                layer.set_masks(masks, box)

    def _show_legend(self) -> None:
        if self._legend is None:
            return
        shown = [] if self._hidden else [layer for layer in self._layers.values() if layer.wanted]
        self._legend.set_legends([legend for layer in shown if (legend := layer.legend()) is not None])

    @property
    def cells(self) -> CellLayer | None:
        """The layer of cells that count towards shares, where there is one."""
        layers = (x for x in self._layers.values() if isinstance(x, CellLayer) and x.scheme.counted)
        return next(layers, None)

    def class_layers(self) -> tuple[ClassLayer, ...]:
        """Those whose classes can be shown one by one."""
        return tuple(layer for layer in self._layers.values() if isinstance(layer, ClassLayer))
