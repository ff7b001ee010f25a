"""Which of many parts of a map lie in a tile: a scorer hands over hundreds, and a tile shows a few."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.evidence import Grid
from her2viewer.viewer.overlays.cell_index import Box


class OnGrid(Protocol):
    """A part of a map."""

    @property
    def grid(self) -> Grid:
        """Its place, level-0 px."""


Part = TypeVar("Part", bound=OnGrid)


class PartsWithin(Generic[Part]):
    """A snapshot of parts, in the order in which they are drawn."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        # When first asked, so that it is worked out in the thread that draws.
        return np.array([part.grid.bounds for part in self._parts], dtype=np.float64).reshape(-1, 4)

    def within(self, box: Box) -> list[Part]:
        """The parts that reach into ``box`` (level-0 px), in their order."""
        x0, y0, x1, y1 = self._bounds.T
        there = (x0 < box[2]) & (x1 > box[0]) & (y0 < box[3]) & (y1 > box[1])
        return [self._parts[i] for i in np.flatnonzero(there).tolist()]
