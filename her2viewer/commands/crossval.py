"""``her2viewer crossval PLUGIN --data SET.toml``: a network against classical classifiers, by folds of fields."""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output
from her2viewer.commands.progress import StageBar

if TYPE_CHECKING:
    from her2viewer.training.crossval.run import Crossval, CrossvalRequest

KEPT = "What was done is kept; the same call goes on from there."


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    output = Output(options.json)
    try:
        return _crossval(options, output)
    except CommandError as error:
        return output.fail(error)
    except KeyboardInterrupt:
        return output.fail(CommandError(exit_codes.CANCELLED, f"Cancelled. {KEPT}"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="her2viewer crossval",
        description="Compare the network of a recipe with a linear SVM and a random forest on hand-made features of "
        "the same cells: F1 of each class and accuracy over folds of whole fields, paired t tests, and the principal "
        "components of both kinds of features. A call that was broken off goes on.",
        epilog="Exit codes: 0 done, 1 packages missing, 2 wrong option or data set, 5 it could not be done, 6 cannot "
        "write, 130 cancelled.",
    )
    parser.add_argument("plugin", metavar="PLUGIN", help="whose network; see her2viewer train --list")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="SET.toml", help="the data set; its splits are not used"
    )
    parser.add_argument("--recipe", metavar="NAME", help="which recipe (default: the plugin's first)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for JSON, CSV and plots, and what is kept (default: "
        "./PLUGIN-RECIPE-crossval)",
    )  # fmt: skip
    parser.add_argument("--folds", type=int, default=10, metavar="N", help="3 or more (default: %(default)s)")
    parser.add_argument(
        "--by", choices=("field", "slide", "patient"), default="field",
        help="what is never in two folds (default: %(default)s, as in the paper)",
    )  # fmt: skip
    parser.add_argument(
        "--field-um",
        type=float,
        metavar="UM",
        help="about the side of a field (default: 980, which is 2000 px at 0.49)",
    )
    parser.add_argument(
        "--most-cells", type=int, default=60, metavar="N",
        help="of one class in one field, so that classes are about as frequent (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--trees", type=int, default=500, metavar="N", help="of the forest (default: %(default)s)")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="of the network at most (default: as its recipe says)"
    )
    parser.add_argument("--max-minutes", type=float, metavar="N", help="of the network in each fold")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    return parser


def _crossval(options: argparse.Namespace, output: Output) -> int:
    _check_numbers(options)
    from her2viewer.cases.atomic import StorageError, atomic_text
    from her2viewer.commands.evaluate import check_extra
    from her2viewer.commands.train import check_packages
    from her2viewer.training.recipe import TrainingError

    check_packages()
    check_extra()
    if importlib.util.find_spec("skimage") is None:
        raise CommandError(
            exit_codes.PROBLEM, "This needs scikit-image, which is not installed: pip install 'her2viewer[evaluate]'"
        )
    request = _request(options)
    try:
        found = _found(request, output)
        from her2viewer.training.crossval.components import components_of, write_components
        from her2viewer.training.crossval.report import as_json, show, write_table

        components = components_of(found.view, request.seed)
        value = as_json(request, found, components)
        written = [request.out / "crossval.json", request.out / "crossval.csv"]
        atomic_text(written[0], json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        write_table(written[1], request, found)
        written += write_components(request.out, found.view, components, found.classes)
    except TrainingError as error:
        raise CommandError(exit_codes.SCORER_FAILED, str(error)) from error
    except StorageError as error:
        raise CommandError(exit_codes.CANNOT_WRITE, str(error)) from error
    except MemoryError as error:
        raise CommandError(
            exit_codes.SCORER_FAILED, f"There was not enough memory; lower --most-cells. {KEPT}"
        ) from error
    if output.as_json:
        output.machine({"ok": True, **value, "files": [str(path) for path in written]})
        return exit_codes.OK
    console = output.people()
    show(console, request, found, components)
    for path in written:
        console.print(f"  {path}", markup=False, soft_wrap=True)
    return exit_codes.OK


def _check_numbers(options: argparse.Namespace) -> None:
    least = {"folds": 3, "most_cells": 1, "trees": 1, "epochs": 1, "threads": 1}
    for name, limit in least.items():
        value = getattr(options, name)
        if value is not None and value < limit:
            raise CommandError(exit_codes.USAGE, f"--{name.replace('_', '-')} must be at least {limit}.")
    for name in ("field_um", "max_minutes"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise CommandError(exit_codes.USAGE, f"--{name.replace('_', '-')} must be above 0.")


def _request(options: argparse.Namespace) -> CrossvalRequest:
    from her2viewer.training.dataset import DataSetError, read_data_set
    from her2viewer.training.recipe import TrainingError
    from her2viewer.training.recipes import find_recipe

    try:
        recipe = find_recipe(options.plugin, options.recipe)
        data_set = read_data_set(options.data)
    except (TrainingError, DataSetError) as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    if recipe.hand_made is None:
        raise CommandError(
            exit_codes.USAGE,
            f"The recipe {recipe.name} of {options.plugin} has no hand-made features, so there is nothing that "
            "classical classifiers could learn from.",
        )
    from her2viewer.training.crossval.run import CrossvalRequest

    more = {} if options.field_um is None else {"field_um": options.field_um}
    return CrossvalRequest(
        plugin=options.plugin,
        recipe=recipe,
        data_set=data_set,
        out=(options.out or Path(f"{options.plugin}-{recipe.name}-crossval")).resolve(),
        folds=options.folds,
        by=options.by,
        most_cells=options.most_cells,
        trees=options.trees,
        epochs=options.epochs,
        max_minutes=options.max_minutes,
        device=options.device,
        threads=options.threads,
        seed=options.seed,
        **more,
    )


def _found(request: CrossvalRequest, output: Output) -> Crossval:
    from her2viewer.training.crossval.run import run_crossval

    began = time.monotonic()

    def stop(seconds: float) -> str:
        minutes = request.max_minutes
        return "" if minutes is None or seconds < 60 * minutes else f"The time of {minutes:g} minutes was up."

    with StageBar(output.aside()) as bar:

        def say(what: str, done: int, total: int) -> None:
            # Epochs are too many for a log; each fold has its line.
            stage = what.partition(":")[0]
            minutes = (time.monotonic() - began) / 60
            bar.show(what, done, total, line="" if said.get(stage) else f"{stage} ... ({minutes:.0f} min)")
            said[stage] = True

        said: dict[str, bool] = {}
        return run_crossval(request, stop=stop, say=say)
