# mypy: disable-error-code="untyped-decorator"
"""Compiled random numbers that depend on place alone. Importing this imports numba: do it inside functions.

Every value is a function of (seed, place), so any part of a slide can be made without the rest, in any order.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from her2viewer.stains.compiled import use_writable_cache

use_writable_cache(__file__)


@numba.njit(cache=True, nogil=True, inline="always")
def mixed(x: Any, y: Any, salt: Any) -> Any:
    """64 random bits for an integer place and salt (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = (
        np.uint64(x) * np.uint64(0x9E3779B97F4A7C15)
        ^ np.uint64(y) * np.uint64(0xC2B2AE3D27D4EB4F)
        ^ np.uint64(salt) * np.uint64(0x165667B19E3779F9)
    )
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def uniform(x: Any, y: Any, salt: Any) -> Any:
    """A number from 0 to 1 for an integer place and salt, float64."""
    return np.float64(mixed(x, y, salt) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@numba.njit(cache=True, nogil=True)
def normal(x: Any, y: Any, salt: Any) -> Any:
    """A number of zero mean and unit variance, nearly Gaussian, for an integer place and salt, float64."""
    z = mixed(x, y, salt)
    total = 0.0
    for k in range(4):
        total += np.float64((z >> np.uint64(16 * k)) & np.uint64(0xFFFF))
    return (total / 65535.0 - 2.0) * 1.7320508


@numba.njit(cache=True, nogil=True)
def _corner(ix: Any, iy: Any, salt: Any, dx: Any, dy: Any) -> Any:
    z = mixed(ix, iy, salt)
    gx = np.float64(z & np.uint64(0xFFFFFF)) / 8388607.5 - 1.0
    gy = np.float64((z >> np.uint64(24)) & np.uint64(0xFFFFFF)) / 8388607.5 - 1.0
    return gx * dx + gy * dy


@numba.njit(cache=True, nogil=True)
def noise(x: Any, y: Any, wavelength: Any, salt: Any) -> Any:
    """Gradient noise (Perlin 2002) of zero mean and about unit variance, smooth over ``wavelength``, float64."""
    # Turned and shifted by the salt: fields do not share the axes or nodes of their lattices.
    turn = 0.7 * salt
    c, s = np.cos(turn), np.sin(turn)
    u = (c * x - s * y) / wavelength * 1.7 + 0.37 * salt
    v = (s * x + c * y) / wavelength * 1.7 + 0.71 * salt
    iu, iv = np.floor(u), np.floor(v)
    fu, fv = u - iu, v - iv
    i, j = np.int64(iu), np.int64(iv)
    wu = fu * fu * fu * (fu * (fu * 6 - 15) + 10)
    wv = fv * fv * fv * (fv * (fv * 6 - 15) + 10)
    top = _corner(i, j, salt, fu, fv) * (1 - wu) + _corner(i + 1, j, salt, fu - 1, fv) * wu
    low = _corner(i, j + 1, salt, fu, fv - 1) * (1 - wu) + _corner(i + 1, j + 1, salt, fu - 1, fv - 1) * wu
    return (top * (1 - wv) + low * wv) * 5.6
