"""Measures of classification and agreement: against scikit-learn, SciPy and a published table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from her2viewer.training.agreement import (
    draws_by_group,
    entropy,
    entropy_by_concordance,
    interval,
    mcnemar,
    paired_tests,
    share_agreement,
)
from her2viewer.training.metrics import auc, confusion, kappa, kendall_tau_b, overall, per_class

metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn (extra 'evaluate') is not installed")

PAPER_000 = np.array([[41, 3, 0], [2, 8, 1], [0, 6, 10]], float).T
"""Table 2 of Vandenberghe et al. 2017, pathologist (row) by automated score (column): 71 slides."""


def labels(seed: int = 0, n: int = 300, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    predicted = np.clip(truth + rng.integers(-1, 2, n) * (rng.random(n) < 0.5), 0, k - 1)
    return truth, predicted


def test_the_agreement_of_the_published_table_comes_out():
    found = overall(PAPER_000)
    assert PAPER_000.sum() == 71
    assert round(float(found["accuracy"]), 2) == 0.83
    assert round(float(found["kappa"]), 2) == 0.69
    assert round(float(found["kendall_tau_b"]), 2) == 0.84


def test_the_published_intervals_come_out_of_a_bootstrap_by_slide():
    truth, predicted = (np.repeat(np.indices((3, 3))[k].ravel(), PAPER_000.astype(int).ravel()) for k in (0, 1))
    index, drawn = draws_by_group([str(k) for k in range(71)], 1000, seed=1)
    single = np.zeros((71, 3, 3))
    single[index, truth, predicted] = 1
    found = overall(np.tensordot(drawn, single, axes=(1, 0)))
    for name, published in (("accuracy", (0.74, 0.92)), ("kappa", (0.55, 0.84)), ("kendall_tau_b", (0.75, 0.93))):
        assert interval(found[name]) == pytest.approx(published, abs=0.025)


def test_measures_equal_those_of_scikit_learn():
    truth, predicted = labels()
    found = overall(confusion(truth, predicted, 4))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, predicted))
    assert found["kappa_quadratic"] == pytest.approx(metrics.cohen_kappa_score(truth, predicted, weights="quadratic"))
    for mean, name in (("weighted", "weighted_"), ("macro", "macro_")):
        p, r, f, _ = metrics.precision_recall_fscore_support(truth, predicted, average=mean)
        assert found[f"{name}precision"] == pytest.approx(p)
        assert found[f"{name}f1"] == pytest.approx(f)
        assert found["weighted_recall" if mean == "weighted" else "balanced_accuracy"] == pytest.approx(r)
    single = per_class(confusion(truth, predicted, 4))
    for c in range(4):
        negatives = truth != c
        assert single["specificity"][c] == pytest.approx((predicted[negatives] != c).mean())


def test_tau_b_equals_that_of_scipy():
    truth, predicted = labels(3)
    assert kendall_tau_b(confusion(truth, predicted, 4)) == pytest.approx(
        stats.kendalltau(truth, predicted).statistic
    )


def test_the_area_under_the_roc_curve_equals_that_of_scikit_learn_with_ties():
    rng = np.random.default_rng(2)
    positive = rng.random(200) < 0.4
    value = rng.integers(0, 12, 200) + 3 * positive
    bins = value.max() + 1
    found = auc(np.bincount(value[positive], minlength=bins), np.bincount(value[~positive], minlength=bins))
    assert found == pytest.approx(metrics.roc_auc_score(positive, value))


def test_a_stack_of_tables_gives_each_its_own_measures():
    tables = np.stack([confusion(*labels(seed), 4) for seed in range(5)])
    for number, table in enumerate(tables):
        for name, value in overall(tables).items():
            assert value[number] == pytest.approx(overall(table)[name]), name


def test_one_class_only_is_said_to_have_no_kappa_instead_of_a_perfect_one():
    table = confusion(np.zeros(5, int), np.zeros(5, int), 4)
    found = overall(table)
    assert found["accuracy"] == 1
    assert np.isnan(kappa(table))
    assert np.isnan(found["kendall_tau_b"])
    assert np.isnan(per_class(table)["recall"][3])


def test_an_empty_table_has_no_measures():
    assert all(np.isnan(v) or name.startswith("weighted") for name, v in overall(np.zeros((4, 4))).items())


def test_icc_of_shrout_and_fleiss_for_two_raters():
    # Raters 1 and 4 of the table of Shrout and Fleiss 1979, by the mean squares of an analysis of variance.
    a, b = np.array([9, 6, 8, 7, 10, 6.0]), np.array([8, 2, 8, 6, 9, 7.0])
    x = np.stack([a, b], axis=1)
    n, k = x.shape
    rows = k * ((x.mean(1) - x.mean()) ** 2).sum() / (n - 1)
    columns = n * ((x.mean(0) - x.mean()) ** 2).sum() / (k - 1)
    rest = ((x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()) ** 2).sum() / ((n - 1) * (k - 1))
    found = share_agreement(a, b, np.ones(6))
    assert found["icc_3_1"] == pytest.approx((rows - rest) / (rows + (k - 1) * rest))
    assert found["icc_2_1"] == pytest.approx((rows - rest) / (rows + (k - 1) * rest + k * (columns - rest) / n))


def test_bland_altman_is_mean_and_spread_of_the_differences():
    rng = np.random.default_rng(5)
    a, b = rng.random(30) * 100, rng.random(30) * 100
    found = share_agreement(a, b, np.ones(30))
    assert found["bias"] == pytest.approx((b - a).mean())
    assert found["limit_high"] == pytest.approx((b - a).mean() + 1.96 * (b - a).std(ddof=1))
    assert found["mae"] == pytest.approx(np.abs(b - a).mean())


def test_a_slide_drawn_twice_counts_like_two_slides():
    rng = np.random.default_rng(6)
    a, b = rng.random(10) * 100, rng.random(10) * 100
    weight = rng.integers(0, 3, 10).astype(float)
    drawn = np.repeat(np.arange(10), weight.astype(int))
    by_weight, by_copy = share_agreement(a, b, weight), share_agreement(a[drawn], b[drawn], np.ones(len(drawn)))
    for name, value in by_weight.items():
        assert value == pytest.approx(by_copy[name]), name


def test_one_slide_has_an_error_but_no_spread():
    found = share_agreement(np.array([10.0]), np.array([14.0]), np.ones(1))
    assert found["mae"] == 4
    assert np.isnan(found["limit_low"])
    assert np.isnan(found["icc_2_1"])


def test_entropy_of_even_shares_is_the_logarithm_of_four_and_of_nothing_is_unknown():
    found = entropy(np.array([[25.0, 25, 25, 25], [100, 0, 0, 0], [0, 0, 0, 0]]))
    assert found[0] == pytest.approx(np.log(4))
    assert found[1] == 0
    assert np.isnan(found[2])


def test_entropy_is_compared_between_slides_that_agree_and_others():
    percent = np.array([[100.0, 0, 0, 0]] * 6 + [[25.0, 25, 25, 25]] * 6)
    found = entropy_by_concordance(percent, np.arange(12) < 6)
    assert found["concordant_median"] < found["discordant_median"]
    assert found["p"] < 0.01


def test_mcnemar_counts_the_slides_that_only_one_has_right():
    first = np.array([True] * 9 + [False])
    second = np.array([False] * 8 + [True, True])
    found = mcnemar(first, second)
    assert (found["only_first_right"], found["only_second_right"]) == (8, 1)
    assert found["p"] == pytest.approx(stats.binomtest(1, 9).pvalue)
    assert mcnemar(first, first)["p"] == 1


def test_paired_tests_say_nothing_of_a_single_slide_and_one_of_equal_errors():
    assert np.isnan(paired_tests(np.array([1.0]), np.array([2.0]))["t_p"])
    same = np.array([1.0, 2.0, 3.0])
    assert paired_tests(same, same)["wilcoxon_p"] == 1


def test_draws_take_whole_patients():
    index, drawn = draws_by_group(["b", "a", "b", "c"], 50, seed=3)
    assert index[0] == index[2] != index[1]
    assert drawn.shape == (50, 3)
    assert (drawn.sum(axis=1) == 3).all()
