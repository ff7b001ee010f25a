"""Augmentation in stain space: another lab's dyes, section thickness and glass over the same cells.

Each sample is unmixed with its slide's own glass and stain vectors, amounts and vectors are varied, and the picture
is put together again by Beer and Lambert. What is neither stain (the third axis) is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.stains.background import on_white_glass
from her2viewer.stains.deconvolution import deconvolution, deconvolve
from her2viewer.training.recipe import Recipe, StainJitter

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stained:
    """b samples with the stains that they are to be unmixed by."""

    rgb: NDArray[np.uint8]
    """(b, side, side, 3)."""
    background: Floats
    """(b, 3) grey levels."""
    vectors: Floats
    """(b, 2, 3) haematoxylin and DAB."""


def augmented(
    samples: Stained,
    jitter: StainJitter,
    seeds: list[tuple[int, int, int]],
    *,
    pixels: int,
    masks: NDArray[np.uint8] | None = None,
) -> tuple[Stained, NDArray[np.uint8] | None]:
    """The samples varied, each by its own seed alone, so that batches, workers and resumes do not matter.

    Args:
        samples: with a margin around ``pixels``, within which they are shifted.
        jitter: how much.
        seeds: (run, epoch, sample) of each.
        pixels: side of what comes out.
        masks: (b, side, side), turned and shifted along.
    """
    count, side = samples.rgb.shape[:2]
    generators = [np.random.Generator(np.random.Philox(key=_key(seed))) for seed in seeds]
    margin = side - pixels
    rgb = np.empty((count, pixels, pixels, 3), np.uint8)
    turned = None if masks is None else np.empty((count, pixels, pixels), np.uint8)
    for k, rng in enumerate(generators):
        top, left = rng.integers(0, margin + 1, 2)
        turn, flip = rng.integers(0, 4), rng.integers(0, 2)
        window = (slice(top, top + pixels), slice(left, left + pixels))
        rgb[k] = _turned(samples.rgb[k][window], int(turn), bool(flip), jitter.turns)
        if masks is not None and turned is not None:
            turned[k] = _turned(masks[k][window], int(turn), bool(flip), jitter.turns)
    draws = np.stack([rng.standard_normal(24) for rng in generators]).astype(np.float32)
    pictures, background, vectors = _restained(rgb, samples, jitter, draws)
    uniform = np.stack([rng.random(2) for rng in generators]).astype(np.float32)
    out = _camera(pictures, jitter, uniform, generators)
    # A scorer estimates glass and vectors; it errs, too.
    seen = vectors + np.float32(jitter.estimate) * draws[:, 14:20].reshape(-1, 2, 3)
    seen = _unit(np.maximum(seen, 0.01))
    glass = np.clip(background * (1 + np.float32(0.1 * jitter.estimate) * draws[:, 20:23]), 120, 255)
    return Stained(out, glass.astype(np.float32), seen.astype(np.float32)), turned


def centred(samples: Stained, pixels: int) -> Stained:
    """The middle of the samples, as they are."""
    margin = (samples.rgb.shape[1] - pixels) // 2
    window = slice(margin, margin + pixels)
    return Stained(samples.rgb[:, window, window], samples.background, samples.vectors)


def network_input(samples: Stained, recipe: Recipe) -> Floats:
    """(b, channels, side, side) float32: what the recipe's network sees, the same in training and scoring."""
    if recipe.inputs == "rgb":
        x: Floats = np.moveaxis(samples.rgb, 3, 1).astype(np.float32) / np.float32(255)
    elif recipe.inputs == "rgb_on_glass":
        glasses = [(float(r), float(g), float(b)) for r, g, b in samples.background]
        white = [on_white_glass(rgb, glass) for rgb, glass in zip(samples.rgb, glasses, strict=True)]
        x = np.moveaxis(np.stack(white), 3, 1).astype(np.float32) / np.float32(255)
    else:
        count, height, width = samples.rgb.shape[:3]
        x = np.empty((count, 2, height, width), np.float32)
        for k in range(count):
            x[k] = stain_channels(samples.rgb[k], samples.background[k], samples.vectors[k])
    shape = (1, -1, 1, 1)
    offset = np.asarray(recipe.offset, np.float32).reshape(shape)
    scale = np.asarray(recipe.scale, np.float32).reshape(shape)
    return (x - offset) * scale


def stain_channels(rgb: NDArray[np.uint8], background: Floats, vectors: Floats) -> Floats:
    """(2, h, w) OD of haematoxylin and DAB by the deconvolution that the scorers use."""
    r, g, b = (float(v) for v in background)
    h, d = ((float(v[0]), float(v[1]), float(v[2])) for v in vectors)
    return np.stack(deconvolve(rgb, deconvolution((r, g, b), h, d)))


def _restained(
    rgb: NDArray[np.uint8], samples: Stained, jitter: StainJitter, draws: Floats
) -> tuple[Floats, Floats, Floats]:
    """Pictures (float grey levels), their glass and vectors after the jitter."""
    count = len(rgb)
    levels = np.log10(np.maximum(np.arange(256, dtype=np.float32), 0.5)).astype(np.float32)
    density = np.log10(samples.background)[:, None, None, :] - levels[rgb]
    amounts = np.einsum("bhwc,bcs->bhws", density, np.linalg.inv(_with_third(samples.vectors)), optimize=True)
    spread = np.array([jitter.haematoxylin, jitter.dab], np.float32)
    factor = np.exp(spread * draws[:, :2])
    shift = np.float32(jitter.haze) * draws[:, 2:4]
    amounts[..., :2] = amounts[..., :2] * factor[:, None, None] + shift[:, None, None]
    vectors = _unit(
        np.maximum(samples.vectors + np.float32(jitter.vectors) * draws[:, 4:10].reshape(count, 2, 3), 0.02)
    )
    background = np.clip(samples.background + np.float32(jitter.background) * draws[:, 10:13], 150, 255)
    density = np.einsum("bhws,bsc->bhwc", amounts, _with_third(vectors), optimize=True)
    picture: Any = background[:, None, None, :] * np.power(np.float32(10), -density)
    return picture.astype(np.float32), background.astype(np.float32), vectors.astype(np.float32)


def _camera(
    pictures: Floats, jitter: StainJitter, uniform: Floats, generators: list[np.random.Generator]
) -> NDArray[np.uint8]:
    import cv2

    out = np.empty(pictures.shape, np.uint8)
    for k, rng in enumerate(generators):
        picture = pictures[k]
        sigma = float(jitter.blur * uniform[k, 0])
        if sigma > 0.2:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))
        if jitter.noise > 0:
            grain = rng.standard_normal(picture.shape, dtype=np.float32)
            picture = picture + np.float32(jitter.noise * uniform[k, 1]) * grain
        out[k] = np.clip(np.rint(picture), 0, 255)
    return out


def _with_third(vectors: Floats) -> Floats:
    """(b, 3, 3): the two stains and what is neither, as rows."""
    third = np.cross(vectors[:, 0], vectors[:, 1])
    third /= np.maximum(np.linalg.norm(third, axis=1, keepdims=True), 1e-3)
    return np.concatenate([vectors, third[:, None]], axis=1).astype(np.float32)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _turned(picture: NDArray[np.uint8], turn: int, flip: bool, wanted: bool) -> NDArray[np.uint8]:
    if not wanted:
        return picture
    turned = np.rot90(picture, turn)
    return np.asarray(turned[:, ::-1] if flip else turned)


def _key(seed: tuple[int, int, int]) -> int:
    run, epoch, sample = seed
    return (run & 0xFFFFFFFF) << 96 | (epoch & 0xFFFFFFFF) << 64 | (sample & 0xFFFFFFFFFFFFFFFF)
