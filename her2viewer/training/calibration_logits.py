"""Calibration of networks: factors of logits by constraints on slides (paper 001, stage 3), and a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2viewer.training.limits import excess, excess_slope

Array = NDArray[np.float64]
PULL = 1e-3
"""Of the squared logarithms of the factors: where limits do not decide, factors stay near 1."""
USUAL_SPREAD = 3.0
"""Mean distance of logits from the mean of their patch for which the temperatures of ``fit_alphas`` are meant."""


@dataclass(frozen=True)
class SlideLogits:
    """Patches of one slide."""

    logits: Array
    """(n, 4)."""
    weights: Array
    """(n,) tumour in each patch; need not add up to 1."""
    score: int
    """Known score of the slide."""


@dataclass(frozen=True)
class AlphaFit:
    """Factors of the logits and what they do to the broken limits."""

    alphas: tuple[float, float, float, float]
    before: float
    """Sum of the parts by which limits are broken, with all factors 1."""
    after: float
    surrogate: float
    """The smooth objective where the fit ended; NaN where nothing was broken."""


def fractions(slide: SlideLogits, alphas: Array, temperature: float = 0.0) -> Array:
    """Share of each class in a slide's tumour, (4,): of the most probable class, or softened by a temperature."""
    scaled = slide.logits * alphas
    weight = slide.weights / max(float(slide.weights.sum()), 1e-12)
    if temperature <= 0:
        return np.bincount(scaled.argmax(axis=1), weights=weight, minlength=4).astype(np.float64)
    from scipy.special import softmax

    soft: Array = (softmax(scaled / temperature, axis=1) * weight[:, None]).sum(axis=0)
    return soft


def broken(slides: Sequence[SlideLogits], alphas: Array, temperature: float = 0.0) -> float:
    """Sum over slides of the parts by which limits are broken: own class too rare, a higher one too frequent."""
    total = 0.0
    for slide in slides:
        total += excess(fractions(slide, alphas, temperature), slide.score)
    return total


def fit_alphas(slides: Sequence[SlideLogits], temperatures: Sequence[float] = (1.0, 0.3, 0.1, 0.03)) -> AlphaFit:
    """Factors that break the limits least.

    The objective jumps where a patch changes its class, so its gradient is zero nearly everywhere: a smooth one is
    minimised while its temperature falls, and only what lowers the hard one is taken.

    Raises:
        ValueError: no slides, or logits that are not finite.
    """
    from scipy.optimize import minimize

    if not slides:
        raise ValueError("There are no slides to fit on.")
    if any(not np.isfinite(s.logits).all() for s in slides):
        raise ValueError("Some logits are not finite numbers.")
    best = np.ones(4)
    before = least = broken(slides, best)
    smooth = float("nan")
    start = np.zeros(4)
    # Far larger logits than usual would leave nothing of the other classes at the first temperature.
    spread = np.concatenate([s.logits - s.logits.mean(axis=1, keepdims=True) for s in slides])
    scale = max(1.0, float(np.abs(spread).mean()) / USUAL_SPREAD)
    for temperature in scale * np.array(temperatures) if before > 0 else ():
        # Logarithms keep the factors positive: a negative one would turn a class upside down.
        found = minimize(
            lambda log, t=temperature: _smooth(slides, log, t),
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-2.5, 2.5)] * 4,
        )
        start, smooth = found.x, float(found.fun)
        hard = broken(slides, np.exp(found.x))
        if hard < least - 1e-12:
            least, best = hard, np.exp(found.x)
    # A common factor changes no class, only how sure the probabilities look: that stays as the network has it.
    best = best / np.exp(np.log(best).mean())
    return AlphaFit((float(best[0]), float(best[1]), float(best[2]), float(best[3])), before, least, smooth)


def _smooth(slides: Sequence[SlideLogits], log: Array, temperature: float) -> tuple[float, Array]:
    """The smooth objective and its gradient by the logarithms of the factors, (4,)."""
    value, slope = PULL * float((log**2).sum()), 2 * PULL * log
    alphas = np.exp(log)
    for slide in slides:
        scaled = slide.logits * (alphas / temperature)
        p = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        weighted = p * (slide.weights / max(float(slide.weights.sum()), 1e-12))[:, None]
        found = weighted.sum(axis=0)
        value += excess(found, slide.score)
        each = p * scaled
        slope = slope + excess_slope(found, slide.score) @ (
            np.diag((weighted * scaled).sum(axis=0)) - weighted.T @ each
        )
    return value, slope


def fit_temperature(logits: Array, truth: NDArray[np.int64]) -> float:
    """Temperature by which logits are divided for the least negative log-likelihood (Guo et al. 2017).

    Args:
        logits: (n, classes).
        truth: (n,) true class.

    Raises:
        ValueError: nothing to fit on, or arrays that do not match.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    if len(logits) == 0 or len(logits) != len(truth):
        raise ValueError("Logits and true classes must be of the same, positive number.")

    def loss(log_t: float) -> float:
        picked = log_softmax(logits / np.exp(log_t), axis=1)[np.arange(len(truth)), truth]
        return -float(picked.mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))
