"""Cost of a frame and time to sharp. Figures are printed (``pytest -s``); nothing is timed in asserts.

A frame of cached tiles is compared with one blit of a picture of the same size in the same widget: the floor that no
design of this kind can go below.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEventLoop
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.canvas import SlideCanvas
from tests.helpers.canvases import canvases, wait_idle
from tests.helpers.gated_slide import GatedSlide

WIDTH, HEIGHT = 1920, 1080


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


class Blit(QWidget):
    """Paints one picture of its own size."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = QImage(WIDTH, HEIGHT, QImage.Format.Format_RGB32)
        self.picture.fill(0x808080)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawImage(0, 0, self.picture)
        painter.end()


def milliseconds(*acts: Callable[[], None], rounds: int = 60) -> list[tuple[float, float]]:
    """Median and 99th percentile of each act, taken in turn so that a busy machine slows all of them.

    The main thread's own time counts, which other programs do not lengthen by much.
    """
    taken: list[list[float]] = [[] for _ in acts]
    for _ in range(rounds + 1):
        for act, times in zip(acts, taken, strict=True):
            start = time.thread_time()
            act()
            times.append(1000 * (time.thread_time() - start))
    return [(statistics.median(t[1:]), sorted(t[1:])[math.ceil(0.99 * rounds) - 1]) for t in taken]


@pytest.fixture
def blit(qtbot: QtBot) -> Callable[[], None]:
    """One blit of a whole view: the floor."""
    widget = Blit()
    qtbot.addWidget(widget)
    widget.resize(WIDTH, HEIGHT)
    with qtbot.waitExposed(widget):
        widget.show()
    return widget.repaint


@pytest.mark.parametrize("overview", [False, True], ids=["bare", "with overview"])
@pytest.mark.parametrize("downsample", [1.0, 1 / 0.73, 3.7], ids=["1:1", "0.73", "1:3.7"])
def test_a_frame_of_cached_tiles(qtbot: QtBot, benchmark, blit, downsample: float, overview: bool) -> None:
    with canvases(qtbot) as make:
        slide = GatedSlide(30_000, 30_000, (1, 4, 16, 64))
        canvas = make(slide, WIDTH, HEIGHT)
        canvas.overview.shown = overview
        canvas.set_viewport(replace(canvas.viewport, downsample=downsample))
        wait_idle(qtbot, canvas)
        (least, _), (median, worst) = milliseconds(blit, canvas.repaint)
        say(
            f"\n  frame at {1 / downsample:.3g}: median {median:.2f} ms, p99 {worst:.2f} ms; blit {least:.2f} ms; "
            f"ratio {median / least:.2f}"
        )
        benchmark.pedantic(canvas.repaint, rounds=20)
        assert canvas.sharp


@pytest.mark.parametrize("what", ["stand-ins", "turned 90", "turned 30"])
def test_a_frame_that_costs_more(qtbot: QtBot, blit, what: str) -> None:
    with canvases(qtbot) as make:
        slide = GatedSlide(30_000, 30_000, (1, 4, 16, 64))
        canvas = make(slide, WIDTH, HEIGHT)
        canvas.set_viewport(replace(canvas.viewport, downsample=1.6))
        if what == "stand-ins":
            wait_idle(qtbot, canvas)
            slide.hold()
            canvas.zoom_by(0.4)
            canvas.loader.set_wanted([])
        else:
            canvas.rotate(float(what.split()[1]))
            wait_idle(qtbot, canvas)

        def moved() -> None:
            canvas.set_viewport(canvas.viewport.panned(1, 0))
            canvas.repaint()

        again, panned, least = milliseconds(canvas.repaint, moved, blit, rounds=30)
        say(
            f"\n  {what}: again {again[0]:.1f} ms, p99 {again[1]:.1f}; panned {panned[0]:.1f}, p99 {panned[1]:.1f}; "
            f"blit {least[0]:.2f} ms"
        )
        assert canvas.sharp == (what != "stand-ins")


def until_sharp(canvas: SlideCanvas) -> float:
    """Milliseconds from now until all is sharp; the event loop sleeps as in the program."""
    start = time.perf_counter()
    loop = QEventLoop()
    canvas.sharpened.connect(loop.quit)
    if not canvas.sharp:
        loop.exec()
    return 1000 * (time.perf_counter() - start)


def test_from_a_jump_to_sharp_on_a_real_slide(qtbot: QtBot, shared_slides: Path) -> None:
    from her2viewer.slides.open import open_slide

    with open_slide(shared_slides / "gastric-tma" / "gastric_tma9.svs") as slide, canvases(qtbot) as make:
        start = time.perf_counter()
        canvas = make(slide, WIDTH, HEIGHT)
        until_sharp(canvas)
        say(f"\n  first view sharp {1000 * (time.perf_counter() - start):.0f} ms after set_slide")
        for downsample in (1.0, 1 / 0.73, 3.7, 12.0):
            taken = []
            for place in ((3000, 3000), (8000, 8000), (13000, 8000), (8000, 13500), (3000, 13500)):
                canvas.set_viewport(replace(canvas.viewport, cx=place[0], cy=place[1], downsample=downsample))
                taken.append(until_sharp(canvas))
            say(f"  jump at {1 / downsample:.3g}: sharp after median {statistics.median(taken):.0f} ms")
        assert canvas.sharp


def test_a_pan_at_sixty_hertz_on_a_real_slide(qtbot: QtBot, shared_slides: Path) -> None:
    from her2viewer.slides.open import open_slide

    with open_slide(shared_slides / "gastric-tma" / "gastric_tma9.svs") as slide, canvases(qtbot) as make:
        canvas = make(slide, WIDTH, HEIGHT)
        canvas.set_viewport(replace(canvas.viewport, cx=6000, cy=8200, downsample=1.0))
        until_sharp(canvas)
        costs, late = [], 0
        begin = time.perf_counter()
        for frame in range(120):
            while time.perf_counter() < begin + frame / 60:
                qtbot.wait(1)
            late += time.perf_counter() > begin + (frame + 1) / 60
            start = time.thread_time()
            canvas.set_viewport(canvas.viewport.panned(-20, -5))
            canvas.repaint()
            costs.append(1000 * (time.thread_time() - start))
        say(
            f"\n  60 Hz pan: median {statistics.median(costs):.1f} ms, p99 {sorted(costs)[118]:.1f} ms, "
            f"{late} of 120 frames late"
        )
        until_sharp(canvas)
        assert canvas.sharp
