"""How far a run is, and how long it will still take: an estimate that does not jump."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

_PATIENCE_S = 1.5
"""No time is named before a stage has run this long: the first pieces say little."""
_MEMORY_S = 6.0
"""How far back the speed is averaged."""


@dataclass(frozen=True)
class RunProgress:
    """How far a run is."""

    stage: str
    fraction: float | None
    """0 to 1 of the stage, or None where the scorer cannot tell."""
    seconds_left: float | None

    @property
    def text(self) -> str:
        """One line: ``Cells 42 %, 1:10 left``."""
        words = self.stage
        if self.fraction is not None:
            words += f" {100 * self.fraction:.0f} %"
        if self.seconds_left is not None:
            words += f", {duration_text(self.seconds_left)} left"
        return words


def duration_text(seconds: float) -> str:
    """``0:08``, ``1:10``, ``1:02:10``; never ``0:00`` while something is left."""
    whole = max(1, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


class TimeLeft:
    """Estimates the time left of a stage from its recent speed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._total = 0.0
        self._begun = 0.0
        self._last = (0.0, 0.0)
        self._speed: float | None = None

    def update(self, stage: str, done: float, total: float) -> RunProgress:
        """Take in what the scorer says; gives what to show."""
        now = self._clock()
        if stage != self._stage or total != self._total or done < self._last[1]:
            self._stage, self._total = stage, total
            self._begun, self._last, self._speed = now, (now, done), None
        if total <= 0:
            return RunProgress(stage, None, None)
        then, before = self._last
        passed = now - then
        if passed > 0 and done > before:
            speed = (done - before) / passed
            weight = 1.0 if self._speed is None else 1 - math.exp(-passed / _MEMORY_S)
            self._speed = speed if self._speed is None else self._speed + weight * (speed - self._speed)
            self._last = (now, done)
        fraction = min(1.0, max(0.0, done / total))
        left = None
        if self._speed and now - self._begun >= _PATIENCE_S and done < total:
            # What has passed since the last piece is taken off, so that the clock runs between pieces.
            left = max(0.0, (total - done) / self._speed - (now - self._last[0]))
        return RunProgress(stage, fraction, left)
