"""The overlays: seen or not, how strongly, which classes, in which colours."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from her2viewer.domain.evidence import Heatmap
from her2viewer.domain.palette import PALETTES
from her2viewer.viewer.overlays.base import ClassLayer, EvidenceLayer
from her2viewer.viewer.overlays.derived_maps import DerivedMapLayer
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.overlays.grids import HeatmapLayer
from her2viewer.viewer.panels.calm import CalmCombo, CalmDoubleSpin, CalmSlider, CalmSpin
from her2viewer.viewer.panels.trouble import Trouble
from her2viewer.viewer.panels.words import ElidedCheck, label


class LayersPanel(QWidget):
    """One block for each layer; the blocks come and go with the evidence."""

    palette_changed = Signal(str)
    """Id of the palette that was chosen."""

    def __init__(self, layers: EvidenceLayers, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("layersPanel")
        self._layers = layers
        self._blocks: list[_LayerBlock] = []
        self._empty = label("Run a scorer: what it sees appears here.", "muted")
        self._column = QVBoxLayout()
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(12)
        self._palette = CalmCombo()
        self._palette.setObjectName("palette")
        self._palette.setAccessibleName("Colours of the classes")
        for palette in PALETTES.values():
            self._palette.addItem(palette.title, palette.id)
        self._palette.setSizeAdjustPolicy(CalmCombo.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._palette.setMinimumContentsLength(8)
        self._palette.activated.connect(self._choose_palette)
        colours = QHBoxLayout()
        colours.setSpacing(8)
        colours.addWidget(label("Colours", wrap=False))
        colours.addWidget(self._palette, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addWidget(self._empty)
        column.addLayout(self._column)
        column.addLayout(colours)
        layers.layers_changed.connect(self._fill)
        self._fill()

    @property
    def blocks(self) -> tuple[_LayerBlock, ...]:
        """The blocks shown, in the order of the layers."""
        return tuple(self._blocks)

    def set_palette(self, palette: str) -> None:
        """Show and use that palette."""
        self._palette.setCurrentIndex(max(0, self._palette.findData(palette)))
        self._layers.set_palette(palette)
        for block in self._blocks:
            block.refresh()

    def set_all_hidden(self, hidden: bool) -> None:
        """Hide all overlays, or show again those that were shown."""
        self._layers.set_all_hidden(hidden)

    def _choose_palette(self) -> None:
        self.set_palette(self._palette.currentData())
        self.palette_changed.emit(self._palette.currentData())

    def _fill(self) -> None:
        for block in self._blocks:
            self._column.removeWidget(block)
            # Hidden at once: deleted only later, it would shine through the new ones for a frame.
            block.hide()
            block.deleteLater()
        self._blocks = [_LayerBlock(layer) for layer in self._layers.layers]
        for block in self._blocks:
            self._column.addWidget(block)
        self._empty.setVisible(not self._blocks)


class _LayerBlock(QWidget):
    """Checkbox, opacity, classes of one layer."""

    def __init__(self, layer: EvidenceLayer) -> None:
        super().__init__()
        self.layer = layer
        self.check = ElidedCheck(layer.title)
        self.check.setToolTip(f"Show the layer {layer.title}")
        self.slider = CalmSlider()
        self.slider.setRange(0, 100)
        self.slider.setAccessibleName(f"Opacity of {layer.title}")
        self.spin = CalmSpin()
        self.spin.setRange(0, 100)
        self.spin.setSuffix(" %")
        self.spin.setAccessibleName(f"Opacity of {layer.title}")
        self.spin.setFixedWidth(64)
        self.spin.setButtonSymbols(CalmSpin.ButtonSymbols.NoButtons)
        self.spin.setAlignment(Qt.AlignmentFlag.AlignRight)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.check, 1)
        opacity = QHBoxLayout()
        opacity.setSpacing(8)
        opacity.setContentsMargins(22, 0, 0, 0)
        opacity.addWidget(self.slider, 1)
        opacity.addWidget(self.spin)
        self._details = QWidget()
        column = QVBoxLayout(self._details)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(opacity)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        whole.addLayout(top)
        whole.addWidget(self._details)
        self.classes: list[QCheckBox] = []
        if isinstance(layer, ClassLayer):
            self._add_classes(layer, top, column)
        self._column = column
        self._threshold: CalmDoubleSpin | None = None
        self._top: tuple[QCheckBox, CalmDoubleSpin] | None = None
        self.trouble: Trouble | None = None
        if isinstance(layer, DerivedMapLayer):
            self.trouble = self._add_trouble(layer, column)
        if isinstance(layer, DerivedMapLayer) and layer.choices:
            self._add_choices(layer, column)
        self.check.toggled.connect(self._take_visible)
        self.slider.valueChanged.connect(self._take_opacity)
        self.spin.valueChanged.connect(self._take_opacity)
        layer.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the layer is now."""
        percent = round(100 * self.layer.opacity)
        for field in (self.slider, self.spin):
            if field.value() != percent:
                with QSignalBlocker(field):
                    field.setValue(percent)
        with QSignalBlocker(self.check):
            self.check.setChecked(self.layer.wanted)
        # Maps that are offered with every result take one line each until they are asked for.
        self._details.setVisible(self.layer.wanted or not isinstance(self.layer, DerivedMapLayer))
        if self.trouble is not None and isinstance(self.layer, DerivedMapLayer):
            self.trouble.tell(self.layer.problem)
        if isinstance(self.layer, HeatmapLayer) and self.layer.heatmap is not None:
            self._follow_scale(self.layer, self.layer.heatmap)
        if isinstance(self.layer, ClassLayer):
            shown = self.layer.shown
            key = self.layer.colors().tobytes()
            for i, box in enumerate(self.classes):
                with QSignalBlocker(box):
                    box.setChecked(bool(shown[i]))
            if self.property("colors") != key:
                self.setProperty("colors", key)
                for box, color in zip(self.classes, self.layer.colors().tolist(), strict=True):
                    box.setIcon(swatch(QColor(*color)))

    def _add_classes(self, layer: ClassLayer, top: QHBoxLayout, column: QVBoxLayout) -> None:
        for text, shown in (("all", True), ("none", False)):
            button = QPushButton(text)
            button.setObjectName("linkButton")
            button.setToolTip(f"Show {text} of the classes")
            button.clicked.connect(lambda _=False, value=shown: layer.set_all_shown(value))
            top.addWidget(button)
        grid = QGridLayout()
        grid.setContentsMargins(22, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(6)
        for i, name in enumerate(layer.scheme.names):
            box = QCheckBox(name)
            box.setIconSize(QSize(10, 10))
            box.toggled.connect(lambda on, index=i: layer.set_shown(index, on))
            grid.addWidget(box, i // 2, i % 2)
            self.classes.append(box)
        column.addLayout(grid)
        layer.classes_changed.connect(self.refresh)

    def _add_trouble(self, layer: DerivedMapLayer, column: QVBoxLayout) -> Trouble:
        made = Trouble()
        made.again.connect(layer.again)
        row = QHBoxLayout()
        row.setContentsMargins(22, 0, 0, 0)
        row.addWidget(made)
        column.addLayout(row)
        return made

    def _add_choices(self, layer: DerivedMapLayer, column: QVBoxLayout) -> None:
        choice = CalmCombo()
        choice.setObjectName("mapChoice")
        choice.setAccessibleName(f"Kind of {layer.title}")
        choice.addItems(layer.choices)
        choice.setCurrentIndex(layer.choice)
        choice.currentIndexChanged.connect(layer.set_choice)
        row = QHBoxLayout()
        row.setContentsMargins(22, 0, 0, 0)
        row.addWidget(choice, 1)
        column.addLayout(row)

    def _follow_scale(self, layer: HeatmapLayer, heatmap: Heatmap) -> None:
        """A map that is worked out later brings its scale along, and another one with each kind."""
        value = self._threshold
        if self._top is not None and not self._top[0].isChecked():
            with QSignalBlocker(self._top[1]):
                _set_top_range(self._top[1], heatmap)
        if value is None:
            self._add_threshold(layer, heatmap, self._column)
            self._add_top(layer, heatmap, self._column)
        elif (value.minimum(), value.maximum()) != (round(heatmap.low, 2), round(heatmap.high, 2)):
            value.setRange(heatmap.low, heatmap.high)
            value.setSingleStep((heatmap.high - heatmap.low) / 50 or 0.1)

    def _add_threshold(self, layer: HeatmapLayer, heatmap: Heatmap, column: QVBoxLayout) -> None:
        check = QCheckBox("Only from")
        check.setObjectName("threshold")
        value = CalmDoubleSpin()
        value.setRange(heatmap.low, heatmap.high)
        value.setSingleStep((heatmap.high - heatmap.low) / 50 or 0.1)
        value.setValue(heatmap.low)
        # A long unit stands in the legend.
        value.setSuffix(f" {heatmap.unit}" if 0 < len(heatmap.unit) < 8 else "")
        self._threshold = value

        _add_limit(column, check, value, layer.set_threshold)

    def _add_top(self, layer: HeatmapLayer, heatmap: Heatmap, column: QVBoxLayout) -> None:
        check = QCheckBox("Scale to")
        check.setObjectName("scaleTop")
        check.setToolTip("Let the colours end here on this slide and on others, so that they can be compared")
        value = CalmDoubleSpin()
        value.setObjectName("scaleTopValue")
        value.setAccessibleName(f"End of the scale of {layer.title}")
        _set_top_range(value, heatmap)
        if layer.top is not None:
            value.setValue(layer.top)
            check.setChecked(True)
        self._top = (check, value)

        _add_limit(column, check, value, layer.set_top)

    def _take_visible(self, on: bool) -> None:
        self.layer.visible = on

    def _take_opacity(self, percent: int) -> None:
        self.layer.opacity = percent / 100


def _add_limit(
    column: QVBoxLayout, check: QCheckBox, value: CalmDoubleSpin, use: Callable[[float | None], None]
) -> None:
    """A row of a number that holds while its check box is on; ``use`` is told the number, or None."""

    def take() -> None:
        use(value.value() if check.isChecked() else None)

    check.toggled.connect(lambda _: take())
    value.valueChanged.connect(lambda _: take())
    row = QHBoxLayout()
    row.setContentsMargins(22, 0, 0, 0)
    row.addWidget(check)
    row.addWidget(value, 1)
    column.addLayout(row)


def _set_top_range(value: CalmDoubleSpin, heatmap: Heatmap) -> None:
    """From just above the lowest value far beyond the map's own scale; shows the end of that."""
    span = heatmap.high - heatmap.low or 1.0
    value.setRange(heatmap.low + 0.01, heatmap.low + 1000 * span)
    value.setSingleStep(span / 20)
    value.setValue(heatmap.high)


def swatch(color: QColor, size: int = 10) -> QIcon:
    """A small rounded square of a class colour, sharp on screens of twice the density."""
    image = QPixmap(2 * size, 2 * size)
    image.setDevicePixelRatio(2)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawRoundedRect(0, 0, size, size, 2, 2)
    painter.end()
    return QIcon(image)
