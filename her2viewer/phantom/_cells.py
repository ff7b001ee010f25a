# mypy: disable-error-code="untyped-decorator"
# ruff: noqa: PLR0917 (compiled functions take their arrays one by one)
"""Where the cells of a phantom lie: compiled point process. Importing this imports numba: do it inside functions."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from her2viewer.phantom import _compartments as c
from her2viewer.phantom._noise import mixed, noise, normal, uniform
from her2viewer.stains.compiled import use_writable_cache

use_writable_cache(__file__)

LATTICE = 3.2
"""um between candidates, of which few become cells."""
ROUNDS = 4
REACH = 15.0
"""um; no two cells further apart than this know of each other in one round."""

# What lies at a candidate, beyond the kinds of epithelium.
FIBROBLAST, LYMPHOCYTE, FAT_CELL = 5, 6, 7

# Columns of a cell.
X, Y, KIND, RADIUS, LONG, AXIS, APEX_X, APEX_Y, SCORE, WHO, COLUMNAR, SIGNET = range(12)
COLUMNS = 12


@numba.njit(cache=True, nogil=True)
def sample(layer: Any, u: Any, v: Any) -> Any:
    """A layer between its nodes, bilinear; u, v in nodes from the layer's first."""
    i = min(max(np.int64(np.floor(u)), 0), layer.shape[1] - 2)
    j = min(max(np.int64(np.floor(v)), 0), layer.shape[0] - 2)
    a, b = u - i, v - j
    top = layer[j, i] * (1 - a) + layer[j, i + 1] * a
    low = layer[j + 1, i] * (1 - a) + layer[j + 1, i + 1] * a
    return top * (1 - b) + low * b


@numba.njit(cache=True, nogil=True)
def _candidate(p: Any, fields: Any, u: Any, v: Any, i: Any, j: Any, seed: Any) -> Any:
    """Kind and radius (um) of what may lie at a candidate; kind 0 for nothing."""
    iu, iv = np.int64(u + 0.5), np.int64(v + 0.5)
    kind = np.int64(fields[c.F_KIND, iv, iu])
    depth = sample(fields[c.F_EPITHELIUM], u, v)
    lumen = sample(fields[c.F_LUMEN], u, v)
    if kind > 0 and depth > 0:
        radius = fields[c.F_CELL, iv, iu]
        if kind in (c.INVASIVE, c.IN_SITU_KIND):
            radius *= 1.0 + 0.16 * (uniform(i, j, seed + 101) - 0.5)
        if sample(fields[c.F_NECROSIS], u, v) > -3.0:
            return 0, 0.0
        column = fields[c.F_COLUMN, iv, iu]
        if column > 0:
            middle = (0.44 + 0.30 * (uniform(i, j, seed + 102) - 0.5)) * column
            if abs(depth - middle) > 0.12 * column:
                return 0, 0.0
            return kind, radius
        if depth < 0.34 * radius or lumen > -0.34 * radius:
            return 0, 0.0
        return kind, radius
    tissue = sample(fields[c.F_TISSUE], u, v)
    if tissue < 4.0 or depth > -3.2 or kind == c.CONTROL_KIND or sample(fields[c.F_VESSEL], u, v) > -1.5:
        return 0, 0.0
    if sample(fields[c.F_MUCIN], u, v) > -3.0:
        return 0, 0.0
    fat = sample(fields[c.F_FAT], u, v)
    draw = uniform(i, j, seed + 103)
    if fat > -1.0:
        return 0, 0.0
    lymph = min(sample(fields[c.F_LYMPH], u, v), 0.9)
    if draw < 0.35 * lymph:
        return LYMPHOCYTE, 6.3
    if draw > 0.972:
        return FIBROBLAST, 8.5
    return 0, 0.0


@numba.njit(cache=True, nogil=True)
def scatter(p: Any, fields: Any, fi: Any, fj: Any, step: Any, i0: Any, j0: Any, columns: Any, rows: Any) -> Any:
    """Cells among the candidates (i0 + i, j0 + j), as (n, COLUMNS) float64.

    Of candidates that are too near to each other, the one with the highest lot stays, in ``ROUNDS`` rounds: random
    points that keep a distance (Matern 1960, repeated). A lot depends on the place alone, so a cell does not depend
    on how the slide is cut up, as long as ``margin()`` is left around what is used.
    """
    seed = np.int64(p[c.SEED])
    kind = np.zeros((rows, columns), dtype=np.int8)
    radius = np.zeros((rows, columns), dtype=np.float64)
    px = np.empty((rows, columns), dtype=np.float64)
    py = np.empty((rows, columns), dtype=np.float64)
    lot = np.empty((rows, columns), dtype=np.uint64)
    state = np.zeros((rows, columns), dtype=np.int8)  # 1 undecided, 2 a cell
    for j in range(rows):
        for i in range(columns):
            gi, gj = i0 + i, j0 + j
            x = (gi + uniform(gi, gj, seed + 91)) * LATTICE
            y = (gj + uniform(gi, gj, seed + 92)) * LATTICE
            px[j, i], py[j, i] = x, y
            u, v = x / step - fi, y / step - fj
            if u < 0 or v < 0 or u > fields.shape[2] - 1.6 or v > fields.shape[1] - 1.6:
                continue
            k, r = _candidate(p, fields, u, v, gi, gj, seed)
            if k > 0:
                kind[j, i], radius[j, i], state[j, i] = k, r, 1
                lot[j, i] = mixed(gi, gj, seed + 93)
    span: Any = np.int64(np.ceil(REACH / LATTICE))
    for _ in range(ROUNDS):
        kept: Any = [(0, 0)][:0]
        for j in range(rows):
            for i in range(columns):
                if state[j, i] != 1:
                    continue
                wins = True
                for b in range(max(0, j - span), min(rows, j + span + 1)):
                    for a in range(max(0, i - span), min(columns, i + span + 1)):
                        if state[b, a] == 1 and lot[b, a] > lot[j, i]:
                            apart = 0.5 * (radius[j, i] + radius[b, a])
                            dx, dy = px[b, a] - px[j, i], py[b, a] - py[j, i]
                            if dx * dx + dy * dy < apart * apart:
                                wins = False
                                break
                    if not wins:
                        break
                if wins:
                    kept.append((j, i))
        for j, i in kept:
            state[j, i] = 2
        for j, i in kept:
            for b in range(max(0, j - span), min(rows, j + span + 1)):
                for a in range(max(0, i - span), min(columns, i + span + 1)):
                    if state[b, a] == 1:
                        apart = 0.5 * (radius[j, i] + radius[b, a])
                        dx, dy = px[b, a] - px[j, i], py[b, a] - py[j, i]
                        if dx * dx + dy * dy < apart * apart:
                            state[b, a] = 0
    count = 0
    for j in range(rows):
        for i in range(columns):
            count += state[j, i] == 2
    cells = np.empty((count, COLUMNS), dtype=np.float64)
    n = 0
    for j in range(rows):
        for i in range(columns):
            if state[j, i] != 2:
                continue
            gi, gj = i0 + i, j0 + j
            x, y, k = px[j, i], py[j, i], kind[j, i]
            u, v = x / step - fi, y / step - fj
            layer = fields[c.F_EPITHELIUM] if k < FIBROBLAST else fields[c.F_FIBRE]
            gx = sample(layer, u + 0.6, v) - sample(layer, u - 0.6, v)
            gy = sample(layer, u, v + 0.6) - sample(layer, u, v - 0.6)
            length = max(np.hypot(gx, gy), 1e-6)
            gx, gy = gx / length, gy / length
            column = 0.0
            if k < FIBROBLAST:
                column = fields[c.F_COLUMN, np.int64(v + 0.5), np.int64(u + 0.5)]
            own = radius[j, i]
            if column > 0:
                long, axis = max(1.0, 0.62 * column / own), np.arctan2(gy, gx) + 0.16 * normal(gi, gj, seed + 111)
            elif k == FIBROBLAST:
                long, axis = 1.0, np.arctan2(gx, -gy) + 0.22 * normal(gi, gj, seed + 111)
            else:
                long = 1.0 + 0.45 * uniform(gi, gj, seed + 112) ** 2
                axis = 3.1415927 * uniform(gi, gj, seed + 113)
            # Cells differ in size; a tumour's more than others.
            spread = 0.12 if k == c.INVASIVE else 0.05
            cells[n, X], cells[n, Y], cells[n, KIND] = x, y, k
            cells[n, RADIUS] = own * (1.0 + spread * normal(gi, gj, seed + 114))
            cells[n, LONG], cells[n, AXIS], cells[n, APEX_X], cells[n, APEX_Y] = long, axis, gx, gy
            cells[n, SCORE] = (
                p[c.REGIONAL] * noise(x, y, 1000.0, seed + 121)
                + p[c.LOCAL] * noise(x, y, 170.0, seed + 122)
                + p[c.OWN] * normal(gi, gj, seed + 123)
            )
            cells[n, WHO] = np.float64(mixed(gi, gj, seed + 115) >> np.uint64(12))
            cells[n, COLUMNAR] = column
            cells[n, SIGNET] = 0.0
            if k == c.INVASIVE and column <= 0:
                cells[n, SIGNET] = fields[c.F_SIGNET, np.int64(v + 0.5), np.int64(u + 0.5)]
            n += 1
    return cells


def margin() -> float:
    """um around an area within which candidates can matter for its cells."""
    return 2 * ROUNDS * REACH
