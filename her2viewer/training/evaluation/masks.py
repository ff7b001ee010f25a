"""The tumour mask of a scorer against that of a phantom's truth, inside the outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.evidence import NOT_SCORED, TissueMask
from her2viewer.training.agreement import draws_by_group, interval
from her2viewer.training.evaluation.measures import Measure
from her2viewer.training.evaluation.scored import ScoredSlide
from her2viewer.training.recipe import TrainingError
from her2viewer.training.truth import read_mask

MEASURE = "tumour_mask"
_TISSUE, _INVASIVE = "tissue", "invasive"


@dataclass(frozen=True)
class MaskCounts:
    """Pixels of the mask of one slide, inside its outlines."""

    group: str
    """The slide or the patient."""
    score: int | None
    """The known score of the slide."""
    both: int
    """Tumour for the scorer and in truth."""
    found: int
    """Tumour for the scorer."""
    known: int
    """Tumour in truth."""


def mask_counts(scored: ScoredSlide, score: int | None, group: str) -> MaskCounts | None:
    """How the mask of a slide overlaps with the truth, which is looked up at the middle of each of its pixels.

    None where the scorer gives no mask, or the truth has none.
    """
    result, truth_file, region = scored.result, scored.entry.truth, scored.region
    masks = [e for e in result.evidence if isinstance(e, TissueMask)] if result is not None else []
    if not masks or truth_file is None or region is None:
        return None
    try:
        truth = read_mask(truth_file, _TISSUE)
    except TrainingError:
        return None
    invasive = truth.code_of(_INVASIVE)
    if invasive is None:
        return None
    shapely.prepare(region.geometry)
    both = found = known = 0
    for mask in masks:
        grid = mask.grid
        side = max(grid.rows, grid.columns)
        codes = truth.sampled(grid.x, grid.y, grid.step * side, side)[: grid.rows, : grid.columns]
        x, y = np.meshgrid(
            grid.x + (np.arange(grid.columns) + 0.5) * grid.step, grid.y + (np.arange(grid.rows) + 0.5) * grid.step
        )
        looked_at = (mask.values != NOT_SCORED) & shapely.contains_xy(region.geometry, x, y)
        said, true = (mask.values == 1) & looked_at, (codes == invasive) & looked_at
        both, found, known = both + int((said & true).sum()), found + int(said.sum()), known + int(true.sum())
    return MaskCounts(group, score, both, found, known)


def mask_report(counts: Sequence[MaskCounts], draws: int, seed: int) -> tuple[Measure, ...]:
    """Precision, recall and Dice of all slides together, and Dice by known score; intervals by ``group``."""
    if not counts:
        return ()
    found = [*_measures(counts, "", draws, seed)]
    for code, label in enumerate(HER2_LABELS):
        of_score = [c for c in counts if c.score == code]
        found += [m for m in _measures(of_score, f" of {label}", draws, seed) if m.of.startswith("Dice")]
    return tuple(found)


def _measures(counts: Sequence[MaskCounts], of: str, draws: int, seed: int) -> list[Measure]:
    if not counts:
        return []
    index, drawn = draws_by_group([c.group for c in counts], draws, seed)
    table = np.zeros((drawn.shape[1], 3))
    np.add.at(table, index, [(c.both, c.found, c.known) for c in counts])
    values, spread = _figures(table.sum(axis=0)), _figures(drawn @ table)
    known = drawn.shape[1] > 1
    return [
        Measure(MEASURE, f"{name}{of}", float(value), *(interval(many) if known else (np.nan, np.nan)), len(counts))
        for name, value, many in zip(("Dice", "precision", "recall"), values, spread, strict=True)
    ]


def _figures(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    both, found, known = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * both / (found + known), both / found, both / known
