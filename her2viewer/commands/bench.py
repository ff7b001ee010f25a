"""``her2viewer bench viewer [SLIDE]``: how fast slides are decoded, painted and moved on this machine.

``her2viewer bench score [SLIDE]``: how fast a scorer is and each of its parts.

``her2viewer bench beside [SLIDE]``: from input to frame in the window while a scorer works.

``her2viewer bench endurance [SLIDE]``: whether the window holds more and more while it is used for long.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output

SECONDS = 60.0
"""How long the whole takes, about."""
LEAST_SECONDS, MOST_SECONDS = 5.0, 3600.0


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="her2viewer bench",
        description="Measures the viewer on this machine: decoding, frames, time to sharp, panning, memory. Figures "
        "are compared with others of the same run: a raw JPEG decoder, OpenSlide, one blit of the whole view. "
        "bench score measures a scorer: reading, each network, the whole; bench beside, with the same options, the "
        "real window while it works.",
    )
    parser.add_argument(
        "what",
        choices=["viewer", "score", "beside", "endurance", "napari"],
        help="the viewer, a scorer, the window beside a scorer at work, memory over a long time, or napari",
    )
    parser.add_argument(
        "slide",
        nargs="?",
        type=Path,
        metavar="SLIDE",
        help="default: a slide of 12,288 px made from the sample, for beside of 24,576; for score and endurance "
        "the sample",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="N", help=f"about how long it takes (default {SECONDS:g})"
    )
    parser.add_argument(
        "--size", type=_size, default=(1920, 1080), metavar="WxH", help="of the view in px (default 1920x1080)"
    )
    parser.add_argument(
        "--minutes", type=float, default=5.0, metavar="N", help="of endurance (default 5; a leak shows in 60)"
    )
    from her2viewer.commands import bench_score

    bench_score.add_options(parser)
    # Intermixed: the slide may come after options.
    options = parser.parse_intermixed_args(argv)
    output = Output(options.json)
    try:
        if options.what == "score":
            return _score(options, output)
        if options.what == "beside":
            return _beside(options, output)
        if options.what == "endurance":
            return _endurance(options, output)
        if options.what == "napari":
            return _napari(options, output)
        figures = run(options.slide, options.size, _limited(options.seconds), output)
    except CommandError as error:
        return output.fail(error)
    if options.json:
        output.machine({"ok": True, **figures})
    else:
        from her2viewer.commands.bench_table import show

        show(output.people(), figures)
    return exit_codes.OK


def _score(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.commands import bench_score

    figures = bench_score.measure(options, output)
    if options.json:
        output.machine({"ok": True, **figures})
    else:
        bench_score.show(output.people(), figures)
    return exit_codes.OK


def _beside(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.commands import bench_beside

    options.seconds = _limited(options.seconds)
    figures = bench_beside.measure(options, options.size, _application, output)
    if options.json:
        output.machine({"ok": True, **figures})
    else:
        bench_beside.show(output.people(), figures)
    return exit_codes.OK


def _endurance(options: argparse.Namespace, output: Output) -> int:
    if not 0.02 <= options.minutes <= 1440:
        raise CommandError(exit_codes.USAGE, f"--minutes takes 0.02 to 1440, not {options.minutes:g}.")
    if options.slide is not None and not options.slide.exists():
        raise CommandError(exit_codes.SLIDE_UNREADABLE, f"{options.slide} does not exist.")
    from her2viewer.commands import bench_endurance

    aside = output.aside()
    figures = bench_endurance.endurance(options.slide, options.minutes, options.size, _application, aside.print)
    if options.json:
        output.machine({"ok": True, **figures})
    else:
        bench_endurance.show(output.people(), figures)
    return exit_codes.OK


def _napari(options: argparse.Namespace, output: Output) -> int:
    if options.slide is None:
        raise CommandError(exit_codes.USAGE, "Name the slide that napari shall show: her2viewer bench napari SLIDE.")
    from her2viewer.commands import bench_napari

    figures = bench_napari.measure(options.slide, options.size, output.aside().print)
    if options.json:
        output.machine({"ok": True, **figures})
    else:
        bench_napari.show(output.people(), figures)
    return exit_codes.OK


def run(path: Path | None, size: tuple[int, int], seconds: float, output: Output) -> dict[str, Any]:
    """Measure everything; the values of the JSON object.

    Raises:
        CommandError: the slide cannot be read, or no window can be opened.
    """
    from her2viewer.commands.bench_machine import machine, memory_now, memory_peak

    begun = time.monotonic()
    aside = output.aside()
    with ExitStack() as stack:
        if path is None:
            from her2viewer.commands.bench_slide import make_slide

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="her2viewer-bench-"))
            path = Path(folder) / "bench.tif"
            aside.print("Making a slide ...")
            make_slide(path)
            made = True
        else:
            made = False
        from her2viewer.slides.open import open_slide
        from her2viewer.slides.slide import SlideError

        try:
            slide = stack.enter_context(open_slide(path))
        except SlideError as error:
            raise CommandError(exit_codes.SLIDE_UNREADABLE, str(error)) from error
        application = _application()
        from her2viewer.commands.bench_canvas import CanvasBench
        from her2viewer.commands.bench_decode import decode_rates

        # One part in six is spent on decoding; the rest goes by the script of the canvas.
        unit = seconds / SECONDS
        aside.print("Decoding ...")
        rates = decode_rates(path, slide, 10 * unit)
        memory: dict[str, Any] = {"before_mb": memory_now()}
        bench = CanvasBench(application, path, slide, size, unit=unit, say=aside.print)
        try:
            figures = bench.measure(rates)
        finally:
            bench.close()
        memory |= figures.pop("memory")
        memory["peak_mb"] = memory_peak()
        return {
            "machine": machine(application.platformName()),
            "slide": {
                "name": "made from the sample" if made else path.name,
                "format": slide.format,
                "width": slide.width,
                "height": slide.height,
                "downsamples": [level.downsample for level in slide.levels],
            },
            "view": list(bench.size),
            "decode": rates,
            **figures,
            "memory": memory,
            "seconds": time.monotonic() - begun,
        }


def _application() -> Any:
    from her2viewer import system_libraries

    if sys.platform.startswith("linux") and not os.environ.get("QT_QPA_PLATFORM"):
        if not system_libraries.screen().there:
            os.environ["QT_QPA_PLATFORM"] = "offscreen"
        elif system_libraries.missing_libraries(system_libraries.screen().kind):
            raise CommandError(exit_codes.PROBLEM, "Qt lacks system libraries. her2viewer doctor says which.")
    from her2viewer.commands.trip import _silence_the_offscreen_platform
    from her2viewer.turns import answer_at_once
    from her2viewer.viewer.app import make_application

    _silence_the_offscreen_platform()
    # As the window does, see viewer.app.
    answer_at_once()
    return make_application()


def _size(text: str) -> tuple[int, int]:
    width, by, height = text.partition("x")
    if not by or not width.isdecimal() or not height.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no size; write it as 1920x1080")
    if not (320 <= int(width) <= 16384 and 240 <= int(height) <= 16384):
        raise argparse.ArgumentTypeError("a view has 320 x 240 to 16384 x 16384 px")
    return int(width), int(height)


def _limited(seconds: float) -> float:
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise CommandError(
            exit_codes.USAGE, f"--seconds takes {LEAST_SECONDS:g} to {MOST_SECONDS:g}, not {seconds:g}."
        )
    return seconds
