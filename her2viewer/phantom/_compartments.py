# mypy: disable-error-code="untyped-decorator"
# ruff: noqa: PLR0917 (compiled functions take their arrays one by one)
"""Where the compartments of a phantom lie: compiled functions of place alone, lengths in um.

Depths are signed and roughly in um: above zero inside. Importing this imports numba: do it inside functions.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from her2viewer.phantom._noise import noise, uniform
from her2viewer.stains.compiled import use_writable_cache

use_writable_cache(__file__)

# Columns of a plan's parameters; ``plan.parameters`` fills them.
WIDTH, HEIGHT, SEED, LAYOUT, CONTROL, ORGAN, GROWTH, SECOND, IN_SITU, BENIGN, FAT, LYMPH, NECROSIS, VESSELS = range(
    14
)
CELL, COVERAGE, COLUMN, PELLET, REGIONAL, LOCAL, OWN, MUCIN, SIGNET = range(14, 23)
COUNT = 23

# Layers of the fields.
F_TISSUE, F_EPITHELIUM, F_KIND, F_LUMEN, F_FAT, F_NECROSIS, F_LYMPH, F_VESSEL, F_FIBRE, F_COLUMN, F_ZONE, F_CELL = (
    range(12)
)
F_MUCIN, F_SIGNET = 12, 13
LAYERS = 14

NONE, INVASIVE, IN_SITU_KIND, BENIGN_KIND, CONTROL_KIND = range(5)
NESTS, CORDS, FILES, GLANDS, SHEETS = range(5)
FAR = -400.0


@numba.njit(cache=True, nogil=True)
def _contour(x: Any, y: Any, wavelength: Any, salt: Any, level: Any) -> Any:
    """Distance in um from where noise crosses a level, above zero where it is higher."""
    n = noise(x, y, wavelength, salt)
    gx = (noise(x + 2.0, y, wavelength, salt) - n) / 2.0
    gy = (noise(x, y + 2.0, wavelength, salt) - n) / 2.0
    steep = max(np.sqrt(gx * gx + gy * gy), 0.35 / wavelength)
    # To first order this is a distance; further inside, noise flattens like the top of a wave.
    k = 6.6 / wavelength
    return np.arctan((n - level) / steep * k) / k


@numba.njit(cache=True, nogil=True)
def _growth(kind: Any, x: Any, y: Any, seed: Any, cell: Any) -> Any:
    """Depth inside invasive epithelium of one growth pattern."""
    rough = 3.0 * noise(x, y, 22.0, seed + 31)
    if kind == NESTS:
        return _contour(x, y, 190.0, seed + 32, 0.12) - 6.0 + rough
    if kind == CORDS:
        broken = 12.0 * noise(x, y, 130.0, seed + 33)
        return 15.0 + 0.5 * broken - abs(_contour(x, y, 190.0, seed + 34, 0.0)) + rough
    if kind == FILES:
        broken = 9.0 * noise(x, y, 60.0, seed + 35)
        return min(6.5 + broken, 6.5 + 0.3 * rough) - abs(_contour(x, y, 95.0, seed + 36, 0.0))
    if kind == GLANDS:
        return _contour(x, y, 250.0, seed + 37, -0.75) - 6.0 + rough
    return _contour(x, y, 420.0, seed + 38, -0.55) - 8.0 + rough


@numba.njit(cache=True, nogil=True)
def _tissue(p: Any, x: Any, y: Any, seed: Any) -> Any:
    """Depth inside the section, its control pellets left out."""
    w, h = p[WIDTH], p[HEIGHT]
    share = 0.82 if p[CONTROL] > 0 else 1.0
    small = min(w * share, h)
    ragged = 14.0 * noise(x, y, 130.0, seed + 11) + 4.0 * noise(x, y, 26.0, seed + 12)
    if p[LAYOUT] == 0:
        rx, ry = 0.46 * w * share, 0.455 * h
        dx, dy = abs(x - 0.5 * w * share) / rx, abs(y - 0.5 * h) / ry
        q = (dx**2.6 + dy**2.6) ** (1 / 2.6)
        return (1.0 - q) * min(rx, ry) - 0.02 * small + 0.045 * small * noise(x, y, 0.55 * small, seed + 13) + ragged
    if p[LAYOUT] == 1:
        strips = max(1, round(h / 1700.0))
        pitch = h / strips
        k = min(max(np.floor(y / pitch), 0.0), strips - 1.0)
        half = min(430.0, 0.33 * pitch)
        middle = (k + 0.5) * pitch + 0.10 * pitch * noise(x, 7000.0 * k, 2600.0, seed + 14)
        across = half * (1.0 + 0.12 * noise(x, 5000.0 * k, 900.0, seed + 15)) - abs(y - middle)
        start = (0.04 + 0.08 * uniform(np.int64(k), 1, seed + 16)) * w
        end = (0.97 - 0.12 * uniform(np.int64(k), 2, seed + 16)) * w * share
        return min(across, min(x - start, end - x) + 40.0) + ragged
    r = 0.44 * small
    return (
        r - np.hypot(x - 0.5 * w * share, y - 0.5 * h) + 0.5 * ragged + 0.03 * small * noise(x, y, small, seed + 17)
    )


@numba.njit(cache=True, nogil=True)
def _zone(p: Any, x: Any, y: Any, seed: Any) -> Any:
    """Depth inside the area that invasive carcinoma occupies."""
    w, h = p[WIDTH], p[HEIGHT]
    share = 0.82 if p[CONTROL] > 0 else 1.0
    small = min(w * share, h)
    if p[LAYOUT] == 1:
        return 400.0 * (noise(x, y, 2600.0, seed + 21) + 2.2 * (p[COVERAGE] - 0.3))
    rx, ry = 0.5 * w * share * p[COVERAGE] ** 0.5, 0.5 * h * p[COVERAGE] ** 0.5
    q = np.hypot((x - 0.5 * w * share) / rx, (y - 0.5 * h) / ry)
    return (1.0 - q) * min(rx, ry) + 0.08 * small * noise(x, y, 0.4 * small, seed + 22)


@numba.njit(cache=True, nogil=True)
def _round_ones(x: Any, y: Any, pitch: Any, salt: Any, chance: Any, low: Any, high: Any) -> Any:
    """Nearest of discs strewn over a lattice: depth inside it, its radius, and the place that names it."""
    best, radius, who = FAR, 0.0, 0
    i0, j0 = np.int64(np.floor(x / pitch)), np.int64(np.floor(y / pitch))
    for j in range(j0 - 1, j0 + 2):
        for i in range(i0 - 1, i0 + 2):
            if uniform(i, j, salt) >= chance:
                continue
            cx = (i + 0.5 + 0.6 * (uniform(i, j, salt + 1) - 0.5)) * pitch
            cy = (j + 0.5 + 0.6 * (uniform(i, j, salt + 2) - 0.5)) * pitch
            r = low + (high - low) * uniform(i, j, salt + 3)
            depth = r - np.hypot(x - cx, y - cy)
            if depth > best:
                best, radius, who = depth, r, i * 7919 + j
    return best, radius, who


@numba.njit(cache=True, nogil=True)
def _place(p: Any, x: Any, y: Any, out: Any) -> None:
    """All layers at one place."""
    seed = np.int64(p[SEED])
    out[:] = 0.0
    out[F_EPITHELIUM], out[F_LUMEN], out[F_NECROSIS], out[F_FAT], out[F_VESSEL] = FAR, FAR, FAR, FAR, FAR
    out[F_MUCIN] = FAR
    out[F_CELL] = p[CELL]
    turn = 6.2831853 * uniform(1, 1, seed + 41)
    base = x * np.sin(turn) + y * np.cos(turn)
    if p[CONTROL] > 0:
        radius = p[PELLET]
        k = min(max(np.floor(y / p[HEIGHT] * 4), 0.0), 3.0)
        depth = (
            radius
            - np.hypot(x - 0.905 * p[WIDTH], y - (k + 0.5) * p[HEIGHT] / 4)
            + 6.0 * noise(x, y, 90.0, seed + 18)
        )
        if x > 0.82 * p[WIDTH]:
            out[F_TISSUE], out[F_EPITHELIUM], out[F_KIND] = depth + 12.0, depth, CONTROL_KIND
            out[F_CELL], out[F_ZONE], out[F_FIBRE] = 11.5, FAR, base
            return
    tissue = _tissue(p, x, y, seed)
    out[F_TISSUE] = tissue
    wx = x + 22.0 * noise(x, y, 240.0, seed + 42) + 6.0 * noise(x, y, 70.0, seed + 43)
    wy = y + 22.0 * noise(x, y, 240.0, seed + 44) + 6.0 * noise(x, y, 70.0, seed + 45)
    zone = min(_zone(p, x, y, seed), tissue - 12.0)
    out[F_ZONE] = zone
    if tissue < -60.0:
        out[F_FIBRE] = base
        return
    fat = min(_contour(wx, wy, 900.0, seed + 46, 1.5 - 1.9 * p[FAT]), tissue - 20.0)
    if p[FAT] <= 0:
        fat = FAR
    # Benign lobules and ducts with carcinoma in situ come first; invasive growth leaves them room.
    epithelium, kind, lumen, necrosis, column = FAR, NONE, FAR, FAR, 0.0
    duct, radius, who = FAR, 0.0, 0
    if p[IN_SITU] > 0:
        duct, radius, who = _round_ones(wx, wy, 720.0, seed + 51, 0.75 * p[IN_SITU], 90.0, 230.0)
        duct = min(duct, tissue - 30.0)
    lobule = FAR
    if p[BENIGN] > 0:
        lobule, _, _ = _round_ones(wx, wy, 1150.0, seed + 56, 0.8 * p[BENIGN], 190.0, 340.0)
        lobule = min(lobule, tissue - 25.0, -duct - 60.0)
    if duct > -6.0:
        epithelium, kind = duct, IN_SITU_KIND
        form = uniform(who, 3, seed + 52)
        if form < 0.4:
            hole, _, _ = _round_ones(wx, wy, 52.0, seed + 53, 0.8, 8.0, 17.0)
            lumen = min(hole, duct - 20.0)
        elif form < 0.75:
            necrosis = duct - (0.35 + 0.2 * uniform(who, 4, seed + 52)) * radius
        if radius < 120.0 and form >= 0.75:
            lumen = duct - 34.0
    elif lobule > 0:
        if p[ORGAN] == 1:
            acinus, _, _ = _round_ones(wx, wy, 88.0, seed + 60, 0.92, 30.0, 41.0)
            thick, column = 17.0, 17.0
        else:
            acinus, _, _ = _round_ones(wx, wy, 62.0, seed + 60, 0.9, 17.0, 27.0)
            thick = 12.5
        acinus = min(acinus, lobule)
        if acinus > -8.0:
            epithelium, kind, lumen = acinus, BENIGN_KIND, acinus - thick
            out[F_CELL] = 6.4
    room = min(-duct - 32.0, -lobule - 34.0, -fat - 8.0)
    if zone > -10.0 and room > -10.0:
        first, second = int(p[GROWTH]), int(p[SECOND])
        depth, used = _growth(first, wx, wy, seed, p[CELL]), first
        if second != first:
            split = _contour(x, y, 1100.0, seed + 61, 0.25)
            depth = min(depth, -split - 6.0)
            other = min(_growth(second, wx, wy, seed, p[CELL]), split - 6.0)
            if other > depth:
                depth, used = other, second
        depth = min(depth, zone, room)
        if p[SIGNET] > 0:
            diffuse = min(_contour(x, y, 640.0, seed + 72, 1.5 - 1.9 * p[SIGNET]), zone, room)
            if diffuse > 0.0:
                # Cells that do not hold together: short files, and single ones between the fibres.
                loose = max(
                    _growth(FILES, wx, wy, seed + 500, p[CELL]), _contour(wx, wy, 38.0, seed + 73, 0.95) - 0.5
                )
                depth, used = min(loose, diffuse - 4.0), FILES
                out[F_SIGNET] = 0.8
            else:
                depth = min(depth, -diffuse - 4.0)
        if p[MUCIN] > 0:
            pool = min(_contour(wx, wy, 520.0, seed + 74, 1.9 - 1.8 * p[MUCIN]), zone - 14.0, room - 4.0)
            out[F_MUCIN] = pool
            if pool > 0.0:
                # Small groups float in the pool.
                depth, used = (
                    min(
                        _contour(wx, wy, 120.0, seed + 75, 0.75) - 3.0 + 2.0 * noise(x, y, 22.0, seed + 31),
                        pool - 8.0,
                    ),
                    SHEETS,
                )
                out[F_SIGNET] = 0.45 if p[SIGNET] > 0 else 0.0
            else:
                depth = min(depth, -pool - 3.0)
        if depth > epithelium:
            epithelium, kind = depth, INVASIVE
            lumen, column = FAR, 0.0
            if used == GLANDS:
                column = p[COLUMN] * (1.0 + 0.16 * noise(x, y, 120.0, seed + 62))
                lumen = depth - column
            elif used in (NESTS, SHEETS) and p[NECROSIS] > 0:
                necrosis = min(_contour(wx, wy, 420.0, seed + 63, 2.4 - 1.8 * p[NECROSIS]), depth - 40.0)
            out[F_CELL] = p[CELL] * (1.0 + 0.10 * noise(x, y, 160.0, seed + 64)) * (0.68 if column > 0 else 1.0)
            if out[F_SIGNET] > 0:
                out[F_CELL] *= 1.25
    out[F_EPITHELIUM], out[F_KIND] = epithelium, kind
    out[F_LUMEN], out[F_NECROSIS], out[F_COLUMN] = lumen, necrosis, column
    out[F_FAT] = min(fat, -epithelium - 8.0)
    follicle = noise(x, y, 420.0, seed + 65) + 0.55 * noise(x, y, 110.0, seed + 66)
    out[F_LYMPH] = max(0.0, follicle - 1.9 + 1.9 * p[LYMPH]) + 0.06 * p[LYMPH]
    if p[VESSELS] > 0:
        vessel, _, _ = _round_ones(wx, wy, 270.0, seed + 67, 0.55 * p[VESSELS], 5.0, 26.0)
        out[F_VESSEL] = min(vessel, -epithelium - 12.0, tissue - 20.0, -out[F_MUCIN] - 10.0)
    # Collagen wraps round what it surrounds.
    near = min(max(-epithelium, 0.0), 60.0)
    sway = (
        60.0 * noise(x, y, 420.0, seed + 68) + 8.0 * noise(x, y, 95.0, seed + 69) + 1.3 * noise(x, y, 26.0, seed + 70)
    )
    out[F_FIBRE] = base + sway - 0.5 * (60.0 - near)


@numba.njit(cache=True, nogil=True)
def fill(p: Any, i0: Any, j0: Any, step: Any, fields: Any) -> None:
    """Fields at the nodes (i0 + i, j0 + j) of a grid of ``step`` um, into (LAYERS, rows, columns) float32."""
    out = np.empty(LAYERS, dtype=np.float64)
    for j in range(fields.shape[1]):
        for i in range(fields.shape[2]):
            _place(p, (i0 + i) * step, (j0 + j) * step, out)
            for k in range(LAYERS):
                fields[k, j, i] = out[k]
