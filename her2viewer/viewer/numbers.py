"""Numbers as they are printed on screen."""

from __future__ import annotations


def percent_text(percent: float) -> str:
    """One decimal, and never ``0.0 %`` for something that is there nor ``10.0 %`` for what is not exactly ten.

    Rounding must not put a number on the other side of a limit: the last digit is cut towards the truth.
    """
    if 0 < percent < 0.05:
        return "<0.1 %"
    shown = round(percent, 1)
    for limit in (10.0, 100.0):
        if shown == limit and percent != limit:
            return (
                f"{percent:.2f} %" if round(percent, 2) != limit else f"{'<' if percent < limit else '>'}{limit:g} %"
            )
    return f"{shown:.1f} %"
