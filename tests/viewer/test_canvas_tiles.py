"""Tiles from worker threads to the screen."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from her2viewer.slides.slide import RGBImage, SlideError
from her2viewer.viewer.canvas.grid import Pyramid, TileKey
from her2viewer.viewer.canvas.loader import LoadedTile, TileLoader
from tests.helpers.canvases import MakeCanvas, rgb, tissue, wait_idle, wait_sharp
from tests.helpers.gated_slide import GatedSlide


@pytest.fixture
def loader(qtbot: QtBot, gated_slide: GatedSlide):
    """One worker on a gated slide, and the list of what it delivered."""
    loader = TileLoader(workers=1)
    delivered: list[LoadedTile] = []
    loader.tiles_ready.connect(delivered.extend)
    loader.set_source(gated_slide)
    yield loader, delivered
    gated_slide.gate.set()
    loader.shutdown()


def row_of(slide: GatedSlide, count: int, level: int = 0) -> list[TileKey]:
    scale = Pyramid.of(slide).natural(level)
    return [TileKey(scale, column, 0) for column in range(count)]


def test_tiles_are_read_in_the_order_given(loader, gated_slide: GatedSlide, qtbot: QtBot) -> None:
    tiles, delivered = loader
    keys = row_of(gated_slide, 6)[::-1]
    tiles.set_wanted(keys)
    qtbot.waitUntil(lambda: len(delivered) == 6)
    assert [d.tile.key for d in delivered] == keys
    assert [x for _, x, *_ in gated_slide.reads] == [256 * k.column for k in keys]


def test_a_new_wanted_list_replaces_the_old_one(loader, gated_slide: GatedSlide, qtbot: QtBot) -> None:
    tiles, delivered = loader
    keys = row_of(gated_slide, 8)
    gated_slide.hold()
    tiles.set_wanted(keys[:5])
    qtbot.waitUntil(lambda: gated_slide.reading == 1)
    tiles.set_wanted(keys[6:])
    gated_slide.gate.set()
    qtbot.waitUntil(lambda: tiles.outstanding == 0 and len(delivered) == 3)
    assert [d.tile.key.column for d in delivered] == [0, 6, 7], "the tile in hand, then only the new ones"


@pytest.mark.parametrize(
    ("wanted", "urgent", "readers"), [(9, 9, 1), (10, 10, 2), (15, 5, 1)], ids=["pan", "jump", "ahead"]
)
def test_one_more_reader_is_at_work_after_a_jump_only(
    gated_slide: GatedSlide, qtbot: QtBot, monkeypatch, wanted: int, urgent: int, readers: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    tiles = TileLoader()
    tiles.set_source(gated_slide)
    gated_slide.hold()
    try:
        tiles.set_wanted(row_of(gated_slide, wanted), urgent)
        qtbot.waitUntil(lambda: gated_slide.reading == readers)
        qtbot.wait(60)
        assert gated_slide.reading == readers
    finally:
        gated_slide.gate.set()
    qtbot.waitUntil(lambda: tiles.outstanding == 0)
    assert len(gated_slide.reads) == wanted
    tiles.shutdown()


def test_a_tile_in_hand_is_not_read_twice(loader, gated_slide: GatedSlide, qtbot: QtBot) -> None:
    tiles, delivered = loader
    keys = row_of(gated_slide, 3)
    gated_slide.hold()
    tiles.set_wanted(keys)
    qtbot.waitUntil(lambda: gated_slide.reading == 1)
    tiles.set_wanted(keys)
    gated_slide.gate.set()
    qtbot.waitUntil(lambda: len(delivered) == 3)
    assert len(gated_slide.reads) == 3


def test_results_for_a_slide_shown_before_are_dropped(loader, gated_slide: GatedSlide, qtbot: QtBot) -> None:
    tiles, delivered = loader
    gated_slide.hold()
    tiles.set_wanted(row_of(gated_slide, 3))
    qtbot.waitUntil(lambda: gated_slide.reading == 1)
    other = GatedSlide(1000, 1000)
    tiles.set_source(other)
    tiles.set_wanted(row_of(other, 2))
    gated_slide.gate.set()
    qtbot.waitUntil(lambda: tiles.outstanding == 0 and len(delivered) == 2)
    assert len(gated_slide.reads) == 1
    assert len(other.reads) == 2


def test_tiles_that_come_close_together_are_delivered_together(gated_slide: GatedSlide, qtbot: QtBot) -> None:
    tiles = TileLoader(workers=1)
    batches: list[int] = []
    tiles.tiles_ready.connect(lambda batch: batches.append(len(batch)))
    tiles.set_source(gated_slide)
    gated_slide.hold()
    tiles.set_wanted(row_of(gated_slide, 12))
    # The main thread is busy while all of them become ready.
    gated_slide.gate.set()
    deadline = time.monotonic() + 10
    while len(gated_slide.reads) < 12 or gated_slide.reading:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    qtbot.waitUntil(lambda: sum(batches) == 12)
    tiles.shutdown()
    assert len(batches) <= 3


def test_shutdown_ends_the_workers_and_lets_go_of_the_slide(gated_slide: GatedSlide, qtbot: QtBot) -> None:
    tiles = TileLoader(workers=2)
    tiles.set_source(gated_slide)
    tiles.set_wanted(row_of(gated_slide, 10))
    tiles.shutdown()
    assert not [t for t in threading.enumerate() if t.name.startswith("tile reader")]
    assert tiles.wait_released(gated_slide, 0)
    gated_slide.close()
    assert not gated_slide.closed_while_read


def test_a_slide_is_released_only_when_no_worker_reads_it(loader, gated_slide: GatedSlide, qtbot: QtBot) -> None:
    tiles, _ = loader
    gated_slide.hold()
    tiles.set_wanted(row_of(gated_slide, 2))
    qtbot.waitUntil(lambda: gated_slide.reading == 1)
    tiles.set_source(None)
    assert not tiles.wait_released(gated_slide, 0.05)
    gated_slide.gate.set()
    assert tiles.wait_released(gated_slide, 5)


def test_a_reader_that_fails_in_its_own_way_does_not_end_the_worker(qtbot: QtBot) -> None:
    class Odd(GatedSlide):
        def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
            if x == 0:
                raise ZeroDivisionError
            return super().read(level, x, y, width, height)

    slide = Odd()
    tiles = TileLoader(workers=1)
    delivered: list[LoadedTile] = []
    tiles.tiles_ready.connect(delivered.extend)
    tiles.set_source(slide)
    tiles.set_wanted(row_of(slide, 3))
    qtbot.waitUntil(lambda: len(delivered) == 3)
    tiles.shutdown()
    assert [d.problem is not None for d in delivered] == [True, False, False]


def test_the_slide_is_never_read_on_the_main_thread(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(20_000, 15_000, (1, 4, 16))
    canvas = make_canvas(slide)
    wait_idle(qtbot, canvas)
    canvas.one_to_one()
    wait_idle(qtbot, canvas)
    canvas.rotate(33)
    canvas.zoom_by(-2)
    wait_idle(qtbot, canvas)
    canvas.grab_view()
    canvas.overview.grab()
    assert slide.threads
    assert threading.get_ident() not in slide.threads


def test_the_view_is_never_blank_where_a_coarser_tile_is_known(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(20_000, 15_000, (1, 4, 16))
    canvas = make_canvas(slide)
    wait_idle(qtbot, canvas)
    slide.hold()
    blank = np.array(slide.background)
    for cx, cy, downsample in ((3000, 3000, 1.0), (18_000, 13_000, 0.7), (9000, 9000, 3.3), (200, 14_000, 1.9)):
        canvas.set_viewport(canvas.viewport.centred(cx, cy))
        canvas.zoom_by(float(np.log2(canvas.viewport.downsample / downsample)))
        shown = tissue(canvas)
        assert not canvas.sharp
        x0, y0, x1, y1 = (round(v) for v in canvas.frame_view.bounds())
        inside = np.ones(shown.shape[:2], dtype=bool)
        xs = np.linspace(x0, x1, shown.shape[1])
        ys = np.linspace(y0, y1, shown.shape[0])
        margin = 2 * downsample
        inside &= ((xs > margin) & (xs < slide.width - margin))[None, :]
        inside &= ((ys > margin) & (ys < slide.height - margin))[:, None]
        assert inside.any()
        assert not (shown[inside] == blank).all(axis=1).any()
        # And it is the right place: red follows x, green follows y.
        assert np.abs(shown[..., 0] - (xs * 255 / slide.width)[None, :])[inside].max() < 6
        assert np.abs(shown[..., 1] - (ys * 255 / slide.height)[:, None])[inside].max() < 6


def test_a_view_sharpens_when_its_tiles_come(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(20_000, 15_000, (1, 4, 16))
    canvas = make_canvas(slide)
    wait_idle(qtbot, canvas)
    slide.hold()
    canvas.one_to_one()
    assert not (tissue(canvas)[..., 2] == 60).any(), "blue 60 is level 0"
    with qtbot.waitSignal(canvas.sharpened, timeout=10_000):
        slide.gate.set()
    assert (tissue(canvas)[..., 2] == 60).all()


def test_the_cache_stays_within_its_bytes_and_keeps_the_base(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(20_000, 15_000, (1, 4, 16))
    budget = 24 << 20
    canvas = make_canvas(slide, cache=budget)
    wait_idle(qtbot, canvas)
    pyramid = Pyramid.of(slide, canvas.pyramid.state)
    base = [TileKey(pyramid.base(), c, r) for r in range(pyramid.base().rows) for c in range(pyramid.base().columns)]
    canvas.one_to_one()
    for step in range(8):
        canvas.set_viewport(canvas.viewport.centred(2000 + 2000 * step, 7000))
        wait_sharp(qtbot, canvas)
    assert canvas.store.used <= budget + (2 << 20)
    assert all(key in canvas.store for key in base)


def test_a_failing_tile_is_hatched_said_once_and_the_rest_is_shown(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(2000, 1500, (1,), colour=(180, 60, 60))
    slide.broken = lambda level, x, y: (x, y) == (1024, 512)
    canvas = make_canvas()
    said: list[str] = []
    canvas.message.connect(said.append)
    canvas.set_slide(slide, slide.pixel_size)
    canvas.one_to_one()
    canvas.set_viewport(canvas.viewport.centred(1100, 700))
    wait_idle(qtbot, canvas)
    shown = tissue(canvas)
    grey = np.isin(shown, (150, 205)).all(axis=2)
    colour = (shown == (180, 60, 60)).all(axis=2)
    assert (grey | colour).all()
    assert grey.sum() == 256 * 256
    assert len(said) == 1
    assert "hatched" in said[0]


def test_a_slide_shown_again_is_read_again(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide(1000, 800, (1,), colour=(180, 60, 60))
    slide.broken = lambda level, x, y: True
    canvas = make_canvas(slide)
    wait_idle(qtbot, canvas)
    slide.broken = lambda level, x, y: False
    canvas.set_slide(slide)
    wait_idle(qtbot, canvas)
    assert (tissue(canvas) == (180, 60, 60)).all(axis=2).any()
    assert not np.isin(tissue(canvas), (150, 205)).all(axis=2).any()


def test_a_slide_that_is_gone_leaves_a_hatched_view_and_a_sentence(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    class Gone(GatedSlide):
        def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
            raise SlideError("The file is gone.")

    canvas = make_canvas()
    with qtbot.waitSignal(canvas.message, timeout=5000) as caught:
        canvas.set_slide(Gone(1000, 800, (1,)))
    assert "cannot be read" in caught.args[0]
    wait_idle(qtbot, canvas)


def test_another_slide_can_be_shown_while_tiles_of_the_first_are_read(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    first, second = GatedSlide(4000, 3000, colour=(200, 0, 0)), GatedSlide(3000, 4000, colour=(0, 200, 0))
    first.hold()
    canvas = make_canvas(first)
    qtbot.waitUntil(lambda: first.reading > 0)
    canvas.set_slide(second, None)
    wait_sharp(qtbot, canvas)
    assert first.reading, "a drive that does not answer holds up nobody"
    first.gate.set()
    wait_idle(qtbot, canvas)
    shown = tissue(canvas)
    assert not (shown == (200, 0, 0)).all(axis=2).any()
    assert (shown == (0, 200, 0)).all(axis=2).any()


def test_no_slide_after_a_slide_shows_nothing_of_it(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = GatedSlide()
    canvas = make_canvas(slide)
    wait_idle(qtbot, canvas)
    canvas.set_slide(None)
    outside = canvas.outside_color
    assert (tissue(canvas) == (outside.red(), outside.green(), outside.blue())).all()
    assert not canvas.overview.isVisible()
    assert canvas.loader.wait_released(slide, 5)


def test_closing_while_tiles_load_ends_the_workers(qtbot: QtBot, make_canvas: MakeCanvas) -> None:
    slide = GatedSlide()
    slide.hold()
    canvas = make_canvas(slide)
    qtbot.waitUntil(lambda: slide.reading > 0)
    threading.Timer(0.1, slide.gate.set).start()
    canvas.shutdown()
    assert slide.reading == 0
    slide.close()
    assert not slide.closed_while_read


def test_a_display_transform_replaces_the_colours_without_a_blank_frame(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    slide = GatedSlide(3000, 2000, colour=(100, 120, 140))
    canvas = make_canvas(slide)
    canvas.one_to_one()
    wait_idle(qtbot, canvas)
    reads = len(slide.reads)
    wait = threading.Event()

    def slow(pixels: RGBImage) -> RGBImage:
        wait.wait(10)
        return 255 - pixels

    canvas.set_display_transform(slow)
    assert (tissue(canvas) == (100, 120, 140)).all(), "the old colours stay until the new ones are there"
    wait.set()
    wait_idle(qtbot, canvas)
    assert (tissue(canvas) == (155, 135, 115)).all()
    assert len(slide.reads) == reads, "what is decoded is used again"
    canvas.set_display_transform(None)
    wait_idle(qtbot, canvas)
    assert (tissue(canvas) == (100, 120, 140)).all()


def test_a_slow_whole_slide_tile_gives_way_to_what_the_reader_looks_at(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    class Slow(GatedSlide):
        def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
            time.sleep(0.01)
            return super().read(level, x, y, width, height)

    slide = Slow(40_000, 40_000, (1,))
    canvas = make_canvas(slide, 400, 300, workers=1)
    qtbot.waitUntil(lambda: len(slide.reads) > 3)
    canvas.one_to_one()
    qtbot.waitUntil(lambda: canvas.sharp, timeout=3000)
    assert (rgb(canvas.grab_view(scale_bar=False))[..., 2] == 60).all()


FORGETFUL = """
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
app = QApplication([])
from her2viewer.viewer.canvas.canvas import SlideCanvas
from tests.helpers.gated_slide import GatedSlide
canvas = SlideCanvas(workers=2)
canvas.resize(800, 600)
canvas.show()
slide = GatedSlide(50_000, 50_000, (1, 4, 16))
canvas.set_slide(slide, None)
canvas.one_to_one()
while len(slide.reads) < 5:
    QTest.qWait(5)
raise SystemExit(7)
"""


def test_a_program_that_ends_without_shutdown_ends_in_order() -> None:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 7, done.stderr
