"""What is on the screen: seams, turned views, layers, tool, scale bar, overview, odd slides, screen scaling."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.scalebar import bar, length_label, nice_length
from her2viewer.viewer.canvas.viewport import Viewport
from tests.helpers.canvases import MakeCanvas, move_mouse, rgb, tissue, wait_idle, wait_sharp
from tests.helpers.gated_slide import GatedSlide

ODD_ZOOMS = (0.13, 0.73, 1.0, 1.0001, 1.37, 2.9, 3.7, 7.77)


def show(canvas: SlideCanvas, qtbot: QtBot, **change: float) -> None:
    canvas.set_viewport(replace(canvas.viewport, **change))
    wait_sharp(qtbot, canvas)


@pytest.mark.parametrize("rotation", [0.0, 90.0, 180.0, 270.0, 33.0])
def test_a_slide_of_one_colour_shows_no_seam_at_any_zoom(
    make_canvas: MakeCanvas, qtbot: QtBot, rotation: float
) -> None:
    slide = GatedSlide(12_000, 9000, (1, 4.003, 16.02), colour=(200, 120, 90))
    canvas = make_canvas(slide, 701, 502)
    for downsample in ODD_ZOOMS:
        show(canvas, qtbot, cx=6001.3, cy=4499.7, downsample=downsample, rotation=rotation)
        assert (tissue(canvas) == (200, 120, 90)).all()


def test_stand_ins_show_no_seam_either(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(12_000, 9000, (1, 4.003, 16.02), colour=(200, 120, 90))
    canvas = make_canvas(slide, 701, 502)
    show(canvas, qtbot, downsample=1.9, cx=6000, cy=4500)
    wait_idle(qtbot, canvas)
    slide.hold()
    for downsample in ODD_ZOOMS:
        canvas.set_viewport(replace(canvas.viewport, downsample=downsample, cx=6100.4, cy=4600.3))
        assert (tissue(canvas) == (200, 120, 90)).all()


def test_a_gradient_is_continuous_across_tiles(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(4000, 3000, (1, 4))
    canvas = make_canvas(slide, 701, 502)
    for downsample in ODD_ZOOMS:
        show(canvas, qtbot, cx=2001.3, cy=1499.7, downsample=downsample)
        shown = tissue(canvas).astype(int)
        x0, y0, x1, y1 = canvas.frame_view.bounds()
        # The middle of a screen pixel lies at this slide point.
        xs = x0 + (np.arange(701) + 0.5) * (x1 - x0) / 701
        ys = y0 + (np.arange(502) + 0.5) * (y1 - y0) / 502
        on_x, on_y = (xs > 8) & (xs < 3992), (ys > 8) & (ys < 2992)
        assert np.abs(shown[..., 0] - (xs - 0.5) * 255 / 3999)[np.ix_(on_y, on_x)].max() <= 2
        assert np.abs(shown[..., 1] - ((ys - 0.5) * 255 / 2999)[:, None])[np.ix_(on_y, on_x)].max() <= 2
        steps = np.diff(shown[..., 0][:, on_x], axis=1)
        assert steps[on_y].min() >= 0, "never back to the left at a joint"


def test_one_to_one_shows_the_pixels_of_the_file(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(3000, 2000, (1, 4))
    canvas = make_canvas(slide, 640, 480)
    show(canvas, qtbot, cx=1500.0, cy=1000.0, downsample=1.0)
    assert np.array_equal(tissue(canvas), slide.pixels(0, 1500 - 320, 1000 - 240, 640, 480))


@pytest.mark.parametrize(("rotation", "turns"), [(90.0, -1), (180.0, 2), (270.0, 1)])
def test_right_angles_turn_the_pixels_exactly(
    make_canvas: MakeCanvas, qtbot: QtBot, rotation: float, turns: int
) -> None:
    slide = GatedSlide(3000, 2000, (1, 4))
    canvas = make_canvas(slide, 641, 480)
    show(canvas, qtbot, cx=1500.0, cy=1000.0, downsample=1.0, rotation=rotation)
    view = canvas.frame_view
    w, h = (641, 480) if rotation == 180 else (480, 641)
    upright = slide.pixels(0, round(view.cx - w / 2), round(view.cy - h / 2), w, h)
    assert np.array_equal(tissue(canvas), np.rot90(upright, turns))


def test_a_turned_view_shows_each_slide_point_where_the_viewport_says(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(4000, 3000, (1, 4))
    canvas = make_canvas(slide, 640, 480)
    show(canvas, qtbot, cx=2000.0, cy=1500.0, downsample=3.0, rotation=37.0)
    shown = tissue(canvas).astype(int)
    for x, y in ((2000, 1500), (1500, 1300), (2500, 1900), (1800, 1700)):
        sx, sy = canvas.frame_view.to_screen(x, y)
        red, green, _ = shown[int(sy), int(sx)]
        assert abs(red - x * 255 / 3999) <= 2
        assert abs(green - y * 255 / 2999) <= 2


@pytest.mark.parametrize(
    ("width", "height", "downsamples", "tile"),
    [
        (100, 100, (1,), 256),
        (1, 1, (1,), 256),
        (2220, 2967, (1,), 240),
        (200_000, 200_000, (1, 4, 16, 64, 256), 512),
        (200_000, 300, (1, 8), 256),
        (50, 90_000, (1, 16), 256),
        (5000, 4000, (1, 3.97, 16.3), 1024),
    ],
)
def test_slides_of_any_shape_fit_zoom_and_turn(
    make_canvas: MakeCanvas, qtbot: QtBot, width: int, height: int, downsamples: tuple[float, ...], tile: int
) -> None:
    slide = GatedSlide(width, height, downsamples, tile, mpp=None, colour=(10, 200, 30))
    canvas = make_canvas(slide, 600, 400)
    wait_sharp(qtbot, canvas)
    assert canvas.viewport.bounds()[0] <= 0
    assert canvas.viewport.bounds()[2] >= width
    for act in (canvas.one_to_one, lambda: canvas.rotate(90), lambda: canvas.zoom_by(9), lambda: canvas.zoom_by(-30)):
        act()
        wait_sharp(qtbot, canvas)
        canvas.grab()
        x, y = canvas.frame_view.to_screen(canvas.frame_view.cx, canvas.frame_view.cy)
        if min(width, height) / canvas.viewport.downsample > 4:
            middle = tissue(canvas)[min(399, int(y)), min(599, int(x))]
            on_edge = canvas.viewport.cx in (0, width) or canvas.viewport.cy in (0, height)
            assert on_edge or tuple(middle) == (10, 200, 30)


def test_outside_the_slide_is_the_neutral_colour(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(1000, 1000, (1,), colour=(250, 250, 250))
    canvas = make_canvas(slide, 600, 300)
    wait_sharp(qtbot, canvas)
    shown = tissue(canvas)
    outside = canvas.outside_color
    assert tuple(shown[150, 5]) == (outside.red(), outside.green(), outside.blue())
    assert tuple(shown[150, 300]) == (250, 250, 250)


class Mark(Layer):
    """A filled square around a slide point."""

    def __init__(self, colour: str, x: float, y: float) -> None:
        super().__init__("mark")
        self.colour, self.x, self.y = QColor(colour), x, y
        self.views: list[Viewport] = []

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        sx, sy = viewport.to_screen(self.x, self.y)
        painter.fillRect(int(sx) - 10, int(sy) - 10, 20, 20, self.colour)

    def viewport_changed(self, viewport: Viewport) -> None:
        self.views.append(viewport)

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        return "mark" if abs(x - self.x) < 50 else None


def colour_at(canvas: SlideCanvas, x: float, y: float) -> tuple[int, ...]:
    sx, sy = canvas.frame_view.to_screen(x, y)
    return tuple(int(v) for v in rgb(canvas.grab_view(scale_bar=False))[int(sy), int(sx)])


def test_layers_are_painted_over_the_tissue_with_their_opacity(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(2000, 2000, (1,), colour=(0, 0, 0))
    canvas = make_canvas(slide)
    wait_sharp(qtbot, canvas)
    layer = Mark("#ff0000", 500, 500)
    canvas.add_layer(layer)
    assert colour_at(canvas, 500, 500) == (255, 0, 0)
    layer.opacity = 0.5
    assert abs(colour_at(canvas, 500, 500)[0] - 128) <= 1
    layer.visible = False
    assert colour_at(canvas, 500, 500) == (0, 0, 0)
    assert canvas.readout(500, 500) is None
    layer.visible = True
    assert canvas.readout(500, 500) == "mark"
    canvas.remove_layer(layer)
    assert colour_at(canvas, 500, 500) == (0, 0, 0)
    assert canvas.layers == ()


def test_one_switch_hides_all_layers_but_those_that_always_show(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    class Outline(Mark):
        always_visible = True
        z = 5

    slide = GatedSlide(2000, 2000, (1,), colour=(0, 0, 0))
    canvas = make_canvas(slide)
    wait_sharp(qtbot, canvas)
    outline, cells = Outline("#00ff00", 1500, 1500), Mark("#ff0000", 500, 500)
    canvas.add_layer(outline)
    canvas.add_layer(cells)
    assert canvas.layers == (cells, outline), "sorted by z"
    with qtbot.waitSignal(canvas.overlays_hidden_changed):
        canvas.overlays_hidden = True
    assert colour_at(canvas, 500, 500) == (0, 0, 0)
    assert colour_at(canvas, 1500, 1500) == (0, 255, 0)
    assert cells.visible, "its own setting stays"
    canvas.overlays_hidden = False
    assert colour_at(canvas, 500, 500) == (255, 0, 0)


def test_layers_get_the_view_that_is_painted_once_a_frame(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(2000, 2000, (1,))
    canvas = make_canvas(slide)
    wait_idle(qtbot, canvas)
    layer = Mark("#ff0000", 500, 500)
    canvas.add_layer(layer)
    layer.views.clear()
    for step in range(20):
        canvas.set_viewport(canvas.viewport.panned(step + 1, 0))
    qtbot.waitUntil(lambda: bool(layer.views))
    assert layer.views == [canvas.frame_view]


def test_repaints_are_joined_to_one_a_frame(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(2000, 2000, (1,))
    canvas = make_canvas(slide)
    wait_idle(qtbot, canvas)
    painted = 0

    class Counting(Mark):
        def paint(self, painter: QPainter, viewport: Viewport) -> None:
            nonlocal painted
            painted += 1

    layer = Counting("#ff0000", 0, 0)
    canvas.add_layer(layer)
    qtbot.waitUntil(lambda: painted > 0)
    QTest.qWait(50)
    painted = 0
    for _ in range(100):
        layer.changed.emit()
        canvas.schedule()
    QTest.qWait(80)
    assert painted == 1


@pytest.mark.parametrize(
    ("most", "length"), [(1, 1), (1.9, 1), (2, 2), (4.99, 2), (5, 5), (9.9, 5), (10, 10), (740, 500), (0.3, 0.2)]
)
def test_lengths_of_the_scale_bar_are_round(most: float, length: float) -> None:
    assert nice_length(most) == pytest.approx(length)


@pytest.mark.parametrize(
    ("um", "label"), [(200, "200 µm"), (1000, "1 mm"), (5000, "5 mm"), (0.5, "500 nm"), (1, "1 µm")]
)
def test_the_label_of_the_scale_bar(um: float, label: str) -> None:
    assert length_label(um) == label


@pytest.mark.parametrize("dpr", [1.0, 1.5, 2.0])
def test_the_bar_is_as_long_as_it_says(dpr: float) -> None:
    slide = GatedSlide(mpp=0.25)
    view = Viewport(0, 0, 2.0, 1000, 800, dpr=dpr)
    length, label = bar(view, slide.pixel_size)
    um = float(label.split()[0])
    assert length * dpr * 2.0 * 0.25 == pytest.approx(um)
    assert length <= 150


def test_without_a_pixel_size_the_bar_counts_slide_pixels() -> None:
    length, label = bar(Viewport(0, 0, 4.0, 1000, 800), None)
    assert label == "500 px"
    assert length == 125


def test_the_scale_bar_is_painted_and_can_be_hidden(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(2000, 2000, (1,), colour=(250, 250, 250))
    canvas = make_canvas(slide)
    canvas.one_to_one()
    wait_sharp(qtbot, canvas)
    corner = (slice(-60, None), slice(0, 200))
    assert not (rgb(canvas.grab_view())[corner] == 250).all()
    canvas.scale_bar_visible = False
    assert (rgb(canvas.grab_view())[corner] == 250).all()


def test_the_overview_shows_the_slide_and_moves_the_view(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(20_000, 10_000, (1, 4, 16))
    canvas = make_canvas(slide)
    canvas.one_to_one()
    wait_idle(qtbot, canvas)
    overview = canvas.overview
    assert overview.isVisible()
    assert overview.x() > canvas.width() / 2
    picture = rgb(overview.grab().toImage())
    assert picture[10, 30, 0] < 60 < 190 < picture[-12, -30, 0], "red follows x"
    at = QPoint(overview.width() * 3 // 4, overview.height() // 4)
    qtbot.mouseClick(overview, Qt.MouseButton.LeftButton, pos=at)
    assert canvas.viewport.cx == pytest.approx(15_000, abs=400)
    assert canvas.viewport.cy == pytest.approx(2500, abs=500)
    overview.shown = False
    assert not overview.isVisible()
    overview.shown = True
    assert overview.isVisible()


def test_a_canvas_too_small_for_the_overview_hides_it(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(2000, 2000, (1,)), 300, 200)
    assert not canvas.overview.isVisible()
    canvas.resize(900, 700)
    assert canvas.overview.isVisible()


def test_dragging_in_the_overview_follows_the_pointer(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(20_000, 10_000, (1, 4, 16))
    canvas = make_canvas(slide)
    canvas.one_to_one()
    overview = canvas.overview
    qtbot.mousePress(overview, Qt.MouseButton.LeftButton, pos=QPoint(30, 30))
    before = canvas.viewport.cx
    move_mouse(overview, 120, 30, Qt.MouseButton.LeftButton)
    assert canvas.viewport.cx > before + 5000
    qtbot.mouseRelease(overview, Qt.MouseButton.LeftButton, pos=QPoint(120, 30))


SCALED = """
import sys
import numpy as np
from PySide6.QtWidgets import QApplication, QWidget
from PySide6.QtTest import QTest
app = QApplication([])
from her2viewer.viewer.canvas.canvas import SlideCanvas
from tests.helpers.canvases import rgb
from tests.helpers.gated_slide import GatedSlide
window = QWidget()
window.resize(500, 400)
canvas = SlideCanvas(window)
canvas.setGeometry(13, 7, 401, 303)
canvas.overview.shown = False
canvas.scale_bar_visible = False
window.show()
slide = GatedSlide(5000, 4000, (1, 4))
canvas.set_slide(slide, slide.pixel_size)
for rotation in (0.0, 90.0):
    canvas.one_to_one()
    canvas.rotate(rotation)
    for _ in range(500):
        QTest.qWait(10)
        if canvas.sharp:
            break
    dpr = canvas.devicePixelRatioF()
    assert dpr == float(sys.argv[1]), dpr
    view = canvas.frame_view
    assert (view.width, view.height) == (round(401 * dpr), round(303 * dpr)), view
    w, h = (view.width, view.height) if rotation == 0 else (view.height, view.width)
    truth = slide.pixels(0, round(view.cx - w / 2), round(view.cy - h / 2), w, h)
    truth = truth if rotation == 0 else np.rot90(truth, -1)
    QTest.qWait(50)
    whole = rgb(window.grab().toImage())
    x, y = 13 * dpr, 7 * dpr
    fits = [
        np.array_equal(whole[t + 2 : t + view.height - 2, l + 2 : l + view.width - 2], truth[2:-2, 2:-2])
        for t in {int(y), round(y), int(y + 0.99)}
        for l in {int(x), round(x), int(x + 0.99)}
    ]
    assert any(fits), "the tissue on the screen is not the pixels of the slide"
canvas.shutdown()
print("fine")
"""


@pytest.mark.parametrize("dpr", ["1.0", "1.25", "1.5", "2.0"])
def test_one_slide_pixel_is_one_screen_pixel_at_every_screen_scaling(dpr: str) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "QT_SCALE_FACTOR": dpr,
        "QT_SCALE_FACTOR_ROUNDING_POLICY": "PassThrough",
        "PYTHONPATH": str(root),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCALED, dpr], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "fine" in done.stdout


def test_the_overview_follows_the_view_the_region_and_the_slide(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(20_000, 10_000, (1, 4, 16)))
    canvas.one_to_one()
    wait_idle(qtbot, canvas)

    def shown() -> np.ndarray:
        return rgb(canvas.overview.grab().toImage())

    before = shown()
    assert np.array_equal(before, shown())
    canvas.set_viewport(canvas.viewport.centred(15_000, 2000))
    moved = shown()
    assert not np.array_equal(before, moved)
    assert np.array_equal(moved, shown()), "in motion and at rest alike"
    outline = QPainterPath()
    outline.addRect(2000, 2000, 6000, 5000)
    canvas.overview.set_outline(outline)
    with_outline = shown()
    assert not np.array_equal(moved, with_outline)
    canvas.overview.set_outline(QPainterPath())
    assert np.array_equal(moved, shown())
    slide = GatedSlide(20_000, 10_000, (1, 4, 16), colour=(200, 120, 90))
    canvas.set_slide(slide, slide.pixel_size)
    wait_idle(qtbot, canvas)
    assert (shown()[20, 40] == (200, 120, 90)).all()
