"""An answer whose interval by blocks of tissue reaches a limit is a close call, on the side of the limit alone."""

from __future__ import annotations

import pytest

from her2viewer.domain.shares import CountedUnit, Interval, Shares
from her2viewer.guidelines.engine import decide
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles

PROFILE = load_profiles()[DEFAULT_PROFILE]


@pytest.mark.parametrize(("low", "high", "near"), [(0.09, 0.20, True), (0.12, 0.40, False)])
def test_three_plus_of_18_percent_is_close_where_its_interval_goes_below_the_limit(
    low: float, high: float, near: bool
) -> None:
    interval = Interval((0.6, 0.0, 0.0, low), (0.9, 0.0, 0.0, high), 250.0)
    decision = decide(PROFILE, Shares((82, 0, 0, 18), CountedUnit.SURFACE, interval=interval))
    assert decision.score == "3+"
    assert decision.near == near
    assert next(t for t in decision.trace if t.row == "3+").near == near


def test_two_plus_below_the_limit_is_close_where_its_interval_goes_above_it() -> None:
    shares = {high: Interval((0.7, 0.15, 0.0, 0.0), (0.8, 0.3, high, 0.0), 250.0) for high in (0.05, 0.15)}
    near = [
        decide(PROFILE, Shares((75, 23, 2, 0), CountedUnit.SURFACE, interval=interval)).near
        for interval in shares.values()
    ]
    assert near == [False, True]


@pytest.mark.parametrize(
    ("low_2", "low_3", "near"),
    [(0.05, 0.002, True), (0.05, 0.016, False), (0.16, 0.002, False)],
    ids=["both may be missing", "3+ is there for sure", "2+ is enough for sure"],
)
def test_an_answer_that_stands_on_two_rows_is_close_where_both_may_fall(
    low_2: float, low_3: float, near: bool
) -> None:
    """2+ by more than 10 % of 2+, and by some 3+ as well: only without both it is 1+."""
    interval = Interval((0.3, 0.2, low_2, low_3), (0.7, 0.4, 0.3, 0.03), 250.0)
    decision = decide(PROFILE, Shares((51, 29, 18, 2), CountedUnit.CELLS, interval=interval))
    assert decision.score == "2+"
    assert decision.near == near
