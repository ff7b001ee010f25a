"""Comparison of shares with limits: raw amounts, never rounded percentages; exactly 10 % is not more than 10 %."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence

_OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_RELATIVE = 1e-12
"""Far below one cell in any slide; only takes up what binary fractions lose."""


def margin(amounts: Sequence[float], classes: Iterable[int], limit: float) -> float:
    """Share of ``classes`` less ``limit``, percentage points; 0.0 where they are equal.

    Compares ``100 * amount`` with ``limit * total``, so that whole numbers of cells compare exactly.
    """
    total = math.fsum(amounts)
    held = 100.0 * math.fsum(amounts[c] for c in classes)
    wanted = limit * total
    if total <= 0 or math.isclose(held, wanted, rel_tol=_RELATIVE, abs_tol=_RELATIVE * total):
        return 0.0 if total > 0 else -limit
    return (held - wanted) / total


def holds(amounts: Sequence[float], classes: Iterable[int], op: str, limit: float) -> bool:
    """Whether the share of ``classes`` stands in the relation ``op`` to ``limit`` (percent)."""
    return bool(_OPERATORS[op](margin(amounts, classes, limit), 0.0))


def percent(amounts: Sequence[float], classes: Iterable[int]) -> float:
    """Share of ``classes`` in percent, unrounded; 0 where nothing was counted."""
    total = math.fsum(amounts)
    return 100.0 * math.fsum(amounts[c] for c in classes) / total if total > 0 else 0.0


def relation(value: float, op: str, limit: float) -> bool:
    """Whether ``value`` stands in the relation ``op`` to ``limit``.

    Raises:
        KeyError: the operator is not one of > >= < <=.
    """
    return bool(_OPERATORS[op](value, limit))
