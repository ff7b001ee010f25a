"""``her2viewer evaluate``: scorers against what is known of a set of slides, or two readers of a table."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output
from her2viewer.commands.progress import StageBar

if TYPE_CHECKING:
    from her2viewer.guidelines.profiles import Profile
    from her2viewer.training.dataset import DataSet, SlideEntry
    from her2viewer.training.evaluation.readers import Reading
    from her2viewer.training.evaluation.report import ReaderReport

NEEDS = {"scipy": "scipy", "sklearn": "scikit-learn", "matplotlib": "matplotlib"}


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    output = Output(options.json)
    try:
        return _evaluate(options, output)
    except CommandError as error:
        return output.fail(error)
    except KeyboardInterrupt:
        return output.fail(
            CommandError(
                exit_codes.CANCELLED, "Cancelled. What was scored is kept; the same call goes on from there."
            )
        )


def check_extra(extra: str = "evaluate") -> None:
    """Say which packages are missing before any work is done.

    Raises:
        CommandError: with the line that installs them.
    """
    missing = [package for module, package in NEEDS.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise CommandError(
            exit_codes.PROBLEM,
            f"This needs {', '.join(missing)}, which are not installed: pip install 'her2viewer[{extra}]'",
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="her2viewer evaluate",
        description="Compare scorers with what is known of a set of slides: by cell, patch, field and slide, with "
        "intervals by slide (or patient). Results of each slide are kept, so a call that was broken off goes on.",
        epilog="The table of --pairs has the columns slide, truth, predicted, and may have scorer, patient, lab, "
        "scanner, truth_0 .. truth_3 and predicted_0 .. predicted_3 (shares in %%); shares alone will do, too: the "
        "profile makes the answer. That of --readers has slide, score or share_0 .. share_3, and may have reader. "
        "Exit codes: 0 done, 1 packages missing, 2 wrong option, set or table, 6 cannot write, 130 cancelled.",
    )
    parser.add_argument("set", nargs="?", type=Path, metavar="SET.toml", help="the data set")
    parser.add_argument("--pairs", type=Path, metavar="CSV", help="instead: a table of two readers")
    parser.add_argument(
        "--readers", type=Path, metavar="CSV", help="what persons said of the slides of the set: scorers against each"
    )
    parser.add_argument(
        "--scorer", action="append", metavar="ID", help="see her2viewer scorers; repeatable (default: membrane)"
    )
    parser.add_argument(
        "--set",
        dest="values",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the scorers that have it; repeatable",
    )
    parser.add_argument(
        "--split", choices=("train", "validation", "test", "all"), default="all", help="default: %(default)s"
    )
    parser.add_argument(
        "--profile",
        metavar="ID",
        help="guideline profile that makes scores of shares (of a table without scores: vandenberghe_2017)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for JSON, CSV and plots, and what is kept")
    parser.add_argument(
        "--draws", type=int, default=1000, metavar="N", help="of the bootstrap (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    return parser


def _evaluate(options: argparse.Namespace, output: Output) -> int:
    if (options.set is None) == (options.pairs is None):
        raise CommandError(
            exit_codes.USAGE, "Name a data set (SET.toml) or give --pairs with a table, one of the two."
        )
    if options.readers is not None and options.set is None:
        raise CommandError(exit_codes.USAGE, "--readers goes with a data set (SET.toml); two readers: --pairs.")
    if options.draws < 1:
        raise CommandError(exit_codes.USAGE, "--draws must be at least 1.")
    check_extra()
    from her2viewer.cases.atomic import StorageError
    from her2viewer.commands.score_files import make_out_folder

    if options.out is not None:
        make_out_folder(options.out)
    try:
        readers, facts = _from_pairs(options) if options.pairs is not None else _from_set(options, output)
        return _finish(options, output, readers, facts)
    except StorageError as error:
        raise CommandError(exit_codes.CANNOT_WRITE, str(error)) from error


def profile_named(name: str | None) -> Profile:
    """A guideline profile by id, the usual one for None.

    Raises:
        CommandError: there is none of that name.
    """
    from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles

    profiles = load_profiles()
    wanted = name or DEFAULT_PROFILE
    if wanted not in profiles:
        raise CommandError(
            exit_codes.USAGE, f"There is no guideline profile {wanted!r}. There are: {', '.join(profiles)}."
        )
    return profiles[wanted]


def _from_pairs(options: argparse.Namespace) -> tuple[list[ReaderReport], dict[str, Any]]:
    from her2viewer.training.evaluation.readers import PairsError, read_pairs
    from her2viewer.training.evaluation.run import reader_report

    profile = None if options.profile is None else profile_named(options.profile)
    try:
        tables, labels = read_pairs(options.pairs, profile)
    except PairsError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    draws = (options.draws, options.seed)
    readers = [reader_report(name, "", rows, [], labels=labels, draws=draws) for name, rows in tables.items()]
    return readers, {"pairs": str(options.pairs)}


def _from_set(options: argparse.Namespace, output: Output) -> tuple[list[ReaderReport], dict[str, Any]]:
    from her2viewer.commands.score import _cancelled_by_signal
    from her2viewer.commands.score_inputs import settings_of
    from her2viewer.scoring.calibration_file import with_calibration
    from her2viewer.scoring.contract import Cancelled, ScorerError
    from her2viewer.scoring.registry import find_scorer
    from her2viewer.scoring.runtime import LocalRuntime
    from her2viewer.training.evaluation.run import evaluate_scorer
    from her2viewer.userdirs import cache_dir

    profile = profile_named(options.profile)
    data_set, entries = read_entries(options.set, options.split)
    persons = {} if options.readers is None else _persons(options.readers, profile, data_set)
    names = list(dict.fromkeys(options.scorer or ["membrane"]))
    chosen = []
    for name in names:
        try:
            manifest = find_scorer(name)
            known = {s.id for s in manifest.settings}
            pairs = [p for p in options.values if len(names) == 1 or p.partition("=")[0].strip() in known]
            chosen.append((manifest, manifest.complete(with_calibration(manifest, settings_of(pairs, manifest)))))
        except (ScorerError, ValueError) as error:
            raise CommandError(exit_codes.USAGE, str(error)) from error
    kept = options.out / "scored" if options.out is not None else cache_dir() / "scored"
    runtime = LocalRuntime(options.threads)
    readers = []
    try:
        with _cancelled_by_signal(runtime), SetProgress(output, len(entries) * len(chosen)) as progress:
            for manifest, settings in chosen:
                readers.append(
                    evaluate_scorer(
                        entries,
                        manifest,
                        settings,
                        profile,
                        folder=kept,
                        runtime=runtime,
                        draws=(options.draws, options.seed),
                        by=data_set.rule.by,
                        progress=progress,
                    )
                )
    except Cancelled as error:
        raise CommandError(
            exit_codes.CANCELLED, "Cancelled. What was scored is kept; the same call goes on from there."
        ) from error
    readers += _against_persons(readers, persons, (options.draws, options.seed))
    facts = {
        "data_set": data_set.name,
        "data_set_hash": data_set.hash,
        "split": options.split,
        "profile": profile.id,
    }
    return readers, facts


def _persons(path: Path, profile: Profile, data_set: DataSet) -> dict[str, dict[str, Reading]]:
    """What persons said of slides of the set.

    Raises:
        CommandError: the table is wrong, or speaks of other slides.
    """
    from her2viewer.training.evaluation.readers import PairsError, read_readers

    try:
        found = read_readers(path, profile)
    except PairsError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    known = {entry.id for entry in data_set.slides}
    strange = sorted({slide for mine in found.values() for slide in mine} - known)
    if strange:
        raise CommandError(
            exit_codes.USAGE,
            f"{path.name} speaks of slides that are not in {data_set.name}: {', '.join(strange[:10])}"
            f"{' and others' if len(strange) > 10 else ''}. Write the ids of the set.",
        )
    return found


def _against_persons(
    scorers: Sequence[ReaderReport], persons: Mapping[str, Mapping[str, Reading]], draws: tuple[int, int]
) -> list[ReaderReport]:
    """Each scorer against each person, and the persons against one another, by slide."""
    from dataclasses import replace

    from her2viewer.training.evaluation.readers import against, two_readers
    from her2viewer.training.evaluation.run import reader_report

    found = []
    for name, readings in persons.items():
        for scorer in scorers:
            rows = against(scorer.rows, readings)
            if rows:
                report = reader_report(
                    f"{scorer.name} against {name}", scorer.version, rows, [], draws=draws, labels=scorer.labels,
                    settings=scorer.settings,
                )  # fmt: skip
                found.append(replace(report, against=name))
    groups = {row.slide: row.group for scorer in scorers for row in scorer.rows}
    for first, second in itertools.combinations(persons, 2):
        rows = [r for r in two_readers(persons[first], persons[second], groups) if r.slide in groups]
        if rows:
            report = reader_report(f"{second} against {first}", "", rows, [], draws=draws, labels=scorers[0].labels)
            found.append(replace(report, against=first))
    return found


def read_entries(path: Path, split: str) -> tuple[DataSet, tuple[SlideEntry, ...]]:
    """A data set and its slides of one split, or ``all``.

    Raises:
        CommandError: a sentence for every mistake in the set.
    """
    from her2viewer.training.dataset import DataSetError, read_data_set

    try:
        data_set = read_data_set(path)
    except DataSetError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    entries = data_set.slides if split == "all" else tuple(s for s in data_set.slides if s.split == split)
    if not entries:
        raise CommandError(exit_codes.USAGE, f"No slide of {data_set.name} is in the split {split}.")
    return data_set, entries


class SetProgress(StageBar):
    """Slides done and the time left, on stderr; one line a slide in a log."""

    def __init__(self, output: Output, total: int) -> None:
        super().__init__(output.aside(), counted=True)
        self._total, self._done = total, 0

    def __call__(self, name: str, done: bool) -> None:
        """A slide begins, or is done."""
        self._done += done
        line = "" if done else f"{self._done + 1} of {self._total}: {name}"
        self.show(name[:40], self._done, self._total, line=line, stage="slides")


def _finish(
    options: argparse.Namespace, output: Output, readers: Sequence[ReaderReport], facts: dict[str, Any]
) -> int:
    from her2viewer.cases.atomic import atomic_text
    from her2viewer.training.evaluation.distributions import write_distributions
    from her2viewer.training.evaluation.measures import compare
    from her2viewer.training.evaluation.plots import write_plots
    from her2viewer.training.evaluation.report import as_json, show, write_tables

    tests = [
        {"first": a.name, "second": b.name, **compare(a.rows, b.rows)}
        for a, b in itertools.combinations(readers, 2)
        if a.against == b.against
    ]
    value = as_json(str(facts.get("data_set", facts.get("pairs", ""))), facts, readers, tests)
    written: list[Path] = []
    if options.out is not None:
        written.append(options.out / "evaluation.json")
        atomic_text(written[0], json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        written.extend(write_tables(options.out, readers).values())
        written.extend(write_plots(options.out, readers))
        written.extend(write_distributions(options.out, readers))
        value = {**value, "files": [str(p) for p in written]}
    if options.json:
        output.machine({"ok": True, **value})
        return exit_codes.OK
    console = output.people()
    show(console, readers, tests)
    for path in written:
        console.print(f"  {path}", markup=False, soft_wrap=True)
    return exit_codes.OK
