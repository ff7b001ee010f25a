"""Median and 99th percentile of what was measured."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

# Windows counts a thread's time in steps of 16 ms.
_FINE = time.get_clock_info("thread_time").resolution < 1e-4
clock: Callable[[], float] = time.thread_time if _FINE else time.perf_counter
"""The calling thread's own time where the system counts it finely: other programs hardly lengthen it."""


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
