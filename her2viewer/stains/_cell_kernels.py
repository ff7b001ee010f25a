# mypy: disable-error-code="untyped-decorator"
"""Compiled loops over nuclei and cells (numba, no GIL). Arrays are C-contiguous; lengths in px of the picture."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from her2viewer.stains.compiled import use_writable_cache
from her2viewer.stains.membranes import SECTORS

use_writable_cache(__file__)

COLUMNS = 12
"""Columns of ``shapes``."""


@numba.njit(cache=True, nogil=True)
def ascend(height: Any, mask: Any) -> Any:
    """Basin of each mask pixel under steepest ascent of ``height`` (8 neighbours).

    Returns (labels int32 (h, w), 0 outside the mask; count). Equal heights go to the higher index, so that
    plateaus end in one pixel and the result does not depend on anything but the pixels.
    """
    rows, columns = height.shape
    total = rows * columns
    up = np.empty(total, np.int32)
    labels = np.zeros((rows, columns), np.int32)
    flat = labels.ravel()
    count = 0
    for y in range(rows):
        for x in range(columns):
            here = y * columns + x
            if not mask[y, x]:
                up[here] = -1
                continue
            best, best_value = here, height[y, x]
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    v, u = y + dy, x + dx
                    if v < 0 or u < 0 or v >= rows or u >= columns or not mask[v, u]:
                        continue
                    value = height[v, u]
                    there = v * columns + u
                    if value > best_value or (value == best_value and there > best):
                        best, best_value = there, value
            up[here] = best
            if best == here:
                count += 1
                flat[here] = count
    for start in range(total):
        if up[start] < 0 or flat[start] > 0:
            continue
        end = start
        while flat[end] == 0:
            end = up[end]
        label = flat[end]
        step = start
        while flat[step] == 0:
            flat[step] = label
            step = up[step]
    return labels, count


@numba.njit(cache=True, nogil=True)
def _root(parent: Any, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(cache=True, nogil=True)
def merge_basins(labels: Any, count: int, height: Any, depth: float, least: float) -> Any:
    """Join neighbouring basins whose saddle is hardly lower than the lower peak; relabels in place, returns count.

    A valley separates two nuclei when it is deeper than the share ``depth`` of the lower peak and than ``least``.
    """
    rows, columns = labels.shape
    peak = np.full(count + 1, -1e9, np.float32)
    for y in range(rows):
        for x in range(columns):
            label = labels[y, x]
            if label and height[y, x] > peak[label]:
                peak[label] = height[y, x]
    # Two passes over the borders between basins: count them, then note both sides and the height of the pass.
    keys = np.empty(0, np.int64)
    values = np.empty(0, np.float32)
    for fill in range(2):
        n = 0
        for y in range(rows):
            for x in range(columns):
                a = labels[y, x]
                if a == 0:
                    continue
                for k in range(4):
                    v = y + (0 if k == 0 else 1)
                    u = x + (1 if k == 0 else k - 2)
                    if v >= rows or u < 0 or u >= columns:
                        continue
                    b = labels[v, u]
                    if not b or b == a:
                        continue
                    if fill:
                        keys[n] = np.int64(a) * (count + 1) + b
                        values[n] = min(height[y, x], height[v, u])
                    n += 1
        if not fill:
            keys = np.empty(n, np.int64)
            values = np.empty(n, np.float32)
    parent = np.arange(count + 1)
    for i in np.argsort(-values):
        a, b = _root(parent, keys[i] // (count + 1)), _root(parent, keys[i] % (count + 1))
        if a == b:
            continue
        lower = min(peak[a], peak[b])
        if lower - values[i] < max(depth * lower, least):
            keep, gone = min(a, b), max(a, b)
            parent[gone] = keep
            peak[keep] = max(peak[a], peak[b])
    new = np.zeros(count + 1, np.int32)
    n = 0
    for label in range(1, count + 1):
        root = _root(parent, label)
        if new[root] == 0:
            n += 1
            new[root] = n
        new[label] = new[root]
    for y in range(rows):
        for x in range(columns):
            labels[y, x] = new[labels[y, x]]
    return n


@numba.njit(cache=True, nogil=True)
def shapes(labels: Any, count: int, haematoxylin: Any, dab: Any) -> Any:
    """Size, place and stain of each label, (count + 1, COLUMNS) float64; row 0 unused.

    Columns: area, x, y, major axis, minor axis (full lengths of the ellipse of equal moments), mean haematoxylin,
    mean DAB, touches border (0/1), x min, y min, x max, y max.
    """
    rows, columns = labels.shape
    out = np.zeros((count + 1, COLUMNS))
    sums = np.zeros((count + 1, 3))
    out[:, 8] = 1e9
    out[:, 9] = 1e9
    out[:, 10] = -1
    out[:, 11] = -1
    for y in range(rows):
        for x in range(columns):
            i = labels[y, x]
            if i == 0:
                continue
            out[i, 0] += 1
            out[i, 1] += x
            out[i, 2] += y
            out[i, 5] += haematoxylin[y, x]
            out[i, 6] += dab[y, x]
            if x == 0 or y == 0 or x == columns - 1 or y == rows - 1:
                out[i, 7] = 1
            out[i, 8] = min(out[i, 8], x)
            out[i, 9] = min(out[i, 9], y)
            out[i, 10] = max(out[i, 10], x)
            out[i, 11] = max(out[i, 11], y)
    for i in range(1, count + 1):
        n = max(out[i, 0], 1.0)
        out[i, 1] /= n
        out[i, 2] /= n
        out[i, 5] /= n
        out[i, 6] /= n
    for y in range(rows):
        for x in range(columns):
            i = labels[y, x]
            if i:
                dx, dy = x - out[i, 1], y - out[i, 2]
                sums[i, 0] += dx * dx
                sums[i, 1] += dy * dy
                sums[i, 2] += dx * dy
    for i in range(1, count + 1):
        n = max(out[i, 0], 1.0)
        # 1/12 is the second moment of one pixel about its own centre.
        xx, yy, xy = sums[i, 0] / n + 1 / 12, sums[i, 1] / n + 1 / 12, sums[i, 2] / n
        middle, spread = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy * xy)
        out[i, 3] = 4 * np.sqrt(middle + spread)
        out[i, 4] = 4 * np.sqrt(max(middle - spread, 0.0))
    return out


@numba.njit(cache=True, nogil=True)
def colours(labels: Any, count: int, rgb: Any) -> Any:
    """Mean red, green and blue grey level of each label, (count + 1, 3) float64; row 0 unused."""
    rows, columns = labels.shape
    out = np.zeros((count + 1, 3))
    number = np.zeros(count + 1)
    for y in range(rows):
        for x in range(columns):
            i = labels[y, x]
            if i:
                number[i] += 1
                for channel in range(3):
                    out[i, channel] += rgb[y, x, channel]
    for i in range(1, count + 1):
        for channel in range(3):
            out[i, channel] /= max(number[i], 1.0)
    return out


@numba.njit(cache=True, nogil=True)
def relabel(labels: Any, new: Any) -> None:
    """Replace each label by ``new[label]`` (0 removes it), in place."""
    rows, columns = labels.shape
    for y in range(rows):
        for x in range(columns):
            labels[y, x] = new[labels[y, x]]


@numba.njit(cache=True, nogil=True)
def expand(nuclei: Any, nearest: Any, distance: Any, of_index: Any, reach: float) -> Any:
    """Cells: each pixel within ``reach`` of a nucleus goes to the nearest one.

    ``nearest`` and ``distance`` come from OpenCV's labelled distance transform; ``of_index`` maps its labels to
    nuclei.
    """
    rows, columns = nuclei.shape
    out = np.zeros((rows, columns), np.int32)
    for y in range(rows):
        for x in range(columns):
            if distance[y, x] <= reach:
                out[y, x] = of_index[nearest[y, x]]
    return out


@numba.njit(cache=True, nogil=True)
def index_of(nuclei: Any, nearest: Any, count: int) -> Any:
    """Which nucleus each label of the distance transform belongs to, (count + 1,) int32."""
    rows, columns = nuclei.shape
    out = np.zeros(count + 1, np.int32)
    for y in range(rows):
        for x in range(columns):
            if nuclei[y, x]:
                out[nearest[y, x]] = nuclei[y, x]
    return out


@numba.njit(cache=True, nogil=True)
def rings(nuclei: Any, cells: Any, dab: Any, centres: Any, reach: Any) -> Any:
    """Membrane profile of each nucleus along ``SECTORS`` rays from its centre.

    ``centres`` is (n, 2) float64. ``reach`` is (expansion, beyond, inside): a ray runs from ``inside`` px within the
    nucleus edge to ``beyond`` px past the cell border (membranes are shared, and the border is only a guess), but
    never into another nucleus.

    Returns four (n, SECTORS) float32: highest DAB on the ray, mean DAB on the ray away from that peak, radius of
    the cell outline, radius of the nucleus.
    """
    rows, columns = nuclei.shape
    n = len(centres)
    expansion, beyond, inside = reach
    peak = np.zeros((n, SECTORS), np.float32)
    rest = np.zeros((n, SECTORS), np.float32)
    outline = np.zeros((n, SECTORS), np.float32)
    core = np.zeros((n, SECTORS), np.float32)
    limit = 256
    profile = np.zeros(limit, np.float32)
    for i in range(n):
        own = i + 1
        for k in range(SECTORS):
            a = 2 * np.pi * k / SECTORS
            ca, sa = np.cos(a), np.sin(a)
            edge = 0
            last = 0
            steps = 0
            out_of_cell = 0
            for r in range(limit):
                u, v = int(np.floor(centres[i, 0] + r * ca + 0.5)), int(np.floor(centres[i, 1] + r * sa + 0.5))
                if u < 0 or v < 0 or u >= columns or v >= rows:
                    break
                here = nuclei[v, u]
                if here == own:
                    edge = r
                    last = r
                    out_of_cell = 0
                elif here != 0 and r > edge + 1:
                    break
                elif cells[v, u] == own:
                    last = r
                    out_of_cell = 0
                else:
                    out_of_cell += 1
                    if out_of_cell > beyond:
                        break
                if r > edge + expansion + beyond:
                    break
                profile[r] = dab[v, u]
                steps = r + 1
            start = max(0, int(edge - inside + 0.5))
            # What still rises where the ray ends belongs to a neighbour's membrane.
            while steps - 1 > start and profile[steps - 1] > profile[steps - 2]:
                steps -= 1
            best, at = np.float32(-1.0), start
            for r in range(start, steps):
                if profile[r] > best:
                    best, at = profile[r], r
            total, number = 0.0, 0
            for r in range(start, steps):
                if abs(r - at) > 2:
                    total += profile[r]
                    number += 1
            peak[i, k] = max(best, np.float32(0.0))
            rest[i, k] = total / number if number > 0 else np.float32(np.nan)
            outline[i, k] = last + 0.5
            core[i, k] = edge + 0.5
    return peak, rest, outline, core
