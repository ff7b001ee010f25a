"""Median and 99th percentile of what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summary(milliseconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and worst of some times."""
    return {
        "median_ms": statistics.median(milliseconds),
        "p99_ms": percentile(milliseconds, 0.99),
        "worst_ms": max(milliseconds),
    }


def beside_blit(milliseconds: Sequence[float], blit: Sequence[float]) -> dict[str, float]:
    """``summary`` of frames, and what they take of one blit of the whole view in the same run."""
    least, times = statistics.median(blit), summary(milliseconds)
    return {
        **times,
        "blit_ms": least,
        "blit_p99_ms": percentile(blit, 0.99),
        "of_blit": times["median_ms"] / least,
        "p99_of_blit": times["p99_ms"] / least,
    }
