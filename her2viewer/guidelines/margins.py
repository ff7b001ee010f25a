"""How far an answer is from another one: the smallest shift of tumour between two classes that changes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from her2viewer.guidelines import compare
from her2viewer.guidelines.profiles import Profile, Row

_BEYOND = 1e-7
"""Percentage points past a limit, to see what lies on its other side."""


@dataclass(frozen=True)
class Nearest:
    """The closest other answer."""

    margin: float
    """Percentage points that would have to move from one class to another."""
    row: Row
    """The row that would fire then."""


def row_holds(row: Row, amounts: Sequence[float], marks: Collection[str], *, by_program: bool) -> bool:
    """Whether a row fires for these amounts and marks."""
    if row.operator == "otherwise":
        return True
    if row.operator == "marked":
        return row.mark in marks
    operator, limit = row.effective(by_program=by_program)
    return compare.holds(amounts, row.classes, operator, limit)


def fired_row(profile: Profile, amounts: Sequence[float], marks: Collection[str], *, by_program: bool) -> Row | None:
    """The first row that fires, or None where none does."""
    return next((r for r in profile.rows if row_holds(r, amounts, marks, by_program=by_program)), None)


def near_margin(profile: Profile, row: Row) -> float:
    """Percentage points within which a number counts as near to this row's limit."""
    return profile.near_margin if row.near_margin is None else row.near_margin


def nearest_other(
    profile: Profile, amounts: Sequence[float], marks: Collection[str], *, by_program: bool
) -> tuple[Nearest | None, bool]:
    """The closest other answer, and whether any other answer lies within the near margin of its row.

    Tumour is moved between each pair of classes up to each limit that this crosses; the answer is looked up
    again at the limit and just past it. Rows that are never near (near margin 0) are left out; rows that ask for a
    class to be present at all (limit 0) count only where it is present.
    """
    base = fired_row(profile, amounts, marks, by_program=by_program)
    total = sum(amounts)
    if base is None or total <= 0:
        return None, False
    best: Nearest | None = None
    near = False
    pairs = sorted(
        ((a, b) for a in range(4) for b in range(4) if a != b), key=lambda pair: (abs(pair[0] - pair[1]), pair)
    )
    for source, target in pairs:
        steps: list[tuple[float, Row]] = []
        for row in profile.rows:
            if row.limit is None or (source in row.classes) == (target in row.classes):
                continue
            limit = row.effective(by_program=by_program)[1]
            gap = compare.margin(amounts, row.classes, limit)
            if near_margin(profile, row) <= 0 or (limit == 0 and gap <= 0):
                # A class that was not seen is always "0 points" from being present: that says nothing.
                continue
            move = gap if source in row.classes else -gap
            if move >= 0:
                steps.append((move, row))
        available = compare.percent(amounts, (source,))
        before = base
        for move, row in sorted(steps, key=lambda step: step[0]):
            if move > available:
                break
            for shift in (move, min(move + _BEYOND, available)):
                after = fired_row(
                    profile, _moved(amounts, source, target, shift, total), marks, by_program=by_program
                )
                if after is None or after.answer == base.answer:
                    continue
                if best is None or move < best.margin:
                    best = Nearest(abs(move), after)
                allowed = near_margin(profile, row)
                near = near or (allowed > 0 and after.answer != before.answer and move <= allowed)
                before = after
    return best, near


def _moved(amounts: Sequence[float], source: int, target: int, points: float, total: float) -> list[float]:
    out = list(amounts)
    amount = min(points * total / 100.0, out[source])
    out[source] -= amount
    out[target] += amount
    return out
