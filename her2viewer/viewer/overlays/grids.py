"""Class maps and heatmaps: one image per grid, scaled with hard edges, since a hidden blur would invent evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QRectF
from PySide6.QtGui import QImage, QPainter

from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.corrections import Bounds
from her2viewer.domain.evidence import NOT_SCORED, ClassMap, Grid, Heatmap, TissueMask
from her2viewer.domain.palette import sequential_colormap
from her2viewer.viewer.canvas.rasters import Raster, RasterSource
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.base import ClassLayer, EvidenceLayer, Legend
from her2viewer.viewer.overlays.masked_classes import masked_render
from her2viewer.viewer.overlays.raster_tiles import RasterTiles, Render, seen, slide_to_screen
from her2viewer.viewer.overlays.tile_shelf import StillRasters, pixels_of


def _image(rgba: NDArray[np.uint8]) -> QImage:
    """QImage of its own memory from (rows, columns, 4) straight RGBA."""
    rows, columns = rgba.shape[:2]
    pixels = np.ascontiguousarray(rgba)
    image = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def _raster(grid: Grid, image: QImage) -> Raster:
    return Raster(pixels_of(image), grid.x, grid.y, grid.step, None, image)


def _paint_grid(painter: QPainter, viewport: Viewport, grid: Grid, image: QImage) -> None:
    x0, y0, x1, y1 = seen(painter, viewport)
    # Only the visible cells: scaling a whole map to a close view costs Qt dearly.
    c0, r0 = max(0, int((x0 - grid.x) // grid.step)), max(0, int((y0 - grid.y) // grid.step))
    c1 = min(grid.columns, int((x1 - grid.x) // grid.step) + 1)
    r1 = min(grid.rows, int((y1 - grid.y) // grid.step) + 1)
    if c0 >= c1 or r0 >= r1:
        return
    painter.save()
    painter.setTransform(slide_to_screen(viewport), True)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
    target = QRectF(grid.x + c0 * grid.step, grid.y + r0 * grid.step, (c1 - c0) * grid.step, (r1 - r0) * grid.step)
    painter.drawImage(target, image, QRectF(c0, r0, c1 - c0, r1 - r0))
    painter.restore()


class ClassMapLayer(ClassLayer):
    """Draws class maps of one scheme, part by part as they come."""

    z = 11

    def __init__(self, title: str, scheme: ClassScheme, parent: QObject | None = None) -> None:
        super().__init__(title, scheme, parent)
        self._parts: list[tuple[ClassMap, QImage | None]] = []
        self._masks: tuple[TissueMask, ...] = ()
        self._occurring: set[int] = set()
        self._tiles = RasterTiles(self)
        self._tiles.ready.connect(self.changed_in)
        self._tiles.ready_ahead.connect(self.drawn_ahead)

    def append(self, part: ClassMap) -> None:
        """Add one part; it lies over earlier ones."""
        self._parts.append((part, None))
        self._note(part)
        self._order(part.grid.bounds)
        self.changed_in.emit(part.grid.bounds)

    def set_parts(self, parts: Sequence[ClassMap], box: Bounds) -> None:
        """Exactly these from now on; they differ from those before inside ``box`` (level-0 px) alone."""
        drawn = {id(part): image for part, image in self._parts}
        self._parts = [(part, drawn.get(id(part))) for part in parts]
        for part in parts:
            self._note(part)
        self._order(box)
        self.changed_in.emit(box)

    def set_masks(self, masks: Sequence[TissueMask], box: Bounds) -> None:
        """Colour only what these call tumour; they differ from those before inside ``box`` (level-0 px) alone."""
        self._masks = tuple(masks)
        self._order(box)

    @property
    def idle(self) -> bool:
        """True when all ordered tiles are there."""
        return self._tiles.idle

    def stop(self) -> None:
        """End the work in the background; the layer is about to go."""
        self._tiles.stop()

    def legend(self) -> Legend | None:
        whole = super().legend()
        if whole is None or self.scheme.counted:
            return whole
        # Of what is not counted, flaws of the slide, only what occurs.
        return replace(whole, rows=tuple(row for i, row in enumerate(whole.rows) if i in self._occurring))

    def viewport_changed(self, viewport: Viewport) -> None:
        # Also before there is a mask: its tiles are ordered for the view of that moment.
        self._tiles.set_viewport(viewport)

    def leave_off(self) -> None:
        self._tiles.leave_off()

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        for part, _ in reversed(self._parts):
            at = part.grid.index(x, y)
            if at is not None and (text := describe_patch(part, at)):
                return text
        return None

    def _paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self._masks:
            self._tiles.paint(painter, viewport)
            return
        for part, image in self._drawn():
            _paint_grid(painter, viewport, part.grid, image)

    def _raster_source(self) -> RasterSource:
        if self._masks:
            return self._tiles.shelf()
        return StillRasters(_raster(part.grid, image) for part, image in self._drawn())

    def _drawn(self) -> list[tuple[ClassMap, QImage]]:
        """Drawn when first seen: a layer that nobody looks at costs nothing while its values change."""
        drawn = [(part, self._draw(part) if known is None else known) for part, known in self._parts]
        self._parts[:] = drawn
        return drawn

    def _restyled(self) -> None:
        self._parts = [(part, None) for part, _ in self._parts]
        if self._masks:
            self._tiles.set_render(self._render())

    def _note(self, part: ClassMap) -> None:
        """Classes that occur, for the legend of what is not counted; of the others all are named."""
        if self.scheme.counted:
            return
        before = len(self._occurring)
        self._occurring |= set(np.flatnonzero(np.bincount(part.classes[part.shown], minlength=1)).tolist())
        if len(self._occurring) > before:
            self.legend_changed.emit()

    def _order(self, box: Bounds) -> None:
        """A patch whose weight is another one is drawn anew as a whole."""
        if self._masks:
            margin = max((part.grid.step for part, _ in self._parts), default=1.0)
            self._tiles.update_render(self._render(), box, margin)

    def _render(self) -> Render:
        parts, colors, shown = [part for part, _ in self._parts], self.colors(), self.shown
        return masked_render(parts, self._masks, colors, shown)

    def _draw(self, part: ClassMap) -> QImage:
        table = np.zeros((256, 4), dtype=np.uint8)
        count = len(self.scheme.names)
        table[:count, :3] = self.colors()
        table[:count, 3] = np.where(self._shown, 255, 0)
        rgba = table[part.classes]
        # Half a patch of tumour counts half, and looks it.
        rgba[..., 3] = (
            rgba[..., 3] * (0.3 + 0.7 * np.clip(part.weight, 0, 1)) * (part.weight > 0) * part.shown
        ).astype(np.uint8)
        return _image(rgba)


def describe_patch(part: ClassMap, at: tuple[int, int]) -> str:
    """A few words on one patch: ``2+ · p 0: 0.02, 1+: 0.20, 2+: 0.71, 3+: 0.07 · tumour 83 %``; "" for nothing."""
    code, tumour = int(part.classes[at]), f"tumour {100 * float(part.weight[at]):.0f} %"
    if not part.scheme.counted:
        return part.scheme.names[code] if part.shown[at] else ""
    if code == NOT_SCORED:
        return f"not classified · {tumour}" if part.weight[at] > 0 else ""
    if not part.shown[at]:
        return f"not counted: {tumour}" if part.weight[at] > 0 else ""
    words = [part.scheme.names[code]]
    if part.probabilities is not None:
        chances = zip(part.scheme.names, part.probabilities[at].tolist(), strict=True)
        words.append("p " + ", ".join(f"{name}: {chance:.2f}" for name, chance in chances))
    return " · ".join([*words, tumour])


class HeatmapLayer(EvidenceLayer):
    """Draws a heatmap with its scale; low values can be left out."""

    # Maps lie under cells: a map covers the tissue, cells leave it to be seen.
    z = 10

    def __init__(self, title: str, parent: QObject | None = None) -> None:
        super().__init__(title, parent)
        self._parts: list[tuple[Heatmap, QImage | None]] = []
        self._threshold: float | None = None
        self._top: float | None = None

    @property
    def heatmap(self) -> Heatmap | None:
        """The first part, for unit and scale; None while empty."""
        return self._parts[0][0] if self._parts else None

    @property
    def threshold(self) -> float | None:
        """Values below it are not drawn; None draws all."""
        return self._threshold

    def set_threshold(self, value: float | None) -> None:
        """Draw only values of at least ``value``, in the unit of the map."""
        if value != self._threshold:
            self._threshold = value
            self._parts = [(part, None) for part, _ in self._parts]
            self.changed.emit()

    @property
    def top(self) -> float | None:
        """Where the scale ends instead of at the end of the map's own, so that slides can be compared; None there."""
        return self._top

    def set_top(self, value: float | None) -> None:
        """End the scale at this value, in the unit of the map."""
        if value != self._top:
            self._top = value
            self._parts = [(part, None) for part, _ in self._parts]
            self.legend_changed.emit()
            self.changed.emit()

    def set_parts(self, parts: Sequence[Heatmap]) -> None:
        """Exactly these from now on."""
        self._parts = [(part, None) for part in parts]
        self.legend_changed.emit()
        self.changed.emit()

    def append(self, part: Heatmap) -> None:
        """Add one part; it lies over earlier ones."""
        self._parts.append((part, None))
        self.legend_changed.emit()
        self.changed_in.emit(part.grid.bounds)

    def value_at(self, x: float, y: float) -> float | None:
        """The value at a slide point, level-0 px; None where there is none."""
        for part, _ in reversed(self._parts):
            at = part.grid.index(x, y)
            if at is not None and not np.isnan(part.values[at]):
                return float(part.values[at])
        return None

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        value, first = self.value_at(x, y), self.heatmap
        if value is None or first is None:
            return None
        # "Mean membrane OD 0.42" says its unit already.
        unit = "" if self.title.split()[-1:] == [first.unit] else first.unit
        return f"{self.title} {value:.2f} {unit}".strip()

    def legend(self) -> Legend | None:
        first = self.heatmap
        if first is None:
            return None
        scale = "Fixed scale" if first.scale == "fixed" else "Scale from percentiles of this slide"
        if self._top is not None:
            scale = "Scale of your choice"
        unit = f" {first.unit}" if first.unit else ""
        return Legend(
            self.title,
            scale=sequential_colormap(),
            low=f"{first.low:.3g}{unit}",
            high=f"{first.high if self._top is None else self._top:.3g}{unit}",
            note=scale,
        )

    def _paint(self, painter: QPainter, viewport: Viewport) -> None:
        for part, image in self._drawn():
            _paint_grid(painter, viewport, part.grid, image)

    def _raster_source(self) -> RasterSource:
        return StillRasters(_raster(part.grid, image) for part, image in self._drawn())

    def _drawn(self) -> list[tuple[Heatmap, QImage]]:
        """Drawn when first seen: a layer that nobody looks at costs nothing while its values change."""
        drawn = [(part, self._draw(part) if known is None else known) for part, known in self._parts]
        self._parts[:] = drawn
        return drawn

    def _seen(self, part: Heatmap) -> NDArray[np.bool_]:
        """(rows, columns): what is drawn, whatever the threshold."""
        return np.asarray(~np.isnan(part.values))

    def _draw(self, part: Heatmap) -> QImage:
        known = self._seen(part)
        values = np.where(known, part.values, part.low)
        span = (part.high if self._top is None else self._top) - part.low or 1.0
        at = np.clip((values - part.low) / span * 255, 0, 255).astype(np.uint8)
        rgba = np.empty((*part.values.shape, 4), dtype=np.uint8)
        rgba[..., :3] = sequential_colormap()[at]
        if self._threshold is not None:
            known &= part.values >= self._threshold
        rgba[..., 3] = np.where(known, 255, 0)
        return _image(rgba)
