"""Zooming over maps and cells: a worker lays them over the tissue, whole, in place, as the reader wants them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPointF
from PySide6.QtGui import QPainter
from pytestqt.qtbot import QtBot

from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME
from her2viewer.domain.evidence import CellTable, ClassMap, Grid
from her2viewer.domain.region import Region
from her2viewer.viewer.canvas import layered, view
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.canvas.zoom_picture import MOST_ENLARGED_IN_NEED
from her2viewer.viewer.overlays.cells import CellLayer
from her2viewer.viewer.overlays.grids import ClassMapLayer
from tests.helpers.canvases import MakeCanvas, rgb, wait_idle
from tests.helpers.gated_slide import GatedSlide

TISSUE = (180, 120, 60)
SIZE = (12_000, 9_000)


class WatchedMap(ClassMapLayer):
    """Counts what the main thread paints of it."""

    painted = 0

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        self.painted += 1
        super().paint(painter, viewport)


def class_map(step: float = 100.0) -> ClassMap:
    """Classes in a chequer of all four, everywhere tumour."""
    columns, rows = int(SIZE[0] / step), int(SIZE[1] / step)
    classes = ((np.arange(rows)[:, None] // 2 + np.arange(columns) // 3) % 4).astype(np.uint8)
    return ClassMap(
        "patches", Grid(0, 0, step, columns, rows), TUMOUR_SCHEME, classes, np.ones(classes.shape, dtype=np.float32)
    )


def cells() -> CellTable:
    x, y = (v.ravel().astype(np.float32) for v in np.meshgrid(np.arange(20, SIZE[0], 40), np.arange(20, SIZE[1], 40)))
    return CellTable("cells", CELL_SCHEME, x, y, np.full(len(x), 3, dtype=np.uint8))


@pytest.fixture
def layer() -> Iterator[WatchedMap]:
    made = WatchedMap("patches", TUMOUR_SCHEME)
    made.append(class_map())
    made.opacity = 0.5
    yield made
    made.stop()


@pytest.fixture
def canvas(make_canvas: MakeCanvas, qtbot: QtBot, layer: WatchedMap) -> SlideCanvas:
    slide = GatedSlide(*SIZE, (1, 4, 16), colour=TISSUE)
    made = make_canvas(slide, 600, 420)
    made.overview.shown = False
    made.scale_bar_visible = False
    made.add_layer(layer)
    made.set_viewport(replace(made.viewport, downsample=2.0, cx=SIZE[0] / 2, cy=SIZE[1] / 2))
    wait_idle(qtbot, made)
    made.repaint()
    return made


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """For canvases that are made after it no zoom is ever over: the hand goes on."""
    monkeypatch.setattr(view, "REST_MS", 60_000)
    monkeypatch.setattr(layered, "PAUSE_MS", 60_000)


def shown(canvas: SlideCanvas) -> NDArray[np.int64]:
    return rgb(canvas.grab().toImage()).astype(np.int64)


def zoom(qtbot: QtBot, canvas: SlideCanvas, octaves: float, at: QPointF | None = None) -> NDArray[np.int64]:
    """One step, and what it shows."""
    canvas.zoom_by(octaves, at, smooth=False)
    qtbot.waitUntil(lambda: canvas.frame_view == canvas.aim)
    return shown(canvas)


@pytest.mark.parametrize("step", [-0.11, 0.11, -0.6])
@pytest.mark.parametrize("at", [QPointF(300, 210), QPointF(20, 400)])
def test_each_frame_of_a_zoom_shows_the_map_in_its_place_and_none_is_painted_by_the_main_thread(
    restless: None, qtbot: QtBot, canvas: SlideCanvas, layer: WatchedMap, step: float, at: QPointF
) -> None:
    for number in range(min(20, int(3 / abs(step)))):
        layer.painted = 0
        moving = zoom(qtbot, canvas, step, at)
        assert layer.painted == 0, number
        still = rgb(canvas.grab_view(scale_bar=False)).astype(np.int64)
        # Edges of patches move by up to two px while pictures are scaled roughly; the rest is alike.
        far = (np.abs(moving - still) > 6).any(axis=2)
        side = 100 / canvas.frame_view.downsample
        assert far.mean() < 4.5 / side, number


def test_what_a_zoom_out_brings_into_view_has_its_cells(
    restless: None, qtbot: QtBot, make_canvas: MakeCanvas
) -> None:
    slide = GatedSlide(*SIZE, (1, 4, 16), colour=TISSUE)
    canvas = make_canvas(slide, 600, 420)
    canvas.overview.shown = False
    canvas.scale_bar_visible = False
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=SIZE[0] / 2, cy=SIZE[1] / 2))
    wait_idle(qtbot, canvas)
    # Not before: from afar all of them would be at hand.
    layer = CellLayer("cells", CELL_SCHEME, SIZE)
    layer.append(cells())
    canvas.add_layer(layer)
    qtbot.waitUntil(lambda: layer.idle)
    canvas.repaint()
    for _ in range(11):
        picture = zoom(qtbot, canvas, -0.15)
    marked = (picture != TISSUE).any(axis=2)
    assert marked[:, 250:350].any()
    assert marked[:, :150].mean() > 0.3 * marked[:, 250:350].mean()
    assert marked[:, -150:].mean() > 0.3 * marked[:, 250:350].mean()
    layer.stop()


@pytest.mark.parametrize("moved", [-0.3, 0.3])
def test_opacity_and_visibility_change_at_once_in_the_middle_of_a_zoom(
    qtbot: QtBot, canvas: SlideCanvas, layer: WatchedMap, moved: float
) -> None:
    zoom(qtbot, canvas, moved)
    assert canvas.zooms
    before = shown(canvas)
    layer.opacity = 0.9
    stronger = shown(canvas)
    assert np.abs(stronger - TISSUE).mean() > 1.4 * np.abs(before - TISSUE).mean()
    again = zoom(qtbot, canvas, moved)
    assert np.abs(again - TISSUE).mean() == pytest.approx(np.abs(stronger - TISSUE).mean(), rel=0.1)
    layer.visible = False
    assert (shown(canvas) == TISSUE).all()
    assert (zoom(qtbot, canvas, moved) == TISSUE).all()
    layer.visible = True
    assert (shown(canvas) != TISSUE).any()
    canvas.overlays_hidden = True
    assert (zoom(qtbot, canvas, moved) == TISSUE).all()


def test_what_lies_outside_the_region_stays_bare_in_a_zoom(
    qtbot: QtBot, canvas: SlideCanvas, layer: WatchedMap
) -> None:
    import shapely

    layer.set_clip(Region.of([shapely.box(5200, 3700, 6800, 9000)]))
    canvas.repaint()
    for _ in range(9):
        picture = zoom(qtbot, canvas, -0.2)
        x0, y0 = canvas.frame_view.to_screen(5200, 3700)
        x1, _ = canvas.frame_view.to_screen(6800, 9000)
        # A picture of the surroundings may be enlarged so much for a frame.
        off = round(MOST_ENLARGED_IN_NEED) + 1
        inside = np.zeros(picture.shape[:2], dtype=bool)
        inside[max(0, round(y0) + off) :, max(0, round(x0) + off) : max(0, round(x1) - off)] = True
        outside = np.ones(picture.shape[:2], dtype=bool)
        outside[max(0, round(y0) - off) :, max(0, round(x0) - off) : max(0, round(x1) + off)] = False
        coloured = (picture != TISSUE).any(axis=2)
        assert coloured[inside].all()
        assert not coloured[outside].any()


def test_a_layer_that_keeps_changing_does_not_hold_back_the_picture_at_rest(
    qtbot: QtBot, canvas: SlideCanvas, layer: WatchedMap
) -> None:
    zoom(qtbot, canvas, 0.3)
    layer.painted = 0
    for _ in range(12):
        # As a scorer does, more often than the pause after which a zoom is over.
        layer.append(class_map())
        qtbot.wait(25)
    assert layer.painted > 0


def test_after_a_zoom_the_picture_is_that_of_the_same_view_composed_anew(
    qtbot: QtBot, canvas: SlideCanvas, layer: WatchedMap
) -> None:
    for step in (-0.3, -0.4, -0.5, 0.2):
        zoom(qtbot, canvas, step)
    qtbot.waitUntil(lambda: not canvas.zooms)
    wait_idle(qtbot, canvas)

    def afresh() -> NDArray[np.int64]:
        canvas.ground.invalidate()
        return shown(canvas)

    qtbot.waitUntil(lambda: np.array_equal(shown(canvas), afresh()))
