"""Zooming as a pinch does it: 60 small steps a second, each shown as soon as its picture is there."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from her2viewer.commands.bench_clock import pass_time
from her2viewer.commands.bench_figures import beside_blit, summary

if TYPE_CHECKING:
    from her2viewer.commands.bench_canvas import CanvasBench

HERTZ = 60
STEP = 0.08
"""Octaves a step: from 1:1 to 1/12 and back in three seconds."""
FIRST = 5
"""Steps that are not counted."""
REST_MS = 600
FINEST, COARSEST = 0.8, 12.0
"""Level-0 px per px of the screen, between which the zoom goes to and fro."""


def measure(bench: CanvasBench, rounds: int, name: str = "while zooming") -> dict[str, Any]:
    """What a frame takes the main thread in a zoom: the step, taking the picture over from the worker, painting it.

    Args:
        bench: canvas with its slide.
        rounds: steps.
        name: of the row.

    Returns:
        A row as ``CanvasBench.compare`` gives it, a blit being timed at each step, and ``input_to_frame`` (ms from a
        step to the frame that shows it) and ``shown``, the share of the steps that had a frame of their own.
    """
    canvas = bench.canvas
    # Nobody zooms at once: what a zoom begins with is prepared while the view rests.
    pass_time(REST_MS)
    floor: list[float] = []
    steps: list[tuple[float, float]] = []
    octaves = -STEP
    canvas.recording = True
    begun = time.perf_counter()
    for i in range(rounds + FIRST):
        if i == FIRST:
            canvas.painted.clear()
        bench.until(begun + i / HERTZ)
        before = time.perf_counter()
        bench.blit.repaint()
        floor.append(1000 * (time.perf_counter() - before))
        downsample = canvas.viewport.downsample
        octaves = STEP if downsample > COARSEST else -STEP if downsample < FINEST else octaves
        asked = time.perf_counter()
        canvas.count(partial(canvas.zoom_by, octaves, smooth=False))
        # Prefetching is not what is measured: tiles at hand are.
        canvas.loader.set_wanted([])
        if i >= FIRST:
            steps.append((asked, canvas.aim.downsample))
    bench.until(begun + (rounds + FIRST) / HERTZ)
    # On a machine with too much to do no step may have had a frame yet.
    bench.wait(lambda: any(frame.whole for frame in canvas.painted))
    latencies = [
        min(frames)
        for asked, downsample in steps
        if (frames := [1000 * (f.at - asked) for f in canvas.painted if f.at > asked and f.downsample == downsample])
    ]
    canvas.recording = False
    taken = [frame.cost for frame in canvas.painted if frame.whole]
    return {
        "what": name,
        **beside_blit(taken, floor),
        "input_to_frame": summary(latencies) if latencies else None,
        "shown": len(latencies) / rounds,
    }
