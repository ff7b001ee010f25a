"""The layers panel and the evidence layers behind it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QWidget
from pytestqt.qtbot import QtBot

from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME
from her2viewer.domain.evidence import NOT_SCORED, CellTable, ClassMap, Grid, Heatmap
from her2viewer.domain.palette import her2_colors
from her2viewer.domain.region import Region
from her2viewer.domain.shares import CountedUnit, Shares
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.cells import CellLayer
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.overlays.legend import LegendWidget
from her2viewer.viewer.panels.layers_panel import LayersPanel

VIEW = Viewport(500, 500, 2.0, 512, 512)


class Host:
    """As much of a canvas as layers need; paints them as the canvas does."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def add_layer(self, layer: Layer) -> None:
        self.layers.append(layer)

    def remove_layer(self, layer: Layer) -> None:
        self.layers.remove(layer)

    def picture(self, viewport: Viewport) -> QImage:
        image = QImage(viewport.width, viewport.height, QImage.Format.Format_RGB32)
        image.fill(Qt.GlobalColor.white)
        painter = QPainter(image)
        for layer in self.layers:
            layer.viewport_changed(viewport)
            if layer.visible:
                painter.save()
                painter.setOpacity(layer.opacity)
                layer.paint(painter, viewport)
                painter.restore()
        painter.end()
        return image


def cells(x: list[float], y: list[float], classes: list[int]) -> CellTable:
    n = len(x)
    return CellTable(
        "cells",
        CELL_SCHEME,
        np.float32(x),
        np.float32(y),
        np.uint8(classes),
        features={"membrane_od": np.full(n, 0.14, np.float32), "completeness": np.full(n, 62.0, np.float32)},
        feature_units={"membrane_od": "OD", "completeness": "%"},
        contours=np.concatenate(
            [
                np.float32([(a - 15, b - 15), (a + 15, b - 15), (a + 15, b + 15), (a - 15, b + 15)])
                for a, b in zip(x, y, strict=True)
            ]
        ),
        contour_starts=np.arange(0, 4 * n + 1, 4, dtype=np.int64),
    )


def class_map() -> ClassMap:
    classes = np.full((10, 10), NOT_SCORED, np.uint8)
    classes[2:4, 2:4] = 3
    weight = (classes != NOT_SCORED).astype(np.float32)
    return ClassMap("class map", Grid(0, 0, 100, 10, 10), TUMOUR_SCHEME, classes, weight)


def heatmap() -> Heatmap:
    values = np.full((10, 10), np.nan, np.float32)
    values[5, 5], values[6, 6] = 0.2, 0.9
    return Heatmap("attention", Grid(0, 0, 100, 10, 10), values, "", 0.0, 1.0, "percentile")


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def layers(qtbot: QtBot, host: Host) -> Iterator[EvidenceLayers]:
    made = EvidenceLayers(host)
    made.set_slide(1000, 1000)
    yield made
    made.clear()


def settle(qtbot: QtBot, host: Host, viewport: Viewport = VIEW) -> QImage:
    host.picture(viewport)
    qtbot.waitUntil(lambda: all(x.idle for x in host.layers if isinstance(x, CellLayer)), timeout=5000)
    return host.picture(viewport)


def colored(image: QImage, rgb: tuple[int, int, int], near: int = 60) -> int:
    """Pixels close to a colour."""
    data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)[..., 2::-1]
    return int((np.abs(data.astype(int) - rgb).sum(axis=-1) < near).sum())


def test_layers_come_with_the_evidence_and_go_with_it(qtbot: QtBot, host: Host, layers: EvidenceLayers) -> None:
    panel = LayersPanel(layers)
    qtbot.addWidget(panel)
    assert panel.blocks == ()
    layers.append((class_map(), heatmap()))
    layers.append((cells([500], [500], [3]),))
    layers.append((cells([520], [560], [0]),))
    assert [b.layer.title for b in panel.blocks] == ["Class map", "Attention", "Cells"]
    layers.clear()
    assert panel.blocks == ()
    assert host.layers == [layers.mask]


def test_cells_are_drawn_in_the_colour_of_their_class(qtbot: QtBot, host: Host, layers: EvidenceLayers) -> None:
    layers.append((cells([500], [500], [3]),))
    yellow = her2_colors()[3]
    assert colored(settle(qtbot, host), yellow) > 10


def test_a_part_that_comes_later_appears_without_another_view(
    qtbot: QtBot, host: Host, layers: EvidenceLayers
) -> None:
    layers.append((cells([200, 250, 300], [200, 200, 200], [0, 0, 0]),))
    before = settle(qtbot, host)
    pink = her2_colors()[2]
    assert colored(before, pink) == 0
    layers.append((cells([500], [500], [2]),))
    assert colored(settle(qtbot, host), pink) > 10


def test_a_class_can_be_hidden_and_all_be_shown_again(qtbot: QtBot, host: Host, layers: EvidenceLayers) -> None:
    panel = LayersPanel(layers)
    qtbot.addWidget(panel)
    layers.append((cells([450, 550], [500, 500], [3, 2]),))
    block = panel.blocks[0]
    block.classes[3].click()
    image = settle(qtbot, host)
    assert colored(image, her2_colors()[3]) == 0
    assert colored(image, her2_colors()[2]) > 10
    layer = layers.class_layers()[0]
    layer.set_all_shown(True)
    assert block.classes[3].isChecked()
    assert colored(settle(qtbot, host), her2_colors()[3]) > 10
    layer.set_all_shown(False)
    assert not any(box.isChecked() for box in block.classes)
    assert layer.readout(450, 500, VIEW) is None


def test_a_class_map_has_hard_edges_and_obeys_its_opacity(qtbot: QtBot, host: Host, layers: EvidenceLayers) -> None:
    panel = LayersPanel(layers)
    qtbot.addWidget(panel)
    layers.append((class_map(),))
    panel.blocks[0].spin.setValue(100)
    assert panel.blocks[0].slider.value() == 100
    image = settle(qtbot, host)
    # 200 level-0 px square at 2 px per px: 100 x 100 px of one colour and nothing in between.
    assert colored(image, her2_colors()[3], near=4) == 100 * 100
    panel.blocks[0].slider.setValue(0)
    assert colored(settle(qtbot, host), (255, 255, 255), near=1) == 512 * 512


def test_everything_turns_with_the_view(qtbot: QtBot, host: Host, layers: EvidenceLayers) -> None:
    layers.append((class_map(), cells([100], [100], [2])))
    layers.layers[0].visible = True
    turned = Viewport(500, 500, 2.0, 512, 512, rotation=90)
    image = settle(qtbot, host, turned)
    sx, sy = turned.to_screen(300, 300)
    assert QColor(image.pixel(round(sx), round(sy))).red() > 200
    assert QColor(image.pixel(round(sx), round(sy))).blue() < 150
    x, y = turned.to_screen(100, 100)
    patch = image.copy(round(x) - 15, round(y) - 15, 30, 30)
    assert colored(patch, her2_colors()[2]) > 10


def test_all_are_hidden_for_a_moment_and_come_back_as_they_were(
    qtbot: QtBot, host: Host, layers: EvidenceLayers
) -> None:
    layers.append((class_map(), heatmap()))
    layers.layers[1].visible = False
    layers.set_all_hidden(True)
    assert [x.visible for x in layers.layers] == [False, False]
    assert [x.wanted for x in layers.layers] == [True, False]
    assert not layers.mask.visible
    layers.toggle_all()
    assert [x.visible for x in layers.layers] == [True, False]


def test_what_was_chosen_for_a_layer_holds_for_the_next_run(layers: EvidenceLayers) -> None:
    layers.append((class_map(),))
    layers.layers[0].visible = False
    layers.layers[0].opacity = 0.3
    layers.replace((class_map(),))
    assert not layers.layers[0].wanted
    assert layers.layers[0].opacity == 0.3


def test_the_readout_names_what_lies_under_the_pointer(layers: EvidenceLayers) -> None:
    layers.append((class_map(), heatmap(), cells([250], [250], [1])))
    # Where there are cells, maps are not shown before somebody asks for them.
    assert layers.readout_at(250, 250, VIEW) == "1+ · membrane OD 0.14 · complete 62 %"
    for layer in layers.layers:
        layer.visible = True
    assert layers.readout_at(250, 250, VIEW) == "1+ · membrane OD 0.14 · complete 62 %  |  3+ · tumour 100 %"
    assert layers.readout_at(650, 650, VIEW) == "Attention 0.90"
    assert layers.readout_at(850, 150, VIEW) == ""
    layers.set_region(Region.rectangle(0, 0, 1000, 1000), Region.rectangle(0, 0, 500, 1000))
    assert layers.readout_at(850, 150, VIEW) == "not yet scored"


def test_what_is_not_scored_is_hatched_and_what_lies_outside_the_outline_is_not_shown(
    qtbot: QtBot, host: Host, layers: EvidenceLayers
) -> None:
    layers.append((class_map(),))
    layers.layers[0].opacity = 1.0
    whole = Region.rectangle(0, 0, 1000, 1000)
    layers.set_region(whole, whole)
    plain = settle(qtbot, host)
    assert colored(plain, her2_colors()[3], near=4) == 100 * 100
    layers.set_region(Region.rectangle(0, 0, 1000, 300), whole)
    assert colored(settle(qtbot, host), her2_colors()[3], near=4) == pytest.approx(100 * 50, abs=100)
    layers.set_region(whole, Region.rectangle(0, 0, 1000, 500))
    hatched = settle(qtbot, host)
    below = hatched.copy(0, 300, 512, 200)
    above = hatched.copy(0, 10, 512, 60)
    assert colored(below, (255, 255, 255), near=1) < 512 * 200 * 0.9
    assert colored(above, (255, 255, 255), near=1) == 512 * 60


def test_a_heatmap_can_leave_out_low_values(qtbot: QtBot, host: Host, layers: EvidenceLayers) -> None:
    panel = LayersPanel(layers)
    qtbot.addWidget(panel)
    layers.append((heatmap(),))
    layers.layers[0].opacity = 1.0
    assert colored(settle(qtbot, host), (255, 255, 255), near=1) == 512 * 512 - 2 * 50 * 50
    only, value = panel.blocks[0].findChild(QCheckBox, "threshold"), panel.blocks[0].findChild(QDoubleSpinBox)
    value.setValue(0.5)
    only.click()
    assert colored(settle(qtbot, host), (255, 255, 255), near=1) == 512 * 512 - 50 * 50


def test_the_legend_has_counts_with_units_and_the_scale_of_a_heatmap(qtbot: QtBot, host: Host) -> None:
    parent = QWidget()
    parent.resize(600, 400)
    qtbot.addWidget(parent)
    legend = LegendWidget(parent)
    layers = EvidenceLayers(host, legend)
    layers.set_slide(1000, 1000)
    layers.append((cells([250], [250], [1]), heatmap()))
    layers.set_shares(Shares((2630, 905, 604, 173), CountedUnit.CELLS, excluded=300))
    qtbot.waitUntil(lambda: legend.isVisibleTo(parent))
    first, second = (layer.legend() for layer in layers.layers)
    assert first is not None
    assert second is not None
    assert [(r.text, r.amount, r.percent) for r in first.rows] == [
        ("0", "2,630", "61.0 %"),
        ("1+", "905", "21.0 %"),
        ("2+", "604", "14.0 %"),
        ("3+", "173", "4.0 %"),
        ("not tumour", "300", ""),
    ]
    assert "tumour cells in the ROI" in first.note
    # Rounded the same as the bars: never onto a limit from below.
    layers.set_shares(Shares((60, 1, 15, 9975), CountedUnit.CELLS))
    just_below = layers.layers[0].legend()
    assert just_below is not None
    assert just_below.rows[1].percent == "<0.1 %"
    assert (second.low, second.high) == ("0", "1")
    assert "percentiles" in second.note
    tall = legend.height()
    assert legend.geometry().bottom() < parent.height() - 32
    qtbot.mouseClick(legend, Qt.MouseButton.LeftButton)
    assert legend.collapsed
    assert legend.height() < tall / 2
    layers.set_all_hidden(True)
    assert not legend.isVisibleTo(parent)
    layers.clear()


def test_the_palette_changes_all_layers(qtbot: QtBot, host: Host, layers: EvidenceLayers) -> None:
    panel = LayersPanel(layers)
    qtbot.addWidget(panel)
    layers.append((class_map(),))
    panel.set_palette("qupath")
    layers.layers[0].opacity = 1.0
    assert colored(settle(qtbot, host), her2_colors("qupath")[3], near=4) == 100 * 100
    layers.append((cells([250], [250], [1]),))
    assert layers.layers[1]._palette == "qupath"


def test_the_same_region_again_paints_nothing_anew(qtbot: QtBot, host: Host, layers: EvidenceLayers) -> None:
    layers.append((class_map(),))
    part, whole = Region.rectangle(0, 0, 1000, 300), Region.rectangle(0, 0, 1000, 1000)
    layers.set_region(part, whole)
    changed = []
    layers.layers[0].changed.connect(lambda: changed.append(True))
    layers.set_region(part, whole)
    assert changed == []
    layers.set_region(Region.rectangle(0, 0, 1000, 400), whole)
    assert changed == [True]
