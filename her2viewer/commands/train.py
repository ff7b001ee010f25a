"""``her2viewer train PLUGIN --data SET.toml``: from slides of one's own to a model that the scorer can use."""

from __future__ import annotations

import argparse
import importlib.util
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output

if TYPE_CHECKING:
    from her2viewer.training.recipe import Recipe
    from her2viewer.training.run import RunRequest, RunResult

NEEDED = ("torch", "lightning", "safetensors", "scipy", "matplotlib")


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    output = Output(options.json)
    try:
        if options.list:
            return _list(options.plugin, output)
        return _train(options, output)
    except CommandError as error:
        return output.fail(error)
    except KeyboardInterrupt:
        return output.fail(
            CommandError(exit_codes.CANCELLED, "Stopped. Whole epochs and cut slides are kept; --resume goes on.")
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="her2viewer train",
        description="Train a scorer's network on slides of your own. docs/training.md says what a data set needs.",
        epilog="Ctrl+C ends the training and keeps the best so far; a second Ctrl+C ends at once. Exit codes: 0 a "
        "model was written, 2 wrong option or data set, 5 training failed, 130 cancelled.",
    )
    parser.add_argument("plugin", nargs="?", metavar="PLUGIN", help="whose network; --list shows all")
    parser.add_argument("--list", action="store_true", help="which plugins can be trained, with their recipes")
    parser.add_argument("--data", type=Path, metavar="SET.toml", help="the data set")
    parser.add_argument("--recipe", metavar="NAME", help="which recipe (default: the plugin's first)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the run (default: ./PLUGIN-RECIPE-training)"
    )
    parser.add_argument("--name", metavar="TEXT", help="name of the model (default: from recipe and data set)")
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="weights to begin with (safetensors, or a state saved by torch)"
    )
    parser.add_argument("--max-minutes", type=float, metavar="N", help="stop then and keep the best so far")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    parser.add_argument("--half", action="store_true", help="store the model in half precision: half the size")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    return parser


def _list(plugin: str | None, output: Output) -> int:
    from her2viewer.training.recipe import TrainingError
    from her2viewer.training.recipes import recipe_modules, recipes_of

    found: list[dict[str, Any]] = []
    for name in recipe_modules():
        if plugin not in (None, name):
            continue
        try:
            found += [_facts(name, recipe) for recipe in recipes_of(name)]
        except TrainingError as error:
            found.append({"plugin": name, "problem": str(error)})
    if output.as_json:
        output.machine({"ok": True, "recipes": found})
        return exit_codes.OK
    console = output.people()
    for facts in found:
        if "problem" in facts:
            console.print(f"{facts['plugin']}: {facts['problem']}", markup=False)
            continue
        console.print(f"{facts['plugin']} --recipe {facts['recipe']}: {facts['summary']}", markup=False)
        console.print(f"  stages: {', '.join(facts['stages'])}; classes: {', '.join(facts['classes'])}", markup=False)
    if not found:
        console.print("Nothing that can be trained is installed.")
    return exit_codes.OK


def _facts(plugin: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "plugin": plugin,
        "recipe": recipe.name,
        "title": recipe.title,
        "summary": recipe.summary,
        "classes": list(recipe.classes),
        "stages": [stage.name for stage in recipe.stages],
        "mpp": recipe.cut.mpp,
        "input_px": recipe.cut.pixels,
    }


def _train(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.training.recipe import TrainingError

    request = _request(options)
    deadline = None if options.max_minutes is None else time.monotonic() + 60 * options.max_minutes
    from her2viewer.commands.train_progress import TrainProgress
    from her2viewer.training.run import run_training

    with _asked_to_stop() as asked, TrainProgress(output.aside(), request.recipe) as progress:

        def stop() -> str:
            if asked():
                return "It was stopped by Ctrl+C."
            if deadline is not None and time.monotonic() > deadline:
                return f"The time of {options.max_minutes:g} minutes was up."
            return ""

        try:
            result = run_training(request, stop=stop, say=progress.say)
        except TrainingError as error:
            code = exit_codes.CANCELLED if asked() else exit_codes.SCORER_FAILED
            raise CommandError(code, str(error)) from error
        except MemoryError as error:
            raise CommandError(
                exit_codes.SCORER_FAILED, "There was not enough memory; close other programs, then use --resume."
            ) from error
    if result.leads:
        _report(request, result, output)
    return exit_codes.OK


def _request(options: argparse.Namespace) -> RunRequest:
    from her2viewer.scoring.model_folder import NAME
    from her2viewer.training.dataset import DataSetError, read_data_set
    from her2viewer.training.recipe import TrainingError
    from her2viewer.training.recipes import find_recipe

    if options.plugin is None or options.data is None:
        raise CommandError(exit_codes.USAGE, "Say what to train and on what: her2viewer train PLUGIN --data SET.toml")
    if options.max_minutes is not None and options.max_minutes <= 0:
        raise CommandError(exit_codes.USAGE, "--max-minutes must be above 0.")
    if options.threads is not None and options.threads < 1:
        raise CommandError(exit_codes.USAGE, "--threads must be at least 1.")
    if options.name is not None and not NAME.fullmatch(options.name):
        raise CommandError(
            exit_codes.USAGE, f"--name {options.name!r} cannot be a folder's name; use letters, digits, dots, dashes."
        )
    try:
        recipe = find_recipe(options.plugin, options.recipe)
        data_set = read_data_set(options.data, for_training=True)
    except TrainingError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    except DataSetError as error:
        count = len(error.problems)
        head = "" if count == 1 else f"{options.data.name} has {count} mistakes:\n"
        raise CommandError(exit_codes.USAGE, f"{head}{error}") from error
    check_packages()
    from her2viewer.training.run import RunRequest, model_name

    return RunRequest(
        plugin=options.plugin,
        recipe=recipe,
        data_set=data_set,
        out=(options.out or Path(f"{options.plugin}-{recipe.name}-training")).resolve(),
        name=options.name or model_name(recipe, data_set),
        device=options.device,
        seed=options.seed,
        resume=options.resume,
        threads=options.threads,
        start=options.start,
        half=options.half,
    )


def check_packages() -> None:
    """Say which packages of training are missing.

    Raises:
        CommandError: with the line that installs them.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(
            exit_codes.USAGE,
            f"Training needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            "pip install 'her2viewer[train]' (docs/training.md says how to choose between CPU and CUDA).",
        )


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Ctrl+C and a polite kill ask once; the second Ctrl+C ends at once."""
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(request: RunRequest, result: RunResult, output: Output) -> None:
    if output.as_json:
        output.machine(
            {
                "ok": True,
                "model": str(result.model.folder),
                "plugin": request.plugin,
                "name": result.model.name,
                "epochs": result.epochs,
                "stopped": result.stopped,
                "samples": dict(result.samples),
                "unread": result.unread,
                "metrics": dict(result.metrics),
            }
        )
        return
    console = output.people()
    if result.stopped:
        console.print(f"{result.stopped} The best so far was kept; --resume goes on.", markup=False)
    if result.unread:
        console.print(f"{result.unread:,} samples could not be read and were left out.")
    if result.metrics:
        m = result.metrics
        console.print(
            f"On {m['slides']} held-out slides ({m['samples']:,} samples): accuracy {m['accuracy']:.3f}, balanced "
            f"accuracy {m['balanced_accuracy']:.3f}, macro F1 {m['macro_f1']:.3f}, kappa {m['kappa']:.3f}"
        )
    else:
        console.print("The set holds no slides in the split test, so nothing is known of new slides.")
    console.print(f"Model: {result.model.folder}", markup=False)
    console.print(f"Use it in the program: her2viewer models install {result.model.folder}", markup=False)
