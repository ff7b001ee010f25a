"""Density and local heterogeneity of cells as layers of the real window."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from PySide6.QtWidgets import QCheckBox, QComboBox
from pytestqt.qtbot import QtBot

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.overlays import derived_maps
from her2viewer.viewer.overlays.derived_maps import DensityLayer, DerivedMapLayer, HeterogeneityLayer
from her2viewer.viewer.panels.layers_panel import CalmDoubleSpin
from her2viewer.viewer.panels.trouble import Trouble
from tests.helpers.cell_evidence import STEP, cells_result, lattice_cells
from tests.helpers.surface_evidence import surface_evidence, surface_result
from tests.viewer.test_main_window import write_slide
from tests.viewer.test_surface_window import new_window, open_in


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> MainWindow:
    made = new_window(qtbot)
    open_in(qtbot, made, write_slide(tmp_path / "cells.ome.tif", 0.5, (1000, 1300)))
    made.session.add(Annotation.drawn(shapely.box(0, 0, 1300, 1000), Role.ROI), "Draw region")
    size = made.session.pixel_size
    assert size is not None
    made.controller.restore(cells_result((lattice_cells(),), made.session.region, size))
    return made


def layer(window: MainWindow, kind: type[DerivedMapLayer]) -> DerivedMapLayer:
    return next(x for x in window.evidence.layers if isinstance(x, kind))


def show(qtbot: QtBot, window: MainWindow, wanted: DerivedMapLayer) -> None:
    wanted.visible = True
    settle(qtbot, window)


def settle(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: not window.cells.shown.pausing and window.cells.maps.idle)


def test_both_maps_are_offered_with_cells_and_made_when_they_are_looked_at(qtbot: QtBot, window: MainWindow) -> None:
    density, mixed = layer(window, DensityLayer), layer(window, HeterogeneityLayer)
    settle(qtbot, window)
    assert not density.wanted
    assert density.heatmap is None
    assert mixed.heatmap is None
    show(qtbot, window, density)
    assert density.heatmap is not None
    assert mixed.heatmap is None
    assert density.heatmap.unit == "cells / 0.015 mm²"
    legend = density.legend()
    assert legend is not None
    assert legend.title == "Density: 3+"
    assert "0.015 mm²" in legend.note


def opacity(density: DensityLayer, x: float, y: float) -> int:
    """0 to 255 of what is painted at a slide point."""
    heatmap = density.heatmap
    assert heatmap is not None
    at = heatmap.grid.index(x, y)
    assert at is not None
    return density._draw(heatmap).pixelColor(at[1], at[0]).alpha()


def test_the_density_is_that_of_the_class_that_is_chosen_in_the_panel(qtbot: QtBot, window: MainWindow) -> None:
    density = layer(window, DensityLayer)
    show(qtbot, window, density)
    strong, weak = 100 + 35 * STEP, 100 + 4 * STEP
    # Nine of ten cells of the lattice are tumour: 122.5 um across, one in 12 um.
    full = 0.9 * (122.47 / 12) ** 2
    assert density.value_at(strong, 450) == pytest.approx(full, rel=0.2)
    assert density.value_at(weak, 450) == 0
    # Where there are none the tissue shows.
    assert (opacity(density, strong, 450), opacity(density, weak, 450)) == (255, 0)
    block = next(b for b in window.panels.layers.blocks if b.layer is density)
    choice = block.findChild(QComboBox, "mapChoice")
    assert choice is not None
    assert [choice.itemText(k) for k in range(choice.count())][:2] == ["all tumour cells", "artefact"]
    choice.setCurrentIndex(choice.findText("0"))
    settle(qtbot, window)
    assert density.value_at(strong, 450) == 0
    assert density.value_at(weak, 450) == pytest.approx(full, rel=0.2)
    view = window.canvas.viewport
    assert density.readout(weak, 450, view) == f"0: {density.value_at(weak, 450):.0f} cells / 0.015 mm²"


def test_the_threshold_follows_the_scale_of_the_map(qtbot: QtBot, window: MainWindow) -> None:
    density = layer(window, DensityLayer)
    block = next(b for b in window.panels.layers.blocks if b.layer is density)
    assert block.findChild(CalmDoubleSpin) is None
    show(qtbot, window, density)
    spin = block.findChild(CalmDoubleSpin)
    assert spin is not None
    assert density.heatmap is not None
    assert spin.maximum() == density.heatmap.high
    density.set_choice(2)
    settle(qtbot, window)
    assert spin.maximum() == density.heatmap.high


def test_heterogeneity_is_nought_in_a_band_and_that_of_two_classes_between_two(
    qtbot: QtBot, window: MainWindow
) -> None:
    table, size = lattice_cells(), window.session.pixel_size
    assert size is not None
    halves = np.where(np.arange(1200) % 40 < 20, 3, 6).astype(np.uint8)
    window.controller.restore(cells_result((replace(table, classes=halves),), window.session.region, size))
    mixed = layer(window, HeterogeneityLayer)
    show(qtbot, window, mixed)
    assert mixed.value_at(100 + 4 * STEP, 450) == 0
    assert mixed.value_at(100 + 20 * STEP, 450) == pytest.approx(math.log(2), abs=0.02)
    legend = mixed.legend()
    assert legend is not None
    assert legend.high == "1.39 all four alike"


def test_maps_follow_the_outline_and_the_cells(qtbot: QtBot, window: MainWindow) -> None:
    density = layer(window, DensityLayer)
    show(qtbot, window, density)
    strong = 100 + 35 * STEP
    assert density.value_at(strong, 450) is not None
    roi = window.session.annotations.items[0]
    left = roi.with_geometry(shapely.box(0, 0, 600, 1000))
    window.session.edit("Shrink", window.session.annotations.replaced(left))
    qtbot.waitUntil(lambda: density.value_at(strong, 450) is None)
    window.session.undo_stack.undo()
    qtbot.waitUntil(lambda: density.value_at(strong, 450) is not None)
    table, size = lattice_cells(), window.session.pixel_size
    assert size is not None
    fewer = replace(table, classes=np.where(table.classes == 6, 5, table.classes).astype(np.uint8))
    window.controller.restore(cells_result((fewer,), window.session.region, size))
    again = layer(window, DensityLayer)
    assert again.wanted, "what the reader had chosen to see stays"
    qtbot.waitUntil(lambda: again.value_at(strong, 450) == 0)
    settle(qtbot, window)


def test_a_scorer_of_surfaces_has_no_maps_of_cells(qtbot: QtBot, window: MainWindow) -> None:
    size = window.session.pixel_size
    assert size is not None
    window.controller.restore(surface_result(surface_evidence(1300, 1000, 0.5), window.session.region, size))
    assert not [x for x in window.evidence.layers if isinstance(x, DerivedMapLayer)]
    settle(qtbot, window)


def test_the_scale_can_end_where_the_reader_wants_so_that_slides_can_be_compared(
    qtbot: QtBot, window: MainWindow
) -> None:
    density = layer(window, DensityLayer)
    show(qtbot, window, density)
    assert density.heatmap is not None
    block = next(b for b in window.panels.layers.blocks if b.layer is density)
    check = block.findChild(QCheckBox, "scaleTop")
    value = block.findChild(CalmDoubleSpin, "scaleTopValue")
    assert isinstance(check, QCheckBox)
    assert isinstance(value, CalmDoubleSpin)
    assert value.value() == pytest.approx(density.heatmap.high, abs=0.01)
    at = np.unravel_index(np.nanargmax(density.heatmap.values), density.heatmap.values.shape)
    strongest = density._draw(density.heatmap).pixelColor(int(at[1]), int(at[0]))
    check.click()
    value.setValue(4 * density.heatmap.high)
    legend = density.legend()
    assert legend is not None
    assert legend.high == f"{4 * density.heatmap.high:.0f} and more"
    assert density._draw(density.heatmap).pixelColor(int(at[1]), int(at[0])) != strongest
    # Another kind has another scale of its own; that of the reader stays.
    density.set_choice(0)
    settle(qtbot, window)
    assert density.top == pytest.approx(value.value())
    # On the next slide it is the same: a run anew stands for it here.
    size = window.session.pixel_size
    assert size is not None
    top = density.top
    window.controller.restore(cells_result((lattice_cells(),), window.session.region, size))
    density = layer(window, DensityLayer)
    settle(qtbot, window)
    assert (density.top, density.choice) == (top, 0)
    block = next(b for b in window.panels.layers.blocks if b.layer is density)
    check, value = block.findChild(QCheckBox, "scaleTop"), block.findChild(CalmDoubleSpin, "scaleTopValue")
    assert isinstance(check, QCheckBox)
    assert isinstance(value, CalmDoubleSpin)
    assert check.isChecked()
    assert value.value() == pytest.approx(top, abs=0.01)
    assert density.heatmap is not None
    check.click()
    assert density.top is None
    assert value.value() == pytest.approx(density.heatmap.high, abs=0.01)


def test_a_map_that_could_not_be_worked_out_says_so_in_panel_and_legend_and_can_be_tried_again(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    density, mixed = layer(window, DensityLayer), layer(window, HeterogeneityLayer)
    with monkeypatch.context() as patch:
        patch.setattr(derived_maps, "density_map", out_of_memory)
        patch.setattr(derived_maps, "heterogeneity_map", lambda *_: 1 // 0)
        show(qtbot, window, density)
        show(qtbot, window, mixed)
        for failed in (density, mixed):
            legend = failed.legend()
            assert legend is not None
            assert legend.note == "Could not be worked out: see the panel Layers"
        told = trouble(window, density)
        assert told.isVisible()
        assert "the memory of this machine is used up" in told.text
        assert "try again" in told.text
        assert "ZeroDivisionError" in trouble(window, mixed).text
        # It fails again, and says so again.
        told.button.click()
        settle(qtbot, window)
        assert told.isVisible()
        assert density.heatmap is None
    told.button.click()
    settle(qtbot, window)
    assert density.heatmap is not None
    assert not told.isVisible()
    assert trouble(window, mixed).isVisible()
    # Another region is another map: nothing need be pressed.
    window.session.add(Annotation.drawn(shapely.box(0, 0, 300, 300), Role.EXCLUDE), "Exclude")
    settle(qtbot, window)
    assert mixed.heatmap is not None
    assert not trouble(window, mixed).isVisible()


def trouble(window: MainWindow, wanted: DerivedMapLayer) -> Trouble:
    """What the panel says of a layer."""
    found = next(block for block in window.panels.layers.blocks if block.layer is wanted).trouble
    assert found is not None
    return found


def out_of_memory(*_: object) -> None:
    raise MemoryError
