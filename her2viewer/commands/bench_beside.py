"""``her2viewer bench beside [SLIDE]``: from input to frame in the real window, alone and while a scorer works."""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from her2viewer.commands import exit_codes
from her2viewer.commands.bench_figures import percentile, summary
from her2viewer.commands.bench_window import BenchWindow, FrameClock, Shown, answers, bench_window
from her2viewer.commands.bench_zoom import COARSEST, FINEST, STEP
from her2viewer.commands.output import CommandError, Output

if TYPE_CHECKING:
    from rich.console import Console

    from her2viewer.domain.annotation import AnnotationSet
    from her2viewer.domain.pixelsize import PixelSize

SIDE = 24_576
"""Of the slide that is made, px: a scorer is not through with it at once."""
HERTZ = 60
ROUND_S = 5.0
PAN_STEP = (20.0, 5.0)
"""Px of the screen a step."""
EVIDENCE_S = 180.0
"""Until the first evidence: networks are compiled before."""
WORKING = 0.8
"""So much of the time of a round the scorer must have worked."""
ANYWAY = "score_anyway"
"""What is measured is the window, on whatever slide."""


def measure(
    options: argparse.Namespace, size: tuple[int, int], application: Callable[[], Any], output: Output
) -> dict[str, Any]:
    """Zoom and pan in turns, before the scorer runs and while it does.

    Raises:
        CommandError: slide, region or scorer cannot be used, or the scorer was through too soon.
    """
    from her2viewer.commands.bench_machine import machine
    from her2viewer.commands.score_inputs import outlines_of, pixel_size_of, settings_of
    from her2viewer.scoring.contract import ScorerError
    from her2viewer.scoring.registry import find_scorer
    from her2viewer.slides.open import open_slide
    from her2viewer.slides.slide import SlideError

    try:
        manifest = find_scorer(options.scorer)
        settings = settings_of(options.set, manifest)
        manifest.complete(settings)
    except (ScorerError, ValueError) as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    if any(setting.id == ANYWAY for setting in manifest.settings):
        settings.setdefault(ANYWAY, True)
    aside = output.aside()
    with ExitStack() as stack:
        path = options.slide
        if path is None:
            from her2viewer.commands.bench_slide import make_slide

            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="her2viewer-bench-"))) / "bench.tif"
            aside.print("Making a slide ...")
            make_slide(path, SIDE)
        try:
            with open_slide(path) as slide:
                pixel_size = pixel_size_of(slide, options.mpp)
                outlines = outlines_of(slide, path, options.roi, options.roi is None, output)
        except SlideError as error:
            raise CommandError(exit_codes.SLIDE_UNREADABLE, str(error)) from error
        bench = stack.enter_context(bench_window(size, application))
        drive = _Drive(bench, path.absolute(), pixel_size, outlines)
        aside.print("Alone ...")
        alone = {name: [act()] for name, act in drive.acts.items()}
        aside.print(f"Beside {manifest.id} ...")
        drive.start(manifest.id, settings)
        beside = drive.rounds(options.seconds)
        if not all(beside.values()):
            raise CommandError(
                exit_codes.USAGE,
                f"The scorer was through before zooming and panning were measured for {ROUND_S:g} s each. Name a "
                "larger slide or region, or give more --seconds.",
            )
        about = bench.window.session.slide
        assert about is not None
        return {
            "machine": machine(bench.app.platformName()),
            "slide": {"name": path.name if options.slide else "made from the sample", "format": about.format}
            | {"width": about.width, "height": about.height},
            "view": [bench.window.canvas.width(), bench.window.canvas.height()],
            "scorer": {"id": manifest.id, "version": manifest.version},
            "acts": [
                {"what": name, "alone": _together(alone[name]), "beside": _together(beside[name])} for name in alone
            ],
        }


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print the figures for people."""
    from rich import box
    from rich.table import Table

    machine, slide, scorer = figures["machine"], figures["slide"], figures["scorer"]
    console.print(f"{machine['processor']}, {machine['cores']} cores; {machine['system']}", markup=False)
    width, height = figures["view"]
    console.print(
        f"{slide['name']}: {slide['format']}, {slide['width']:,} x {slide['height']:,} px; window with a "
        f"view of {width} x {height} px; {scorer['id']} {scorer['version']} works on the whole region\n",
        markup=False,
    )
    table = Table(box=box.SIMPLE_HEAD, title="From a step to its frame, 60 steps a second, ms", title_justify="left")
    columns = ("", "median", "p99", "p99 of each 5 s", "worst", "steps that were shown")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for act in figures["acts"]:
        for where in ("alone", "beside"):
            row = act[where]
            table.add_row(
                f"{act['what']}, " + ("alone" if where == "alone" else f"beside {scorer['id']}"),
                f"{row['median_ms']:.1f}",
                f"{row['p99_ms']:.1f}",
                " ".join(f"{value:.0f}" for value in row["p99_of_rounds_ms"]),
                f"{row['worst_ms']:.1f}",
                f"{row['answered']:,} of {row['steps']:,}",
            )
    console.print(table)


class _Drive:
    """Sets the window up and moves the view."""

    def __init__(self, bench: BenchWindow, path: Path, pixel_size: PixelSize, outlines: AnnotationSet) -> None:
        self._bench = bench
        self._window = window = bench.window
        bench.open(path)
        session = window.session
        session.set_pixel_size(pixel_size)
        session.edit("Draw region", outlines)
        # As the window does, see viewer.app.
        gc.freeze()
        self._canvas = window.canvas
        self._clock = FrameClock(window.canvas)
        x0, y0, x1, y1 = session.region.bounds
        self._box = (x0, y0, x1, y1)
        self._middle = replace(window.canvas.viewport, cx=(x0 + x1) / 2, cy=(y0 + y1) / 2, downsample=2.0)
        self.acts: dict[str, Callable[[], _Round]] = {"zooming": self._zoom, "panning at 1:1": self._pan}

    def start(self, scorer: str, settings: dict[str, Any]) -> None:
        """Choose the scorer and run it."""
        from her2viewer.viewer.scoring_model import ScoringState

        controller = self._window.controller
        controller.set_scorer(scorer)
        controller.set_settings({**controller.settings_of(scorer), **settings})
        self._bench.wait(lambda: controller.state is not ScoringState.NO_ROI, 10)
        self.run()

    def run(self) -> None:
        """Run the scorer, anew where it is through, and wait for its first evidence."""
        controller = self._window.controller
        if not controller.run():
            raise CommandError(exit_codes.PROBLEM, f"The scorer did not start: {controller.obstacle}")
        self._bench.wait(lambda: bool(controller.evidence) or not self.running, EVIDENCE_S)
        if controller.failure:
            raise CommandError(exit_codes.PROBLEM, controller.failure[0])

    @property
    def running(self) -> bool:
        """Whether the scorer works."""
        from her2viewer.viewer.scoring_model import ScoringState

        return self._window.controller.state is ScoringState.RUNNING

    def rounds(self, seconds: float) -> dict[str, list[_Round]]:
        """Zoom and pan in turns until the time is over; a scorer that is through begins again."""
        end = time.monotonic() + seconds
        found: dict[str, list[_Round]] = {name: [] for name in self.acts}
        while True:
            for name, act in self.acts.items():
                if time.monotonic() > end:
                    return found
                if not self.running:
                    self.run()
                one = act()
                if one.worked >= WORKING * one.steps:
                    found[name].append(one)

    def _zoom(self) -> _Round:
        octaves = -STEP

        def step() -> None:
            nonlocal octaves
            downsample = self._canvas.viewport.downsample
            octaves = STEP if downsample > COARSEST else -STEP if downsample < FINEST else octaves
            self._canvas.zoom_by(octaves, smooth=False)

        return self._round(step)

    def _pan(self) -> _Round:
        dx, dy = PAN_STEP
        x0, y0, x1, y1 = self._box
        self._canvas.set_viewport(replace(self._middle, downsample=1.0))

        def step() -> None:
            nonlocal dx, dy
            view = self._canvas.viewport
            # Back and forth in rows of their own.
            dx = -abs(dx) if view.cx > 0.2 * x0 + 0.8 * x1 else abs(dx) if view.cx < 0.8 * x0 + 0.2 * x1 else dx
            dy = -abs(dy) if view.cy > 0.2 * y0 + 0.8 * y1 else abs(dy) if view.cy < 0.8 * y0 + 0.2 * y1 else dy
            self._canvas.set_viewport(view.panned(-dx, -dy))

        found = self._round(step)
        self._canvas.set_viewport(self._middle)
        return found

    def _round(self, step: Callable[[], None]) -> _Round:
        self._bench.wait(lambda: self._canvas.sharp, 2)
        self._bench.pass_time(0.5)
        steps: list[Shown] = []
        worked = 0
        self._clock.shown.clear()
        begun = time.perf_counter()
        for i in range(round(ROUND_S * HERTZ)):
            self._bench.until(begun + i / HERTZ)
            asked = time.perf_counter()
            step()
            steps.append(Shown(asked, self._canvas.aim))
            worked += self.running
        # The last ones come late on a busy machine.
        self._bench.wait(partial(self._at, steps[-1]), 1)
        return _Round(len(steps), worked, answers(steps, self._clock.shown))

    def _at(self, step: Shown) -> bool:
        return bool(self._clock.shown) and self._clock.shown[-1].view == step.view


class _Round(NamedTuple):
    """Some seconds of steps."""

    steps: int
    worked: int
    """Steps during which the scorer worked."""
    milliseconds: list[float]
    """From steps to their frames."""


def _together(rounds: list[_Round]) -> dict[str, Any]:
    whole = [value for one in rounds for value in one.milliseconds]
    if not whole:
        raise CommandError(exit_codes.PROBLEM, "No step had a frame: the window was not painted.")
    return {
        **summary(whole),
        "p99_of_rounds_ms": [percentile(one.milliseconds, 0.99) for one in rounds if one.milliseconds],
        "steps": sum(one.steps for one in rounds),
        "answered": len(whole),
    }
