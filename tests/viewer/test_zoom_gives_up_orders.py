"""In a zoom that goes on, readers and overlays do not go on with what was ordered for the zoom before.

On a machine whose cores a scorer keeps busy that work held up the frames of the zoom; late frames were taken for a
pause, and more was ordered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas import zoom_picture
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.layered import PAUSE_MS
from her2viewer.viewer.canvas.loader import LoadedTile
from her2viewer.viewer.canvas.lull import LATE_MS, MOST_AGAIN, Lull
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.cell_index import Box
from her2viewer.viewer.overlays.raster_tiles import SETTLE_MS, RasterTiles
from tests.helpers.canvases import MakeCanvas, wait_idle
from tests.helpers.gated_slide import GatedSlide

VIEW = Viewport(4000, 4000, 1.0, 1600, 1200)


@pytest.fixture
def slide() -> GatedSlide:
    return GatedSlide(60_000, 50_000, (1, 4, 16))


@pytest.fixture
def canvas(make_canvas: MakeCanvas, qtbot: QtBot, slide: GatedSlide) -> SlideCanvas:
    made = make_canvas(slide, 1200, 900)
    made.set_viewport(replace(made.viewport, downsample=2.0, cx=30_000, cy=25_000))
    wait_idle(qtbot, made)
    return made


def ordered_elsewhere(qtbot: QtBot, canvas: SlideCanvas, slide: GatedSlide) -> Viewport:
    """Many tiles are ordered for a view at 1:1 and none of them comes."""
    slide.hold()
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=12_000, cy=9_000))
    qtbot.waitUntil(lambda: slide.reading > 0 and canvas.loader.outstanding > 20)
    return canvas.viewport


def test_a_step_of_a_zoom_gives_up_the_tiles_of_the_zoom_before(
    qtbot: QtBot, canvas: SlideCanvas, slide: GatedSlide
) -> None:
    before = ordered_elsewhere(qtbot, canvas, slide)
    came: list[LoadedTile] = []
    canvas.loader.tiles_ready.connect(came.extend)
    canvas.zoom_by(0.1, smooth=False)
    in_hand = slide.reading
    assert canvas.loader.outstanding <= in_hand
    slide.gate.set()
    wait_idle(qtbot, canvas)
    assert canvas.frame_view.downsample == pytest.approx(before.downsample / 2**0.1)
    of_before = [tile for tile in came if tile.tile.key.scale.downsample == before.downsample]
    assert len(of_before) <= in_hand


def test_a_zoom_that_comes_back_to_where_tiles_were_ordered_has_them_ordered_again(
    qtbot: QtBot, canvas: SlideCanvas, slide: GatedSlide
) -> None:
    before = ordered_elsewhere(qtbot, canvas, slide)
    canvas.zoom_soon(before.zoomed(1.3, 600, 450))
    canvas.zoom_soon(before)
    assert canvas.viewport == before
    slide.gate.set()
    wait_idle(qtbot, canvas)
    assert canvas.sharp
    assert canvas.frame_view.downsample == before.downsample


def test_tiles_of_the_step_that_was_expected_are_not_given_up(
    qtbot: QtBot, canvas: SlideCanvas, slide: GatedSlide
) -> None:
    slide.hold()
    canvas.zoom_by(1.0, smooth=False)
    qtbot.waitUntil(lambda: canvas.loader.outstanding > 20)
    canvas.zoom_by(1.0, smooth=False)
    assert canvas.loader.outstanding > slide.reading, "the same step again is what was loaded ahead"
    came: list[LoadedTile] = []
    canvas.loader.tiles_ready.connect(came.extend)
    slide.gate.set()
    wait_idle(qtbot, canvas)
    assert {tile.tile.key.scale.downsample for tile in came} >= {0.5}


def test_while_the_frame_of_a_step_is_not_there_nothing_is_ordered(
    qtbot: QtBot, canvas: SlideCanvas, slide: GatedSlide, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    paint = zoom_picture.ZoomPainter.paint

    def late(*arguments: object) -> object:
        gate.wait(10)
        return paint(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(zoom_picture.ZoomPainter, "paint", late)
    slide.hold()
    canvas.zoom_by(1.4, smooth=False)
    qtbot.wait(5 * PAUSE_MS)
    assert canvas.loader.outstanding == 0
    gate.set()
    qtbot.waitUntil(lambda: canvas.loader.outstanding > 0)
    slide.gate.set()
    wait_idle(qtbot, canvas)


class Drawing:
    """Draws empty tiles, when it may."""

    def __init__(self) -> None:
        self.drawn: list[float] = []
        self.begun = threading.Event()
        self.gate = threading.Event()

    def __call__(self, box: Box, size: int, downsample: float) -> QImage | None:
        self.begun.set()
        self.gate.wait(10)
        self.drawn.append(downsample)
        return None


@pytest.fixture
def tiles(qtbot: QtBot) -> Iterator[RasterTiles]:
    made = RasterTiles()
    yield made
    made.stop()


def test_overlays_give_up_the_tiles_of_the_view_before_until_another_one_stays(
    qtbot: QtBot, tiles: RasterTiles
) -> None:
    drawing = Drawing()
    tiles.set_render(drawing)
    tiles.set_viewport(VIEW)
    assert drawing.begun.wait(5)
    tiles.leave_off()
    drawing.gate.set()
    qtbot.waitUntil(lambda: tiles.idle)
    assert drawing.drawn == [1.0], "the one in hand"
    # A scorer goes on meanwhile.
    tiles.update_render(drawing, (3900, 3900, 4100, 4100), 8)
    qtbot.wait(3 * SETTLE_MS)
    assert drawing.drawn == [1.0]
    tiles.set_viewport(replace(VIEW, downsample=2.0))
    qtbot.waitUntil(lambda: tiles.idle)
    assert drawing.drawn.count(2.0) > 4


def test_overlays_go_on_with_what_they_draw_for_a_zoom_out(qtbot: QtBot, tiles: RasterTiles) -> None:
    drawing = Drawing()
    drawing.gate.set()
    tiles.set_render(drawing)
    tiles.set_viewport(VIEW)
    qtbot.waitUntil(lambda: drawing.drawn.count(1.0) == len(drawing.drawn) > 4)
    drawing.begun.clear()
    drawing.gate.clear()
    # Tiles at 4 px are ordered after a while.
    qtbot.waitUntil(drawing.begun.is_set)
    tiles.leave_off()
    drawing.gate.set()
    qtbot.waitUntil(lambda: tiles.idle)
    assert drawing.drawn.count(4.0) > 1


def block(milliseconds: int) -> None:
    """Hold the main thread up."""
    threading.Event().wait(milliseconds / 1000)


def test_a_lull_comes_after_its_time(qtbot: QtBot) -> None:
    lull = Lull(20)
    with qtbot.waitSignal(lull.come, timeout=2000):
        lull.start()
    assert not lull.isActive()


def test_a_main_thread_that_was_held_up_does_not_make_a_lull(qtbot: QtBot) -> None:
    lull, order = Lull(20), []
    lull.come.connect(lambda: order.append("lull"))
    lull.start()
    # What the reader did meanwhile is told after the timer.
    QTimer.singleShot(25, lambda: order.append("reader"))
    QTimer.singleShot(0, lambda: block(20 + 5 * LATE_MS))
    qtbot.waitUntil(lambda: "lull" in order)
    assert order == ["reader", "lull"]


def test_a_lull_comes_at_last_on_a_machine_that_is_always_late(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    lull, looked = Lull(5), []
    monkeypatch.setattr("her2viewer.viewer.canvas.lull.LATE_MS", -1000)
    lull.timeout.connect(lambda: looked.append(True))
    with qtbot.waitSignal(lull.come, timeout=2000):
        lull.start()
    assert len(looked) in (MOST_AGAIN, MOST_AGAIN + 1)
