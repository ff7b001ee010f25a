"""What a pan will need is composed between its frames, is right, and orders nothing where nothing is missing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRect, QRectF
from PySide6.QtGui import QColor, QPainter
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.grid import TileKey
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.strips import PIECE, Beyond, Strips, _pieces, _strip_at
from her2viewer.viewer.canvas.view import FEW_PX, LATER_PX, STOPPED_MS
from her2viewer.viewer.canvas.viewport import Viewport
from tests.helpers.canvases import MakeCanvas, rgb, wait_idle
from tests.helpers.gated_slide import GatedSlide


class Squares(Layer):
    """A composed layer that notes the parts that it paints."""

    composed = True

    def __init__(self) -> None:
        super().__init__("squares")
        self.parts: list[QRectF] = []

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        self.parts.append(painter.clipBoundingRect())
        x0, y0, x1, y1 = viewport.bounds()
        # One more on each side: in a turned view they reach in from there.
        for column in range(int(x0 // 90) - 1, int(x1 // 90) + 2):
            for row in range(int(y0 // 90) - 1, int(y1 // 90) + 2):
                at = QPointF(*(round(v) for v in viewport.to_screen(column * 90, row * 90)))
                painter.fillRect(QRectF(at, at + QPointF(9, 7)), QColor(200, 40 + column % 7, row % 200))


def shown(canvas: SlideCanvas) -> np.ndarray:
    return rgb(canvas.grab().toImage())


def walk(canvas: SlideCanvas, steps: Sequence[tuple[float, float]], between: random.Random) -> None:
    for step in steps:
        canvas.set_viewport(canvas.viewport.panned(*step))
        canvas.repaint()
        # Between two frames there is time for much or for little.
        for _ in range(between.choice((0, 0, 1, 2, 9))):
            canvas.ground.work_ahead()


@pytest.mark.parametrize("rotation", [0.0, 90.0, 27.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_pan_shows_what_is_painted_afresh_however_much_was_composed_ahead(
    make_canvas: MakeCanvas, qtbot: QtBot, rotation: float, seed: int
) -> None:
    pick = random.Random(seed)
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 620, 430)
    canvas.overview.shown = False
    canvas.add_layer(Squares())
    canvas.set_viewport(replace(canvas.viewport, downsample=1.2, rotation=rotation, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    for _ in range(5):
        x, y = pick.choice((-7, -3, 0, 1, 3, 20)), pick.choice((-20, -2, 0, 1, 5))
        walk(canvas, [(x, y)] * pick.randint(3, 25), pick)
        wait_idle(qtbot, canvas)
        canvas.repaint()
        kept = shown(canvas)
        canvas.ground.invalidate()
        canvas.tissue.forget()
        difference = np.abs(kept.astype(int) - shown(canvas))
        # OpenCV steps through a turned line in fixed point: begun elsewhere it may round the other way.
        assert difference.max() <= (3 if rotation % 90 else 0)


def test_what_comes_into_view_was_composed_between_the_frames_in_short_pieces(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 900, 700)
    layer = Squares()
    canvas.add_layer(layer)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    walk(canvas, [(-3, 0)] * 2, random.Random(0))
    in_frames, between = [], []
    for _ in range(40):
        layer.parts.clear()
        canvas.set_viewport(canvas.viewport.panned(-3, 0))
        canvas.repaint()
        in_frames.append(len(layer.parts))
        layer.parts.clear()
        while canvas.ground.work_ahead():
            pass
        between += layer.parts
    assert sum(in_frames) == 0
    assert len(between) > 3
    assert max(max(part.width(), part.height()) for part in between) <= 1.5 * PIECE


@pytest.mark.parametrize("there", [(-3.0, 0.0), (0.0, 2.0), (3.0, -1.0), (-20.0, -5.0)])
def test_a_pan_that_turns_back_composes_nothing_in_its_frames(
    make_canvas: MakeCanvas, qtbot: QtBot, there: tuple[float, float]
) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 900, 700)
    layer = Squares()
    canvas.add_layer(layer)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    canvas.ground.invalidate()
    canvas.repaint()
    assert layer.parts
    in_frames = []
    for way in (1, -1, 1, -1):
        for _ in range(20):
            layer.parts.clear()
            canvas.set_viewport(canvas.viewport.panned(way * there[0], way * there[1]))
            canvas.repaint()
            in_frames.append(len(layer.parts))
            while canvas.ground.work_ahead():
                pass
    # The very first steps have nothing to go by.
    assert sum(in_frames[20:]) == 0


def test_of_what_was_composed_ahead_that_which_changes_is_dropped(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 620, 430)
    canvas.overview.shown = False
    layer = Squares()
    canvas.add_layer(layer)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    walk(canvas, [(-4, 0)] * 3, random.Random(1))
    while canvas.ground.work_ahead():
        pass
    layer.paint = lambda painter, viewport: painter.fillRect(QRectF(0, 0, 3000, 3000), QColor(1, 2, 3))  # type: ignore[method-assign]
    layer.changed.emit()
    walk(canvas, [(-4, 0)] * 4, random.Random(1))
    assert (shown(canvas)[60:400, 480:] == (1, 2, 3)).all()


def test_a_layer_that_was_taken_away_is_not_painted_between_frames(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 620, 430)
    layer = Squares()
    canvas.add_layer(layer)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    for _ in range(3):
        canvas.set_viewport(canvas.viewport.panned(-4, 0))
        canvas.repaint()
    assert canvas.ground.work_ahead(), "there is something to be composed"
    layer.parts.clear()
    canvas.remove_layer(layer)
    assert not canvas.ground.work_ahead()
    assert not layer.parts


def test_a_strip_is_cut_into_pieces_that_cover_it_once() -> None:
    for area in (QRect(-5, 7, 40, 1272), QRect(3, -900, 2112, 16), QRect(0, 0, 20, 21)):
        pieces = list(_pieces(area))
        assert sum(piece.width() * piece.height() for piece in pieces) == area.width() * area.height()
        united = pieces[0]
        for piece in pieces[1:]:
            assert not united.intersects(piece)
            united = united.united(piece)
        assert united == area


@pytest.mark.parametrize("edge", [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_strips_lie_right_beyond_the_edge_towards_which_the_view_moves(edge: tuple[int, int]) -> None:
    shown_now = QRect(100, 200, 800, 600)
    strip = _strip_at(shown_now, edge, 0, 16, ends=0)
    assert not strip.intersects(shown_now)
    assert strip.adjusted(-1, -1, 1, 1).intersects(shown_now)
    assert min(strip.width(), strip.height()) == 16


def test_nothing_is_composed_ahead_where_tiles_are_missing() -> None:
    strips, view = Strips(), Viewport(0.0, 0.0, 1.0, 400, 300)
    asked: list[QRect] = []
    beyond = Beyond(
        view,
        QRect(-200, -150, 400, 300),
        lambda painter, of, part: asked.append(part),
        lambda *_: False,
        lambda _: False,
    )
    strips.begin((-203, -150))
    strips.begin((-200, -150))
    assert strips.find(QRect(197, -150, 3, 300), beyond) == []
    assert not strips.work_ahead(beyond)
    assert not asked


def test_small_steps_over_tiles_at_hand_order_nothing_until_the_view_stays(
    make_canvas: MakeCanvas, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 620, 430)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    qtbot.wait(2 * STOPPED_MS)
    canvas._order()
    assert canvas._complete
    orders: list[int] = []
    order = canvas.loader.set_wanted

    def counted(keys: Sequence[TileKey], urgent: int | None = None) -> None:
        orders.append(len(keys))
        order(keys, urgent)

    monkeypatch.setattr(canvas.loader, "set_wanted", counted)
    for _ in range(7):
        canvas.set_viewport(canvas.viewport.panned(-3, 1))
        canvas._next_frame()
        canvas._painted()
    assert FEW_PX > 7 * 3
    assert not orders
    qtbot.waitUntil(lambda: len(orders) == 1)
    assert canvas._ordered == canvas.aim
    orders.clear()
    canvas.set_viewport(canvas.viewport.panned(-FEW_PX - 1, 0))
    canvas._next_frame()
    assert not orders, "the frame is painted first"
    canvas._painted()
    assert len(orders) == 1
    assert canvas._ordered == canvas.aim


def test_where_nothing_is_painted_tiles_are_ordered_all_the_same(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 620, 430)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    qtbot.wait(2 * STOPPED_MS)
    canvas._order()
    canvas.hide()
    canvas.set_viewport(canvas.viewport.panned(-FEW_PX - 1, 0))
    assert canvas._ordered != canvas.aim
    qtbot.waitUntil(lambda: canvas._ordered == canvas.aim, timeout=1000)


def test_a_jump_orders_its_tiles_before_anything_is_painted(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 620, 430)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    canvas.set_viewport(replace(canvas.viewport, cx=4000 + 2 * LATER_PX))
    canvas._next_frame()
    assert canvas._ordered == canvas.aim


def test_in_a_turned_view_a_tile_is_painted_where_it_lies(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(8000, 6000, (1, 4, 16))
    canvas = make_canvas(slide, 620, 430)
    canvas.overview.shown = False
    slide.open_levels = {1, 2}
    slide.hold()
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, rotation=27.0, cx=4000, cy=3000))
    qtbot.waitUntil(lambda: slide.reading > 0)
    qtbot.wait(80)
    coarse = shown(canvas)
    slide.gate.set()
    wait_idle(qtbot, canvas)
    qtbot.wait(80)
    kept = shown(canvas)
    assert not np.array_equal(coarse, kept)
    canvas.ground.invalidate()
    canvas.tissue.forget()
    assert np.abs(kept.astype(int) - shown(canvas)).max() <= 3
