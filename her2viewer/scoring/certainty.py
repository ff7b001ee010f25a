"""How sure a class map is: its uncertainty as a map, and the patches on which the answer hangs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.evidence import ClassMap, Heatmap
from her2viewer.domain.region import Region

UNCERTAINTY = "Uncertainty"


def uncertainty(class_map: ClassMap) -> Heatmap | None:
    """1 less the gap between the two most likely classes: 0 for sure, 1 for a toss-up; NaN where nothing is counted.

    None for a map without probabilities, or of classes that do not count.
    """
    p = class_map.probabilities
    if p is None or p.shape[-1] < 2 or not class_map.scheme.counted:
        return None
    best = np.partition(p, p.shape[-1] - 2, axis=-1)[..., -2:]
    values = np.where(class_map.shown, 1.0 - (best[..., 1] - best[..., 0]), np.nan).astype(np.float32)
    return Heatmap(UNCERTAINTY, class_map.grid, values, "", 0.0, 1.0)


@dataclass(frozen=True)
class DecidingPatch:
    """A patch worth a look of one's own."""

    x: float
    y: float
    """Centre, level-0 px."""
    side: float
    """Level-0 px."""
    her2: int
    """Class 0 to 3."""
    certainty: float
    """0 to 1: for 2+ and 3+ the probability of the class, for 1+ that of 1+ against 0."""
    tumour: float
    """Part 0 to 1 of the patch that is tumour."""
    kind: str
    """Which list it belongs to: "3+", "2+" or "1+"."""


def deciding_patches(
    class_map: ClassMap, region: Region, each: int = 4, apart: float = 4.0
) -> tuple[DecidingPatch, ...]:
    """The most certain 3+ and 2+ patches, then the faintest 1+, which are those nearest to 0.

    Args:
        class_map: with probabilities; without them nothing is more certain than something else: ().
        region: of the reader; only patches with their centre in it.
        each: how many of each kind at most.
        apart: least distance between two of a kind, in patches: one field shows what lies closer.
    """
    p, grid = class_map.probabilities, class_map.grid
    if p is None:
        return ()
    code_of = {her2: code for code, her2 in enumerate(class_map.scheme.her2) if her2 >= 0}
    if not all(her2 in code_of for her2 in range(4)):
        return ()
    rows, columns = np.nonzero(class_map.shown)
    x, y = grid.x + (columns + 0.5) * grid.step, grid.y + (rows + 0.5) * grid.step
    keep = region.contains_points(x, y)
    rows, columns, x, y = rows[keep], columns[keep], x[keep], y[keep]
    classes, weight = class_map.classes[rows, columns], class_map.weight[rows, columns]
    found: list[DecidingPatch] = []
    for her2 in (3, 2, 1):
        mine = np.flatnonzero(classes == code_of[her2])
        chances = p[rows[mine], columns[mine]].astype(np.float64)
        certainty = chances[:, code_of[her2]]
        if her2 == 1:
            certainty = certainty / np.maximum(certainty + chances[:, code_of[0]], 1e-12)
        # A patch full of tumour shows more of it: of equals it goes first.
        order = np.lexsort((-weight[mine], certainty if her2 == 1 else -certainty))
        taken: list[int] = []
        for i in order.tolist():
            at = mine[i]
            if all(_distance(x, y, at, other) >= apart * grid.step for other in taken):
                taken.append(int(at))
                patch = DecidingPatch(
                    x=float(x[at]),
                    y=float(y[at]),
                    side=grid.step,
                    her2=her2,
                    certainty=float(certainty[i]),
                    tumour=float(weight[at]),
                    kind=HER2_LABELS[her2],
                )
                found.append(patch)
                if len(taken) == each:
                    break
    return tuple(found)


def _distance(x: NDArray[Any], y: NDArray[Any], a: int, b: int) -> float:
    return float(max(abs(x[a] - x[b]), abs(y[a] - y[b])))
