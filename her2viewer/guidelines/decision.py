"""A decision of a guideline with the whole way to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.shares import Shares

Outcome = Literal["score", "not_evaluable", "cannot_be_determined"]


@dataclass(frozen=True)
class RowTest:
    """One row of a guideline held against the numbers."""

    row: str
    """Id of the row in its profile."""
    question: str
    """As printed: "3+ in more than 10 %?"."""
    quantity: str
    """What was compared: "3+", "1+ and 2+"."""
    operator: Literal[">", ">=", "<", "<=", "marked", "otherwise"]
    value: float | None
    """Unrounded percentage, or None for a row without a number."""
    limit: float | None
    """Percentage."""
    fired: bool
    margin: float | None
    """Value less limit, percentage points, signed."""
    near: bool
    """Within the profile's margin (5 points), or the interval of the estimate crosses the limit."""
    confirm: str = ""
    """What about the row is to be confirmed in the guideline's own text; shown beside it."""


@dataclass(frozen=True)
class Decision:
    """What one profile says of one set of shares."""

    profile: str
    """Id of the profile."""
    profile_title: str
    profile_reference: str
    """Short citation with DOI."""
    outcome: Outcome
    score: str
    """"0", "0+", "1+", "2+", "3+", or "" where the profile gives a status only or nothing can be said."""
    status: str
    """"negative", "equivocal", "positive", or ""."""
    headline: str
    """One line for the top of the panel: "2+ equivocal"."""
    fired: str
    """Id of the row that fired, "" where none."""
    trace: tuple[RowTest, ...]
    """All rows tested, in order, the fired one last."""
    margin: float | None
    """Smallest distance in percentage points of a number to a limit that would change the answer."""
    near: bool
    """Amber mark: the answer is close to another one."""
    review: bool
    """No literal row of the guideline fits: never signed without the pathologist's own score."""
    flags: tuple[str, ...]
    """Short marks: "limited 3+", "heterogeneous", "review"."""
    counted: str
    """"4,312 tumour cells", "38.2 mm2 of tumour surface (a proxy of cells)", "nothing"."""
    next_steps: tuple[str, ...]
    comments: tuple[str, ...]
    """HER2-low and ultralow among them: a comment, never the score."""
    missing: tuple[str, ...]
    """What would be needed to trust it: control not checked, too little tumour."""
    shares: Shares | None = None
    reason: str = ""
    """Why nothing can be said, where ``outcome`` is not "score"."""
    limits: tuple[float, ...] = field(default=(10.0,))
    """Cut-off lines of the profile in percent, for the bars."""
    nearest: str = ""
    """The answer at ``margin`` points from here: "3+ positive"."""


def deciding_classes(decision: Decision | None) -> tuple[int, ...]:
    """HER2 classes 0 to 3 whose share gave the answer; the answer's own class where no share did."""
    if decision is None:
        return ()
    if decision.trace and decision.trace[-1].quantity:
        return tuple(HER2_LABELS.index(part) for part in decision.trace[-1].quantity.split(" and "))
    # "0+" is a 0.
    return (int(decision.score[0]),) if decision.score else ()
