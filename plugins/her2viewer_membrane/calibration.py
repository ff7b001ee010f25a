"""Shares of one slide under tens of thousands of limits at once, from cells scored ``for_calibration``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import SECTORS, CellTable, stained_part
from her2viewer_membrane.cells import ALWAYS_OUT
from her2viewer_membrane.rules import PATTERNS, Rules, rules_for

STEPS = 15
"""Values of each density that are tried."""
SPAN = {"faint": (0.5, 2.4), "moderate": (0.45, 2.6), "intense": (0.4, 2.6)}
"""Least and most of each density against its default."""
COMPLETE = (50.0, 60.0, 67.5, 75.0, 82.5, 90.0)
APART = 1.35
"""Least ratio of a density to the one below it."""

Counts = NDArray[np.float64]


def candidates(settings: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Limits that are tried, one array of k values a setting; the first of them are those in ``settings``.

    Args:
        settings: complete settings of the scorer.
    """
    axes = {}
    for name, (low, high) in SPAN.items():
        default = float(settings[name])
        axes[name] = np.unique(np.append(default * np.geomspace(low, high, STEPS), default).round(3))
    complete = np.unique([*COMPLETE, float(settings["complete"])])
    grid = np.meshgrid(axes["faint"], complete, axes["moderate"], axes["intense"], indexing="ij")
    faint, whole, moderate, intense = (g.ravel() for g in grid)
    keep = (moderate >= APART * faint) & (intense >= APART * moderate)
    found = {"faint": faint[keep], "moderate": moderate[keep], "intense": intense[keep], "complete": whole[keep]}
    own = np.array([float(settings[name]) for name in found])
    table = np.stack(list(found.values()), axis=1)
    table = np.concatenate([own[None, :], table[~np.isclose(table, own).all(axis=1)]])
    return {name: table[:, k] for k, name in enumerate(found)}


def counts(cells: CellTable, settings: Mapping[str, Any], limits: Mapping[str, NDArray[np.float64]]) -> Counts:
    """Tumour cells by class under each of k sets of limits, (k, 4).

    Args:
        cells: scored ``for_calibration``.
        settings: complete settings of the scorer; ``limits`` take the place of those they name.
        limits: k values of each setting.
    """
    rules = rules_for(settings)
    peak, part = _sectors(cells, "peak"), _sectors(cells, "part").astype(np.float64)
    apart, peak = peak > 0, np.abs(peak)
    out = np.zeros((len(limits["faint"]), 4))
    edges = np.unique(np.concatenate([limits["moderate"], limits["intense"]]))
    for faint in np.unique(limits["faint"]):
        completeness, amount, arc = stained_part(peak, apart, part, float(faint))
        # As the scorer keeps them: in single precision, so that a cell on a limit falls to the same side.
        completeness = completeness.astype(np.float32)
        od = np.where(completeness > 0, amount / np.maximum(completeness, 1e-9), 0).astype(np.float32)
        flag = cells.features["left_out"]
        counted = (flag < ALWAYS_OUT) & ((flag < 1) | (completeness >= rules.not_tumour.stained))
        for complete in np.unique(limits["complete"][limits["faint"] == faint]):
            at = np.flatnonzero((limits["faint"] == faint) & (limits["complete"] == complete))
            pattern = _pattern(completeness[counted], arc[counted], float(complete) / 100, rules)
            below = _below(pattern, od[counted], np.array([faint, *edges]))
            moderate = 1 + np.searchsorted(edges, limits["moderate"][at])
            intense = 1 + np.searchsorted(edges, limits["intense"][at])
            total = np.bincount(pattern, minlength=len(PATTERNS)).astype(np.float64)
            first = np.broadcast_to(below[:, 0], (len(at), len(PATTERNS)))
            second, third = below[:, moderate].T, below[:, intense].T
            by_intensity = (first, second - first, third - second, total - third)
            for intensity, number in enumerate(by_intensity):
                for code in range(len(PATTERNS)):
                    out[at, rules.table[intensity][code]] += number[:, code]
    return out


def _sectors(cells: CellTable, name: str) -> NDArray[np.float32]:
    """Columns of the sectors as (n, sectors)."""
    return np.stack([cells.features[f"{name}_{k:02d}"] for k in range(SECTORS)], axis=1)


def _pattern(completeness: Any, arc: Any, complete: float, rules: Rules) -> NDArray[np.int64]:
    code = np.zeros(len(completeness), np.int64)
    code[completeness >= rules.membrane.incomplete] = PATTERNS.index("incomplete")
    code[arc >= rules.membrane.basolateral] = PATTERNS.index("basolateral")
    code[completeness >= complete] = PATTERNS.index("complete")
    return code


def _below(pattern: NDArray[np.int64], od: Any, edges: NDArray[np.float64]) -> Counts:
    """Cells of each pattern with a density below each edge, (patterns, edges)."""
    return np.stack(
        [np.searchsorted(np.sort(od[pattern == code]), edges, side="left") for code in range(len(PATTERNS))]
    ).astype(np.float64)
