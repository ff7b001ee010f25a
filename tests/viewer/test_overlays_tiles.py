"""Raster tiles of overlays: ordered, drawn in a worker, kept while their successors are drawn."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPainter
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays import raster_tiles
from her2viewer.viewer.overlays.cell_index import Box
from her2viewer.viewer.overlays.raster_tiles import TILE, RasterTiles
from her2viewer.viewer.overlays.tile_shelf import Key, stand_ins

VIEW = Viewport(1000, 1000, 1.0, 800, 600)
WHITE = QColor(255, 255, 255)


class Painter:
    """Fills every tile with one colour, and notes what it was asked for."""

    def __init__(self, color: QColor) -> None:
        self.color = color
        self.asked: list[tuple[Box, float]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, box: Box, size: int, downsample: float) -> QImage | None:
        self.gate.wait(10)
        self.asked.append((box, downsample))
        image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(self.color)
        return image


@pytest.fixture
def tiles(qtbot: QtBot) -> Iterator[RasterTiles]:
    made = RasterTiles(ahead=False)
    yield made
    made.stop()


@pytest.fixture
def wide(qtbot: QtBot) -> Iterator[RasterTiles]:
    """As the layers have them, with what is drawn ahead."""
    made = RasterTiles()
    yield made
    made.stop()


def picture(tiles: RasterTiles, view: Viewport) -> QImage:
    image = QImage(view.width, view.height, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(view.dpr)
    image.fill(WHITE)
    painter = QPainter(image)
    tiles.paint(painter, view)
    painter.end()
    return image


def settled(qtbot: QtBot, tiles: RasterTiles, view: Viewport) -> QImage:
    tiles.set_viewport(view)
    qtbot.waitUntil(lambda: tiles.idle, timeout=5000)
    return picture(tiles, view)


def share(image: QImage, color: QColor) -> float:
    """Share of the pixels that have exactly this colour, from a grid of samples."""
    points = [(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)]
    return sum(image.pixelColor(*p) == color for p in points) / len(points)


def test_a_view_is_covered_without_seams_and_nothing_else_is_drawn(qtbot: QtBot, tiles: RasterTiles) -> None:
    red = Painter(QColor("red"))
    tiles.set_render(red)
    view = replace(VIEW, cx=1000.37, cy=999.81, downsample=0.73)
    assert share(settled(qtbot, tiles, view), QColor("red")) == 1.0
    x0, y0, x1, y1 = view.bounds()
    for (left, top, right, bottom), downsample in red.asked:
        assert downsample == 0.73
        assert left < x1
        assert right > x0
        assert top < y1
        assert bottom > y0
        assert right - left == pytest.approx(TILE * 0.73)


def test_a_pan_draws_only_what_is_new(qtbot: QtBot, tiles: RasterTiles) -> None:
    red = Painter(QColor("red"))
    tiles.set_render(red)
    settled(qtbot, tiles, VIEW)
    count = len(red.asked)
    settled(qtbot, tiles, VIEW.panned(-10, 0))
    assert len(red.asked) == count
    settled(qtbot, tiles, VIEW.panned(-TILE, 0))
    assert len(red.asked) == count + 2


def test_while_another_zoom_is_drawn_the_last_one_is_shown_scaled(qtbot: QtBot, tiles: RasterTiles) -> None:
    red = Painter(QColor("red"))
    tiles.set_render(red)
    settled(qtbot, tiles, VIEW)
    picture(tiles, VIEW)
    red.gate.clear()
    closer = replace(VIEW, downsample=0.5)
    tiles.set_viewport(closer)
    assert share(picture(tiles, closer), QColor("red")) == 1.0
    red.gate.set()
    assert share(settled(qtbot, tiles, closer), QColor("red")) == 1.0
    assert {d for _, d in red.asked} == {1.0, 0.5}


def test_zooms_that_are_passed_through_are_not_drawn(qtbot: QtBot, tiles: RasterTiles) -> None:
    red = Painter(QColor("red"))
    tiles.set_render(red)
    settled(qtbot, tiles, VIEW)
    for step in range(1, 8):
        tiles.set_viewport(replace(VIEW, downsample=1.0 + step / 10))
    settled(qtbot, tiles, replace(VIEW, downsample=2.0))
    assert {d for _, d in red.asked} == {1.0, 2.0}


def test_new_evidence_marks_only_the_tiles_it_touches(qtbot: QtBot, tiles: RasterTiles) -> None:
    red, blue = Painter(QColor("red")), Painter(QColor("blue"))
    tiles.set_render(red)
    settled(qtbot, tiles, VIEW)
    tiles.update_render(blue, (1030, 1030, 1040, 1040), margin=4)
    # Until the new tile is there, the old one stays.
    assert share(picture(tiles, VIEW), QColor("red")) == 1.0
    image = settled(qtbot, tiles, VIEW)
    assert len(blue.asked) == 1
    assert image.pixelColor(*(round(v) for v in VIEW.to_screen(1035, 1035))) == QColor("blue")
    assert image.pixelColor(*(round(v) for v in VIEW.to_screen(1020, 1035))) == QColor("red")


def test_a_tile_of_older_evidence_that_comes_late_is_drawn_again(qtbot: QtBot, tiles: RasterTiles) -> None:
    red, blue = Painter(QColor("red")), Painter(QColor("blue"))
    red.gate.clear()
    tiles.set_render(red)
    tiles.set_viewport(VIEW)
    qtbot.wait(20)
    tiles.set_render(blue)
    red.gate.set()
    qtbot.waitUntil(lambda: tiles.idle, timeout=5000)
    assert share(picture(tiles, VIEW), QColor("blue")) == 1.0


def test_a_drawing_that_fails_is_logged_and_leaves_the_rest_alone(
    qtbot: QtBot, tiles: RasterTiles, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(box: Box, size: int, downsample: float) -> QImage | None:
        raise ValueError("no such cell")

    with caplog.at_level(logging.ERROR):
        tiles.set_render(broken)
        assert share(settled(qtbot, tiles, VIEW), WHITE) == 1.0
    assert "no such cell" in caplog.text
    tiles.set_render(Painter(QColor("red")))
    assert share(settled(qtbot, tiles, VIEW), QColor("red")) == 1.0


def test_after_it_was_stopped_what_comes_late_orders_no_more(qtbot: QtBot, tiles: RasterTiles) -> None:
    painter = Painter(QColor(200, 30, 30))
    tiles.set_render(painter)
    tiles.set_viewport(VIEW)
    # Tiles are drawn and wait to be taken up, when their layer goes.
    while len(painter.asked) < 2:
        threading.Event().wait(0.01)
    tiles.stop()
    asked = len(painter.asked)
    qtbot.waitUntil(lambda: tiles.idle)
    tiles.set_viewport(replace(VIEW, cx=5000))
    qtbot.wait(100)
    assert len(painter.asked) == asked


def test_memory_is_bounded(qtbot: QtBot, tiles: RasterTiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster_tiles, "CACHE_BYTES", 12 * TILE * TILE * 4)
    tiles.set_render(Painter(QColor("red")))
    for step in range(6):
        settled(qtbot, tiles, VIEW.panned(-1000 * step, 0))
    assert tiles._bytes <= 12 * TILE * TILE * 4
    assert tiles._bytes == sum(t.image.sizeInBytes() for t in tiles._tiles.values() if t.image is not None)


@pytest.mark.parametrize("rotation", [0.0, 90.0, 33.0])
@pytest.mark.parametrize("dpr", [1.0, 2.0, 1.5])
def test_a_point_lies_where_the_view_says_at_every_turn_and_density(
    qtbot: QtBot, tiles: RasterTiles, rotation: float, dpr: float
) -> None:
    spot = (1100.0, 940.0)

    def render(box: Box, size: int, downsample: float) -> QImage | None:
        image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        x, y = (spot[0] - box[0]) / downsample, (spot[1] - box[1]) / downsample
        painter.fillRect(round(x) - 4, round(y) - 4, 8, 8, QColor("red"))
        painter.end()
        return image

    tiles.set_render(render)
    view = Viewport(1000, 1000, 1.0, 900, 600, rotation, dpr)
    image = settled(qtbot, tiles, view)
    sx, sy = view.to_screen(*spot)
    assert image.pixelColor(round(sx * dpr), round(sy * dpr)) == QColor("red")
    red = [
        (x, y)
        for x in range(image.width())
        for y in range(round(sy * dpr) - 20, round(sy * dpr) + 20)
        if image.pixelColor(x, y) == QColor("red")
    ]
    assert 30 <= len(red) <= 100


@pytest.mark.parametrize("step", [1.5, 2.0, 3.9])
def test_a_zoom_out_of_a_view_that_stayed_finds_all_of_it_drawn_coarser(
    qtbot: QtBot, wide: RasterTiles, step: float
) -> None:
    red = Painter(QColor("red"))
    wide.set_render(red)
    settled(qtbot, wide, VIEW)
    assert {downsample for _, downsample in red.asked} == {1.0, 4.0}
    red.gate.clear()
    out = replace(VIEW, downsample=step)
    wide.set_viewport(out)
    assert share(picture(wide, out), QColor("red")) == 1.0
    x0, y0, x1, y1 = out.bounds()
    held = wide.shelf().within((x0, y0, x1, y1), step)
    assert {raster.step for raster in held} <= {1.0, 4.0}
    parts = [raster.part for raster in held if raster.part is not None]
    assert sum((c - a) * (d - b) for a, b, c, d in parts) == pytest.approx((x1 - x0) * (y1 - y0))
    red.gate.set()


def test_what_is_drawn_ahead_repaints_nothing(qtbot: QtBot, wide: RasterTiles) -> None:
    wide.set_render(Painter(QColor("red")))
    told: list[Box] = []
    wide.ready.connect(told.append)
    settled(qtbot, wide, VIEW)
    x0, y0, x1, y1 = VIEW.bounds()
    for box in told:
        assert box[2] - box[0] <= x1 - x0 + 2 * TILE
        assert box[3] - box[1] <= y1 - y0 + 2 * TILE
    known = len(told)
    qtbot.wait(50)
    assert len(told) == known


def test_on_a_screen_that_fills_the_cache_what_is_seen_stays_and_the_work_ends(
    qtbot: QtBot, wide: RasterTiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_tiles, "CACHE_BYTES", 14 * TILE * TILE * 4)
    red = Painter(QColor("red"))
    wide.set_render(red)
    for step in range(4):
        view = VIEW.panned(-300 * step, 90 * step)
        assert share(settled(qtbot, wide, view), QColor("red")) == 1.0
        asked = len(red.asked)
        wide.set_viewport(view)
        qtbot.waitUntil(lambda: wide.idle)
        assert len(red.asked) == asked, "nothing that is seen was driven out"


@settings(max_examples=80, deadline=None)
@given(
    keys=st.sets(
        st.tuples(st.sampled_from([0.5, 1.0, 3.3, 8.0]), st.integers(-1, 3), st.integers(-1, 3)), max_size=12
    ),
    left=st.floats(-700, 900),
    top=st.floats(-700, 900),
    downsample=st.floats(0.4, 10),
)
def test_stand_ins_fill_what_tiles_there_are_for_once_and_the_zoom_most_alike_comes_first(
    keys: set[Key], left: float, top: float, downsample: float
) -> None:
    hole = (left, top, left + 1000.0, top + 700.0)
    found = list(stand_ins(keys, [hole], downsample))
    step = 23.0
    for x in np.arange(left + 1, hole[2], step):
        for y in np.arange(top + 1, hole[3], step):
            over = [key for key, (x0, y0, x1, y1) in found if x0 <= x < x1 and y0 <= y < y1]
            there = [k for k in keys if k[1] <= x / (TILE * k[0]) < k[1] + 1 and k[2] <= y / (TILE * k[0]) < k[2] + 1]
            assert len(over) == bool(there)
            if over:
                apart = {abs(math.log(key[0] / downsample)) for key in there}
                assert abs(math.log(over[0][0] / downsample)) == min(apart)
