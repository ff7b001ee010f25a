"""Agreement of two readers, a person or a scorer each: shares, paired tests, heterogeneity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def share_agreement(truth: Array, predicted: Array, weight: Array) -> dict[str, Array]:
    """Agreement of one share on n slides, for many draws of a bootstrap at a time.

    ``icc_2_1`` and ``icc_3_1``: two-way random effects, absolute agreement, and two-way mixed effects, consistency,
    single rater (Shrout and Fleiss 1979). ``bias`` and ``limit_low``, ``limit_high``: mean of predicted less truth,
    and that mean with 1.96 standard deviations (Bland and Altman 1986). ``mae``: mean absolute error.

    Args:
        truth: (n,) percentages.
        predicted: (n,) percentages.
        weight: (..., n) how often each slide is in the draw.

    Returns:
        Each (...); NaN where fewer than two slides are in the draw.
    """
    number = weight.sum(axis=-1)
    difference = predicted - truth
    mean = (truth + predicted) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = (weight * difference).sum(axis=-1) / number
        spread = (weight * (difference - bias[..., None]) ** 2).sum(axis=-1) / (number - 1)
        centre = (weight * mean).sum(axis=-1) / number
        # Mean squares of the two-way layout with two readers: slides, readers, rest.
        slides = 2 * (weight * (mean - centre[..., None]) ** 2).sum(axis=-1) / (number - 1)
        readers = number * bias**2 / 2
        rest = spread / 2
        consistency = (slides - rest) / (slides + rest)
        absolute = (slides - rest) / (slides + rest + 2 * (readers - rest) / number)
        mae = (weight * np.abs(difference)).sum(axis=-1) / number
    enough = number >= 2
    sd = np.sqrt(np.where(enough, spread, np.nan))
    return {
        "mae": np.asarray(mae),
        "bias": np.asarray(bias),
        "limit_low": bias - 1.96 * sd,
        "limit_high": bias + 1.96 * sd,
        "icc_2_1": np.where(enough, absolute, np.nan),
        "icc_3_1": np.where(enough, consistency, np.nan),
    }


def entropy(percent: NDArray[Any]) -> Array:
    """Shannon entropy (natural logarithm) of the four shares of each slide.

    Args:
        percent: (n, 4); a row of zeros or NaN gives NaN.
    """
    from scipy.special import entr

    total = percent.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(total > 0, percent / total, np.nan)
    value: Array = entr(part).sum(axis=1)
    return value


def entropy_by_concordance(percent: Array, agree: NDArray[np.bool_]) -> dict[str, float]:
    """Median entropy of the slides on which two readers agree and of the others, and whether they differ.

    ``w`` and ``p`` are of the Wilcoxon rank sum test (``w`` as R counts it, of the slides that agree), NaN where one
    of the groups is empty.

    Args:
        percent: (n, 4) shares of one reader.
        agree: (n,) whether the readers gave the same score.
    """
    from scipy.stats import mannwhitneyu

    value = entropy(percent)
    known = ~np.isnan(value)
    same, other = value[known & agree], value[known & ~agree]
    w = p = np.nan
    if len(same) and len(other):
        test = mannwhitneyu(same, other)
        w, p = float(test.statistic), float(test.pvalue)
    return {
        "concordant_n": float(len(same)),
        "concordant_median": float(np.median(same)) if len(same) else np.nan,
        "discordant_n": float(len(other)),
        "discordant_median": float(np.median(other)) if len(other) else np.nan,
        "w": w,
        "p": p,
    }


def mcnemar(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> dict[str, float]:
    """Exact McNemar test of whether one of two scorers is right more often on the same slides."""
    from scipy.stats import binomtest

    first = int((first_right & ~second_right).sum())
    second = int((~first_right & second_right).sum())
    p = float(binomtest(first, first + second).pvalue) if first + second else 1.0
    return {"only_first_right": first, "only_second_right": second, "p": p}


def paired_tests(first: Array, second: Array) -> dict[str, float]:
    """Paired t test and Wilcoxon signed rank test of two errors of the same slides.

    p is 1 where the errors are all the same, NaN with fewer than two slides.
    """
    from scipy.stats import ttest_rel, wilcoxon

    difference = first - second
    result = {"n": float(len(first)), "mean_difference": float(difference.mean()) if len(first) else np.nan}
    if len(first) < 2:
        return {**result, "t_p": np.nan, "wilcoxon_p": np.nan}
    if np.allclose(difference, 0):
        return {**result, "t_p": 1.0, "wilcoxon_p": 1.0}
    # Constant differences have no spread, and a t test of them divides by zero.
    t_p = np.nan if np.ptp(difference) < 1e-12 else float(ttest_rel(first, second).pvalue)
    return {**result, "t_p": t_p, "wilcoxon_p": float(wilcoxon(first, second).pvalue)}


def draws_by_group(groups: Sequence[str], draws: int, seed: int) -> tuple[NDArray[np.int64], Array]:
    """Bootstrap draws of whole groups (slides or patients).

    Args:
        groups: (n,) the group of each unit.
        draws: how many.
        seed: of the draws.

    Returns:
        (n,) index of each unit's group, and (draws, groups) how often each group is drawn.
    """
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    number = len(names)
    if number == 0:
        return index, np.zeros((draws, 0))
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(number, np.full(number, 1 / number), size=draws)
    return index, counts.astype(np.float64)


def interval(values: Array) -> tuple[float, float]:
    """2.5 and 97.5 percentile of the draws that have a value; NaN where fewer than half have one."""
    known = values[np.isfinite(values)]
    if len(known) < max(1, len(values) / 2):
        return (np.nan, np.nan)
    low, high = np.percentile(known, [2.5, 97.5])
    return (float(low), float(high))
