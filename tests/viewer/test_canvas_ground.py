"""What is kept of a view is what would be painted afresh, whatever happened before."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRect, QRectF
from PySide6.QtGui import QColor, QImage, QPainter
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.grid import Scale, aligned, screen_origin
from her2viewer.viewer.canvas.ground import Ground, Look, _blocks
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.viewport import Viewport
from tests.helpers.canvases import MakeCanvas, rgb, wait_idle
from tests.helpers.gated_slide import GatedSlide


class Marks(Layer):
    """A composed layer: squares on a grid of the slide."""

    composed = True

    def __init__(self, color: QColor, side: float) -> None:
        super().__init__("marks")
        self.color, self.side = color, side
        self.painted = 0

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        self.painted += 1
        x0, y0, x1, y1 = viewport.bounds()
        for column in range(int(x0 // 300), int(x1 // 300) + 1):
            for row in range(int(y0 // 300), int(y1 // 300) + 1):
                x, y = viewport.to_screen(column * 300, row * 300)
                painter.fillRect(QRectF(QPointF(round(x), round(y)), QPointF(round(x) + 9, round(y) + 7)), self.color)


def shown(canvas: SlideCanvas) -> np.ndarray:
    return rgb(canvas.grab().toImage())


def afresh(canvas: SlideCanvas) -> np.ndarray:
    canvas.ground.invalidate()
    canvas.tissue.forget()
    return shown(canvas)


@pytest.mark.parametrize("seed", range(6))
def test_after_any_moves_the_kept_picture_is_the_one_painted_afresh(
    make_canvas: MakeCanvas, qtbot: QtBot, seed: int
) -> None:
    pick = random.Random(seed)
    slide = GatedSlide(8000, 6000, (1, 4, 16))
    canvas = make_canvas(slide, 500 + 7 * seed, 400)
    canvas.overview.shown = False
    layers = [Marks(QColor(200, 30, 30), 20), Marks(QColor(30, 30, 200), 60)]
    canvas.add_layer(layers[0])
    canvas.set_viewport(replace(canvas.viewport, downsample=1.3, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    for _ in range(14):
        act = pick.choice(("pan", "pan", "pan", "far", "zoom", "turn", "layer", "opacity", "hide", "part"))
        if act == "pan":
            canvas.set_viewport(canvas.viewport.panned(pick.uniform(-90, 90), pick.uniform(-90, 90)))
        elif act == "far":
            canvas.set_viewport(canvas.viewport.centred(pick.uniform(500, 7500), pick.uniform(500, 5500)))
        elif act == "zoom":
            canvas.zoom_by(pick.uniform(-0.8, 0.8), smooth=False)
        elif act == "turn":
            canvas.rotate(pick.choice((90, 180, 270, 360 - canvas.viewport.rotation)))
        elif act == "layer":
            layer = layers[1]
            (canvas.remove_layer if layer in canvas.layers else canvas.add_layer)(layer)
        elif act == "opacity":
            layers[0].opacity = pick.uniform(0.2, 1.0)
        elif act == "hide":
            canvas.overlays_hidden = not canvas.overlays_hidden
        elif act == "part":
            canvas.repaint(QRect(40, 60, 200, 90))
        # Painted before all tiles are there, and as they come.
        canvas.repaint()
        wait_idle(qtbot, canvas)
        shown(canvas)
        kept = shown(canvas)
        assert np.array_equal(kept, afresh(canvas)), act


def test_a_view_turned_by_any_angle_pans_to_what_is_painted_afresh(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 600, 420)
    canvas.overview.shown = False
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, rotation=33.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    for step in ((3, 1), (-200, 40), (17.3, -90.6), (0.4, 0.2), (-5, 300)):
        canvas.set_viewport(canvas.viewport.panned(*step))
        canvas.repaint()
        wait_idle(qtbot, canvas)
        difference = np.abs(shown(canvas).astype(int) - afresh(canvas))
        # OpenCV steps through a line in fixed point: begun elsewhere it may round the other way.
        assert difference.max() <= 3
        assert difference.mean() < 0.1


def test_a_still_view_and_a_pan_paint_layers_only_where_something_new_is_seen(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 600, 420)
    layer = Marks(QColor(200, 30, 30), 20)
    canvas.add_layer(layer)
    canvas.set_viewport(replace(canvas.viewport, downsample=1.0, cx=4000, cy=3000))
    wait_idle(qtbot, canvas)
    canvas.repaint()
    canvas.repaint()
    layer.painted = 0
    for _ in range(5):
        canvas.repaint()
    assert layer.painted == 0
    layer.changed.emit()
    canvas.repaint()
    assert layer.painted > 0


def test_a_layer_that_may_not_be_kept_is_painted_in_every_frame(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(4000, 3000, (1, 4)), 600, 420)
    below, above = Marks(QColor(200, 30, 30), 20), Marks(QColor(30, 30, 200), 20)
    below.composed = False
    canvas.add_layer(below)
    canvas.add_layer(above)
    wait_idle(qtbot, canvas)
    canvas.repaint()
    below.painted = above.painted = 0
    canvas.repaint()
    # What lies above it cannot be kept without it.
    assert below.painted == above.painted == 1


@pytest.mark.parametrize("rotation", [0.0, 30.0, 90.0, 211.7])
def test_aligned_views_of_one_zoom_and_turn_differ_by_whole_pixels(rotation: float) -> None:
    view = Viewport(1234.567, 765.4321, 1.37, 801, 600, rotation)
    first = aligned(view)
    moved = aligned(first.panned(-12, 5))
    x, y = first.to_screen(moved.cx, moved.cy)
    assert x - first.width / 2 == pytest.approx(12, abs=1e-6)
    assert y - first.height / 2 == pytest.approx(-5, abs=1e-6)
    assert np.subtract(screen_origin(moved), screen_origin(first)).tolist() == [12, -5]
    assert np.hypot(first.cx - view.cx, first.cy - view.cy) <= 1.37 * 0.75
    assert aligned(first).cx == pytest.approx(first.cx, abs=1e-6)


@pytest.mark.parametrize("origin", [(0, 0), (5, 3), (-7, -2), (123456, -98765), (11, 0), (0, 7)])
def test_blocks_cover_a_view_once_and_share_the_ring(origin: tuple[int, int]) -> None:
    ring = np.zeros((77, 4), dtype=np.uint8)
    seen = np.zeros((7, 11), dtype=int)
    for block in _blocks(ring, (11, 7), origin):
        area = block.area
        seen[area.y() : area.y() + area.height(), area.x() : area.x() + area.width()] += 1
        block.pixels[:] += 1
    assert (seen == 1).all()
    assert (ring == 1).all()


def test_a_pan_keeps_what_stays_in_view() -> None:
    ground, view = Ground(), Viewport(100.0, 100.0, 1.0, 40, 30)
    look = Look(Scale(0, 1.0, 256, 1.0, 400, 300, 0), None)
    asked: list[QRect] = []

    def compose(painter: QPainter, _: Viewport, part: QRect) -> None:
        asked.append(QRect(part))
        painter.fillRect(part, QColor(len(asked), 0, 0))

    image = QImage(40, 30, QImage.Format.Format_RGB32)
    for step in range(2):
        painter = QPainter(image)
        ground.paint(painter, aligned(view.panned(-6 * step, 0)), look, QRect(0, 0, 40, 30), compose)
        painter.end()
        if not step:
            asked.clear()
    assert sum(r.width() * r.height() for r in asked) == 6 * 30
    assert all(r.x() >= 34 for r in asked)


FRACTIONAL = """
import random, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from PySide6.QtCore import QRect
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
app = QApplication([])
from her2viewer.viewer.canvas.canvas import SlideCanvas
from tests.helpers.canvases import rgb
from tests.helpers.gated_slide import GatedSlide
from her2viewer.commands.bench_load import cells
from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.viewer.overlays.cells import CellLayer

class Counted(CellLayer):
    painted = 0
    def paint(self, painter, viewport):
        self.painted += 1
        super().paint(painter, viewport)

window = QWidget()
window.resize(540, 420)
canvas = SlideCanvas(window)
canvas.setGeometry(13, 7, 401, 303)
canvas.overview.shown = False
window.show()
slide = GatedSlide(8000, 6000, (1, 4))
canvas.set_slide(slide, slide.pixel_size)
marks = Counted("cells", CELL_SCHEME, (8000, 6000))
marks.append(cells(60_000, 8000, 6000))
canvas.add_layer(marks)
dpr = canvas.devicePixelRatioF()
assert dpr == float(sys.argv[1]), dpr

def idle():
    for _ in range(1000):
        QTest.qWait(5)
        if canvas.sharp and canvas.loader.outstanding == 0 and marks.idle:
            return
    raise AssertionError("tiles never came")

def seen():
    return rgb(window.grab().toImage())

def worst(difference):
    # In a view turned by any angle of all but one pixel in ten thousand.
    but = difference[..., 0].size // 10_000 if rotation % 90 else 0
    return int(np.sort(difference.max(axis=2), axis=None)[-1 - but])

pick = random.Random(3)
for rotation in (0.0, 90.0, 30.0):
    canvas.set_viewport(replace(canvas.viewport, downsample=1.3, cx=4000, cy=3000, rotation=rotation))
    idle()
    for _ in range(8):
        x, y, more = pick.randint(0, 20), pick.randint(0, 20), pick.randint(0, 3)
        canvas.setGeometry(x, y, 401 + more, 306 - more)
        for _ in range(3):
            canvas.set_viewport(canvas.viewport.panned(pick.uniform(-90, 90), pick.uniform(-90, 90)))
            canvas.repaint()
            canvas.repaint(QRect(40, 60, 201, 91))
        idle()
        seen()
        kept = seen()
        marks.painted = 0
        again = seen()
        assert marks.painted == 0, "what is kept was painted again"
        canvas.ground.forget()
        canvas.tissue.forget()
        canvas.schedule()
        fresh = seen()
        assert marks.painted > 0
        difference = np.abs(kept.astype(int) - fresh)
        # Turned tissue and overlays are interpolated, and round the other way here and there.
        assert worst(difference) <= (20 if rotation % 90 else 0), (rotation, difference.max())
        still = rgb(canvas.grab_view(tool=False))
        view = canvas.frame_view
        x, y = canvas.x() * dpr, canvas.y() * dpr
        fits = []
        for t in {int(y), round(y), int(y + 0.99)}:
            for l in {int(x), round(x), int(x + 0.99)}:
                part = kept[t + 2 : t + view.height - 2, l + 2 : l + view.width - 2].astype(int)
                fits.append(worst(np.abs(part - still[2:-2, 2:-2])))
        assert min(fits) <= (20 if rotation % 90 else 0), (rotation, fits)
        # Right up to the edges: the slide fills the view, and nothing there is as dark as what was never painted.
        l, t = round(x), round(y)
        inside = kept[t : t + view.height, l : l + view.width]
        assert inside.max(axis=2).min() >= 25, rotation
marks.stop()
canvas.shutdown()
print("fine")
"""


@pytest.mark.parametrize("dpr", ["1.25", "1.5", "1.75"])
def test_at_fractional_screen_scalings_the_kept_picture_is_the_one_painted_afresh(dpr: str) -> None:
    environment = os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "QT_SCALE_FACTOR": dpr,
        "QT_SCALE_FACTOR_ROUNDING_POLICY": "PassThrough",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    command = [sys.executable, "-c", FRACTIONAL, dpr]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "fine" in done.stdout


@pytest.mark.parametrize("turned", [0.0, 30.0])
def test_of_a_layer_that_changed_in_one_place_only_that_place_is_painted_anew(
    make_canvas: MakeCanvas, qtbot: QtBot, turned: float
) -> None:
    canvas = make_canvas(GatedSlide(8000, 6000, (1, 4)), 600, 420)
    canvas.overview.shown = False
    layer = Marks(QColor(200, 30, 30), 20)
    canvas.add_layer(layer)
    canvas.set_viewport(replace(canvas.viewport, downsample=2.0, cx=4000, cy=3000, rotation=turned))
    wait_idle(qtbot, canvas)
    canvas.repaint()
    layer.color = QColor(30, 30, 200)
    layer.changed_in.emit((4000.0, 2900.0, 4400.0, 3250.0))
    qtbot.waitUntil(lambda: (shown(canvas) == (30, 30, 200)).all(axis=2).any())
    y, x = np.nonzero((shown(canvas) == (30, 30, 200)).all(axis=2))
    still_red = (shown(canvas) == (200, 30, 30)).all(axis=2).any()
    if turned:
        # The place is no rectangle of the screen.
        assert not still_red
        return
    assert still_red
    left, top = canvas.viewport.to_screen(4000, 2900)
    right, bottom = canvas.viewport.to_screen(4400, 3250)
    assert left - 2 <= x.min()
    assert x.max() <= right + 2
    assert top - 2 <= y.min()
    assert y.max() <= bottom + 2
