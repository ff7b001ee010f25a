"""In-situ hybridisation after immunohistochemistry: groups of a dual probe, and a single probe. Tables are data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from her2viewer.guidelines import compare
from her2viewer.guidelines.profiles import FORMAT, ProfileError
from her2viewer.resources import resource_path

BREAST = "breast_2018"
GASTRIC = "gastric_2016"

_ASKED = ("ratio", "copies")


@dataclass(frozen=True)
class Condition:
    """One comparison; ``quantity`` is "ratio" (HER2/CEP17) or "copies" (HER2 signals per cell)."""

    quantity: str
    operator: str
    limit: float


@dataclass(frozen=True)
class IshGroup:
    """One row of a table of in-situ hybridisation."""

    id: str
    conditions: tuple[Condition, ...]
    status: Mapping[int, str]
    """Status by the score of the concurrent immunohistochemistry, 0 to 3."""
    steps: Mapping[int, str]
    """What to do where the score gives no status."""
    recount: bool
    comment: str
    confirm: str


@dataclass(frozen=True)
class IshTable:
    """The rules of one guideline."""

    id: str
    title: str
    reference: str
    groups: tuple[IshGroup, ...]
    single_probe: tuple[IshGroup, ...]
    recount_step: str
    adjudicate_step: str
    needs_ihc_step: str


@dataclass(frozen=True)
class IshAnswer:
    """What the table says; ``status`` is "" until the next step is done."""

    group: str
    status: str
    comments: tuple[str, ...]
    next_steps: tuple[str, ...]


def read_ish_table(path: Path) -> IshTable:
    """Read and check one table.

    Raises:
        ProfileError: with a sentence that names the file and the entry.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        if data.get("format") != FORMAT:
            raise ProfileError(f"The table {path.name} has format {data.get('format')}; this program reads {FORMAT}.")
        return IshTable(
            id=data["id"],
            title=data["title"],
            reference=data["reference"],
            groups=tuple(_group(g) for g in data["groups"]),
            single_probe=tuple(_group(g) for g in data.get("single_probe", ())),
            recount_step=data.get("recount_step", ""),
            adjudicate_step=data.get("adjudicate_step", ""),
            needs_ihc_step=data.get("needs_ihc_step", ""),
        )
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"The table {path.name} cannot be read: {error}") from error
    except KeyError as error:
        raise ProfileError(f"The table {path.name} lacks the entry {error.args[0]}.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ProfileError(f"The table {path.name} is damaged: {error}") from error


def load_ish(table: str = BREAST) -> IshTable:
    """A table that ships with the program.

    Raises:
        ProfileError: it is damaged.
        FileNotFoundError: the installation lacks it.
    """
    return read_ish_table(resource_path("guidelines", "ish", f"{table}.toml"))


def dual_probe(
    table: IshTable,
    ratio: float,
    copies: float,
    ihc: int | None,
    recount: tuple[float, float] | None = None,
) -> IshAnswer:
    """Answer of a dual probe.

    Args:
        table: the guideline's table.
        ratio: HER2 signals / CEP17 signals.
        copies: mean HER2 signals per cell.
        ihc: score 0 to 3 of the same specimen, None where unknown.
        recount: (ratio, copies) of the blinded second count, where there was one.

    Raises:
        ValueError: a number is negative or not finite.
    """
    group = _find(table.groups, ratio, copies)
    first = _answer(table, group, ihc)
    if not (group.recount and ihc == 2):
        return first
    if recount is None:
        return replace(first, status="", next_steps=(table.recount_step,))
    if _find(table.groups, *recount).id != group.id:
        return replace(first, status="", next_steps=(table.adjudicate_step,))
    return first


def single_probe(table: IshTable, copies: float, ihc: int | None) -> IshAnswer:
    """Answer of a single probe: mean HER2 signals per cell, and the score of the same specimen.

    Raises:
        ValueError: the number is negative or not finite, or the guideline has no single probe.
    """
    if not table.single_probe:
        raise ValueError(f"{table.title} says nothing of a single probe.")
    return _answer(table, _find(table.single_probe, 0.0, copies), ihc)


def _find(groups: tuple[IshGroup, ...], ratio: float, copies: float) -> IshGroup:
    values = {"ratio": ratio, "copies": copies}
    if not all(0 <= v < float("inf") for v in values.values()):
        raise ValueError("Ratio and copies per cell must be numbers from 0 upwards.")
    for group in groups:
        if all(compare.relation(values[c.quantity], c.operator, c.limit) for c in group.conditions):
            return group
    raise ValueError(f"No group fits ratio {ratio} and {copies} copies.")


def _answer(table: IshTable, group: IshGroup, ihc: int | None) -> IshAnswer:
    comments = tuple(t for t in (group.comment, f"To be confirmed: {group.confirm}" if group.confirm else "") if t)
    distinct = set(group.status.values())
    if ihc is None:
        sure = len(distinct) == 1 and not group.steps
        return IshAnswer(group.id, distinct.pop() if sure else "", comments, () if sure else (table.needs_ihc_step,))
    step = group.steps.get(ihc, "")
    return IshAnswer(group.id, group.status.get(ihc, ""), comments, (step,) if step else ())


def _group(data: Mapping[str, Any]) -> IshGroup:
    conditions = tuple(Condition(c["quantity"], c["operator"], float(c["limit"])) for c in data["conditions"])
    if not conditions or any(c.quantity not in _ASKED for c in conditions):
        raise ValueError(f"group {data['id']} must compare ratio or copies.")
    return IshGroup(
        id=str(data["id"]),
        conditions=conditions,
        status={int(k): str(v) for k, v in data["status"].items()},
        steps={int(k): str(v) for k, v in data.get("steps", {}).items()},
        recount=bool(data.get("recount", False)),
        comment=data.get("comment", ""),
        confirm=data.get("confirm", ""),
    )
