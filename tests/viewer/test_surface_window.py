"""The evidence of a scorer of tumour surfaces in the window: drawn, corrected with the brush, kept, exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QListWidget
from pytestqt.qtbot import QtBot

from her2viewer.cases.geojson import load_geojson
from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.evidence import ClassMap, TissueMask
from her2viewer.domain.pixelsize import mm2_column
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.viewer.main_window import MainWindow
from her2viewer.viewer.overlays.grids import ClassMapLayer, HeatmapLayer
from her2viewer.viewer.overlays.tissue_mask import TissueMaskLayer
from tests.helpers.surface_evidence import CLASSES, MASK, surface_evidence, surface_result
from tests.viewer.test_main_window import messages, shows, write_slide

PATCH = 128.0
"""64 um at 0.5 um/px."""
ADD, REMOVE = "tool_tumour_add", "tool_tumour_remove"


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> MainWindow:
    made = new_window(qtbot)
    open_in(qtbot, made, write_slide(tmp_path / "discs.ome.tif", 0.5, (1280, 1664)))
    made.session.add(Annotation.drawn(shapely.box(0, 0, 1664, 1280), Role.ROI), "Draw region")
    return made


def new_window(qtbot: QtBot) -> MainWindow:
    made = MainWindow()
    made.commanding.native_dialogs = made.exporting.native_dialogs = False
    made.controller.warm_up = lambda: None
    qtbot.addWidget(made)
    made.resize(1280, 800)
    made.show()
    made.canvas.setFocus()
    return made


def open_in(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    window.open_slide(path)
    qtbot.waitUntil(lambda: shows(window, path))


def put_result(window: MainWindow, **options: int) -> Result:
    """As if the scorer had just run on the region."""
    evidence = surface_evidence(1664, 1280, 0.5, **options)
    size = window.session.pixel_size
    assert size is not None
    result = surface_result(evidence, window.session.region, size)
    window.controller.restore(result)
    return result


def paint(window: MainWindow, *points: tuple[float, float], release: bool = True) -> None:
    """A stroke through slide points (level-0 px), with the tool in use."""
    canvas = window.canvas
    places = [QPoint(*(round(v) for v in canvas.viewport.to_screen(*p))) for p in points]
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, places[0])
    for place in places[1:]:
        QTest.mouseMove(canvas, place)
    if release:
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, places[-1])


def layer(window: MainWindow, kind: type) -> TissueMaskLayer | ClassMapLayer | HeatmapLayer:
    return next(x for x in window.evidence.layers if isinstance(x, kind))


def text(window: MainWindow, name: str) -> str:
    found = window.panels.answer.findChild(QLabel, name)
    assert isinstance(found, QLabel)
    return found.text() if found.isVisibleTo(window.panels.answer) else ""


def now(window: MainWindow) -> tuple[TissueMask, ClassMap]:
    mask, class_map = window.controller.evidence
    assert isinstance(mask, TissueMask)
    assert isinstance(class_map, ClassMap)
    return mask, class_map


def settled(window: MainWindow) -> bool:
    """The numbers follow what was painted."""
    size = window.session.pixel_size
    assert size is not None
    expected = surface_result(window.controller.evidence, window.session.region, size).shares
    return window.controller.shares == expected


def test_mask_classes_and_uncertainty_are_layers_with_legends_and_numbers(window: MainWindow) -> None:
    put_result(window)
    assert [x.title for x in window.evidence.layers] == [MASK, CLASSES, "Uncertainty"]
    assert [x.wanted for x in window.evidence.layers] == [True, True, False]
    legend = layer(window, TissueMaskLayer).legend()
    assert legend is not None
    shares = window.controller.shares
    assert shares is not None
    assert legend.rows[0].amount == mm2_column([shares.total])[0]
    assert window.panels.answer.bars.amounts == mm2_column(shares.amounts)
    assert "95 % interval over blocks of tissue" in window.panels.answer.bars.toolTip()
    uncertain = layer(window, HeatmapLayer)
    uncertain.visible = True
    assert "Uncertainty" in window.evidence.readout_at(64, 64, window.canvas.viewport)


def test_the_pointer_reads_class_probabilities_and_tumour_of_a_patch(window: MainWindow) -> None:
    put_result(window)
    words = window.evidence.readout_at(3.5 * PATCH, 0.5 * PATCH, window.canvas.viewport)
    assert "3+ · p 0: 0.15, 1+: 0.15, 2+: 0.15, 3+: 0.54 · tumour 100 %" in words
    assert "tumour" in words
    below = window.evidence.readout_at(3.5 * PATCH, 1.5 * PATCH, window.canvas.viewport)
    assert below == "no tumour"


def test_a_stroke_removes_tumour_and_the_shares_follow_while_it_is_drawn(qtbot: QtBot, window: MainWindow) -> None:
    before = put_result(window).shares
    assert before is not None
    window.commands[REMOVE].trigger()
    y = 0.5 * PATCH
    paint(window, (1.0 * PATCH, y), (4.0 * PATCH, y), release=False)
    qtbot.waitUntil(lambda: settled(window) and window.controller.shares != before)
    live = window.controller.shares
    assert live is not None
    assert live.total < before.total
    assert window.session.corrections.empty
    QTest.mouseRelease(
        window.canvas,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
        QPoint(*(round(v) for v in window.canvas.viewport.to_screen(4.0 * PATCH, y))),
    )
    qtbot.waitUntil(lambda: settled(window))
    assert not window.session.corrections.removed.is_empty
    assert window.controller.change.removed == pytest.approx(before.total - window.controller.shares.total, rel=0.05)
    assert text(window, "correctedLine").startswith("You removed ")
    drawn = layer(window, TissueMaskLayer).parts
    assert drawn[0].values is now(window)[0].values


def test_undo_and_redo_of_a_stroke_bring_mask_and_shares_back_exactly(qtbot: QtBot, window: MainWindow) -> None:
    result = put_result(window)
    mask, class_map = result.evidence
    window.commands[ADD].trigger()
    paint(window, (2 * PATCH, 1.5 * PATCH), (5 * PATCH, 1.5 * PATCH))
    qtbot.waitUntil(lambda: settled(window))
    added = window.controller.shares
    assert added is not None
    assert added.total > result.shares.total
    assert window.commands["undo"].text() == "Undo Add tumour"
    window.commands["undo"].trigger()
    qtbot.waitUntil(lambda: window.controller.shares == result.shares)
    assert (now(window)[0].values == mask.values).all()
    assert (now(window)[1].weight == class_map.weight).all()
    assert text(window, "correctedLine") == ""
    window.commands["redo"].trigger()
    qtbot.waitUntil(lambda: window.controller.shares == added)


def test_escape_drops_a_stroke_and_shift_turns_the_brush_round(qtbot: QtBot, window: MainWindow) -> None:
    result = put_result(window)
    window.commands[ADD].trigger()
    paint(window, (2 * PATCH, 1.5 * PATCH), (5 * PATCH, 1.5 * PATCH), release=False)
    qtbot.waitUntil(lambda: window.controller.shares != result.shares)
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.controller.shares == result.shares)
    at = QPoint(*(round(v) for v in window.canvas.viewport.to_screen(6 * PATCH, 4.5 * PATCH)))
    QTest.mouseRelease(window.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
    assert window.session.corrections.empty
    QTest.mouseClick(window.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, at)
    assert not window.session.corrections.removed.is_empty
    assert window.session.corrections.added.is_empty


def test_tumour_added_where_nothing_has_a_class_is_said_to_be_unclassified(qtbot: QtBot, window: MainWindow) -> None:
    before = put_result(window, empty_columns=4).shares
    assert before is not None
    assert text(window, "unclassifiedLine") == ""
    window.commands[ADD].trigger()
    paint(window, (1 * PATCH, 0.5 * PATCH), (3 * PATCH, 0.5 * PATCH))
    qtbot.waitUntil(lambda: settled(window) and window.controller.shares.unclassified > 0)
    assert window.controller.shares.amounts == before.amounts
    assert "of the tumour not classified" in text(window, "unclassifiedLine")
    words = window.evidence.readout_at(2 * PATCH, 0.5 * PATCH, window.canvas.viewport)
    assert "not classified · tumour" in words


def test_without_a_mask_and_outside_the_region_the_brush_says_why_it_does_nothing(window: MainWindow) -> None:
    window.commands[ADD].trigger()
    paint(window, (300, 300), (400, 300))
    assert "There is no tumour mask to correct here" in messages(window)
    region = Annotation.drawn(shapely.box(0, 0, 800, 1280), Role.ROI)
    window.session.edit("One half", window.session.annotations.removed(*(a.id for a in window.session.annotations)))
    window.session.add(region, "Draw region")
    put_result(window)
    paint(window, (1200, 300), (1300, 300))
    assert "in the scored part of the region only" in messages(window)
    assert window.session.corrections.empty


def test_a_signed_case_takes_no_corrections(window: MainWindow) -> None:
    put_result(window)
    window.commands[ADD].trigger()
    window.session.set_locked(True)
    paint(window, (300, 192), (600, 192))
    assert window.session.corrections.empty
    assert not window.commands[ADD].isEnabled()


def test_corrections_are_kept_in_the_case_and_not_in_the_result(qtbot: QtBot, window: MainWindow) -> None:
    result = put_result(window)
    window.keeper.save_result(result)
    window.commands[REMOVE].trigger()
    paint(window, (1 * PATCH, 0.5 * PATCH), (6 * PATCH, 0.5 * PATCH))
    qtbot.waitUntil(lambda: settled(window))
    shares, weights = window.controller.shares, now(window)[1].weight
    path = window.session.slide.path
    window.controller.result_changed.emit(window.controller.result)
    window.keeper.flush()
    qtbot.waitUntil(lambda: window.keeper.state == "saved")
    store = window.keeper.store
    assert store is not None
    kept = store.load_result("surface")
    assert kept is not None
    assert (kept.evidence[0].values == result.evidence[0].values).all()
    window.close()
    again = new_window(qtbot)
    open_in(qtbot, again, path)
    qtbot.waitUntil(lambda: again.controller.scorer == "surface" and again.controller.shares is not None)
    assert not again.session.corrections.removed.is_empty
    np.testing.assert_allclose(now(again)[1].weight, weights, atol=1 / 256)
    assert again.controller.shares.total == pytest.approx(shares.total, rel=1e-2)
    assert text(again, "correctedLine").startswith("You removed ")


def test_scoring_again_keeps_the_corrections(qtbot: QtBot, window: MainWindow) -> None:
    put_result(window)
    window.commands[REMOVE].trigger()
    paint(window, (1 * PATCH, 0.5 * PATCH), (6 * PATCH, 0.5 * PATCH))
    qtbot.waitUntil(lambda: settled(window))
    weights = now(window)[1].weight
    put_result(window)
    np.testing.assert_array_equal(now(window)[1].weight, weights)


def test_corrections_hold_for_parts_that_arrive_and_for_parts_that_are_there(
    qtbot: QtBot, window: MainWindow
) -> None:
    """A reader who corrects the mask while the scorer still works."""
    put_result(window)
    controller = window.controller
    size = window.session.pixel_size
    held = controller._known.begin("surface", "surface", size)
    mask, class_map = surface_evidence(1664, 1280, 0.5)
    left, right = cut(mask, class_map, 0, 6), cut(mask, class_map, 6, 13)
    whole = window.session.region
    held.add(left, whole)
    controller.evidence_changed.emit(controller.evidence)
    window.commands[REMOVE].trigger()
    paint(window, (5 * PATCH, 0.5 * PATCH), (9 * PATCH, 0.5 * PATCH))
    held.add(right, whole)
    controller.evidence_added.emit(tuple(held.live.current(e) for e in right))
    first, second = (e for e in controller.evidence if isinstance(e, ClassMap))
    assert first.weight[0, :4].tolist() == [1, 1, 1, 1]
    assert first.weight[0, 5] < 0.9
    assert second.weight[0, 0] < 0.9
    assert second.weight[0, -1] == 1
    assert [p.values.shape for p in layer(window, TissueMaskLayer).parts] == [
        left[0].values.shape,
        right[0].values.shape,
    ]
    window.session.undo_stack.undo()
    first, second = (e for e in controller.evidence if isinstance(e, ClassMap))
    assert first.weight[0].tolist() == [1] * 6
    assert second.weight[0].tolist() == [1] * 7


def cut(mask: TissueMask, class_map: ClassMap, c0: int, c1: int) -> tuple[TissueMask, ClassMap]:
    """Some columns of patches with their part of the mask."""
    from dataclasses import replace

    from her2viewer.domain.evidence import Grid

    grid, cell = class_map.grid, mask.grid.step
    return (
        replace(
            mask,
            grid=Grid(c0 * grid.step, 0, cell, (c1 - c0) * 16, mask.grid.rows),
            values=mask.values[:, c0 * 16 : c1 * 16].copy(),
        ),
        replace(
            class_map,
            grid=Grid(c0 * grid.step, 0, grid.step, c1 - c0, grid.rows),
            classes=class_map.classes[:, c0:c1].copy(),
            weight=class_map.weight[:, c0:c1].copy(),
            probabilities=class_map.probabilities[:, c0:c1].copy(),
        ),
    )


def test_the_patches_that_decide_are_listed_and_gone_to_with_keys(qtbot: QtBot, window: MainWindow) -> None:
    put_result(window)
    deciding = window.panels.deciding
    qtbot.waitUntil(lambda: len(deciding.patches) == 9)
    assert [p.kind for p in deciding.patches] == ["3+"] * 3 + ["2+"] * 3 + ["1+"] * 3
    window.canvas.setFocus()
    QTest.keyClick(window, Qt.Key.Key_D)
    first = deciding.patches[0]
    view = window.canvas.goal
    assert (view.cx, view.cy) == pytest.approx((first.x, first.y))
    assert window.looking._mark.patch == first
    for _ in range(8):
        QTest.keyClick(window, Qt.Key.Key_D)
    view, faint = window.canvas.goal, deciding.patches[-1]
    assert (view.cx, view.cy) == pytest.approx((faint.x, faint.y))
    assert view.downsample == pytest.approx(0.5)
    QTest.keyClick(window, Qt.Key.Key_D, Qt.KeyboardModifier.ShiftModifier)
    assert window.looking._mark.patch == deciding.patches[-2]
    rows = deciding.findChild(QListWidget)
    assert isinstance(rows, QListWidget)
    rows.setFocus()
    QTest.keyClick(rows, Qt.Key.Key_Up)
    QTest.keyClick(rows, Qt.Key.Key_Return)
    assert window.looking._mark.patch == deciding.patches[-3]


def test_without_classed_patches_the_keys_say_what_to_do_first(window: MainWindow) -> None:
    window.commands["next_deciding"].trigger()
    assert "There are no patches to go to" in messages(window)
    assert window.panels.deciding.isHidden()


def test_report_and_outlines_name_the_corrections(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    put_result(window)
    for tool, y in ((REMOVE, 0.5), (ADD, 1.5)):
        window.commands[tool].trigger()
        paint(window, (2 * PATCH, y * PATCH), (5 * PATCH, y * PATCH))
    qtbot.waitUntil(lambda: settled(window))
    report, outlines = tmp_path / "report.json", tmp_path / "outlines.geojson"
    window.exporting.write_report("json", report)
    window.exporting.export_file(outlines)
    qtbot.waitUntil(lambda: "outlines.geojson" in messages(window) and report.exists())
    told = json.loads(report.read_text())
    change = window.controller.change
    assert told["corrections"]["added_mm2"] == pytest.approx(change.added)
    assert told["corrections"]["removed_mm2"] == pytest.approx(change.removed)
    assert told["corrections"]["outlines_px"]["tumour added"]["type"] == "Polygon"
    shares = told["result"]["shares_of_scored_region"]
    assert shares["interval"]["block_um"] in (250, 500, 1000)
    assert shares["total"] == pytest.approx(window.controller.shares.total)
    content = load_geojson(outlines).annotations
    assert {a.class_name for a in content.with_role(Role.NOTE)} == {"Tumour added", "Tumour removed"}
    assert Region.of(a.geometry for a in content.with_role(Role.ROI)).area_px == pytest.approx(1664 * 1280)
