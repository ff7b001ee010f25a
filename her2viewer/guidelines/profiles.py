"""Profiles: one guideline each, read from ``resources/guidelines/*.toml``. The rules live there, never in code."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.shares import CountedUnit
from her2viewer.resources import resource_path

FORMAT = 1
DEFAULT_PROFILE = "asco_cap_2018_2023"

RowOperator = Literal[">", ">=", "<", "<=", "marked", "otherwise"]
_NUMERIC = (">", ">=", "<", "<=")
_STATUS = ("negative", "equivocal", "positive", "")

_log = logging.getLogger(__name__)


class ProfileError(Exception):
    """A profile is damaged or of another format. ``str()`` names the file and what is wrong with it."""


@dataclass(frozen=True)
class Row:
    """One row of a guideline: a condition and the answer it gives."""

    id: str
    question: str
    operator: RowOperator
    score: str
    status: str
    pattern: str = ""
    """The membrane pattern in words."""
    classes: tuple[int, ...] = ()
    """HER2 classes whose shares are added and compared."""
    limit: float | None = None
    """Percent."""
    noise_floor: float | None = None
    """Percent; shares below it that a program counted are taken for noise. Ours, and shown."""
    near_margin: float | None = None
    """Percentage points within which the row counts as near; None: the profile's. 0: never near."""
    mark: str = ""
    """What a person must have marked for the row to fire."""
    group: str = ""
    """Rows of one group are the same answer to the margin; the score where empty."""
    review: bool = False
    flags: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    confirm: str = ""

    @property
    def quantity(self) -> str:
        """What is compared, as printed: "3+", "1+ and 2+"."""
        return " and ".join(HER2_LABELS[c] for c in self.classes)

    @property
    def answer(self) -> tuple[str, str, bool]:
        """What distinguishes this row's answer from another's."""
        return (self.group or self.score, self.status, self.review)

    def effective(self, *, by_program: bool) -> tuple[RowOperator, float]:
        """Operator and limit that are applied: a noise floor replaces a lower limit for a program's counts.

        Raises:
            ValueError: the row has no number.
        """
        if self.limit is None:
            raise ValueError(f"Row {self.id} compares no number.")
        if by_program and self.noise_floor is not None and self.noise_floor > self.limit:
            return (">=", self.noise_floor)
        return (self.operator, self.limit)


@dataclass(frozen=True)
class FlagRule:
    """A mark that is added to the answers of some rows, such as "heterogeneous"."""

    id: str
    rows: tuple[str, ...]
    classes: tuple[int, ...]
    operator: RowOperator
    limit: float
    comment: str


@dataclass(frozen=True)
class Pattern:
    """A staining pattern that a person may mark."""

    id: str
    title: str
    confirm: str = ""


@dataclass(frozen=True)
class Profile:
    """One guideline: its rows in the order in which they are tested."""

    id: str
    title: str
    organ: str
    year: int
    order: int
    """Place in lists."""
    reference: str
    counts: CountedUnit
    """What the guideline asks to be counted."""
    near_margin: float
    """Percentage points."""
    rows: tuple[Row, ...]
    flags: tuple[FlagRule, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    minimum: Mapping[CountedUnit, float] = field(default_factory=dict)
    """Amount (cells, mm2) below which the shortage is named."""
    own_status: Mapping[int, str] = field(default_factory=dict)
    """Status that goes with a score 0 to 3 that a scorer gives without shares."""
    near_steps: tuple[str, ...] = ()
    review_steps: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    """Said with every answer."""
    not_evaluable: str = ""
    """Why the rows cannot be evaluated from shares at all; empty where they can."""

    @property
    def limits(self) -> tuple[float, ...]:
        """Cut-off lines above zero, percent, ascending."""
        return tuple(sorted({r.limit for r in self.rows if r.limit is not None and r.limit > 0}))

    @property
    def marks(self) -> tuple[str, ...]:
        """All marks that rows ask for."""
        return tuple(dict.fromkeys(r.mark for r in self.rows if r.mark))


@dataclass(frozen=True)
class LoadedProfiles:
    """All profiles of a folder, and why others could not be read."""

    profiles: dict[str, Profile]
    """By id, in their order."""
    problems: dict[str, str]
    """Sentence by file name."""


def read_profile(path: Path) -> Profile:
    """Read and check one profile.

    Raises:
        ProfileError: with a sentence that names the file and the entry.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"The guideline profile {path.name} cannot be read: {error}") from error
    if data.get("format") != FORMAT:
        raise ProfileError(
            f"The guideline profile {path.name} has format {data.get('format')}; this program reads format {FORMAT}."
        )
    try:
        return _profile(data)
    except KeyError as error:
        raise ProfileError(f"The guideline profile {path.name} lacks the entry {error.args[0]}.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ProfileError(f"The guideline profile {path.name} is damaged: {error}") from error


def load_folder(folder: Path) -> LoadedProfiles:
    """All profiles of a folder; a damaged one is left out, with its reason in ``problems``."""
    profiles: list[Profile] = []
    problems: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            profile = read_profile(path)
            if any(p.id == profile.id for p in profiles):
                raise ProfileError(f"The guideline profile {path.name} repeats the id {profile.id}.")
            profiles.append(profile)
        except ProfileError as error:
            problems[path.name] = str(error)
            _log.warning("%s", error)
    profiles.sort(key=lambda p: (p.order, p.id))
    return LoadedProfiles({p.id: p for p in profiles}, problems)


@cache
def loaded_profiles() -> LoadedProfiles:
    """The profiles that ship with the program and their problems; read once.

    Raises:
        FileNotFoundError: the installation lacks its profiles.
    """
    return load_folder(resource_path("guidelines"))


def load_profiles() -> dict[str, Profile]:
    """The profiles that ship with the program, by id and in their order.

    Raises:
        FileNotFoundError: the installation lacks its profiles.
    """
    return dict(loaded_profiles().profiles)


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{key} must be a list of texts.")
    return tuple(value)


def _classes(data: Mapping[str, Any]) -> tuple[int, ...]:
    classes = tuple(int(c) for c in data.get("classes", ()))
    if any(not 0 <= c <= 3 for c in classes):
        raise ValueError("classes are 0 to 3.")
    return classes


def _row(data: Mapping[str, Any]) -> Row:
    operator = data["operator"]
    row = Row(
        id=data["id"],
        question=data["question"],
        operator=operator,
        score=data.get("score", ""),
        status=data["status"],
        pattern=data.get("pattern", ""),
        classes=_classes(data),
        limit=None if "limit" not in data else float(data["limit"]),
        noise_floor=None if "noise_floor" not in data else float(data["noise_floor"]),
        near_margin=None if "near_margin" not in data else float(data["near_margin"]),
        mark=data.get("mark", ""),
        group=data.get("group", ""),
        review=bool(data.get("review", False)),
        flags=_texts(data, "flags"),
        next_steps=_texts(data, "next_steps"),
        comments=_texts(data, "comments"),
        confirm=data.get("confirm", ""),
    )
    if operator in _NUMERIC:
        if row.limit is None or not row.classes:
            raise ValueError(f"row {row.id} needs classes and a limit.")
        if not 0 <= row.limit <= 100:
            raise ValueError(f"the limit of row {row.id} must lie between 0 and 100 %.")
    elif operator == "marked":
        if not row.mark:
            raise ValueError(f"row {row.id} needs a mark.")
    elif operator != "otherwise":
        raise ValueError(f"row {row.id} has the unknown operator {operator!r}.")
    if row.status not in _STATUS:
        raise ValueError(f"row {row.id} has the unknown status {row.status!r}.")
    if not (row.score or row.status):
        raise ValueError(f"row {row.id} gives neither a score nor a status.")
    return row


def _profile(data: Mapping[str, Any]) -> Profile:
    rows = tuple(_row(r) for r in data["rows"])
    ids = [r.id for r in rows]
    if len(set(ids)) != len(ids):
        raise ValueError("two rows share an id.")
    not_evaluable = data.get("not_evaluable", "")
    if not rows or (not not_evaluable and rows[-1].operator != "otherwise"):
        raise ValueError("the last row must be the one for all other cases (operator otherwise).")
    if any(r.operator == "otherwise" for r in rows[:-1]):
        raise ValueError("only the last row may have the operator otherwise.")
    flags = tuple(
        FlagRule(
            id=f["id"],
            rows=_texts(f, "rows"),
            classes=_classes(f),
            operator=cast(RowOperator, f["operator"]),
            limit=float(f["limit"]),
            comment=f["comment"],
        )
        for f in data.get("flags", ())
    )
    for flag in flags:
        if flag.operator not in _NUMERIC or not flag.classes or not set(flag.rows) <= set(ids):
            raise ValueError(f"flag {flag.id} needs known rows, classes and a comparison.")
    least = data.get("minimum", {})
    minimum = {}
    if "cells" in least:
        minimum[CountedUnit.CELLS] = float(least["cells"])
    if "surface_mm2" in least:
        minimum[CountedUnit.SURFACE] = float(least["surface_mm2"])
    return Profile(
        id=data["id"],
        title=data["title"],
        organ=data["organ"],
        year=int(data["year"]),
        order=int(data["order"]),
        reference=data["reference"],
        counts={"cells": CountedUnit.CELLS, "surface": CountedUnit.SURFACE}[data["counts"]],
        near_margin=float(data["near_margin"]),
        rows=rows,
        flags=flags,
        patterns=tuple(Pattern(p["id"], p["title"], p.get("confirm", "")) for p in data.get("patterns", ())),
        minimum=minimum,
        own_status={int(k): str(v) for k, v in data.get("own_answer", {}).items()},
        near_steps=_texts(data, "near_steps"),
        review_steps=_texts(data, "review_steps"),
        comments=_texts(data, "comments"),
        not_evaluable=not_evaluable,
    )
