"""``her2viewer bench napari SLIDE``: the same looks at a slide in napari, where somebody has installed it beside us.

napari is no dependency: this is a comparison for those who want one. It shows the levels of our own reader as one
multiscale image, made of dask arrays, the way its users open slides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.commands import exit_codes
from her2viewer.commands.bench_figures import summary
from her2viewer.commands.bench_machine import machine, memory_now
from her2viewer.commands.output import CommandError
from her2viewer.slides.open import open_slide
from her2viewer.slides.slide import Slide, SlideError

if TYPE_CHECKING:
    from rich.console import Console

ZOOMS = {"1:1": 1.0, "0.73": 1 / 0.73, "1/3.7": 3.7, "1/12": 12.0}
"""Level-0 px per px of the screen, as in the benchmark of the viewer."""
PLACES = 4
PAN_S = 5.0
HERTZ = 60
SETTLE_S = 60.0
MISSING = (
    "napari is not installed beside her2viewer. To compare with it: pip install napari dask, in the same environment "
    "(and a screen: it needs OpenGL; without one, xvfb-run)."
)


def measure(path: Path, size: tuple[int, int], say: Callable[[str], None]) -> dict[str, Any]:
    """Open the slide in napari and look about; the values of the JSON object.

    Raises:
        CommandError: napari is not installed, the slide cannot be read, or there is no screen for it.
    """
    try:
        import dask
        import napari
    except ImportError as error:
        raise CommandError(exit_codes.PROBLEM, MISSING) from error
    # The threads of dask read tiles as our own workers do.
    dask.config.set(scheduler="threads")
    say(f"napari {napari.__version__} ...")
    try:
        slide = open_slide(path)
    except SlideError as error:
        raise CommandError(exit_codes.SLIDE_UNREADABLE, str(error)) from error
    with slide:
        begun = time.perf_counter()
        viewer = napari.Viewer(show=False)
        window = viewer.window._qt_window
        window.resize(*size)
        window.show()
        _drain(window)
        started = 1000 * (time.perf_counter() - begun)
        begun = time.perf_counter()
        viewer.add_image([_lazy(slide, level) for level in range(len(slide.levels))], rgb=True, multiscale=True)
        drive = _Drive(viewer, slide)
        drive.until_drawn()
        first = 1000 * (time.perf_counter() - begun)
        jumps = [drive.jump(name, zoom) for name, zoom in ZOOMS.items()]
        pan = drive.pan()
        figures = {
            "machine": machine("napari"),
            "napari": napari.__version__,
            "slide": {"name": path.name, "width": slide.width, "height": slide.height},
            "start_ms": started,
            "first_view_ms": first,
            "jumps": jumps,
            "pan": pan,
            "memory_mb": memory_now(),
        }
        viewer.close()
    return figures


def show(console: Console, figures: dict[str, Any]) -> None:
    """For people."""
    console.print(f"napari {figures['napari']}, {figures['slide']['name']}", markup=False)
    console.print(f"first view {figures['first_view_ms']:.0f} ms (the empty window {figures['start_ms']:.0f} ms)")
    for jump in figures["jumps"]:
        console.print(f"jump at {jump['zoom']}: drawn after {jump['median_ms']:.0f} ms, worst {jump['worst_ms']:.0f}")
    pan = figures["pan"]
    console.print(
        f"60 Hz pan at 1:1: frame {pan['median_ms']:.1f} ms, p99 {pan['p99_ms']:.1f} ms, over 16 ms: "
        f"{pan['over_16_ms']} of {pan['frames']}"
    )
    if figures["memory_mb"] is not None:
        console.print(f"memory {figures['memory_mb']:.0f} MB")


class _Drive:
    """Moves napari's camera and waits until it has drawn."""

    def __init__(self, viewer: Any, slide: Slide) -> None:
        self._viewer = viewer
        self._slide = slide
        self._canvas = viewer.window._qt_viewer.canvas

    def until_drawn(self) -> None:
        """All slices loaded and painted."""
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            _drain(self._viewer.window._qt_window)
            if all(layer.loaded for layer in self._viewer.layers):
                break
            time.sleep(0.001)
        self._canvas.native.repaint()
        _drain(self._viewer.window._qt_window)

    def jump(self, name: str, zoom: float) -> dict[str, Any]:
        """From the whole slide to places that were never looked at."""
        taken = []
        for i in range(PLACES):
            self._viewer.reset_view()
            self.until_drawn()
            share = (i + 0.5) / PLACES
            begun = time.perf_counter()
            self._viewer.camera.zoom = 1 / zoom
            self._viewer.camera.center = (
                0.0,
                self._slide.height * (0.2 + 0.6 * ((share * 3) % 1)),
                self._slide.width * (0.2 + 0.6 * share),
            )
            self.until_drawn()
            taken.append(1000 * (time.perf_counter() - begun))
        return {"zoom": name, **summary(taken)}

    def pan(self) -> dict[str, Any]:
        """60 steps a second at 1:1 over new tissue; what each took the program."""
        self._viewer.camera.zoom = 1.0
        y, x = self._slide.height * 0.25, self._slide.width * 0.25
        self._viewer.camera.center = (0.0, y, x)
        self.until_drawn()
        costs = []
        begun = time.perf_counter()
        for i in range(round(PAN_S * HERTZ)):
            while time.perf_counter() < begun + i / HERTZ:
                _drain(self._viewer.window._qt_window)
            x, y = x + 20, y + 5
            step = time.perf_counter()
            self._viewer.camera.center = (0.0, y, x)
            _drain(self._viewer.window._qt_window)
            self._canvas.native.repaint()
            costs.append(1000 * (time.perf_counter() - step))
        return {**summary(costs), "frames": len(costs), "over_16_ms": sum(cost > 16 for cost in costs)}


def _lazy(slide: Slide, level: int) -> Any:
    """One level as a dask array of blocks of 512 px, read when they are needed."""
    import dask.array as da
    import numpy as np

    size = slide.levels[level]
    side = 512

    def sizes(length: int) -> tuple[int, ...]:
        return (side,) * (length // side) + ((length % side,) if length % side else ())

    def block(block_info: Any = None) -> Any:
        (y0, y1), (x0, x1) = block_info[None]["array-location"][:2]
        return slide.read(level, x0, y0, x1 - x0, y1 - y0)

    return da.map_blocks(block, chunks=(sizes(size.height), sizes(size.width), (3,)), dtype=np.uint8)


def _drain(_window: Any) -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
