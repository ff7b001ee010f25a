"""Where a place of one slide lies on another: turned, scaled, moved and, where it was mounted face down, flipped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
"""x, y in level-0 px."""

FLIP_FROM = 3
"""So many landmarks say by themselves whether a slide is flipped: two fit either way."""
_CLEARLY = 2.0
"""The flip is changed only where the other way round fits so many times better."""
_LEAST_SPREAD = 1.0
"""Landmarks closer together than this many px say nothing about scale and rotation."""


class AlignmentError(ValueError):
    """Landmarks that fit no alignment. ``str()`` is a sentence for the reader."""


@dataclass(frozen=True)
class Similarity:
    """Takes points of one slide to another; y points down, so a positive rotation is clockwise on the screen.

    First x is mirrored (only with ``flip``), then everything is turned, scaled and moved.
    """

    scale: float = 1.0
    """px of the other slide per px of this one, > 0."""
    rotation: float = 0.0
    """Degrees clockwise, 0 <= rotation < 360."""
    flip: bool = False
    dx: float = 0.0
    dy: float = 0.0
    """Where the origin goes, px of the other slide."""

    @classmethod
    def of(cls, turn: complex, shift: complex, flip: bool) -> Similarity:
        """``z -> turn * z + shift`` on ``x + iy``, or on ``-x + iy`` with ``flip``.

        Raises:
            AlignmentError: it has no extent or is not finite.
        """
        scale = abs(turn)
        if not (0 < scale < math.inf and math.isfinite(shift.real) and math.isfinite(shift.imag)):
            raise AlignmentError("These landmarks fit no alignment: they lie in one place.")
        rotation = math.degrees(math.atan2(turn.imag, turn.real)) % 360 % 360
        return cls(scale, rotation, flip, shift.real, shift.imag)

    @property
    def turn(self) -> complex:
        """Rotation and scale as one complex factor."""
        angle = math.radians(self.rotation)
        return self.scale * complex(math.cos(angle), math.sin(angle))

    @property
    def shift(self) -> complex:
        """``dx + i dy``."""
        return complex(self.dx, self.dy)

    def apply(self, x: float, y: float) -> Point:
        """Where a point of this slide lies on the other, level-0 px of each."""
        z = self.turn * complex(-x if self.flip else x, y) + self.shift
        return z.real, z.imag

    def inverse(self) -> Similarity:
        """From the other slide to this one."""
        back = 1 / self.turn
        if not self.flip:
            return Similarity.of(back, -back * self.shift, False)
        # Solved for z: -conj(z) = back * (w - shift).
        return Similarity.of(back.conjugate(), (back * self.shift).conjugate(), True)

    def through(self, x: float, y: float, to_x: float, to_y: float) -> Similarity:
        """The same, moved so that the point ``x, y`` goes to ``to_x, to_y``."""
        at = self.apply(x, y)
        return replace(self, dx=self.dx + to_x - at[0], dy=self.dy + to_y - at[1])

    def on_mirrored(self, width: float) -> Similarity:
        """To the mirror image of the other slide (``width`` px wide): of one that flips, it leaves no flip."""
        # x goes to width - x, that is z to width - conj(z).
        return Similarity.of(self.turn.conjugate(), width - self.shift.conjugate(), not self.flip)


@dataclass(frozen=True)
class Landmark:
    """The same place on both slides, level-0 px of each."""

    here: Point
    there: Point


@dataclass(frozen=True)
class Alignment:
    """How two slides lie on each other, and the landmarks that say so."""

    transform: Similarity = field(default_factory=Similarity)
    landmarks: tuple[Landmark, ...] = ()
    known: bool = False
    """False for a first guess from the sizes of both slides, which nobody has looked at."""

    @classmethod
    def guessed(cls, here: Point, there: Point, scale: float) -> Alignment:
        """Middle on middle, upright.

        Args:
            here: width and height of this slide, px.
            there: of the other one, px.
            scale: px of the other slide per px of this one.
        """
        start = Similarity(scale=scale)
        return cls(start.through(here[0] / 2, here[1] / 2, there[0] / 2, there[1] / 2))

    def fitted(self, landmarks: Sequence[Landmark]) -> Alignment:
        """With these landmarks instead: one moves, two turn and scale as well, from three on the flip follows too.

        Raises:
            AlignmentError: the landmarks of a slide lie in one place.
        """
        landmarks = tuple(landmarks)
        if not landmarks:
            return replace(self, landmarks=())
        if len(landmarks) == 1:
            one = landmarks[0]
            return Alignment(self.transform.through(*one.here, *one.there), landmarks, True)
        flip = self.transform.flip
        best = fit(landmarks, flip)
        if len(landmarks) >= FLIP_FROM:
            other = fit(landmarks, not flip)
            if residual(other, landmarks) * _CLEARLY < residual(best, landmarks):
                best = other
        return Alignment(best, landmarks, True)

    def flipped(self, width: float, height: float) -> Alignment:
        """With the other slide (px) turned over, from its left edge to its right; landmarks stay where they are.

        Raises:
            AlignmentError: the landmarks of a slide lie in one place.
        """
        now = self.transform
        if len(self.landmarks) > 1:
            return replace(self, transform=fit(self.landmarks, not now.flip))
        if self.landmarks:
            pivot = self.landmarks[0].here
        else:
            pivot = now.inverse().apply(width / 2, height / 2)
        turned = Similarity.of(now.turn.conjugate(), now.shift, not now.flip).through(*pivot, *now.apply(*pivot))
        return replace(self, transform=turned)

    def residual_um(self, mpp: float) -> float | None:
        """Root mean square distance of the landmarks from where they should be, um of this slide.

        None below three landmarks, which always fit (two) or say nothing (one, none).
        """
        if len(self.landmarks) < FLIP_FROM:
            return None
        return residual(self.transform, self.landmarks) * mpp


def fit(landmarks: Sequence[Landmark], flip: bool) -> Similarity:
    """The similarity with the least squared distances on the other slide, from two or more landmarks.

    In the plane, and with rotation and scale as one complex factor, Umeyama's solution (IEEE TPAMI 13, 1991) is
    plain linear regression.

    Raises:
        AlignmentError: fewer than two, or all in one place on either slide.
    """
    here, there = _complex(landmarks)
    if len(here) < 2:
        raise AlignmentError("Two landmarks at least are needed to turn and scale a slide.")
    if flip:
        here = -here.conj()
    middle, target = here.mean(), there.mean()
    z, w = here - middle, there - target
    if min(np.abs(z).max(), np.abs(w).max()) < _LEAST_SPREAD:
        raise AlignmentError("These landmarks fit no alignment: they lie in one place.")
    turn = complex(np.vdot(z, w) / np.vdot(z, z).real)
    return Similarity.of(turn, complex(target) - turn * complex(middle), flip)


def residual(transform: Similarity, landmarks: Sequence[Landmark]) -> float:
    """Root mean square distance between landmarks and where the transform takes them, px of **this** slide."""
    here, there = _complex(landmarks)
    if transform.flip:
        here = -here.conj()
    misses = np.abs(transform.turn * here + transform.shift - there)
    return float(np.sqrt(np.mean(misses**2)) / transform.scale)


def _complex(landmarks: Sequence[Landmark]) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    here = np.array([complex(*mark.here) for mark in landmarks], dtype=np.complex128)
    there = np.array([complex(*mark.there) for mark in landmarks], dtype=np.complex128)
    return here, there


def alignment_to_json(alignment: Alignment) -> dict[str, Any]:
    """A JSON object."""
    t = alignment.transform
    return {
        "scale": t.scale,
        "rotation": t.rotation,
        "flip": t.flip,
        "dx": t.dx,
        "dy": t.dy,
        "landmarks": [[*mark.here, *mark.there] for mark in alignment.landmarks],
    }


def alignment_from_json(data: Mapping[str, Any]) -> Alignment:
    """The alignment of a JSON object.

    Raises:
        ValueError: it is damaged.
    """
    try:
        numbers = [float(data[key]) for key in ("scale", "rotation", "dx", "dy")]
        marks = [[float(v) for v in mark] for mark in data["landmarks"]]
        flip = data["flip"]
        landmarks = tuple(Landmark((x, y), (u, v)) for x, y, u, v in marks)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("an alignment is damaged") from error
    scale, rotation, dx, dy = numbers
    finite = all(math.isfinite(v) for v in (*numbers, *(v for mark in marks for v in mark)))
    if not finite or scale <= 0 or not isinstance(flip, bool):
        raise ValueError("an alignment is damaged")
    return Alignment(Similarity(scale, rotation % 360 % 360, flip, dx, dy), landmarks, True)
