"""``her2viewer bench endurance [SLIDE]``: the real window moved about for long, and what it holds afterwards."""

from __future__ import annotations

import gc
import os
import random
import statistics
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from her2viewer.commands.bench_machine import machine, memory_now, memory_peak
from her2viewer.commands.bench_window import BenchWindow, bench_window

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

STEP_S = 1 / 60
WARM_SHARE = 0.25
"""Share of the time in which caches still fill: left out of the slope."""


class Sample(NamedTuple):
    """What the window holds at a moment."""

    minutes: float
    memory_mb: float
    files: int
    threads: int
    objects: int
    """Qt objects below the window."""
    python_objects: int


def endurance(
    path: Path | None,
    minutes: float,
    size: tuple[int, int],
    application: Callable[[], Any],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Move a window about; the values of the JSON object.

    Args:
        path: slide; None for the bundled sample.
        minutes: how long.
        size: of the window, px.
        application: makes the program's application.
        say: told what is held, once a minute.

    Raises:
        CommandError: the slide does not open.
    """
    with bench_window(size, application) as bench:
        drive = _Drive(bench)
        begun = time.monotonic()
        drive.open(path)
        opened, first = time.monotonic() - begun, memory_now()
        samples = drive.go(minutes, path, say)
        slide = bench.window.session.slide
        assert slide is not None
        return {
            "machine": machine(bench.app.platformName()),
            "slide": {"name": slide.path.name, "width": slide.width, "height": slide.height},
            "opened_s": opened,
            "after_opening_mb": first,
            "peak_mb": memory_peak(),
            "samples": [sample._asdict() for sample in samples],
            "per_hour": _slopes(samples),
        }


def show(console: Console, figures: dict[str, Any]) -> None:
    """For people."""
    slide = figures["slide"]
    console.print(f"{slide['name']}: {slide['width']:,} x {slide['height']:,} px", markup=False)
    console.print(
        f"Window with the slide {figures['after_opening_mb']:.0f} MB; the most it held {figures['peak_mb']:.0f} MB."
    )
    slopes = figures["per_hour"]
    if slopes is None:
        console.print("Too short to tell whether anything grows: give it some minutes.")
        return
    words = ", ".join(f"{name.replace('_', ' ')} {value:+.1f}" for name, value in slopes.items())
    console.print(f"Growth in an hour, the first quarter left out: {words}")


class _Drive:
    """Opens slides and moves the view as fast as a hand does."""

    def __init__(self, bench: BenchWindow) -> None:
        self._window = bench.window
        self._pass = bench.pass_time
        self.open = bench.open
        self._pick = random.Random(7)

    def go(self, minutes: float, path: Path | None, say: Callable[[str], None]) -> list[Sample]:
        """Pan, zoom, turn, fit, hide overlays and open the slide again, in an order that is always the same."""
        begun = time.monotonic()
        every = min(60.0, max(1.0, minutes * 60 / 12))
        samples = [self._sample(0.0)]
        due, reopen = begun + every, begun + max(60.0, minutes * 60 / 10)
        while (now := time.monotonic()) < begun + 60 * minutes:
            self._act()
            if now >= reopen:
                # The sample would only be found open: the other slide stands between.
                self.open(None if path is not None else self._copy())
                self.open(path)
                reopen = time.monotonic() + max(60.0, minutes * 60 / 10)
            if now >= due:
                samples.append(self._sample((now - begun) / 60))
                last = samples[-1]
                say(f"{last.minutes:5.1f} min {last.memory_mb:6.0f} MB {last.files} files {last.threads} threads")
                due += every
        samples.append(self._sample(minutes))
        return samples

    def _act(self) -> None:
        pick, canvas, slide = self._pick, self._window.canvas, self._window.session.slide
        if slide is None:
            return
        act = pick.random()
        if act < 0.5:
            dx, dy = pick.uniform(-40, 40), pick.uniform(-40, 40)
            for _ in range(pick.randint(10, 60)):
                canvas.set_viewport(canvas.viewport.panned(dx, dy))
                self._pass(STEP_S)
        elif act < 0.8:
            octaves = pick.choice((-0.4, 0.4))
            for _ in range(pick.randint(3, 12)):
                canvas.zoom_by(octaves)
                self._pass(2 * STEP_S)
        elif act < 0.9:
            x, y = pick.random() * slide.width, pick.random() * slide.height
            canvas.set_viewport(replace(canvas.viewport, cx=x, cy=y, downsample=pick.choice((0.5, 1.0, 2.0, 7.3))))
            self._pass(0.2)
        elif act < 0.94:
            canvas.rotate(pick.choice((15.0, 90.0, -canvas.viewport.rotation)))
            self._pass(0.1)
        elif act < 0.97:
            canvas.overlays_hidden = not canvas.overlays_hidden
            self._pass(0.1)
        else:
            canvas.fit()
            self._pass(0.3)

    def _copy(self) -> Path:
        """The bundled sample under a name of its own."""
        from her2viewer.resources import resource_path

        target = Path(os.environ["HER2VIEWER_HOME"]) / "another.tif"
        if not target.exists():
            target.write_bytes(resource_path("sample", "sample_her2.tif").read_bytes())
        return target

    def _sample(self, minutes: float) -> Sample:
        from PySide6.QtCore import QObject

        gc.collect()
        return Sample(
            minutes,
            memory_now() or 0.0,
            _open_files(),
            threading.active_count(),
            len(self._window.findChildren(QObject)),
            len(gc.get_objects()),
        )


def _slopes(samples: list[Sample]) -> dict[str, float] | None:
    """Growth of each value in an hour, by a robust line through all but the first quarter."""
    kept = [s for s in samples if s.minutes >= WARM_SHARE * samples[-1].minutes]
    if len(kept) < 6 or kept[-1].minutes - kept[0].minutes < 1.0:
        return None
    pairs = [(a, b) for i, a in enumerate(kept) for b in kept[i + 1 :] if b.minutes > a.minutes]
    return {
        name: statistics.median(
            60 * (getattr(b, name) - getattr(a, name)) / (b.minutes - a.minutes) for a, b in pairs
        )
        for name in Sample._fields[1:]
    }


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
