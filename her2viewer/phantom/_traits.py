# mypy: disable-error-code="untyped-decorator"
"""What each cell of a phantom looks like: compiled. Importing this imports numba: do it inside functions."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from her2viewer.phantom import _cells as k
from her2viewer.phantom import _compartments as c
from her2viewer.phantom._noise import normal, uniform
from her2viewer.stains.compiled import use_writable_cache

use_writable_cache(__file__)

(
    HER2, INTENSITY, COMPLETENESS, BLUSH, NUCLEUS_LONG, NUCLEUS_SHORT, NUCLEUS_X, NUCLEUS_Y, NUCLEUS_AXIS, DENSITY,
    NUCLEOLUS, SPOT_X, SPOT_Y, WEIGHT_1, WEIGHT_2, WEIGHT_3, PHASE_1, PHASE_2, PHASE_3, THRESHOLD, HAZE, BEND_2,
    BEND_3, TURN_2, TURN_3, LATERAL, RIM, FIGURE, GAP, VACUOLE, VACUOLE_X, VACUOLE_Y,
) = range(32)  # fmt: skip
TRAITS = 32
NO_FIGURE, PLATE, TWO_PLATES, CLUMP = range(4)
"""What of a mitosis is seen: metaphase from the side, anaphase, prometaphase or metaphase from its pole."""

# Columns of the manner of staining.
M_GRADE, M_LATERAL, M_CYTOPLASM, M_MEMBRANE, M_BENIGN, M_IN_SITU, M_MITOSES = range(7)

LOW = np.array([0.0, 0.12, 0.30, 0.70])
HIGH = np.array([0.03, 0.23, 0.50, 1.10])
"""OD of DAB on the membrane by HER2 class: invisible, barely perceptible, weak to moderate, intense."""
ROUND_LOW = np.array([0.02, 0.30, 0.90, 0.97])
ROUND_HIGH = np.array([0.30, 0.62, 1.0, 1.0])
"""Stained share of the outline by HER2 class: incomplete below 2+."""
BLUSH_LOW = np.array([0.0, 0.012, 0.03, 0.09])
BLUSH_HIGH = np.array([0.015, 0.035, 0.07, 0.17])


@numba.njit(cache=True, nogil=True)
def _mitosis(out: Any, i: Any, cell: Any, who: Any, seed: Any) -> None:
    """A cell that divides: rounded off, its chromosomes dense, without a nuclear membrane or a nucleolus."""
    draw = uniform(who, 43, seed)
    figure = PLATE if draw < 0.5 else (TWO_PLATES if draw < 0.72 else CLUMP)
    out[i, FIGURE] = figure
    radius = cell[k.RADIUS]
    out[i, NUCLEUS_X], out[i, NUCLEUS_Y] = (
        0.6 * cell[k.X] + 0.4 * out[i, NUCLEUS_X],
        0.6 * cell[k.Y] + 0.4 * out[i, NUCLEUS_Y],
    )
    size = min(3.4 + 0.9 * uniform(who, 44, seed), 0.62 * radius)
    out[i, NUCLEUS_LONG] = size if figure != CLUMP else 0.8 * size
    out[i, NUCLEUS_SHORT] = (0.95 + 0.4 * uniform(who, 45, seed)) if figure != CLUMP else 0.8 * size
    out[i, GAP] = min(1.7 + 1.6 * uniform(who, 46, seed), 0.42 * radius)
    out[i, DENSITY] = 0.42 + 0.12 * uniform(who, 47, seed)
    out[i, NUCLEOLUS], out[i, RIM] = 0.0, 0.0
    out[i, BEND_2], out[i, BEND_3] = 0.0, 0.10 + 0.08 * uniform(who, 48, seed)
    out[i, HAZE] *= 0.6


@numba.njit(cache=True, nogil=True)
def _signet(out: Any, i: Any, cell: Any, who: Any, seed: Any) -> None:
    """A cell filled with mucin, its nucleus pressed flat against the membrane."""
    theta = 6.2831853 * uniform(who, 51, seed)
    cosine, sine = np.cos(theta), np.sin(theta)
    radius, middle_x, middle_y = cell[k.RADIUS], cell[k.X], cell[k.Y]
    # Neighbours lie a radius apart: a cell reaches about half of it.
    vacuole = (0.42 + 0.08 * uniform(who, 52, seed)) * radius
    out[i, VACUOLE] = vacuole
    out[i, VACUOLE_X], out[i, VACUOLE_Y] = middle_x - 0.08 * radius * cosine, middle_y - 0.08 * radius * sine
    out[i, NUCLEUS_LONG], out[i, NUCLEUS_SHORT] = 0.36 * radius, 0.15 * radius
    away = vacuole - 0.08 * radius + 0.3 * out[i, NUCLEUS_SHORT]
    out[i, NUCLEUS_X], out[i, NUCLEUS_Y] = middle_x + away * cosine, middle_y + away * sine
    out[i, NUCLEUS_AXIS] = theta + 1.5707963
    if out[i, DENSITY] > 0:
        out[i, DENSITY] = 0.22 + 0.10 * uniform(who, 53, seed)
    out[i, NUCLEOLUS], out[i, BEND_2], out[i, BEND_3] = 0.0, 0.0, 0.0


@numba.njit(cache=True, nogil=True)
def describe(cells: Any, thresholds: Any, manner: Any, pellet: Any, seed: Any) -> Any:
    """Traits of cells, (n, TRAITS) float32; lengths in um, densities in units of stain.

    Args:
        cells: (n, COLUMNS) float64 from ``scatter``.
        thresholds: scores from which an invasive cell is 1+, 2+, 3+.
        manner: grade, share of lateral staining, cytoplasm, membrane strength, class of benign and in-situ cells,
            part of the invasive cells that divide.
        pellet: height in um of a control pellet's part of the slide; 0 without control.
        seed: of the slide.
    """
    n = cells.shape[0]
    out = np.zeros((n, TRAITS), dtype=np.float32)
    waves = np.empty(48)
    for i in range(n):
        who = np.int64(cells[i, k.WHO])
        kind = int(cells[i, k.KIND])
        radius = cells[i, k.RADIUS]

        if kind >= k.FIBROBLAST:
            out[i, HER2] = 255
            if kind == k.LYMPHOCYTE:
                size = 2.75 + 0.35 * normal(who, 1, seed)
                out[i, NUCLEUS_LONG], out[i, NUCLEUS_SHORT] = size * 1.08, size
                out[i, DENSITY] = 0.21 + 0.15 * uniform(who, 2, seed)
            else:
                size = uniform(who, 1, seed)
                out[i, NUCLEUS_LONG], out[i, NUCLEUS_SHORT] = 4.0 + 5.5 * size, 0.75 + 1.1 * uniform(who, 3, seed)
                out[i, DENSITY] = 0.11 + 0.16 * uniform(who, 2, seed)
            out[i, NUCLEUS_X], out[i, NUCLEUS_Y] = cells[i, k.X], cells[i, k.Y]
            out[i, NUCLEUS_AXIS] = cells[i, k.AXIS]
            out[i, BEND_2] = 0.05 * normal(who, 4, seed)
            out[i, BEND_3], out[i, TURN_3] = 0.05 * normal(who, 5, seed), 6.28 * uniform(who, 6, seed)
            out[i, RIM] = 0.3
            continue

        her2 = 0
        if kind == c.INVASIVE:
            for t in range(3):
                her2 += cells[i, k.SCORE] >= thresholds[t]
        elif kind == c.IN_SITU_KIND:
            her2 = int(min(3.0, max(0.0, np.floor(manner[M_IN_SITU] + 0.5 + 0.35 * normal(who, 7, seed)))))
        elif kind == c.BENIGN_KIND:
            her2 = int(uniform(who, 7, seed) < manner[M_BENIGN])
        elif pellet > 0:
            her2 = int(min(3.0, max(0.0, np.floor(cells[i, k.Y] / pellet))))
        out[i, HER2] = her2
        strength = manner[M_MEMBRANE]
        out[i, INTENSITY] = strength * (LOW[her2] + (HIGH[her2] - LOW[her2]) * uniform(who, 8, seed))
        share = ROUND_LOW[her2] + (ROUND_HIGH[her2] - ROUND_LOW[her2]) * uniform(who, 9, seed)
        columnar = cells[i, k.COLUMNAR] > 0
        lateral = columnar or (her2 == 2 and kind == c.INVASIVE and uniform(who, 10, seed) < manner[M_LATERAL])
        out[i, LATERAL] = lateral
        out[i, COMPLETENESS] = share * (0.86 if lateral else 1.0)
        out[i, BLUSH] = (
            strength
            * manner[M_CYTOPLASM]
            * (BLUSH_LOW[her2] + (BLUSH_HIGH[her2] - BLUSH_LOW[her2]) * uniform(who, 11, seed))
        )

        grade = manner[M_GRADE]
        if kind in (c.INVASIVE, c.IN_SITU_KIND):
            size = 3.1 + 0.62 * grade
            spread = 0.06 + 0.06 * grade
        elif kind == c.CONTROL_KIND:
            size, spread = 4.4, 0.12
        else:
            size, spread = 2.9, 0.07
        size *= max(0.6, min(1.7, 1.0 + spread * normal(who, 12, seed)))
        size = min(size, 0.6 * radius)
        stretch = 1.0 + (0.55 if columnar else 0.32) * uniform(who, 13, seed)
        if columnar:
            stretch += 0.25
        out[i, NUCLEUS_LONG], out[i, NUCLEUS_SHORT] = (
            size * stretch**0.5 * (1.12 if columnar else 1.0),
            size / stretch**0.5,
        )
        ax, ay = cells[i, k.APEX_X], cells[i, k.APEX_Y]
        shift = -(0.10 + 0.10 * uniform(who, 14, seed)) * cells[i, k.COLUMNAR]
        if kind == c.BENIGN_KIND and not columnar:
            shift = -0.4
        jitter = 0.0 if columnar else 0.10 * radius
        out[i, NUCLEUS_X] = cells[i, k.X] + shift * ax + jitter * normal(who, 15, seed)
        out[i, NUCLEUS_Y] = cells[i, k.Y] + shift * ay + jitter * normal(who, 16, seed)
        out[i, NUCLEUS_AXIS] = cells[i, k.AXIS] + (0.0 if columnar else 0.4 * normal(who, 17, seed))
        out[i, DENSITY] = 0.10 + 0.11 * uniform(who, 18, seed) + 0.012 * grade
        if uniform(who, 19, seed) < 0.05:
            out[i, DENSITY] = 0.0
        if uniform(who, 20, seed) < 0.55:
            out[i, NUCLEOLUS] = 0.38 + (0.16 + 0.10 * grade) * uniform(who, 21, seed)
        out[i, SPOT_X], out[i, SPOT_Y] = 0.35 * size * normal(who, 22, seed), 0.35 * size * normal(who, 23, seed)
        bend = 0.02 + 0.018 * grade
        out[i, BEND_2], out[i, BEND_3] = bend * normal(who, 24, seed), bend * normal(who, 25, seed)
        out[i, TURN_2], out[i, TURN_3] = 6.28 * uniform(who, 26, seed), 6.28 * uniform(who, 27, seed)
        out[i, HAZE] = 0.03 + 0.045 * uniform(who, 28, seed)
        out[i, RIM] = 0.25 + 0.45 * uniform(who, 29, seed)

        if kind == c.INVASIVE:
            if uniform(who, 41, seed) < cells[i, k.SIGNET]:
                _signet(out, i, cells[i], who, seed)
            elif out[i, DENSITY] > 0 and uniform(who, 42, seed) < manner[M_MITOSES]:
                _mitosis(out, i, cells[i], who, seed)

        # Which part of the outline is stained: where three waves are highest.
        for m in range(3):
            out[i, WEIGHT_1 + m] = 0.4 + 0.6 * uniform(who, 30 + m, seed)
            out[i, PHASE_1 + m] = 6.28 * uniform(who, 33 + m, seed)
        if share > 0.995:
            out[i, THRESHOLD] = -9.0
        else:
            for a in range(48):
                theta = 6.2831853 * a / 48
                waves[a] = 0.0
                for m in range(3):
                    waves[a] += out[i, WEIGHT_1 + m] * np.cos((m + 1) * theta + out[i, PHASE_1 + m])
            waves.sort()
            out[i, THRESHOLD] = waves[min(47, max(0, int((1.0 - share) * 48)))]
    return out
