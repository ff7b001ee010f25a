"""What is compared: cells, patches, fields and slides, each with true class, predicted class and slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.evidence import NOT_SCORED, CellTable, ClassMap
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.profiles import Profile
from her2viewer.training.evaluation.scored import ScoredSlide
from her2viewer.training.evaluation.truth import NOT_TUMOUR, TrueCells, score_of

MATCH_UM = 3.0
PATCH_UM = 128.0
FIELD_UM = 1000.0
PATCH_CELLS = 4
FIELD_CELLS = 50
"""Least number of true tumour cells in a patch and in a field."""
ARTEFACT = "artefact"
"""Class of what a scorer has found and does not take for a cell."""
CELL_LABELS = (*HER2_LABELS, "not tumour")
CUT_POINTS = ("0 | 1+ to 3+", "0, 1+ | 2+, 3+", "0 to 2+ | 3+")


@dataclass(frozen=True)
class Places:
    """Cells of one slide by place alone, whatever their class."""

    group: str
    """The slide or the patient."""
    scanner: str
    known: int
    """Cells whose nucleus the section shows."""
    met: int
    """Of ``known``, those with a found cell."""
    found: int
    """By the scorer, without what it takes for artefacts."""
    right: int
    """Of ``found``, those with a cell, whether or not its nucleus is shown."""


@dataclass(frozen=True)
class Units:
    """n things of one level that are compared."""

    level: str
    """"cell", "patch", "field", "slide"."""
    labels: tuple[str, ...]
    """Ordered classes, lowest first."""
    truth: NDArray[np.int64]
    """(n,) index into ``labels``."""
    predicted: NDArray[np.int64]
    groups: NDArray[np.str_]
    """(n,) the slide or the patient: what the bootstrap draws."""
    values: NDArray[np.float64] | None = None
    """(n, cut-points) what speaks for the upper side of each cut-point, for ROC curves; NaN where unknown."""
    missed: int = 0
    """True tumour cells without a predicted cell of any kind."""
    extra: int = 0
    """Predicted tumour cells without a true cell of any kind."""
    places: tuple[Places, ...] = ()
    """How many cells were found at all, slide by slide; for the level "cell"."""

    def __len__(self) -> int:
        return len(self.truth)


def joined(parts: Sequence[Units]) -> Units | None:
    """The units of all slides as one; None where there are none.

    Raises:
        ValueError: parts of different levels.
    """
    if not parts:
        return None
    first = parts[0]
    if any(p.level != first.level or p.labels != first.labels for p in parts):
        raise ValueError("Units of different levels cannot be joined.")
    values = [p.values for p in parts if p.values is not None]
    return Units(
        first.level,
        first.labels,
        np.concatenate([p.truth for p in parts]),
        np.concatenate([p.predicted for p in parts]),
        np.concatenate([p.groups for p in parts]),
        np.concatenate(values) if len(values) == len(parts) else None,
        sum(p.missed for p in parts),
        sum(p.extra for p in parts),
        tuple(place for p in parts for place in p.places),
    )


def match(
    true_xy: NDArray[np.float64], found_xy: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One-to-one pairs of points, nearest first.

    Args:
        true_xy: (n, 2).
        found_xy: (m, 2) in the same unit.
        reach: farthest distance of a pair.

    Returns:
        Indices into both, of the same length.
    """
    from scipy.spatial import cKDTree

    if not len(true_xy) or not len(found_xy):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    near = cKDTree(true_xy).sparse_distance_matrix(cKDTree(found_xy), reach, output_type="ndarray")
    # Ties are broken by index, so that the same cells always make the same pairs.
    near = near[np.lexsort((near["j"], near["i"], near["v"]))]
    free_true, free_found = np.ones(len(true_xy), bool), np.ones(len(found_xy), bool)
    pairs = []
    for i, j in zip(near["i"].tolist(), near["j"].tolist(), strict=True):
        if free_true[i] and free_found[j]:
            free_true[i] = free_found[j] = False
            pairs.append((i, j))
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def cell_units(scored: ScoredSlide, cells: TrueCells, group: str) -> Units | None:
    """Matched cells of one slide with their classes; None for a scorer without cells."""
    table = _table(scored)
    if table is None or scored.region is None:
        return None
    inside = scored.region.contains_points(cells.x, cells.y)
    kept = scored.region.contains_points(table.x, table.y)
    true_xy = np.stack([cells.x[inside], cells.y[inside]], axis=1)
    found_xy = np.stack([table.x[kept], table.y[kept]], axis=1).astype(np.float64)
    truth = cells.classes[inside].astype(np.int64)
    predicted = _her2(table)[kept]
    first, second = match(true_xy, found_xy, MATCH_UM / scored.mpp)
    lost, alone = np.ones(len(truth), bool), np.ones(len(predicted), bool)
    lost[first], alone[second] = False, False
    return Units(
        "cell",
        CELL_LABELS,
        truth[first],
        predicted[second],
        np.full(len(first), group),
        missed=int((truth[lost] != NOT_TUMOUR).sum()),
        extra=int((predicted[alone] != NOT_TUMOUR).sum()),
        places=(_places(true_xy, cells.shown[inside], found_xy[_cells(table)[kept]], scored, group),),
    )


def _places(
    true_xy: NDArray[np.float64],
    shown: NDArray[np.bool_],
    found_xy: NDArray[np.float64],
    scored: ScoredSlide,
    group: str,
) -> Places:
    matched, _ = match(true_xy, found_xy, MATCH_UM / scored.mpp)
    met = int(shown[matched].sum())
    return Places(group, scored.entry.scanner or "", int(shown.sum()), met, len(found_xy), len(matched))


def tumour_only(units: Units) -> Units:
    """The cells that are tumour both in truth and for the scorer, as units of four classes."""
    keep = (units.truth < NOT_TUMOUR) & (units.predicted < NOT_TUMOUR)
    return Units("tumour cell", HER2_LABELS, units.truth[keep], units.predicted[keep], units.groups[keep], None, 0, 0)


def patch_units(scored: ScoredSlide, cells: TrueCells, group: str) -> Units | None:
    """Patches of 128 um (or the patches of a class map) by the class of most of their tumour; None where neither."""
    if scored.result is None or scored.region is None:
        return None
    classed = next((e for e in scored.result.evidence if isinstance(e, ClassMap) and e.scheme.counted), None)
    if classed is not None:
        grid = classed.grid
        counts, _ = _binned(scored, cells.x, cells.y, cells.classes, (grid.x, grid.y, grid.step))
        her2 = np.asarray((*classed.scheme.her2, *[-1] * (256 - len(classed.scheme.her2))))
        found = np.where(classed.classes == NOT_SCORED, -1, her2[classed.classes])
        keys = [k for k in counts if 0 <= k[0] < grid.rows and 0 <= k[1] < grid.columns and found[k] >= 0]
        predicted = {k: int(found[k]) for k in keys}
        rows = [(k, counts[k]) for k in keys if counts[k].sum() >= 1]
        return _units("patch", rows, predicted, group)
    return _cell_grid(scored, cells, group, level="patch", side_um=PATCH_UM, least=PATCH_CELLS)


def field_units(scored: ScoredSlide, cells: TrueCells, group: str, profile: Profile) -> Units | None:
    """Fields of 1 mm by the score that the guideline gives to the shares in them; None for a scorer without cells."""
    return _cell_grid(scored, cells, group, level="field", side_um=FIELD_UM, least=FIELD_CELLS, profile=profile)


def _cell_grid(
    scored: ScoredSlide,
    cells: TrueCells,
    group: str,
    *,
    level: str,
    side_um: float,
    least: int,
    profile: Profile | None = None,
) -> Units | None:
    table = _table(scored)
    if table is None:
        return None
    at = (0.0, 0.0, side_um / scored.mpp)
    true_counts, _ = _binned(scored, cells.x, cells.y, cells.classes, at)
    found_counts, _ = _binned(scored, table.x, table.y, _her2(table), at)
    rows = [(k, c) for k, c in sorted(true_counts.items()) if c.sum() >= least and found_counts.get(k) is not None]
    rows = [(k, c) for k, c in rows if found_counts[k].sum() >= least / 2]
    if profile is None:
        predicted = {k: int(found_counts[k].argmax()) for k, _ in rows}
        return _units(level, rows, predicted, group, found=found_counts)
    scores: dict[tuple[int, int], int] = {}
    kept = []
    truth: dict[tuple[int, int], int] = {}
    for key, counts in rows:
        true_score, found_score = (_score(c, profile) for c in (counts, found_counts[key]))
        if true_score is not None and found_score is not None:
            truth[key], scores[key] = true_score, found_score
            kept.append((key, counts))
    return _units(level, kept, scores, group, found=found_counts, truth=truth)


def _units(
    level: str,
    rows: Sequence[tuple[tuple[int, int], NDArray[np.float64]]],
    predicted: dict[tuple[int, int], int],
    group: str,
    *,
    found: dict[tuple[int, int], NDArray[np.float64]] | None = None,
    truth: dict[tuple[int, int], int] | None = None,
) -> Units:
    values = None
    if found is not None:
        values = np.array([upper_shares(found[k]) for k, _ in rows], np.float64).reshape(-1, 3)
    return Units(
        level,
        HER2_LABELS,
        np.array([truth[k] if truth is not None else int(c.argmax()) for k, c in rows], np.int64),
        np.array([predicted[k] for k, _ in rows], np.int64),
        np.full(len(rows), group),
        values,
    )


def upper_shares(amounts: Any) -> NDArray[np.float64]:
    """Share of classes 1+ to 3+, 2+ and 3+, and 3+, (3,): what speaks for the upper side of each cut-point."""
    amounts = np.asarray(amounts, np.float64)
    total = amounts.sum()
    if total <= 0:
        return np.full(3, np.nan)
    above: NDArray[np.float64] = np.cumsum(amounts[::-1])[::-1][1:] / total
    return above


def _binned(
    scored: ScoredSlide, x: Any, y: Any, classes: Any, at: tuple[float, float, float]
) -> tuple[dict[tuple[int, int], NDArray[np.float64]], int]:
    """Tumour cells by class, (4,), in squares by (row, column); and how many there are."""
    if scored.region is None:
        return {}, 0
    left, top, step = at
    keep = (np.asarray(classes) < NOT_TUMOUR) & scored.region.contains_points(x, y)
    rows = np.floor((np.asarray(y)[keep] - top) / step).astype(np.int64)
    columns = np.floor((np.asarray(x)[keep] - left) / step).astype(np.int64)
    keys, index = np.unique(np.stack([rows, columns], axis=1), axis=0, return_inverse=True)
    counts = np.zeros((len(keys), 4))
    np.add.at(counts, (index.ravel(), np.asarray(classes)[keep]), 1)
    return {(int(r), int(c)): counts[n] for n, (r, c) in enumerate(keys)}, int(keep.sum())


def _score(counts: NDArray[np.float64], profile: Profile) -> int | None:
    return score_of(Shares.from_percent(tuple(100 * counts / counts.sum())), profile)


def _table(scored: ScoredSlide) -> CellTable | None:
    if scored.result is None:
        return None
    return next((e for e in scored.result.evidence if isinstance(e, CellTable)), None)


def _her2(table: CellTable) -> NDArray[np.int64]:
    codes = np.asarray(table.scheme.her2)[table.classes]
    return np.where(codes < 0, NOT_TUMOUR, codes).astype(np.int64)


def _cells(table: CellTable) -> NDArray[np.bool_]:
    """Which of the found things are cells to the scorer, (n,)."""
    cell = np.array([name != ARTEFACT for name in table.scheme.names])
    return np.asarray(cell[table.classes], dtype=bool)
