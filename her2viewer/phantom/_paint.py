# mypy: disable-error-code="untyped-decorator"
# ruff: noqa: PLR0917 (compiled functions take their arrays one by one)
"""How much of each stain lies at each pixel: compiled. Importing this imports numba: do it inside functions."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from her2viewer.phantom import _cells as k
from her2viewer.phantom import _compartments as c
from her2viewer.phantom import _traits as t
from her2viewer.phantom._cells import sample
from her2viewer.phantom._noise import mixed
from her2viewer.stains.compiled import use_writable_cache

use_writable_cache(__file__)

RELIEF = 0.034
"""Units of haematoxylin by which the relief of a section seems to vary."""
BEYOND = 1.4
"""Radii from its centre that a cell reaches at most."""
TEXELS = 4.0
"""Texels of a texture in one um."""
GRAIN, CLUMPS, MOTTLE, PATCHES, SHIFT_X, SHIFT_Y, DOTS, FIBRES, BUNDLES = range(9)
TEXTURES = 9


@numba.njit(cache=True, nogil=True, inline="always")
def _texel(textures: Any, which: Any, x: Any, y: Any) -> Any:
    side = textures.shape[1] - 1
    return textures[which, np.int64(np.floor(y * TEXELS)) & side, np.int64(np.floor(x * TEXELS)) & side]


@numba.njit(cache=True, nogil=True, inline="always")
def _ramp(value: Any, width: Any) -> Any:
    s = min(max(value / width + 0.5, 0.0), 1.0)
    return s * s * (3.0 - 2.0 * s)


@numba.njit(cache=True, nogil=True)
def claim(
    cells: Any, xs: Any, ys: Any, x0: Any, y0: Any, step: Any, first: Any, second: Any, d1: Any, d2: Any
) -> None:
    """The nearest and the second nearest cell of each pixel, in radii of the cells' own ellipses.

    Args:
        cells: (n, COLUMNS) float64; only epithelium and fat cells take part.
        xs, ys: (h, w) float32, where each pixel looks, um.
        x0, y0, step: centre of the first pixel and distance of pixels, um.
        first, second: (h, w) int32, filled with -1; d1, d2: (h, w) float32, filled with something large.
    """
    h, w = first.shape
    for n in range(cells.shape[0]):
        kind = int(cells[n, k.KIND])
        if kind in (k.FIBROBLAST, k.LYMPHOCYTE):
            continue
        r = cells[n, k.RADIUS]
        long = r * cells[n, k.LONG]
        cs, sn = np.cos(cells[n, k.AXIS]), np.sin(cells[n, k.AXIS])
        ex = BEYOND * np.sqrt((long * cs) ** 2 + (r * sn) ** 2) + 1.5
        ey = BEYOND * np.sqrt((long * sn) ** 2 + (r * cs) ** 2) + 1.5
        cx, cy = cells[n, k.X], cells[n, k.Y]
        left, right = max(0, int((cx - ex - x0) / step)), min(w, int((cx + ex - x0) / step) + 2)
        top, bottom = max(0, int((cy - ey - y0) / step)), min(h, int((cy + ey - y0) / step) + 2)
        ca, sa = np.float32(cs / long), np.float32(sn / long)
        cb, sb = np.float32(cs / r), np.float32(sn / r)
        fx, fy = np.float32(cx), np.float32(cy)
        limit = np.float32(BEYOND * BEYOND)
        for j in range(top, bottom):
            for i in range(left, right):
                dx, dy = xs[j, i] - fx, ys[j, i] - fy
                u, v = dx * ca + dy * sa, dy * cb - dx * sb
                q = u * u + v * v
                if q < limit:
                    if q < d1[j, i]:
                        d2[j, i], second[j, i] = d1[j, i], first[j, i]
                        d1[j, i], first[j, i] = q, n
                    elif q < d2[j, i]:
                        d2[j, i], second[j, i] = q, n


@numba.njit(cache=True, nogil=True)
def _edge(cells: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """Distance in um from the outline between two cells, to first order."""
    total_x, total_y, difference = 0.0, 0.0, 0.0
    for n, sign in ((a, -1.0), (b, 1.0)):
        r = cells[n, k.RADIUS]
        long = r * cells[n, k.LONG]
        cs, sn = np.cos(cells[n, k.AXIS]), np.sin(cells[n, k.AXIS])
        dx, dy = x - cells[n, k.X], y - cells[n, k.Y]
        u, v = (dx * cs + dy * sn) / long, (dy * cs - dx * sn) / r
        d = max(np.sqrt(u * u + v * v), 1e-4)
        gu, gv = u / (d * long), v / (d * r)
        total_x += sign * (gu * cs - gv * sn)
        total_y += sign * (gu * sn + gv * cs)
        difference += sign * d
    return difference / max(np.hypot(total_x, total_y), 1e-3)


@numba.njit(cache=True, nogil=True)
def _stained(cells: Any, traits: Any, n: Any, x: Any, y: Any) -> Any:
    """How strongly the outline of a cell is stained in the direction of a place, OD."""
    dx, dy = x - cells[n, k.X], y - cells[n, k.Y]
    d = max(np.hypot(dx, dy), 1e-4)
    cosine, sine = dx / d, dy / d
    share = 1.0
    if traits[n, t.THRESHOLD] > -8.0:
        c2, s2 = cosine * cosine - sine * sine, 2 * cosine * sine
        c3, s3 = c2 * cosine - s2 * sine, s2 * cosine + c2 * sine
        wave = traits[n, t.WEIGHT_1] * (cosine * np.cos(traits[n, t.PHASE_1]) - sine * np.sin(traits[n, t.PHASE_1]))
        wave += traits[n, t.WEIGHT_2] * (c2 * np.cos(traits[n, t.PHASE_2]) - s2 * np.sin(traits[n, t.PHASE_2]))
        wave += traits[n, t.WEIGHT_3] * (c3 * np.cos(traits[n, t.PHASE_3]) - s3 * np.sin(traits[n, t.PHASE_3]))
        share = _ramp(wave - traits[n, t.THRESHOLD], 0.4)
    if traits[n, t.LATERAL] > 0:
        up = (dx * cells[n, k.APEX_X] + dy * cells[n, k.APEX_Y]) / (cells[n, k.RADIUS] * cells[n, k.LONG])
        share *= 1.0 - 0.92 * _ramp(up - 0.72, 0.35)
    return traits[n, t.INTENSITY] * share


@numba.njit(cache=True, nogil=True)
def _nucleus(traits: Any, n: Any, x: Any, y: Any) -> Any:
    """Depth in um inside the nucleus of a cell."""
    dx, dy = x - traits[n, t.NUCLEUS_X], y - traits[n, t.NUCLEUS_Y]
    cs, sn = np.cos(traits[n, t.NUCLEUS_AXIS]), np.sin(traits[n, t.NUCLEUS_AXIS])
    u, v = (dx * cs + dy * sn) / traits[n, t.NUCLEUS_LONG], (dy * cs - dx * sn) / traits[n, t.NUCLEUS_SHORT]
    d = np.sqrt(u * u + v * v)
    if d > 1.5:
        return -9.0
    theta = np.arctan2(v, u)
    bend = 1.0 + traits[n, t.BEND_2] * np.cos(2 * theta + traits[n, t.TURN_2])
    bend += traits[n, t.BEND_3] * np.cos(3 * theta + traits[n, t.TURN_3])
    return (bend - d) * min(traits[n, t.NUCLEUS_LONG], traits[n, t.NUCLEUS_SHORT])


@numba.njit(cache=True, nogil=True)
def _figure(traits: Any, n: Any, x: Any, y: Any) -> Any:
    """Depth in um inside the chromosomes of a cell that divides."""
    dx, dy = x - traits[n, t.NUCLEUS_X], y - traits[n, t.NUCLEUS_Y]
    cs, sn = np.cos(traits[n, t.NUCLEUS_AXIS]), np.sin(traits[n, t.NUCLEUS_AXIS])
    u, v = dx * cs + dy * sn, dy * cs - dx * sn
    long, short = traits[n, t.NUCLEUS_LONG], traits[n, t.NUCLEUS_SHORT]
    if traits[n, t.FIGURE] == t.CLUMP:
        theta = np.arctan2(v, u)
        bend = 1.0 + traits[n, t.BEND_3] * np.cos(3 * theta + traits[n, t.TURN_3])
        return (bend + 0.6 * traits[n, t.BEND_3] * np.cos(7 * theta + traits[n, t.TURN_2])) * long - np.hypot(u, v)
    if traits[n, t.FIGURE] == t.TWO_PLATES:
        # Arms of the chromosomes trail behind: the plates are bent towards each other.
        v = abs(v) - traits[n, t.GAP] + 0.07 * u * u
        long, short = 0.85 * long, 0.8 * short
    return (1.0 - np.hypot(u / long, v / short)) * short


@numba.njit(cache=True, nogil=True)
def _nuclei(
    cells: Any, traits: Any, textures: Any, x0: Any, y0: Any, step: Any, loose: Any, own: Any, cover: Any
) -> None:
    """Nuclei, in units of haematoxylin: of stroma into ``loose``, of epithelium into ``own`` with their ``cover``.

    Arrays are (h, w) float32. Nuclei may lie over each other and beyond their cell, as in a section of some um.
    """
    h, w = loose.shape
    for n in range(cells.shape[0]):
        kind = int(cells[n, k.KIND])
        if kind == k.FAT_CELL or traits[n, t.DENSITY] <= 0:
            continue
        stromal = kind in (k.FIBROBLAST, k.LYMPHOCYTE)
        divides = traits[n, t.FIGURE] > 0
        ragged = 0.24 if divides else (0.07 if stromal else 0.14)
        reach = traits[n, t.NUCLEUS_LONG] * 1.3 + 1.0
        cx, cy = traits[n, t.NUCLEUS_X], traits[n, t.NUCLEUS_Y]
        left, right = max(0, int((cx - reach - x0) / step)), min(w, int((cx + reach - x0) / step) + 2)
        top, bottom = max(0, int((cy - reach - y0) / step)), min(h, int((cy + reach - y0) / step) + 2)
        for j in range(top, bottom):
            for i in range(left, right):
                x, y = x0 + i * step, y0 + j * step
                depth = _figure(traits, n, x, y) if divides else _nucleus(traits, n, x, y)
                if depth < -1.0:
                    continue
                clumps, grain = _texel(textures, CLUMPS, x + 90.0, y), _texel(textures, GRAIN, x, y)
                depth += ragged * clumps
                if depth <= -0.3:
                    continue
                rim = np.exp(-(((depth - 0.35) / 0.38) ** 2))
                spot = 0.0
                if traits[n, t.NUCLEOLUS] > 0:
                    away = np.hypot(x - cx - traits[n, t.SPOT_X], y - cy - traits[n, t.SPOT_Y])
                    spot = _ramp(traits[n, t.NUCLEOLUS] + 0.12 * grain - away, 0.45)
                body = 0.88 if stromal else (1.1 if divides else 0.62)
                chromatin = max(body + 0.24 * clumps + 0.16 * grain + traits[n, t.RIM] * rim + 1.0 * spot, 0.12)
                over = _ramp(depth, 0.8)
                value = np.float32(over * traits[n, t.DENSITY] * chromatin)
                if stromal:
                    loose[j, i] = max(loose[j, i], value)
                else:
                    # What lies over each other absorbs twice, but a section is too thin for two whole nuclei.
                    high, low = max(own[j, i], value), min(own[j, i], value)
                    own[j, i] = high + np.float32(0.45) * low
                    cover[j, i] = max(cover[j, i], np.float32(over))


@numba.njit(cache=True, nogil=True)
def paint(
    fields: Any, fi: Any, fj: Any, pitch: Any, cells: Any, traits: Any, textures: Any, x0: Any, y0: Any, step: Any,
    eosin: Any, angle: Any, first: Any, second: Any, d1: Any, d2: Any, xs: Any, ys: Any, blue: Any, other: Any
) -> None:  # fmt: skip
    """Haematoxylin into ``blue`` and DAB, or eosin, into ``other``: (h, w) float32 each, in units of stain."""
    h, w = blue.shape
    nuclei = np.zeros((h, w), dtype=np.float32)
    shades = np.zeros((h, w), dtype=np.float32)
    covers = np.zeros((h, w), dtype=np.float32)
    for j in range(h):
        for i in range(w):
            x, y = x0 + i * step, y0 + j * step
            xs[j, i] = x + 0.9 * _texel(textures, SHIFT_X, x, y) + 0.28 * _texel(textures, MOTTLE, x, y)
            ys[j, i] = y + 0.9 * _texel(textures, SHIFT_Y, x, y) + 0.28 * _texel(textures, MOTTLE, y, x)
    claim(cells, xs, ys, x0, y0, step, first, second, d1, d2)
    _nuclei(cells, traits, textures, x0, y0, step, nuclei, shades, covers)
    along_x, along_y = np.cos(angle), -np.sin(angle)
    for j in range(h):
        y = y0 + j * step
        v = y / pitch - fj
        for i in range(w):
            x = x0 + i * step
            u = x / pitch - fi
            grain, clumps = _texel(textures, GRAIN, x, y), _texel(textures, CLUMPS, x, y)
            mottle = _texel(textures, MOTTLE, x, y)
            tissue = _ramp(sample(fields[c.F_TISSUE], u, v) + 1.2 * mottle, 3.0)
            if tissue <= 0.0:
                blue[j, i], other[j, i] = 0.0, 0.0
                continue
            depth = sample(fields[c.F_EPITHELIUM], u, v) + 0.5 * mottle
            lumen = sample(fields[c.F_LUMEN], u, v) + 0.9 * mottle
            necrosis = sample(fields[c.F_NECROSIS], u, v)
            patches = _texel(textures, PATCHES, x, y)
            b, s, filament, hollow = 0.0, 0.0, 0.0, 0.0
            inside = _ramp(depth, 0.8)
            n = first[j, i]
            if n >= 0 and cells[n, k.KIND] == k.FAT_CELL:
                n = -1
            if inside < 1.0:
                # Stroma: fibres, or fat, or a vessel.
                fat = sample(fields[c.F_FAT], u, v)
                vessel = sample(fields[c.F_VESSEL], u, v) + 0.4 * mottle
                across = sample(fields[c.F_FIBRE], u, v) + 0.9 * _texel(textures, SHIFT_X, y, x) + 0.25 * patches
                along = x * along_x + y * along_y
                fibres = _texel(textures, FIBRES, along, across)
                bundles = _texel(textures, BUNDLES, along * 0.7, across * 0.9)
                dense = min(max(0.55 + 0.42 * bundles + 0.25 * patches + 0.12 * mottle, 0.0), 1.7)
                fine = _texel(textures, FIBRES, along * 1.9 + 50.0, across * 2.1)
                line = min(max(0.35 + 0.55 * fibres + 0.55 * fine, 0.0), 2.2)
                filament = 0.5 * (1.0 - inside) * fine
                gap = _ramp(-0.7 * bundles - 0.8 * fibres - 0.9, 0.8)
                if eosin:
                    sb, ss = (
                        0.03 + 0.05 * dense,
                        (0.03 + dense * (0.22 + 0.17 * line + 0.03 * grain)) * (1.0 - 0.85 * gap),
                    )
                else:
                    sb = (0.012 + dense * (0.018 + 0.042 * line + 0.008 * grain)) * (1.0 - 0.85 * gap)
                    ss = 0.006 + 0.10 * sb
                if fat > -3.0:
                    wall = 9.0
                    m, other_fat = first[j, i], second[j, i]
                    both = m >= 0 and other_fat >= 0
                    if both and cells[m, k.KIND] == k.FAT_CELL and cells[other_fat, k.KIND] == k.FAT_CELL:
                        wall = _edge(cells, m, other_fat, xs[j, i], ys[j, i])
                    thin = np.exp(-((wall / 0.75) ** 2)) * (0.8 + 0.25 * mottle)
                    amount = _ramp(fat, 4.0)
                    hollow = max(hollow, 2.0 * amount * (1.0 - min(1.0, thin)))
                    sb += amount * ((0.09 if not eosin else 0.05) * thin - sb)
                    ss += amount * ((0.35 if eosin else 0.01) * thin - ss)
                if vessel > -4.5:
                    wall = _ramp(vessel + 3.2, 2.0)
                    sb += wall * (0.05 if not eosin else 0.08) * (1.0 + 0.4 * mottle)
                    ss += wall * (0.18 if eosin else 0.008)
                    plump = _ramp(mottle - 0.85, 0.25) * np.exp(-(((vessel + 1.1) / 0.9) ** 2))
                    sb += plump * 0.24
                    empty = _ramp(vessel, 0.8)
                    ci, cj = np.int64(np.floor(x / 6.2)), np.int64(np.floor(y / 6.2))
                    draw = mixed(ci, cj, 77)
                    ox = (np.float64(draw & np.uint64(0xFF)) / 255.0 - 0.5) * 1.6
                    oy = (np.float64((draw >> np.uint64(16)) & np.uint64(0xFF)) / 255.0 - 0.5) * 1.8
                    away = np.hypot(x - (ci + 0.5) * 6.2 - ox, y - (cj + 0.5) * 6.2 - oy)
                    red = _ramp(2.9 - away, 0.6) * (((draw >> np.uint64(8)) & np.uint64(3)) > 1)
                    sb += empty * (0.02 * red - sb)
                    ss += empty * ((0.75 if eosin else 0.035) * red * (0.8 + 0.2 * away / 2.9) - ss)
                mucin = sample(fields[c.F_MUCIN], u, v) + 0.8 * mottle
                if mucin > -2.0:
                    # Threads of mucin in a pale pool.
                    amount = _ramp(mucin, 3.0)
                    thread = min(max(0.35 * patches + 0.45 * _texel(textures, SHIFT_Y, 0.6 * x, 0.6 * y), 0.0), 1.6)
                    thread += 0.5 * np.exp(-((_texel(textures, SHIFT_X, 0.5 * y, 0.5 * x) / 0.16) ** 2))
                    sb += amount * ((0.11 if eosin else 0.034) * (0.25 + 0.7 * thread) + 0.004 * grain - sb)
                    ss += amount * ((0.06 if eosin else 0.004) * (0.5 + 0.4 * thread) - ss)
                    hollow = max(hollow, 1.0 * amount)
                sb = max(sb, nuclei[j, i] * (1.7 if eosin else 1.0))
                # Tissue draws back from nests here and there and leaves a cleft.
                cleft = _ramp(depth + 2.2 * (patches - 1.0), 1.6) if patches > 1.0 else 0.0
                b, s = (1.0 - cleft) * sb, (1.0 - cleft) * ss
            if inside > 0.0:
                eb, es = 0.0, 0.0
                hollow = _ramp(lumen, 0.9)
                if necrosis > 0.0 and hollow < 1.0:
                    dust = _ramp(clumps - 1.55, 0.35) * 0.40
                    eb = 0.05 + 0.035 * mottle + dust
                    es = (0.40 if eosin else 0.045) * max(0.3, 1.0 + 0.25 * mottle + 0.2 * clumps)
                elif n >= 0:
                    px, py = xs[j, i], ys[j, i]
                    m = second[j, i]
                    if m >= 0 and cells[m, k.KIND] == k.FAT_CELL:
                        m = -1
                    edge = 9.0
                    if m >= 0:
                        edge = _edge(cells, n, m, px, py)
                    rim = 9.0
                    if depth < 6.0 or lumen > -6.0:
                        rim = max(0.0, min(depth - 0.35, -lumen - 0.35))
                    apart = 1.0
                    loose = np.sqrt(d1[j, i])
                    if loose > 1.24:
                        apart = _ramp(1.33 - loose, 0.12)
                    dots = _texel(textures, DOTS, x, y)
                    cover, shade = covers[j, i], shades[j, i]
                    filled = 0.0
                    if traits[n, t.VACUOLE] > 0:
                        away = np.hypot(px - traits[n, t.VACUOLE_X], py - traits[n, t.VACUOLE_Y])
                        filled = _ramp(traits[n, t.VACUOLE] - away + 0.25 * mottle, 0.8)
                        cover *= 1.0 - filled
                    haze = traits[n, t.HAZE] * max(0.2, 1.0 + 0.22 * clumps + 0.22 * grain + 0.25 * mottle)
                    if eosin:
                        eb = shade * 1.75 + (1.0 - cover) * haze * 1.5
                        es = (
                            (1.0 - 0.55 * cover)
                            * (0.26 + 0.9 * traits[n, t.HAZE])
                            * max(0.3, 1 + 0.13 * clumps + 0.1 * grain)
                        )
                        es *= 1.0 - 0.25 * np.exp(-((edge / 0.5) ** 2))
                        eb += filled * (0.05 + 0.02 * mottle - eb)
                        es += filled * (0.07 + 0.02 * mottle - es)
                    else:
                        eb = shade + (1.0 - cover) * haze
                        eb += filled * (0.014 + 0.006 * mottle - eb)
                        membrane = 0.0
                        if edge < 3.0 or rim < 2.2:
                            # Where a membrane lies aslant in the section it is seen broader and paler.
                            slant = 1.0
                            own = _stained(cells, traits, n, px, py)
                            if m >= 0 and edge < 3.0:
                                theirs = _stained(cells, traits, m, px, py)
                                low = mixed(np.int64(cells[n, k.WHO]) ^ np.int64(cells[m, k.WHO]), 5, 9) & np.uint64(
                                    0xFFFF
                                )
                                q = np.float64(low) / 65535.0
                                slant = 1.0 + 0.9 * q * q * q
                                stained = max(own, theirs)
                                wide = (0.40 + 0.20 * min(stained, 1.2)) * slant * (1.0 + 0.14 * patches)
                                uneven = max(0.25, 0.95 + 0.22 * dots + 0.24 * _texel(textures, SHIFT_X, y, x))
                                membrane = stained * np.exp(-((edge / wide) ** 2)) * uneven / slant**0.4
                            if rim < 2.2:
                                wide = 0.40 + 0.18 * min(own, 1.2)
                                uneven = max(0.2, 0.85 + 0.25 * dots)
                                membrane = max(membrane, 0.8 * own * np.exp(-((rim / wide) ** 2)) * uneven)
                        blush = traits[n, t.BLUSH] * max(0.0, 0.9 + 0.28 * dots + 0.22 * mottle) * (1.0 - 0.7 * cover)
                        es = max(membrane, 0.0) + blush * (1.0 - 0.75 * filled) + 0.005
                    eb *= apart
                    es *= apart
                if hollow > 0.0:
                    slime = _ramp(mottle + 0.6 * patches - 1.9, 1.2)
                    lb = slime * (0.05 + 0.02 * grain)
                    ls = slime * (0.22 if eosin else 0.012)
                    eb += hollow * (lb - eb)
                    es += hollow * (ls - es)
                b += inside * (eb - b)
                s += inside * (es - s)
            thick = 1.0 + 0.07 * patches
            # The relief of the section bends light: darker here, brighter than the glass there.
            relief = (
                RELIEF
                * (0.6 * grain + 0.6 * clumps + filament)
                * min(1.0, 0.5 + 6.0 * (b + s))
                * (1.0 - 0.5 * min(hollow, 1.9))
            )
            blue[j, i] = tissue * (b * thick + relief)
            other[j, i] = tissue * s * thick
