"""What goes wrong on a slide: folds, pen, dust, air bubbles, parts out of focus. Positions depend on the seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.phantom.fields import Field, ramp

if TYPE_CHECKING:
    from her2viewer.phantom.slide_plan import SlidePlan

BLUR, FOLD, PEN, BUBBLE, DUST, EMPTY = (1 << k for k in range(6))
"""Bits of the quality mask."""
BITS = {"blur": BLUR, "fold": FOLD, "pen": PEN, "bubble": BUBBLE, "dust": DUST, "empty": EMPTY}
PENS = ((0.25, 0.55, 0.35), (0.15, 0.25, 0.75), (0.12, 0.12, 0.13))
"""Light that passes green, blue and black ink."""


@dataclass(frozen=True)
class Spot:
    """One flaw: a bent line (fold, pen) or a disc, um."""

    x: float
    y: float
    size: float
    angle: float
    length: float
    bend: float
    shade: int

    def near(self, x0: float, y0: float, side: float) -> bool:
        """Whether it can touch a square."""
        reach = self.length + 4 * self.size + 20
        return x0 - reach < self.x < x0 + side + reach and y0 - reach < self.y < y0 + side + reach


class Flaws:
    """All flaws of a slide."""

    def __init__(self, plan: SlidePlan) -> None:
        self.mpp = plan.mpp
        wanted = plan.recipe.artefacts
        w, h = plan.width * plan.mpp, plan.height * plan.mpp
        small = min(w, h)
        rng = np.random.default_rng([plan.seed, 9])

        def spots(count: int, low: float, high: float, length: tuple[float, float]) -> list[Spot]:
            found = []
            for _ in range(count):
                x, y = rng.uniform(0.12, 0.88, 2) * (w, h)
                size, long = rng.uniform(low, high), rng.uniform(*length)
                found.append(
                    Spot(x, y, size, rng.uniform(0, math.pi), long, rng.normal(0, 0.12), int(rng.integers(3)))
                )
            return found

        self.folds = spots(wanted.folds, 10.0, 26.0, (0.1 * small, 0.3 * small))
        self.pens = spots(wanted.pen, 30.0, 30.0 + min(130.0, 0.04 * small), (0.15 * small, 0.4 * small))
        self.dust = spots(wanted.dust, 4.0, 26.0, (0.0, 12.0))
        self.bubbles = spots(wanted.bubbles, min(90.0, 0.08 * small), min(400.0, 0.14 * small), (0.0, 1.0))
        self.blurs = spots(wanted.blur, min(120.0, 0.1 * small), min(600.0, 0.2 * small), (0.0, 1.0))

    def fold(self, blue: Field, other: Field, x0: int, y0: int) -> None:
        """Double the section where it is folded over; in place."""
        for depth in self._depths(self.folds, x0, y0, blue.shape):
            inside = ramp(depth, 5.0)
            crease = np.exp(-((depth / 2.5) ** 2))
            for stain in (blue, other):
                twin = np.roll(stain[:, ::-1], 7, axis=0)
                stain += inside * (0.85 * twin + 0.35 * stain) + 0.25 * crease * stain

    def cover(self, light: NDArray[np.float32], x0: int, y0: int) -> None:
        """Lay pen, bubbles and dust over the light, (h, w, 3) float32; in place."""
        shape = light.shape[:2]
        for spot, depth in self._each(self.pens, x0, y0, shape):
            streak = 0.94 + 0.04 * np.sin(depth * 0.21) + 0.02 * np.sin(depth * 0.053)
            ink = (ramp(depth, 6.0) * streak)[..., None]
            light *= (1 - ink) + ink * np.array(PENS[spot.shade], dtype=np.float32)
        for depth in self._depths(self.bubbles, x0, y0, shape):
            edge = np.exp(-(((depth - 3) / 4.0) ** 2)) * 0.55 + np.exp(-(((depth - 14) / 9.0) ** 2)) * 0.15
            light *= (1 - edge)[..., None].astype(np.float32)
            light += (ramp(depth - 6, 8.0) * 0.06)[..., None] * (255 - light)
        for spot, depth in self._each(self.dust, x0, y0, shape):
            light *= (1 - (0.3 + 0.25 * spot.shade) * ramp(depth + 1, 4.0 + 9.0 * spot.shade))[..., None].astype(
                np.float32
            )

    def defocus(self, light: NDArray[np.float32], x0: int, y0: int) -> NDArray[np.float32]:
        """Light with the parts out of focus blurred."""
        import cv2

        blurs = list(self._depths([*self.blurs], x0, y0, light.shape[:2]))
        for depth in blurs:
            amount = ramp(depth - 10, 60.0)
            soft = cv2.GaussianBlur(light, (0, 0), 1.6 / self.mpp)
            light = light + amount[..., None] * (soft - light)
        return light

    def quality(self, xs: NDArray[Any], ys: NDArray[Any]) -> NDArray[np.uint8]:
        """Bit field of the flaws at places, um; broadcast of xs and ys."""
        out = np.zeros(np.broadcast_shapes(xs.shape, ys.shape), dtype=np.uint8)
        for spots, bit in (
            (self.folds, FOLD),
            (self.pens, PEN),
            (self.bubbles, BUBBLE),
            (self.dust, DUST),
            (self.blurs, BLUR),
        ):
            for spot in spots:
                least = 20.0 if bit == BLUR else 0.0
                out[_depth(spot, xs, ys) > least] |= bit
        return out

    def _depths(self, spots: list[Spot], x0: int, y0: int, shape: tuple[int, ...]) -> list[Field]:
        return [depth for _, depth in self._each(spots, x0, y0, shape)]

    def _each(self, spots: list[Spot], x0: int, y0: int, shape: tuple[int, ...]) -> list[tuple[Spot, Field]]:
        found = []
        left, top = x0 * self.mpp, y0 * self.mpp
        for spot in spots:
            if spot.near(left, top, max(shape[:2]) * self.mpp):
                xs = ((np.arange(shape[1]) + x0 + 0.5) * self.mpp)[None, :]
                ys = ((np.arange(shape[0]) + y0 + 0.5) * self.mpp)[:, None]
                depth = _depth(spot, xs, ys).astype(np.float32)
                if depth.max() > -20:
                    found.append((spot, depth))
        return found


def _depth(spot: Spot, xs: NDArray[Any], ys: NDArray[Any]) -> NDArray[Any]:
    """Depth inside a flaw, um."""
    cs, sn = math.cos(spot.angle), math.sin(spot.angle)
    dx, dy = xs - spot.x, ys - spot.y
    u, v = dx * cs + dy * sn, dy * cs - dx * sn
    if spot.length > 0:
        v = v + spot.bend * spot.length * np.cos(u / spot.length * 1.7) + 0.15 * spot.size * np.sin(u / 37.0 + spot.x)
    beyond = np.maximum(np.abs(u) - spot.length, 0)
    wobble = 1 + 0.12 * np.sin(3 * np.arctan2(v, u) + spot.x) if spot.length < 20 else 1.0
    return np.asarray(spot.size * wobble - np.hypot(beyond, v))
