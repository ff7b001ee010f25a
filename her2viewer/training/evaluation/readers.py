"""Tables of readers: two readers of the same slides, or what persons said of the slides of a set."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.shares import CountedUnit, Shares
from her2viewer.guidelines.engine import decide
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, Profile, load_profiles
from her2viewer.training.evaluation.slides import STATUSES, SlideRow, code_of, labels_of
from her2viewer.training.evaluation.truth import Percent

STATUS_PROFILE = "vandenberghe_2017"
"""Makes statuses of shares where a table has no scores: 3+ in more than 10 % positive, else 2+ equivocal."""
READER = "reader"
_NO_ANSWER = ("", "na", "n/a", "nan", "none", "not assessable", "not_assessable", "?", "-")
_SHARES = ("{}_0", "{}_1", "{}_2", "{}_3")

Line = Mapping[str, str]


class PairsError(Exception):
    """A table cannot be used; ``problems`` holds a sentence for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Reading:
    """What a person said of one slide."""

    code: int | None
    """Index into the labels, None for no answer."""
    shares: Percent | None


@dataclass(frozen=True)
class _Rules:
    """What makes codes of a table's words and shares."""

    labels: tuple[str, ...]
    profile: Profile
    problems: list[str]


def read_pairs(path: Path, profile: Profile | None = None) -> tuple[dict[str, list[SlideRow]], tuple[str, ...]]:
    """A table with two readers: columns slide, truth, predicted; optional patient, scorer, lab, scanner, truth_0 to
    truth_3 and predicted_0 to predicted_3 (shares in %).

    A reader whose shares are there needs no score: the profile makes it. A table without any score has statuses.

    Args:
        path: of the table.
        profile: makes scores or statuses of shares; None: the usual one, for a table without scores
            ``STATUS_PROFILE``.

    Returns:
        Rows by scorer ("predicted" without such a column), and the labels: HER2 scores or statuses.

    Raises:
        PairsError: with a sentence for each mistake.
    """
    names, lines = _lines(path)
    _check_columns(path, names, ("truth", "predicted"))
    problems: list[str] = []
    words = [line.get(key, "") for line in lines for key in ("truth", "predicted")]
    labels, rule = _labels(words, profile)
    rules = _Rules(labels, rule, problems)
    tables: dict[str, list[SlideRow]] = {}
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, start=2):
        scorer = line.get("scorer") or "predicted"
        where = f"Line {number}"
        if not line["slide"]:
            problems.append(f"{where} names no slide.")
            continue
        if (scorer, line["slide"]) in seen:
            problems.append(f"{where}: the slide {line['slide']} stands twice for {scorer}; keep one line.")
        seen.add((scorer, line["slide"]))
        truth, predicted = (_reading(line, where, rules, key=who, stem=who) for who in ("truth", "predicted"))
        tables.setdefault(scorer, []).append(
            SlideRow(
                line["slide"],
                line.get("patient") or line["slide"],
                truth.code,
                predicted.code,
                truth.shares,
                predicted.shares,
                unit=str(CountedUnit.CELLS),
                lab=line.get("lab", ""),
                scanner=line.get("scanner", ""),
                reason="" if predicted.code is not None else "no answer in the table",
            )
        )
    if problems:
        raise PairsError(problems)
    return tables, labels


def read_readers(path: Path, profile: Profile) -> dict[str, dict[str, Reading]]:
    """A table of what persons said: columns slide and score, or slide and share_0 to share_3 (%), or all of them;
    reader where there are several.

    Args:
        path: of the table.
        profile: makes scores of shares where no score is given; of the kind that the scorers' scores are made with.

    Returns:
        Readings by reader ("reader" without such a column) and slide.

    Raises:
        PairsError: with a sentence for each mistake.
    """
    names, lines = _lines(path)
    _check_columns(path, names, ("score",), shares={"score": "share"})
    problems: list[str] = []
    rules = _Rules(labels_of(profile), profile, problems)
    found: dict[str, dict[str, Reading]] = {}
    for number, line in enumerate(lines, start=2):
        where, who = f"Line {number}", line.get(READER) or READER
        if not line["slide"]:
            problems.append(f"{where} names no slide.")
            continue
        mine = found.setdefault(who, {})
        if line["slide"] in mine:
            problems.append(f"{where}: the slide {line['slide']} stands twice for {who}; keep one line.")
        mine[line["slide"]] = _reading(line, where, rules, key="score", stem="share")
    if problems:
        raise PairsError(problems)
    return found


def against(rows: Sequence[SlideRow], readings: Mapping[str, Reading]) -> list[SlideRow]:
    """The rows of a scorer with what a person said as the truth; slides that the person did not read are left out."""
    return [
        replace(row, truth=readings[row.slide].code, truth_shares=readings[row.slide].shares)
        for row in rows
        if row.slide in readings
    ]


def two_readers(
    first: Mapping[str, Reading], second: Mapping[str, Reading], groups: Mapping[str, str]
) -> list[SlideRow]:
    """The slides that two persons read, the first as the truth; ``groups``: slide or patient by slide."""
    return [
        SlideRow(
            slide, groups.get(slide, slide), reading.code, second[slide].code, reading.shares, second[slide].shares,
            unit=str(CountedUnit.CELLS), reason="" if second[slide].code is not None else "no answer in the table",
        )
        for slide, reading in first.items()
        if slide in second
    ]  # fmt: skip


def _lines(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Column names in lower case, and the lines by them."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            sample = file.read(4096)
            file.seek(0)
            # A table of a spreadsheet in many countries has semicolons.
            mark = ";" if sample.partition("\n")[0].count(";") > sample.partition("\n")[0].count(",") else ","
            reader = csv.DictReader(file, delimiter=mark)
            names = [(n or "").strip().lower() for n in reader.fieldnames or ()]
            lines = [
                {k.strip().lower(): (v or "").strip() for k, v in row.items() if isinstance(k, str)} for row in reader
            ]
    except FileNotFoundError as error:
        raise PairsError([f"There is no table {path}."]) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PairsError(
            [f"{path.name} cannot be read as a table of text ({error}). Save it as CSV, UTF-8."]
        ) from error
    if not lines and names:
        raise PairsError([f"{path.name} holds no slides."])
    return names, lines


def _check_columns(
    path: Path, names: Sequence[str], readers: Sequence[str], shares: Mapping[str, str] | None = None
) -> None:
    """Each reader needs a column of scores or four of shares.

    Raises:
        PairsError: which are missing.
    """
    missing = [] if "slide" in names else ["slide"]
    for who in readers:
        keys = _keys((shares or {}).get(who, who))
        if who not in names and not all(key in names for key in keys):
            missing.append(f"{who} (or {keys[0]} to {keys[3]})")
    if missing:
        raise PairsError(
            [f"{path.name} lacks the column {' and '.join(missing)}; it has {', '.join(names) or 'none'}."]
        )


def _keys(who: str) -> tuple[str, ...]:
    return tuple(name.format(who) for name in _SHARES)


def _labels(words: Sequence[str], profile: Profile | None) -> tuple[tuple[str, ...], Profile]:
    """Scores or statuses, whichever the table speaks of, and the profile that makes them of shares."""
    known = {word.lower() for word in words} - set(_NO_ANSWER)
    profiles = load_profiles()
    if not known:
        rule = profile or profiles[STATUS_PROFILE]
        return labels_of(rule), rule
    if known & set(STATUSES):
        return STATUSES, profile or profiles[STATUS_PROFILE]
    return HER2_LABELS, profile or profiles[DEFAULT_PROFILE]


def _reading(line: Line, where: str, rules: _Rules, *, key: str, stem: str) -> Reading:
    """What one reader said in a line: the score in the column ``key``, else what the profile says of the shares."""
    percent = _percent(line, stem, where, rules.problems)
    word = line.get(key, "")
    if word or percent is None:
        return Reading(_code(word, rules.labels, f"{where}, {key}", rules.problems), percent)
    decision = decide(rules.profile, Shares.from_percent(percent), by_program=False)
    return Reading(code_of(decision, rules.labels), percent)


def _code(text: str, labels: tuple[str, ...], where: str, problems: list[str]) -> int | None:
    word = text.lower()
    if word in _NO_ANSWER:
        return None
    if word in labels:
        return labels.index(word)
    if labels == HER2_LABELS and word.rstrip("+") in ("0", "1", "2", "3"):
        return int(word.rstrip("+"))
    problems.append(f"{where}: {text!r} is none of {', '.join(labels)}, nor 'not assessable'.")
    return None


def _percent(line: Line, stem: str, where: str, problems: list[str]) -> Percent | None:
    texts = [line.get(key, "") for key in _keys(stem)]
    if all(t.lower() in _NO_ANSWER for t in texts):
        return None
    try:
        # A spreadsheet with semicolons has decimal commas.
        values = [float(t.rstrip("% ").replace(",", ".") or 0) for t in texts]
    except ValueError:
        problems.append(f"{where}: the shares {stem}_0 to {stem}_3 must be percentages, not {texts}.")
        return None
    if min(values) < 0 or not abs(sum(values) - 100) <= 2:
        problems.append(f"{where}: the shares {stem}_0 to {stem}_3 add up to {sum(values):g} %, not to 100 %.")
        return None
    return (values[0], values[1], values[2], values[3])
