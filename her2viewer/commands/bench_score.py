"""``her2viewer bench score [SLIDE]``: how fast a scorer is on this machine, and each of its parts."""

from __future__ import annotations

import argparse
import importlib.util
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from her2viewer.scoring.runtime import LocalRuntime
    from her2viewer.slides.slide import Slide

ALONE_S = 1.0
"""How long each network runs on its own, about."""
FILE = "Pixels from the file"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that this part of ``bench`` has for itself."""
    from her2viewer.scoring.contract import DEVICES

    group = parser.add_argument_group("bench score")
    group.add_argument("--scorer", default="membrane", metavar="ID", help="default: %(default)s")
    group.add_argument("--roi", type=Path, metavar="FILE", help="what to score (default: the whole slide)")
    group.add_argument("--mpp", type=float, metavar="X", help="pixel size in um, where the file has none")
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="setting; repeatable")
    group.add_argument("--device", choices=DEVICES, help="where networks run")
    group.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all)")


def measure(options: argparse.Namespace, output: Output) -> dict[str, Any]:
    """Score a slide and tell what took how long; the values of the JSON object.

    Raises:
        CommandError: slide, region or scorer cannot be used, or the run failed.
    """
    from her2viewer.commands.bench_machine import machine, memory_peak
    from her2viewer.commands.score import _request, _run
    from her2viewer.commands.score_inputs import device_pair, outlines_of, pixel_size_of, settings_of
    from her2viewer.scoring.calibration_file import with_calibration
    from her2viewer.scoring.contract import Partial, ScorerError
    from her2viewer.scoring.registry import find_scorer
    from her2viewer.scoring.runtime import LocalRuntime
    from her2viewer.slides.open import open_slide
    from her2viewer.slides.slide import SlideError

    if options.threads is not None and options.threads < 1:
        raise CommandError(exit_codes.USAGE, "--threads must be at least 1.")
    path, roi = _inputs(options)
    try:
        manifest = find_scorer(options.scorer)
        pairs = [*options.set, *device_pair(options.device, manifest)]
        settings = manifest.complete(with_calibration(manifest, settings_of(pairs, manifest)))
    except (ScorerError, ValueError) as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    runtime = LocalRuntime(options.threads)
    first: list[float] = []
    with ExitStack() as stack:
        try:
            slide = stack.enter_context(open_slide(path))
        except SlideError as error:
            raise CommandError(exit_codes.SLIDE_UNREADABLE, str(error)) from error
        size = pixel_size_of(slide, options.mpp)
        annotations = outlines_of(slide, path, roi, roi is None, output)
        request = _request(options, slide, size, annotations, settings)
        _count_reads(slide, runtime)
        began = time.perf_counter()

        def watch(event: Any) -> None:
            if isinstance(event, Partial) and not first:
                first.append(time.perf_counter() - began)

        try:
            result = _run(request, slide, runtime, output, watch)
        except SlideError as error:
            raise CommandError(exit_codes.SLIDE_UNREADABLE, str(error)) from error
        seconds = time.perf_counter() - began
    peak = memory_peak()
    mm2 = size.mm2(request.region.area_px)
    about = machine("no window")
    del about["qt"]
    refused = result.not_assessable
    if runtime.models:
        output.aside().print("Each network alone ...")
    return {
        "machine": about,
        "slide": {"name": path.name, "format": slide.format, "width": slide.width, "height": slide.height},
        "scorer": {"id": manifest.id, "version": manifest.version},
        "device": result.provenance.device,
        "threads": runtime.threads,
        "not_assessable": None if refused is None else refused.reason,
        "region_mm2": mm2,
        "seconds": seconds,
        "mm2_per_s": mm2 / seconds,
        "first_evidence_s": first[0] if first else None,
        "stages": [
            {"name": name, "items": spent.items, "seconds": spent.seconds, "per_s": _rate(spent.items, spent.seconds)}
            for name, spent in runtime.spent.items()
            if name not in runtime.models
        ],
        "networks": [_network(name, runtime) for name in runtime.models],
        "memory_peak_mb": peak,
    }


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print the figures for people."""
    from rich import box
    from rich.table import Table

    machine, slide, scorer = figures["machine"], figures["slide"], figures["scorer"]
    memory = "" if machine["memory_gb"] is None else f", {machine['memory_gb']:.0f} GB"
    console.print(f"{machine['processor']}, {machine['cores']} cores{memory}; {machine['system']}", markup=False)
    console.print(
        f"{slide['name']}: {slide['format']}, {slide['width']:,} x {slide['height']:,} px; {scorer['id']} "
        f"{scorer['version']} on {figures['device']}, {figures['threads']} threads\n",
        markup=False,
    )
    if figures["not_assessable"] is not None:
        console.print(f"Not assessable: {figures['not_assessable']}\n", markup=False)
    table = Table(box=box.SIMPLE_HEAD)
    for column, justify in (("part", "left"), ("items", "right"), ("seconds", "right"), ("a second", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for row in (*figures["stages"], *figures["networks"]):
        table.add_row(row["name"], _amount(row["items"]), f"{row['seconds']:.2f}", _amount(row["per_s"]))
    if table.row_count:
        console.print(table)
        console.print("Parts run beside each other; seconds of several threads are added up.\n")
    for row in figures["networks"]:
        line = f"{row['name']} alone: {_amount(row['alone_per_s'])} images a second ({row['precision']})"
        if row["times_torch"] is not None:
            line += f", {row['times_torch']:.1f} times torch fp32 on the processor"
        console.print(f"{line}.", markup=False)
    first = figures["first_evidence_s"]
    peak = figures["memory_peak_mb"]
    console.print(
        f"{figures['region_mm2']:.1f} mm² in {figures['seconds']:.1f} s: {figures['mm2_per_s']:.2f} mm² a second"
        + ("" if first is None else f", first evidence after {first:.1f} s")
        + ("." if peak is None else f". Memory of the process: {peak:.0f} MiB at most."),
        markup=False,
    )


def _inputs(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """Slide and region: the bundled sample with its own where no slide is named."""
    if options.slide is not None:
        return options.slide, options.roi
    from her2viewer.resources import resource_path

    try:
        slide = resource_path("sample", "sample_her2.tif")
    except FileNotFoundError as error:
        raise CommandError(exit_codes.SLIDE_UNREADABLE, str(error)) from error
    return slide, options.roi or slide.with_suffix(".geojson")


def _count_reads(slide: Slide, runtime: LocalRuntime) -> None:
    """Let the runtime count what is read from the file, whoever asks for it."""
    read = slide.read
    inside = threading.local()

    def counted(level: int, x: int, y: int, width: int, height: int) -> Any:
        # A reader may serve one request by others.
        if getattr(inside, "reads", False):
            return read(level, x, y, width, height)
        inside.reads = True
        try:
            with runtime.timed(FILE, width * height):
                return read(level, x, y, width, height)
        finally:
            inside.reads = False

    setattr(slide, "read", counted)  # noqa: B010


def _network(name: str, runtime: LocalRuntime) -> dict[str, Any]:
    """What a network did in the run, and what it does alone, by this runtime and by torch."""
    from her2viewer.scoring.runtime.devices import pick_device
    from her2viewer.scoring.runtime.local import Spent
    from her2viewer.scoring.runtime.networks import load_network
    from her2viewer.scoring.runtime.trial import trial_images

    model = runtime.models[name]
    images = trial_images(model)
    network = load_network(model, pick_device(runtime.wish), runtime.threads)
    alone = _alone(lambda: network.run(images, runtime.check), len(images))
    torch = None
    if importlib.util.find_spec("torch") and importlib.util.find_spec("safetensors"):
        torch = _by_torch(runtime, name, images)
    spent = runtime.spent.get(name, Spent())
    return {
        "name": name,
        "items": spent.items,
        "seconds": spent.seconds,
        "per_s": _rate(spent.items, spent.seconds),
        "precision": network.precision,
        "alone_per_s": alone,
        "torch_fp32_per_s": torch,
        "times_torch": None if torch is None else alone / torch,
    }


def _by_torch(runtime: LocalRuntime, name: str, images: np.ndarray[Any, Any]) -> float | None:
    from her2viewer.scoring.contract import ScorerError
    from her2viewer.scoring.runtime.torch_network import TorchNetwork, use_threads

    try:
        network = TorchNetwork(runtime.models[name], "cpu")
    except ScorerError:
        # Its plugin may lack what building the network needs; it runs from its graph all the same.
        return None
    with use_threads(runtime.threads):
        return _alone(lambda: network.run(images, runtime.check), len(images))


def _alone(work: Callable[[], Any], images: int) -> float:
    """Images a second."""
    work()
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < ALONE_S or not done:
        work()
        done += images
    return done / max(spent, 1e-9)


def _rate(items: float, seconds: float) -> float:
    return items / max(seconds, 1e-9)


def _amount(value: float) -> str:
    """ "1,234", "56.7 million"."""
    if value >= 1e6:
        return f"{value / 1e6:,.1f} million"
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
