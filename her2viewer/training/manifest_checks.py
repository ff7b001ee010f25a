"""Every mistake in a data-set manifest, each as one sentence that says where it is and what to write instead."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.training.dataset import SPLITS, Shares, SlideEntry, SplitName, SplitRule

TOP_KEYS = ("format", "version", "name", "description", "split", "slides")
SPLIT_KEYS = ("by", "validation", "test", "seed")
SLIDE_KEYS = (
    *("id", "slide", "roi", "score", "shares", "truth", "cells", "mpp"),
    *("lab", "scanner", "patient", "split"),
)
SUFFIXES = {
    "roi": (".geojson", ".json"),
    "cells": (".csv", ".geojson", ".json"),
    "truth": (".h5", ".hdf5"),
}
SUM_TOLERANCE = 2.0
"""Percentage points by which shares may miss 100: readers round to whole or to 5 %."""
MPP_RANGE = (0.05, 20.0)


def checked_entries(
    data: Mapping[str, object], folder: Path, problems: list[str]
) -> tuple[list[SlideEntry], SplitRule]:
    """The slides and the rule of the splits; ``problems`` gains a sentence for each mistake.

    Args:
        data: the parsed manifest.
        folder: what its paths are relative to.
        problems: filled.
    """
    _unknown(data, TOP_KEYS, "The manifest", problems)
    rule = _rule(data.get("split", {}), problems)
    tables = data.get("slides")
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        problems.append("The manifest names no slides; add a [[slides]] table for each.")
        return [], rule
    entries = [_entry(table, number, folder, problems) for number, table in enumerate(tables, start=1)]
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries, start=1):
        if entry.id in seen:
            problems.append(
                f'Slides {seen[entry.id]} and {number} have the same id "{entry.id}"; give each an id of its own.'
            )
        seen.setdefault(entry.id, number)
    return entries, rule


def training_problems(slides: Sequence[SlideEntry], rule: SplitRule) -> list[str]:
    """What keeps a set with its splits drawn from being trained on."""
    found = []
    by_split = {name: [s for s in slides if s.split == name] for name in SPLITS}
    if not by_split["train"]:
        found.append('No slide is in the split train; mark some with split = "train".')
    if not by_split["validation"] and not (rule.validation == 0 and all(s.split != "validation" for s in slides)):
        found.append(
            "No slide is in the split validation, so nothing tells when to stop; mark some with "
            'split = "validation", or add slides of further patients.'
        )
    in_train = {s.score for s in by_split["train"]}
    for label in HER2_LABELS:
        others = [s.id for s in slides if s.score == label and s.split != "train"]
        if others and label not in in_train:
            found.append(
                f"No slide of score {label} is in the split train (there is {_some(others)} elsewhere); "
                "move one there or add one."
            )
    return found


def _rule(table: object, problems: list[str]) -> SplitRule:
    if not isinstance(table, dict):
        problems.append('[split] must be a table, for example [split] with by = "patient".')
        return SplitRule()
    _unknown(table, SPLIT_KEYS, "[split]", problems)
    default = SplitRule()
    by = table.get("by", default.by)
    if by not in ("patient", "slide"):
        problems.append(f'[split]: by must be "patient" or "slide", not {by!r}.')
        by = default.by
    parts = {}
    for key, usual in (("validation", default.validation), ("test", default.test)):
        part = table.get(key, usual)
        if not _is_number(part) or not 0 <= part < 1:
            problems.append(f"[split]: {key} must be a share from 0 to below 1, for example 0.2, not {part!r}.")
            part = usual
        parts[key] = float(part)
    if parts["validation"] + parts["test"] >= 1:
        problems.append("[split]: validation and test together must leave something for train (below 1).")
    seed = table.get("seed", default.seed)
    if isinstance(seed, bool) or not isinstance(seed, int):
        problems.append(f"[split]: seed must be a whole number, not {seed!r}.")
        seed = default.seed
    return SplitRule(by, parts["validation"], parts["test"], seed)


def _entry(table: Mapping[str, Any], number: int, folder: Path, problems: list[str]) -> SlideEntry:
    given = table.get("id")
    name = given.strip() if isinstance(given, str) else ""
    where = f'Slide "{name}"' if name else f"Slide {number}"
    if "id" not in table:
        problems.append(f'{where} has no id; write id = "...".')
    elif not name or any(c in name for c in '/\\\n\t"'):
        problems.append(f"{where}: the id must be a text without slashes, quotes and line breaks, not {given!r}.")
    _unknown(table, SLIDE_KEYS, where, problems)
    paths = {key: _path(table, key, where, folder, problems) for key in ("slide", "roi", "truth", "cells")}
    texts = {key: _text(table, key, where, problems) for key in ("lab", "scanner", "patient")}
    return SlideEntry(
        id=name or f"slide {number}",
        slide=paths["slide"] or folder,
        roi=paths["roi"],
        truth=paths["truth"],
        cells=paths["cells"],
        score=_score(table, where, problems),
        shares=_shares(table, where, problems),
        mpp=_mpp(table, where, problems),
        lab=texts["lab"],
        scanner=texts["scanner"],
        patient=texts["patient"],
        split=_split(table, where, problems),
    )


def _path(table: Mapping[str, Any], key: str, where: str, folder: Path, problems: list[str]) -> Path | None:
    if key not in table:
        if key == "slide":
            problems.append(f'{where} names no file; write slide = "...".')
        return None
    value = table[key]
    if not isinstance(value, str) or not value.strip():
        problems.append(f"{where}: {key} must be the path of a file, not {value!r}.")
        return None
    path = (folder / value).resolve()
    suffixes = SUFFIXES.get(key)
    if suffixes and path.suffix.lower() not in suffixes:
        problems.append(f"{where}: {key} must be a {' or '.join(suffixes)} file, not {value}.")
    elif not path.exists():
        problems.append(f"{where}: the {key} file {value} is missing{_near_file(path)}.")
    elif path.is_dir() and suffixes:
        problems.append(f"{where}: {key} is the folder {value}; name a file.")
    return path


def _near_file(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir()]
    except OSError:
        return f" (there is no folder {path.parent})"
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else f" from {path.parent}"


def _text(table: Mapping[str, Any], key: str, where: str, problems: list[str]) -> str | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        problems.append(f'{where}: {key} must be a text in quotes, for example {key} = "{value}".')
        return None
    return value.strip() or None


def _score(table: Mapping[str, Any], where: str, problems: list[str]) -> str | None:
    score = table.get("score")
    if score is None or (isinstance(score, str) and score in HER2_LABELS):
        return score
    known = ", ".join(f'"{label}"' for label in HER2_LABELS)
    digits = str(score).strip().rstrip("+")
    hint = ""
    if not isinstance(score, bool) and digits in ("0", "1", "2", "3"):
        hint = f' (did you mean "{HER2_LABELS[int(digits)]}"?)'
    problems.append(f"{where}: the score {score!r} is unknown; write one of {known}{hint}.")
    return None


def _shares(table: Mapping[str, Any], where: str, problems: list[str]) -> Shares | None:
    shares = table.get("shares")
    if shares is None:
        return None
    if not isinstance(shares, dict) or not shares:
        problems.append(f'{where}: shares must be a table such as {{ "0" = 60, "1+" = 31, "2+" = 9, "3+" = 0 }}.')
        return None
    before = len(problems)
    _unknown(shares, HER2_LABELS, f"{where}, shares", problems)
    values = []
    for label in HER2_LABELS:
        value = shares.get(label, 0)
        if not _is_number(value) or not 0 <= value <= 100:
            problems.append(f"{where}: the share of {label} must be a percentage from 0 to 100, not {value!r}.")
            value = 0
        values.append(float(value))
    total = sum(values)
    if len(problems) == before and abs(total - 100) > SUM_TOLERANCE:
        hint = "; they look like fractions, write percentages" if abs(total - 1) < 0.02 else ""
        problems.append(f"{where}: the shares add up to {total:g} %, not to 100 %{hint}.")
    return (values[0], values[1], values[2], values[3])


def _mpp(table: Mapping[str, Any], where: str, problems: list[str]) -> float | None:
    mpp = table.get("mpp")
    if mpp is None:
        return None
    low, high = MPP_RANGE
    if not _is_number(mpp) or not low <= mpp <= high:
        problems.append(f"{where}: mpp must be um per pixel, {low:g} to {high:g}, not {mpp!r}.")
        return None
    return float(mpp)


def _split(table: Mapping[str, Any], where: str, problems: list[str]) -> SplitName | None:
    split = table.get("split")
    if split is None:
        return None
    for name in SPLITS:
        if split == name:
            return name
    problems.append(
        f"{where}: the split {split!r} is unknown; write one of {', '.join(SPLITS)}{_near(str(split), SPLITS)}."
    )
    return None


def _unknown(table: Mapping[str, Any], known: Sequence[str], where: str, problems: list[str]) -> None:
    for key in table:
        if key not in known:
            hint = _near(key, known) or f"; known are {', '.join(known)}"
            problems.append(f"{where} has the unknown entry {key!r}{hint}.")


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
