"""Pixels of a phantom slide, block by block."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.phantom.fields import Field, texture
from her2viewer.phantom.flaws import Flaws
from her2viewer.phantom.slide_plan import BLOCK, PITCH, Chunk, SlidePlan
from her2viewer.slides.slide import RGBImage

HALO = 16
"""Px around a block that its optics need."""
NOISE_SIDE = 1024


@dataclass(frozen=True)
class Stains:
    """Amounts of two stains, (h, w) float32 each, in units of the lab's vectors."""

    blue: Field
    other: Field


class Renderer:
    """Renders blocks of a plan in one stain; the same block is the same whatever was rendered before.

    Safe to use from several threads: each has buffers of its own.
    """

    def __init__(self, plan: SlidePlan, stain: str) -> None:
        self.plan, self.stain = plan, stain
        self.flaws = Flaws(plan)
        self._textures = _textures(plan.seed)
        self._noise = _noise(plan.seed)
        self._local = threading.local()
        lab = plan.lab
        second = lab.eosin if stain == "he" else lab.dab
        strength = lab.pink if stain == "he" else 1.0
        self.vectors = np.array([lab.haematoxylin, second], dtype=np.float64)
        """Rows haematoxylin, then DAB or eosin: OD of one unit."""
        # The lab's strength of DAB is in each cell's membrane already.
        self._strengths = np.array([lab.blue, strength], dtype=np.float64)
        self._stroma = lab.stroma if stain == "ihc" else 0.0

    def stains(self, column: int, row: int, halo: int = 0) -> Stains:
        """Stains of the block (column, row) with ``halo`` px around it, before optics and flaws."""
        from her2viewer.phantom import _compartments, _paint

        plan = self.plan
        side = BLOCK + 2 * halo
        step = plan.mpp
        x0, y0 = ((n * BLOCK - halo + 0.5) * step for n in (column, row))
        per = plan.blocks_per_chunk
        chunk = plan.chunk(column // per, row // per)
        blue, other = self._buffer("blue", side), self._buffer("other", side)
        blue[:], other[:] = 0, 0
        i, j = round(x0 / PITCH) - chunk.i0, round(y0 / PITCH) - chunk.j0
        nodes = round(side * step / PITCH) + 3
        part = chunk.fields[_compartments.F_TISSUE, max(0, j - 3) : j + nodes, max(0, i - 3) : i + nodes]
        if part.size and part.max() > -6:
            buffers: list[Any] = [self._buffer(name, side) for name in ("d1", "d2", "xs", "ys")]
            buffers[0][:], buffers[1][:] = 1e6, 1e6
            first, second = (self._buffer(name, side, np.int32) for name in ("first", "second"))
            first[:], second[:] = -1, -1
            angle = 6.2831853 * _turn(plan.salt)
            d1, d2, xs, ys = buffers
            _paint.paint(
                chunk.fields, chunk.i0, chunk.j0, PITCH, chunk.cells, self._traits(chunk), self._textures,
                x0, y0, step, self.stain == "he", angle, first, second, d1, d2, xs, ys, blue, other,
            )  # fmt: skip
            blue *= np.float32(self._strengths[0])
            other *= np.float32(self._strengths[1])
            if self._stroma:
                other += np.float32(self._stroma) * (blue > 0.002)
        return Stains(blue, other)

    def block(self, column: int, row: int) -> RGBImage:
        """Pixels of the block (column, row), (h, w, 3) uint8; cut off at the slide's right and lower edge."""
        import cv2

        plan, scanner = self.plan, self.plan.scanner
        stains = self.stains(column, row, HALO)
        x0, y0 = column * BLOCK - HALO, row * BLOCK - HALO
        self.flaws.fold(stains.blue, stains.other, x0, y0)
        light = self._buffer("light", BLOCK + 2 * HALO, channels=3)
        from her2viewer.phantom._optics import noisy, transmit

        transmit(stains.blue, stains.other, self.vectors, np.asarray(scanner.glass), light)
        self.flaws.cover(light, x0, y0)
        light = cv2.GaussianBlur(light, (0, 0), scanner.blur / plan.mpp)
        light = self.flaws.defocus(light, x0, y0)
        if scanner.sharpen > 0:
            soft = cv2.GaussianBlur(light, (0, 0), scanner.halo)
            light = light + scanner.sharpen * (light - soft)
        height, width = (min(BLOCK, total - n * BLOCK) for total, n in ((plan.height, row), (plan.width, column)))
        image = np.empty((height, width, 3), dtype=np.uint8)
        shift = np.random.default_rng([plan.seed, 5, column, row]).integers(0, NOISE_SIDE, 2)
        noisy(light[HALO:-HALO, HALO:-HALO], self._noise, shift, scanner.noise, image)
        return image

    def region(self, x: int, y: int, width: int, height: int) -> RGBImage:
        """Any area of the slide, (height, width, 3) uint8, from the blocks that it touches."""
        out = np.zeros((height, width, 3), dtype=np.uint8)
        for row in range(y // BLOCK, (y + height - 1) // BLOCK + 1):
            for column in range(x // BLOCK, (x + width - 1) // BLOCK + 1):
                block = self.block(column, row)
                bx, by = column * BLOCK, row * BLOCK
                left, top = max(x, bx), max(y, by)
                right, bottom = min(x + width, bx + block.shape[1]), min(y + height, by + block.shape[0])
                out[top - y : bottom - y, left - x : right - x] = block[
                    top - by : bottom - by, left - bx : right - bx
                ]
        return out

    def _traits(self, chunk: Chunk) -> NDArray[np.float32]:
        if getattr(self._local, "chunk", None) is not chunk:
            self._local.chunk, self._local.traits = chunk, self.plan.traits(chunk.cells)
        traits: NDArray[np.float32] = self._local.traits
        return traits

    def _buffer(self, name: str, side: int, dtype: Any = np.float32, channels: int = 1) -> NDArray[Any]:
        """Scratch of this thread: a fresh array for each block would cost more than the painting of glass."""
        held: dict[tuple[str, int], NDArray[Any]] = self._local.__dict__.setdefault("buffers", {})
        key = (name, side)
        if key not in held:
            held[key] = np.empty((side, side, channels) if channels > 1 else (side, side), dtype=dtype)
        return held[key]


def _turn(salt: int) -> float:
    from her2viewer.phantom._noise import uniform

    return float(uniform(1, 1, salt + 41))


def _textures(seed: int) -> NDArray[np.float32]:
    """Textures of 1024 px, 4 to the um, in the order of ``_paint``; each of unit variance and repeating."""
    rng = np.random.default_rng([seed, 2])
    sigmas = [
        (1.5, 1.5),
        (3.0, 3.0),
        (9.0, 9.0),
        (60.0, 60.0),
        (13.0, 13.0),
        (13.0, 13.0),
        (2.0, 2.0),
        (90.0, 2.8),
        (150.0, 12.0),
    ]
    return np.ascontiguousarray([texture(rng, 1024, *sigma) for sigma in sigmas], dtype=np.float32)


def _noise(seed: int) -> NDArray[np.float32]:
    """Sensor noise, (side, side, 3) float32 of unit variance: partly common to the colours."""
    rng = np.random.default_rng([seed, 3])
    common = texture(rng, NOISE_SIDE, 0.6, 0.6)
    own = [texture(rng, NOISE_SIDE, 0.45, 0.45) for _ in range(3)]
    return np.ascontiguousarray(
        np.stack([0.6 * common + k * o for k, o in zip((0.7, 0.7, 1.1), own, strict=True)], axis=2), dtype=np.float32
    )
