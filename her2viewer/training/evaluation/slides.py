"""Slides as two readers saw them, one row a slide, whether from a scorer or from a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.shares import CountedUnit
from her2viewer.guidelines.engine import decide_result
from her2viewer.guidelines.profiles import Profile
from her2viewer.training.evaluation.scored import ScoredSlide
from her2viewer.training.evaluation.truth import Percent, Truth
from her2viewer.training.evaluation.units import Units, upper_shares

STATUSES = ("negative", "equivocal", "positive")
_NO_ANSWER = ("", "na", "n/a", "nan", "none", "not assessable", "not_assessable", "?", "-")


class PairsError(Exception):
    """A table of pairs cannot be used; ``problems`` holds a sentence for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class SlideRow:
    """One slide; codes are indices into the labels of the table, None is "no answer"."""

    slide: str
    group: str
    """Patient where known, else the slide: what the bootstrap draws."""
    truth: int | None
    predicted: int | None
    truth_shares: Percent | None = None
    predicted_shares: Percent | None = None
    counted: float | None = None
    unit: str = ""
    lab: str = ""
    scanner: str = ""
    reason: str = ""
    """Why there is no prediction."""


def slide_row(scored: ScoredSlide, truth: Truth, profile: Profile, group: str) -> SlideRow:
    """The row of a slide that a scorer was run on."""
    entry, result = scored.entry, scored.result
    predicted, percent, counted, unit, reason = None, None, None, "", scored.problem
    if result is not None:
        if result.not_assessable is not None:
            reason = f"not assessable: {result.not_assessable.reason}"
        elif result.shares is not None:
            counted, unit = result.shares.total, str(result.shares.unit)
            if result.shares.total > 0:
                percent = result.shares.percent
            decision = decide_result(profile, result)
            if decision.outcome == "score" and decision.score:
                predicted = int(decision.score[0])
            else:
                reason = decision.reason or ("no tumour was found" if counted <= 0 else decision.headline)
        else:
            predicted = result.score
            reason = "" if predicted is not None else "the scorer gave no score"
    return SlideRow(
        entry.id,
        group,
        truth.score,
        predicted,
        truth.shares,
        percent,
        counted,
        unit,
        entry.lab or "",
        entry.scanner or "",
        reason if predicted is None else "",
    )


def slide_units(rows: Sequence[SlideRow], labels: tuple[str, ...] = HER2_LABELS) -> Units:
    """The rows on which both readers gave an answer."""
    both = [r for r in rows if r.truth is not None and r.predicted is not None]
    values = [
        upper_shares(r.predicted_shares) if r.predicted_shares is not None else np.full(3, np.nan) for r in both
    ]
    return Units(
        "slide",
        labels,
        np.array([r.truth for r in both], np.int64),
        np.array([r.predicted for r in both], np.int64),
        np.array([r.group for r in both], dtype=str),
        np.array(values, np.float64).reshape(-1, 3) if len(labels) == 4 else None,
    )


def read_pairs(path: Path) -> tuple[dict[str, list[SlideRow]], tuple[str, ...]]:
    """A table with two readers: columns slide, truth, predicted; optional patient, scorer, lab, scanner, truth_0 to
    truth_3 and predicted_0 to predicted_3 (shares in %).

    Returns:
        Rows by scorer ("predicted" without such a column), and the labels: HER2 scores or statuses.

    Raises:
        PairsError: with a sentence for each mistake.
    """
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
    missing = [n for n in ("slide", "truth", "predicted") if n not in names]
    if missing:
        raise PairsError(
            [f"{path.name} lacks the column {' and '.join(missing)}; it has {', '.join(names) or 'none'}."]
        )
    if not lines:
        raise PairsError([f"{path.name} holds no slides."])
    problems: list[str] = []
    labels = _labels_of(lines)
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
        codes = [_code(line[key], labels, f"{where}, {key}", problems) for key in ("truth", "predicted")]
        tables.setdefault(scorer, []).append(
            SlideRow(
                line["slide"],
                line.get("patient") or line["slide"],
                codes[0],
                codes[1],
                _percent(line, "truth", where, problems),
                _percent(line, "predicted", where, problems),
                unit=str(CountedUnit.CELLS),
                lab=line.get("lab", ""),
                scanner=line.get("scanner", ""),
                reason="" if codes[1] is not None else "no answer in the table",
            )
        )
    if problems:
        raise PairsError(problems)
    return tables, labels


def _labels_of(lines: Sequence[dict[str, str]]) -> tuple[str, ...]:
    words = {line[key].lower() for line in lines for key in ("truth", "predicted")}
    return STATUSES if words & set(STATUSES) else HER2_LABELS


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


def _percent(line: dict[str, str], reader: str, where: str, problems: list[str]) -> Percent | None:
    texts = [line.get(f"{reader}_{k}", "") for k in range(4)]
    if all(t.lower() in _NO_ANSWER for t in texts):
        return None
    try:
        values = [float(t.rstrip("% ") or 0) for t in texts]
    except ValueError:
        problems.append(f"{where}: the shares {reader}_0 to {reader}_3 must be percentages, not {texts}.")
        return None
    if min(values) < 0 or abs(sum(values) - 100) > 2:
        problems.append(f"{where}: the shares of {reader} add up to {sum(values):g} %, not to 100 %.")
        return None
    return (values[0], values[1], values[2], values[3])
