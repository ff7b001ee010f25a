"""``her2viewer ablation RUN``: what each stage of a training adds to the scores of slides."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output

if TYPE_CHECKING:
    from her2viewer.training.ablation import Ablation


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    output = Output(options.json)
    try:
        return _ablation(options, output)
    except CommandError as error:
        return output.fail(error)
    except KeyboardInterrupt:
        return output.fail(CommandError(exit_codes.CANCELLED, "Cancelled; nothing was changed."))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="her2viewer ablation",
        description="Compare the stages of a training from slide scores: the slides of every split are scored with "
        "the network at the end of each stage, and after the calibration of its logits. A slide's score is the "
        "highest class with 10 %% of its tumour.",
        epilog="Exit codes: 0 done, 1 packages missing, 2 no such run or another data set, 6 cannot write, "
        "130 cancelled.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of her2viewer train (its --out)")
    parser.add_argument("--data", type=Path, metavar="SET.toml", help="the data set, where it has moved")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for JSON and plots")
    parser.add_argument(
        "--draws", type=int, default=1000, metavar="N", help="of the bootstrap of patients (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    return parser


def _ablation(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.cases.atomic import StorageError, atomic_text
    from her2viewer.commands.evaluate import check_extra
    from her2viewer.commands.score_files import make_out_folder
    from her2viewer.commands.train import check_packages
    from her2viewer.training.recipe import TrainingError

    if options.draws < 1:
        raise CommandError(exit_codes.USAGE, "--draws must be at least 1.")
    if options.threads is not None and options.threads < 1:
        raise CommandError(exit_codes.USAGE, "--threads must be at least 1.")
    check_packages()
    check_extra()
    if options.out is not None:
        make_out_folder(options.out)
    try:
        found = _found(options, output)
    except TrainingError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    from her2viewer.training.ablation_report import as_json, finished_text, reports, show, write_plots

    made = reports(found, (options.draws, options.seed))
    value = as_json(found, made)
    written: list[Path] = []
    if options.out is not None:
        try:
            written.append(options.out / "ablation.json")
            atomic_text(written[0], json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
            written += write_plots(options.out, found, made)
        except StorageError as error:
            raise CommandError(exit_codes.CANNOT_WRITE, str(error)) from error
    if options.json:
        output.machine({"ok": True, **value, "files": [str(path) for path in written]})
        return exit_codes.OK
    console = output.people()
    show(console, found, made)
    if text := finished_text(found.finished):
        console.print(text)
    for path in written:
        console.print(f"  {path}", markup=False, soft_wrap=True)
    return exit_codes.OK


def _found(options: argparse.Namespace, output: Output) -> Ablation:
    from her2viewer.training.ablation import ablation, read_run
    from her2viewer.training.dataset import DataSetError, read_data_set
    from her2viewer.training.recipes import find_recipe

    note = read_run(options.run)
    recipe = find_recipe(note.plugin, note.recipe)
    path = options.data or note.data
    if path is None:
        raise CommandError(
            exit_codes.USAGE, f"{options.run} does not name its data set; give it with --data SET.toml."
        )
    try:
        data_set = read_data_set(path)
    except DataSetError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    aside = output.aside()
    said: list[str] = []

    def say(text: str, done: int, total: int) -> None:
        if text not in said:
            said.append(text)
            aside.print(f"{text} ...", markup=False)

    return ablation(options.run, note, recipe, data_set, device=options.device, threads=options.threads, say=say)
