"""``her2viewer calibrate``: fit a scorer to a laboratory's own slides with known scores."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.commands import exit_codes
from her2viewer.commands.evaluate import SetProgress, profile_named, read_entries
from her2viewer.commands.output import CommandError, Output

if TYPE_CHECKING:
    from her2viewer.scoring.calibration_file import CalibrationFile

COLUMNS = (
    ("before", "before"),
    ("after", "fitted (on these slides)"),
    ("cross_validated", "cross-validated"),
)
_KEPT = "Cancelled. Nothing was written; slides that were scored are kept, and the same call goes on from there."


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    output = Output(options.json or options.events)
    try:
        return _calibrate(options, output)
    except CommandError as error:
        if options.events:
            _event("failed", sentence=str(error))
            return error.code
        return output.fail(error)
    except KeyboardInterrupt:
        return output.fail(CommandError(exit_codes.CANCELLED, _KEPT))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="her2viewer calibrate",
        description="From 10 to 50 of the laboratory's own slides with known scores, fit the limits of a scorer, or "
        "the factors of its network's logits, and tell by cross-validation what that is worth. Use the file with "
        "--set calibration=FILE, or in the window.",
        epilog="Exit codes: 0 written, 2 wrong option or a set that cannot be calibrated on, "
        "6 cannot write, 130 cancelled.",
    )
    parser.add_argument("scorer", metavar="SCORER", help="see her2viewer scorers")
    parser.add_argument("set", type=Path, metavar="SET.toml", help="the data set; each slide with its score")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="calibration file to write (.toml)")
    parser.add_argument(
        "--split", choices=("train", "validation", "test", "all"), default="all", help="default: %(default)s"
    )
    parser.add_argument(
        "--set", dest="values", action="append", default=[], metavar="KEY=VALUE", help="setting that stays as it is"
    )
    parser.add_argument("--profile", metavar="ID", help="guideline profile that makes scores of shares")
    parser.add_argument("--name", default="", metavar="TEXT", help="what the calibration is called")
    parser.add_argument("--by", default="", metavar="TEXT", help="who made it (default: the user of this computer)")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    # For the window: one JSON object a line while it works.
    parser.add_argument("--events", action="store_true", help=argparse.SUPPRESS)
    return parser


def _calibrate(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.cases.atomic import StorageError, atomic_text, make_folder
    from her2viewer.commands.score import _cancelled_by_signal
    from her2viewer.commands.score_inputs import settings_of
    from her2viewer.scoring.calibration_file import calibration_text, read_calibration
    from her2viewer.scoring.contract import Cancelled, ScorerError
    from her2viewer.scoring.registry import find_scorer
    from her2viewer.scoring.runtime import LocalRuntime
    from her2viewer.training.calibration_run import CalibrationRefused, calibrate
    from her2viewer.userdirs import cache_dir

    profile = profile_named(options.profile)
    try:
        manifest = find_scorer(options.scorer)
        settings = manifest.complete(settings_of(options.values, manifest))
    except (ScorerError, ValueError) as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    data_set, entries = read_entries(options.set, options.split)
    if options.out.is_dir():
        raise CommandError(
            exit_codes.USAGE, f"{options.out} is a folder; name the file to write, for example lab.toml."
        )
    runtime = LocalRuntime(options.threads)
    out = options.out.absolute()
    try:
        # Before an hour of work, not after it.
        make_folder(out.parent)
        probe = out.parent / f".{out.name}.writes-here"
        atomic_text(probe, "")
        probe.unlink(missing_ok=True)
        with (
            _cancelled_by_signal(runtime),
            redirect_stdout(sys.stderr),
            _Events(len(entries)) if options.events else SetProgress(output, len(entries)) as progress,
        ):
            calibration = calibrate(
                data_set,
                entries,
                manifest,
                settings,
                profile,
                folder=cache_dir() / "scored",
                runtime=runtime,
                progress=progress,
                name=options.name,
                made_by=options.by,
            )
        atomic_text(out, calibration_text(calibration))
        calibration = read_calibration(out)
    except StorageError as error:
        raise CommandError(exit_codes.CANNOT_WRITE, str(error)) from error
    except CalibrationRefused as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    except Cancelled as error:
        raise CommandError(exit_codes.CANCELLED, _KEPT) from error
    value = _value(calibration, out)
    if options.events:
        _event("done", **value)
    elif options.json:
        output.machine({"ok": True, **value})
    else:
        _show(output, calibration, out)
    return exit_codes.OK


class _Events:
    """Progress as JSON lines on the true stdout."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0

    def __enter__(self) -> _Events:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, name: str, done: bool) -> None:
        """A slide begins, or is done."""
        self._done += done
        _event("slide", name=name, done=self._done, total=self._total)


def _event(kind: str, **values: Any) -> None:
    stream = sys.__stdout__ or sys.stdout
    stream.write(json.dumps({"event": kind, **values}, ensure_ascii=True, default=str) + "\n")
    stream.flush()


def _value(c: CalibrationFile, path: Path) -> dict[str, Any]:
    def clean(figures: Any) -> dict[str, Any]:
        return {k: None if math.isnan(v) else v for k, v in figures.items()}

    return {
        "file": str(path),
        "sha256": c.sha256,
        "name": c.name,
        "scorer": c.scorer,
        "scorer_version": c.scorer_version,
        "settings": dict(c.settings),
        "settings_before": {k: c.extra[f"before_{k}"] for k in c.settings},
        "data_set": c.data_set,
        "data_set_hash": c.data_set_hash,
        "profile": c.profile,
        "before": clean(c.before),
        "after": clean(c.after),
        "cross_validated": clean(c.cross_validated),
        "better": bool(c.extra["better"]),
        "folds": c.extra["folds"],
        "slides": [dict(s) for s in c.slides],
        "notes": list(c.notes),
    }


def _show(output: Output, c: CalibrationFile, path: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    from her2viewer.scoring.calibration_file import FIGURES, figure_text

    console = output.people()
    console.print(f"\n[bold]{escape(c.name)}[/bold] for {escape(c.scorer)} {escape(c.scorer_version)}")
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("setting")
    for title in ("before", "fitted"):
        table.add_column(title, justify="right")
    for key, value in c.settings.items():
        table.add_row(escape(key), f"{c.extra[f'before_{key}']:g}", f"{value:g}")
    console.print(table)
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column(f"{len(c.slides)} slides")
    for _, title in COLUMNS:
        table.add_column(title, justify="right")
    for key, (title, _) in FIGURES.items():
        if key in c.before:
            texts = (figure_text(key, getattr(c, column)[key]) for column, _ in COLUMNS)
            table.add_row(f"{title[0].lower()}{title[1:]}", *texts)
    console.print(table)
    wrong = [s for s in c.slides if s["held_out"] != s["truth"]]
    if wrong:
        console.print("Wrong when left out of the fit:")
        for s in wrong:
            console.print(f"  {s['id']}: {s['truth']}, found {s['held_out']} (before: {s['before']})", markup=False)
    for note in c.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}")
    console.print(f"  {path}", markup=False, soft_wrap=True)
