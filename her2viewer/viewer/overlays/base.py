"""What all evidence layers share: hiding them together, the region they are shown in, their legend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QPainter, QPainterPath

from her2viewer.domain.annotation import RGB
from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.palette import DEFAULT_PALETTE, class_colors
from her2viewer.domain.pixelsize import mm2_column
from her2viewer.domain.region import Region
from her2viewer.domain.shares import CountedUnit, Shares, percent_text
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.rasters import LayerRasters, RasterSource
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.clip import Clip
from her2viewer.viewer.overlays.raster_tiles import seen, slide_to_screen


@dataclass(frozen=True)
class LegendRow:
    """One class of a legend."""

    color: RGB
    text: str
    amount: str = ""
    percent: str = ""
    shown: bool = True


@dataclass(frozen=True)
class Legend:
    """What a legend shows of one layer: classes, or a scale."""

    title: str
    rows: tuple[LegendRow, ...] = ()
    scale: NDArray[np.uint8] | None = field(default=None, compare=False)
    """(256, 3) colours from low to high."""
    low: str = ""
    high: str = ""
    note: str = ""


_last_clip: list[Clip] = []


def _clip_of(region: Region) -> Clip:
    """The same one for all layers: they are clipped one after another. Main thread."""
    if not _last_clip or _last_clip[0].region is not region:
        _last_clip[:] = [Clip(region)]
    return _last_clip[0]


class EvidenceLayer(Layer):
    """A layer that shows what a scorer saw."""

    composed = True
    legend_changed = Signal()

    def __init__(self, title: str, parent: QObject | None = None) -> None:
        super().__init__(title, parent)
        self._suppressed = False
        self._palette = DEFAULT_PALETTE
        self._clip: Clip | None = None

    @property
    def visible(self) -> bool:
        """Drawn now: wanted by the reader and not hidden together with all others."""
        return self._visible and not self._suppressed

    @visible.setter
    def visible(self, value: bool) -> None:
        if value != self._visible:
            self._visible = value
            self.changed.emit()
            self.legend_changed.emit()

    @property
    def wanted(self) -> bool:
        """What the checkbox of the layer says, whether or not all are hidden for the moment."""
        return self._visible

    def set_suppressed(self, value: bool) -> None:
        """Hide for the moment, with all others."""
        if value != self._suppressed:
            self._suppressed = value
            self.changed.emit()

    def set_palette(self, palette: str) -> None:
        """Use another set of class colours."""
        if palette != self._palette:
            self._palette = palette
            self._restyled()
            self.legend_changed.emit()
            self.changed.emit()

    def set_clip(self, region: Region | None) -> None:
        """Show only what lies in ``region``; None shows all."""
        if region is (None if self._clip is None else self._clip.region):
            # As at each part that comes from a scorer.
            return
        self._clip = None if region is None else _clip_of(region)
        self.changed.emit()

    def set_shares(self, shares: Shares | None) -> None:
        """Numbers of the region now shown, for the legend."""

    def legend(self) -> Legend | None:
        """What the legend says of this layer; None for nothing."""
        return None

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        clip = True if self._clip is None else self._clip.within(seen(painter, viewport))
        if clip is False:
            return
        painter.save()
        if isinstance(clip, QPainterPath):
            painter.setClipPath(slide_to_screen(viewport).map(clip), Qt.ClipOperation.IntersectClip)
        self._paint(painter, viewport)
        painter.restore()

    def rasters(self) -> LayerRasters | None:
        source = self._raster_source()
        if source is None:
            return None
        return LayerRasters(source, self.opacity, None if self._clip is None else self._clip.rings)

    def _paint(self, painter: QPainter, viewport: Viewport) -> None:
        raise NotImplementedError

    def _raster_source(self) -> RasterSource | None:
        """What ``_paint`` would paint as images at hand; None where it paints anything else."""
        return None

    def _restyled(self) -> None:
        """Palette or shown classes are others."""


class ClassLayer(EvidenceLayer):
    """An evidence layer whose classes can be shown and hidden one by one."""

    classes_changed = Signal()

    def __init__(self, title: str, scheme: ClassScheme, parent: QObject | None = None) -> None:
        super().__init__(title, parent)
        self.scheme = scheme
        self._shown = np.ones(len(scheme.names), dtype=bool)
        self._shares: Shares | None = None

    @property
    def shown(self) -> NDArray[np.bool_]:
        """(classes,) which classes are drawn; a copy."""
        return self._shown.copy()

    def set_shown(self, index: int, shown: bool) -> None:
        """Show or hide one class of the scheme."""
        if bool(self._shown[index]) != shown:
            self._shown[index] = shown
            self._after_filter()

    def set_all_shown(self, shown: bool) -> None:
        """Show or hide all classes."""
        if bool((self._shown != shown).any()):
            self._shown[:] = shown
            self._after_filter()

    def colors(self) -> NDArray[np.uint8]:
        """(classes, 3) RGB of the palette in use."""
        return class_colors(self.scheme, self._palette)

    def set_shares(self, shares: Shares | None) -> None:
        if shares != self._shares:
            self._shares = shares
            self.legend_changed.emit()

    def legend(self) -> Legend | None:
        amounts = self._amounts()
        counted = self._shares if amounts is not None else None
        rows = []
        texts: Iterator[str] = iter(())
        if counted is not None and amounts is not None:
            texts = iter(amount_texts([a for a in amounts if a is not None], counted.unit))
        for i, (name, color) in enumerate(zip(self.scheme.names, self.colors().tolist(), strict=True)):
            code = self.scheme.her2[i]
            amount = percent = ""
            if counted is not None and amounts is not None and amounts[i] is not None:
                amount = next(texts)
                if code >= 0 and counted.total > 0:
                    percent = percent_text(counted.percent[code])
            rows.append(LegendRow((color[0], color[1], color[2]), name, amount, percent, bool(self._shown[i])))
        note = "" if counted is None else f"% of {counted.unit} in the ROI"
        return Legend(self.title, tuple(rows), note=note)

    def _amounts(self) -> list[float | None] | None:
        """Amount of each class of the scheme, None of one that the shares do not tell from another one."""
        shares = self._shares
        if shares is None or not self.scheme.counted:
            return None
        amounts = {code: shares.excluded if code < 0 else shares.amounts[code] for code in self.scheme.her2}
        apart = dict(shares.left_out)
        return [
            amounts[code] if self.scheme.her2.count(code) == 1 else apart.get(name)
            for name, code in zip(self.scheme.names, self.scheme.her2, strict=True)
        ]

    def _after_filter(self) -> None:
        self._restyled()
        self.classes_changed.emit()
        self.legend_changed.emit()
        self.changed.emit()


def amount_texts(amounts: Sequence[float], unit: CountedUnit) -> tuple[str, ...]:
    """Amounts of a column as printed: ``4,312`` cells or ``1.24 mm²``."""
    return tuple(f"{n:,.0f}" for n in amounts) if unit is CountedUnit.CELLS else mm2_column(amounts)
