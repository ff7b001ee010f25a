"""The script that drives the canvas: first view, jumps, panning, frames."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from her2viewer.commands import bench_overlays, bench_zoom
from her2viewer.commands.bench_clock import pass_time, until
from her2viewer.commands.bench_decode import raw_rates
from her2viewer.commands.bench_figures import beside_blit, summary
from her2viewer.commands.bench_load import busy_cores
from her2viewer.commands.bench_machine import memory_now
from her2viewer.commands.bench_widgets import Blit, Frame, ScaledBlit, WatchedCanvas
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.grid import Pyramid
from her2viewer.viewer.canvas.requests import visible_tiles
from her2viewer.viewer.canvas.viewport import Viewport

ZOOMS = {"1:1": 1.0, "0.73": 1 / 0.73, "1/3.7": 3.7, "1/12": 12.0}
"""Level-0 px per px of the screen. The three odd ones fit no level of a usual pyramid."""
HERTZ = 60
PAN_STEP = (20.0, 5.0)
"""Px of the screen a frame: 1,240 px a second, a quick look over a slide."""
PAN_THERE = 50
"""Frames of a pan over tiles at hand, before it goes back: no further than tiles were loaded around the view."""
LOOK_MS = 150
"""Before a jump somebody has looked at where he is for so long at least."""
PATIENCE_MS = 20_000
CELLS = ((100_000, 1.0), (1_000_000, 1.0), (1_000_000, 8.0))
"""How many cells are shown, at which downsample."""


class CanvasBench:
    """One canvas with one slide on the screen (or on none)."""

    def __init__(
        self,
        application: QApplication,
        path: Path,
        slide: Slide,
        size: tuple[int, int],
        *,
        unit: float,
        say: Callable[[str], None],
    ) -> None:
        """``unit`` is 1 for a run of usual length; ``say`` tells what is being done."""
        self.application = application
        self.path = path
        self.slide = slide
        self.unit = unit
        self.say = say
        self.canvas = WatchedCanvas()
        self.canvas.resize(*size)
        self.canvas.show()
        self.blit = Blit(*size)
        self.blit.resize(*size)
        self.blit.show()
        self.scaled = ScaledBlit(*size)
        self.scaled.resize(*size)
        self.scaled.show()
        pass_time(200)
        # As the window does, see viewer.app.
        gc.freeze()

    @property
    def size(self) -> tuple[int, int]:
        """Of the view, device px; a small screen gives less than was asked for."""
        view = self.canvas.viewport
        return view.width, view.height

    def close(self) -> None:
        """End the workers and take the windows away."""
        self.canvas.shutdown()
        self.canvas.close()
        self.blit.close()
        self.scaled.close()
        self.application.processEvents()

    def measure(self, rates: dict[str, Any]) -> dict[str, Any]:
        """Everything, in an order in which nothing spoils what follows.

        Args:
            rates: what ``decode_rates`` gave; jumps are compared with it.
        """
        self.say("First views ...")
        first = self.first_views(max(3, round(6 * self.unit)))
        self.say("Jumps ...")
        finest = {count: rate["raw"] or rate["reader"] for count, rate in rates["threads"].items()}
        jumps = [self.jumps(name, zoom, finest, max(3, round(6 * self.unit))) for name, zoom in ZOOMS.items()]
        self.say("Panning ...")
        pan = self.pan(9 * self.unit)
        self.say("Panning while all cores are busy ...")
        with busy_cores():
            busy = self.pan(5 * self.unit)
        memory = {"after_panning_mb": memory_now()}
        self.say("Frames ...")
        # A 99th percentile of fewer would be that of one or two frames.
        rounds = max(20, round(300 * self.unit))
        frames = list(self.frames(rounds))
        self.say("Cells and patches ...")
        overlays = bench_overlays.measure(self, rounds)
        frames += overlays["frames"]
        return {
            "first_view": first,
            "jumps": jumps,
            "pan": pan,
            "pan_while_busy": busy,
            "frames": frames,
            "readout": overlays["readout"],
            "shares": overlays["shares"],
            "memory": memory,
        }

    # -- from the file to the screen ------------------------------------------------------------------------------

    def first_views(self, times: int) -> dict[str, Any]:
        """From a slide that was chosen to its whole picture, the file being known to the system."""
        from her2viewer.slides.open import open_slide

        opening, showing = [], []
        for _ in range(times):
            self.canvas.set_slide(None)
            begun = time.perf_counter()
            slide = open_slide(self.path)
            opened = time.perf_counter()
            self.canvas.set_slide(slide, slide.pixel_size)
            self._until_sharp()
            opening.append(1000 * (opened - begun))
            showing.append(1000 * (time.perf_counter() - opened))
            self.canvas.set_slide(None)
            self.canvas.loader.wait_released(slide, 10)
            slide.close()
        whole = [o + s for o, s in zip(opening, showing, strict=True)]
        return {"open": summary(opening), "show": summary(showing), "together": summary(whole)}

    def jumps(self, name: str, zoom: float, finest: dict[str, float], times: int) -> dict[str, Any]:
        """From the whole slide to a place that was never looked at, until all of it is sharp.

        Args:
            name: of the zoom.
            zoom: level-0 px per px of the screen.
            finest: rates of the raw decoder on the finest level, Mpx/s by number of threads, for levels on which it
                cannot be timed.
            times: places.

        Returns:
            Times in ms; ``raw``, rates of the raw decoder on the level that is read (Mpx/s by number of threads);
            ``of_decoding`` and ``of_decoding_all_cores``, what the jump takes of decoding by it alone, on one core
            and on all.
        """
        taken, least, blank = [], [], 0
        level = Pyramid.of(self.slide).scale(zoom).level
        raw = raw_rates(self.path, self.slide, level, min(1.0, self.unit)) or finest
        for i in range(times):
            self._show_afresh()
            share = (i + 0.5) / times
            # Along a diagonal, so that no place is near the last one.
            view = replace(
                self.canvas.viewport,
                cx=self.slide.width * (0.2 + 0.6 * share),
                cy=self.slide.height * (0.2 + 0.6 * ((share * 3) % 1)),
                downsample=zoom,
            )
            # As when somebody looked for a while: no frame is just being painted, no step of a pan is just over.
            pass_time(LOOK_MS)
            begun = time.perf_counter()
            self.canvas.set_viewport(view)
            pyramid = self.canvas.pyramid
            assert pyramid is not None
            # Sampled at once: what is painted before the first tile comes.
            blank += not self._covered(pyramid)
            least.append(1000 * _needed_megapixels(pyramid, self.canvas.frame_view))
            self._until_sharp()
            taken.append(1000 * (time.perf_counter() - begun))
        again = raw_rates(self.path, self.slide, level, min(1.0, self.unit)) or raw
        # Before and after: a machine is not equally quick all the time.
        raw = {count: (rate + again[count]) / 2 for count, rate in raw.items()}
        cores = max(raw, key=int)
        ratio = statistics.median(t / n if n else 0.0 for t, n in zip(taken, least, strict=True))
        return {
            "zoom": name,
            **summary(taken),
            "raw": raw,
            "of_decoding": ratio * raw["1"],
            "of_decoding_all_cores": ratio * raw[cores],
            "blank": blank,
        }

    def _covered(self, pyramid: Pyramid) -> bool:
        """Whether something is at hand for every part of the view."""
        base = pyramid.base()
        return all(key in self.canvas.store for key in visible_tiles(self.canvas.frame_view, base))

    def pan(self, seconds: float) -> dict[str, Any]:
        """Pan at 1:1 with 60 steps a second over tissue that was never looked at."""
        self._show_afresh()
        canvas = self.canvas
        canvas.set_viewport(
            replace(canvas.viewport, cx=self.slide.width * 0.25, cy=self.slide.height * 0.25, downsample=1.0)
        )
        self._until_sharp()
        steps: list[float] = []
        canvas.painted.clear()
        canvas.recording = True
        dx, dy = PAN_STEP
        begun = time.perf_counter()
        for i in range(max(HERTZ // 2, round(seconds * HERTZ))):
            self.until(begun + i / HERTZ)
            view = canvas.viewport
            # Back and forth in rows of their own.
            dx = -abs(dx) if view.cx > self.slide.width * 0.8 else abs(dx) if view.cx < self.slide.width * 0.2 else dx
            dy = (
                -abs(dy)
                if view.cy > self.slide.height * 0.8
                else abs(dy)
                if view.cy < self.slide.height * 0.2
                else dy
            )
            steps.append(time.perf_counter())
            canvas.set_viewport(view.panned(-dx, -dy))
        pass_time(50)
        canvas.recording = False
        latencies, sharp = _answers(steps, canvas.painted)
        costs = [frame.cost for frame in canvas.painted]
        period = 1000 / HERTZ
        return {
            "seconds": seconds,
            "frames": len(canvas.painted),
            "cost": summary(costs),
            "input_to_frame": summary(latencies),
            "over_16_ms": sum(cost > 16 for cost in costs),
            "late": sum(latency > 2 * period for latency in latencies),
            "sharp_percent": 100 * sharp / max(1, len(steps)),
        }

    # -- from memory to the screen --------------------------------------------------------------------------------

    def frames(self, rounds: int) -> Iterable[dict[str, Any]]:
        """What a frame of tiles at hand takes, as multiples of one blit of the view."""
        canvas = self.canvas
        self._show_afresh()
        middle = replace(canvas.viewport, cx=self.slide.width / 2, cy=self.slide.height / 2)
        for name, zoom in ZOOMS.items():
            self.settle(replace(middle, downsample=zoom))
            yield self.compare(f"cached at {name}", canvas.repaint, rounds)
        self.settle(replace(middle, downsample=1.0))

        yield bench_zoom.measure(self, rounds)
        yield self.compare("one picture scaled", self.scaled.repaint, rounds)
        for degrees in (30.0, 90.0):
            self.settle(replace(middle, downsample=1.0, rotation=degrees))
            yield self.compare(f"turned {degrees:g} degrees", canvas.repaint, rounds)
            yield self.panned(f"turned {degrees:g} degrees", rounds)
        for count, zoom in CELLS:
            if self.unit < 0.5 and count > 100_000:
                continue
            yield self._with_cells(count, replace(middle, downsample=zoom, rotation=0.0), rounds)

    def _with_cells(self, count: int, view: Viewport, rounds: int) -> dict[str, Any]:
        from her2viewer.commands.bench_load import cells
        from her2viewer.domain.classes import CELL_SCHEME
        from her2viewer.viewer.overlays.cells import CellLayer

        width, height = self.slide.width, self.slide.height
        layer = CellLayer("cells", CELL_SCHEME, (width, height))
        layer.append(cells(count, width, height))
        self.canvas.add_layer(layer)
        try:
            self.settle(view, lambda: layer.idle)
            return self.compare(f"{count:,} cells at {_zoom_name(view.downsample)}", self.canvas.repaint, rounds)
        finally:
            self.canvas.remove_layer(layer)
            layer.stop()

    def panned(self, name: str, rounds: int) -> dict[str, Any]:
        """What a frame takes the main thread in a pan to and fro over tiles at hand, 60 steps a second of 3 px across
        and 1 down: step, orders for tiles and painting, as multiples of a blit that is timed at each step.
        """
        canvas = self.canvas
        steps = itertools.cycle([1.0] * PAN_THERE + [-1.0] * PAN_THERE)
        floor: list[float] = []

        def walk(count: int) -> None:
            begun = time.perf_counter()
            for i in range(count):
                self.until(begun + i / HERTZ)
                before = time.perf_counter()
                self.blit.repaint()
                floor.append(1000 * (time.perf_counter() - before))
                there = next(steps)
                canvas.count(partial(canvas.set_viewport, canvas.viewport.panned(3 * there, there)))
            pass_time(50)

        # Once for the tiles.
        walk(2 * PAN_THERE)
        self.wait(lambda: canvas.settled)
        floor.clear()
        canvas.painted.clear()
        canvas.recording = True
        walk(rounds)
        canvas.recording = False
        taken = [frame.cost for frame in canvas.painted if frame.whole]
        return {"what": f"{name}, panned", **beside_blit(taken, floor)}

    def compare(self, name: str, act: Callable[[], None], rounds: int) -> dict[str, Any]:
        """Time of ``act`` against that of a blit, in turn. Not the thread's own time: Qt scales in threads."""
        floor: list[float] = []
        taken: list[float] = []
        for i in range(rounds + 2):
            for work, times in ((self.blit.repaint, floor), (act, taken)):
                begun = time.perf_counter()
                work()
                if i >= 2:
                    times.append(1000 * (time.perf_counter() - begun))
        return {"what": name, **beside_blit(taken, floor)}

    # -- waiting --------------------------------------------------------------------------------------------------

    def _show_afresh(self) -> None:
        """The whole slide, with nothing left of what was looked at before."""
        self.canvas.set_slide(None)
        self.canvas.set_slide(self.slide, self.slide.pixel_size)
        self.wait(lambda: self.canvas.sharp and self.canvas.loader.outstanding == 0)

    def settle(self, view: Viewport, done: Callable[[], bool] = lambda: True) -> None:
        """Show a view and wait until all of it and what is loaded ahead is there, and ``done``."""
        self.canvas.set_viewport(view)
        self.wait(lambda: self.canvas.settled)
        self.wait(done)

    def _until_sharp(self) -> None:
        if self.canvas.sharp:
            return
        loop = QEventLoop()
        self.canvas.sharpened.connect(loop.quit)
        QTimer.singleShot(PATIENCE_MS, loop, loop.quit)
        loop.exec()
        self.canvas.sharpened.disconnect(loop.quit)

    def until(self, moment: float) -> None:
        """Let the program work until ``moment`` of ``time.perf_counter``."""
        until(self.application, moment)

    def wait(self, done: Callable[[], bool]) -> None:
        """Let the program work until ``done``, for 20 s at most."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while not done() and time.monotonic() < end:
            pass_time(5)


def _answers(steps: list[float], painted: list[Frame]) -> tuple[list[float], int]:
    """For each step the time to the frame that shows it (ms), and how many of these frames were sharp."""
    latencies, sharp, at = [], 0, 0
    painted = [frame for frame in painted if frame.whole]
    for step in steps:
        while at < len(painted) and painted[at].at < step:
            at += 1
        if at == len(painted):
            break
        latencies.append(1000 * (painted[at].at - step))
        sharp += painted[at].sharp
    return latencies, sharp


def _needed_megapixels(pyramid: Pyramid, view: Viewport) -> float:
    """Pixels of the level under the visible tiles that are not there yet; all of them after a jump."""
    scale = pyramid.scale(view.downsample)
    total = 0
    for key in visible_tiles(view, scale):
        total += min(scale.span, scale.width - key.column * scale.span) * min(
            scale.span, scale.height - key.row * scale.span
        )
    return total / 1e6


def _zoom_name(downsample: float) -> str:
    return "1:1" if downsample == 1 else f"1/{downsample:g}"
