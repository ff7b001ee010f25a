"""Fitting limits, logit factors and temperatures: on shares and arrays made up for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from her2viewer.domain.shares import Shares
from her2viewer.guidelines.engine import decide
from her2viewer.guidelines.profiles import load_profiles
from her2viewer.training.calibration import CalibrationSlide, fit, folds, problems, scores_of
from her2viewer.training.calibration_logits import SlideLogits, _smooth, broken, fit_alphas, fit_temperature

PROFILES = load_profiles()
PROFILE = PROFILES["asco_cap_2018_2023"]
LIMITS = {"limit": np.array([1.0, 0.5, 0.7, 1.4, 2.0])}


def slides(best: int, groups: int = 12) -> list[CalibrationSlide]:
    """Slides whose shares are right under the candidate ``best`` and shifted up or down by the others."""
    out = []
    for k in range(12):
        score = k % 4
        right = np.zeros(4)
        right[score] = 100
        percent = np.stack(
            [np.roll(right, (c > best) - (c < best)) if c != best else right for c in range(len(LIMITS["limit"]))]
        )
        out.append(CalibrationSlide(f"s{k}", f"g{k % groups}", score, None, percent))
    return out


@pytest.mark.parametrize("name", ["asco_cap_2018_2023", "pham_2022"])
def test_scores_of_many_shares_are_those_of_the_guideline(name):
    rng = np.random.default_rng(0)
    percent = 100 * rng.dirichlet((2, 1, 0.5, 0.3), 400)
    percent[:6] = [(82, 9, 9, 0), (88, 0, 6, 6), (90, 0, 0, 10), (90, 0, 10, 0), (90, 10, 0, 0), (30, 55, 9, 6)]
    found = scores_of(percent, PROFILES[name])
    for shares, score in zip(percent, found, strict=True):
        decision = decide(PROFILES[name], Shares.from_percent(tuple(shares)))
        assert score == int(decision.score[0]), shares


def test_no_tumour_has_no_score():
    assert scores_of(np.full((1, 4), np.nan), PROFILE)[0] == -1


@pytest.mark.parametrize("best", [0, 2, 4])
def test_the_candidate_under_which_the_scores_are_right_is_chosen(best):
    found = fit(slides(best), LIMITS, PROFILE)
    assert found.chosen == best
    assert found.after["accuracy"] == 1
    assert found.cross_validated["accuracy"] == 1
    assert found.better == (best != 0)


def test_candidates_that_do_alike_are_told_apart_by_how_near_they_are_to_the_present_one():
    same = [CalibrationSlide(s.id, s.group, s.score, None, np.repeat(s.percent[2:3], 5, axis=0)) for s in slides(2)]
    assert fit(same, LIMITS, PROFILE).chosen == 0
    assert not fit(same, LIMITS, PROFILE).better


def test_labels_without_relation_to_the_shares_are_not_learnt_by_cross_validation():
    rng = np.random.default_rng(1)
    noise = [
        CalibrationSlide(f"s{k}", f"g{k}", int(rng.integers(0, 4)), None, 100 * rng.dirichlet(np.ones(4), 5))
        for k in range(40)
    ]
    found = fit(noise, LIMITS, PROFILE)
    assert found.cross_validated["accuracy"] <= found.after["accuracy"]


def test_slides_of_one_patient_are_left_out_together():
    many = [CalibrationSlide(f"s{k}", f"p{k // 2}", k % 4, None, np.zeros((1, 4))) for k in range(60)]
    parts = folds(many, seed=1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(60))
    for part in parts:
        inside = {many[k].group for k in part}
        outside = {s.group for k, s in enumerate(many) if k not in set(part.tolist())}
        assert not inside & outside


def test_known_shares_pull_the_fit_where_scores_say_nothing():
    percent = np.array([[95, 5, 0, 0], [99, 1, 0, 0], [92, 8, 0, 0], [97, 3, 0, 0], [100, 0, 0, 0]], float)
    base = slides(0)
    shared = [CalibrationSlide(s.id, s.group, 0, (92, 8, 0, 0), percent) for s in base]
    assert fit(shared, LIMITS, PROFILE).chosen == 2


def test_too_few_slides_and_a_missing_class_are_refused_with_the_reason():
    found = problems([("a", 0), ("b", 3)], {"c": "out of focus"})
    assert "2 slides with a known score are too few" in found[0]
    assert "c: out of focus" in found[0]
    assert "No slide has the score 1+ or 2+" in found[1]
    assert problems([(f"s{k}", k % 4) for k in range(10)], {}) == []


def logits(score: int, seed: int, push: float) -> SlideLogits:
    """Patches of a slide of that score; ``push`` makes the network favour 3+."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(4, 300, p=[0.025 + 0.9 * (c == score) for c in range(4)])
    values = 2 + rng.normal(0, 0.3, (300, 4)) + 2 * np.eye(4)[classes]
    values[:, 3] *= push
    return SlideLogits(values, rng.random(300), score)


def test_factors_of_the_logits_mend_a_network_that_calls_too_much_three_plus():
    many = [logits(k % 4, k, push=1.9) for k in range(16)]
    found = fit_alphas(many)
    assert found.before > 0.5
    assert found.after < 0.3 * found.before
    assert found.alphas[3] < min(found.alphas[:3])
    assert found.after == pytest.approx(broken(many, np.array(found.alphas)))


def test_plain_bfgs_stays_at_its_start_where_the_fit_here_improves():
    from scipy.optimize import minimize

    many = [logits(k % 4, k, push=1.9) for k in range(16)]
    plain = minimize(lambda alphas: broken(many, alphas), np.ones(4), method="BFGS")
    assert plain.x.tolist() == [1, 1, 1, 1], "the objective is flat but for its jumps"
    assert plain.fun > 0.5
    assert fit_alphas(many).after < 0.3 * plain.fun


def test_what_mends_one_slide_and_breaks_another_is_taken_where_less_is_broken_in_all():
    # One slide of 0 has 30 % of 1+; another of 1+ has just enough of it. Fewer 1+ mend one and break the other.
    zero = SlideLogits(np.array([[2.0, 1, 0, 0]] * 7 + [[1, 1.3, 0, 0]] * 3), np.ones(10), 0)
    one = SlideLogits(np.array([[2.0, 1, 0, 0]] * 9 + [[1, 1.1, 0, 0]]), np.ones(10), 1)
    found = fit_alphas([zero, one])
    assert found.before == pytest.approx(0.2)
    assert found.after == pytest.approx(broken([zero, one], np.array(found.alphas)))
    assert found.after <= 0.1 + 1e-9, "the 1+ slide alone is broken then, by a tenth"


def test_factors_stay_at_one_where_no_limit_is_broken():
    many = [logits(k % 4, k, push=1.0) for k in range(8)]
    found = fit_alphas(many)
    assert found.after <= found.before
    if found.before == 0:
        assert found.alphas == (1, 1, 1, 1)


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="finite"):
        fit_alphas([SlideLogits(np.full((3, 4), np.nan), np.ones(3), 0)])
    with pytest.raises(ValueError, match="no slides"):
        fit_alphas([])


def test_a_temperature_undoes_a_known_overconfidence():
    rng = np.random.default_rng(3)
    true_logits = rng.normal(0, 1.5, (20000, 4))
    p = np.exp(true_logits) / np.exp(true_logits).sum(axis=1, keepdims=True)
    truth = (p.cumsum(axis=1) < rng.random((20000, 1))).sum(axis=1)
    assert fit_temperature(true_logits * 3, truth) == pytest.approx(3, rel=0.05)


def test_the_slope_of_the_smooth_objective_is_that_of_the_broken_limits():
    many = [logits(k % 4, k, push=1.9) for k in range(8)]
    log = np.array([0.1, -0.2, 0.05, 0.3])

    def value(at: np.ndarray) -> float:
        return broken(many, np.exp(at), 0.7) + 1e-3 * float((at**2).sum())

    found, slope = _smooth(many, log, 0.7)
    assert found == pytest.approx(value(log))
    step = 1e-6 * np.eye(4)
    assert slope == pytest.approx([(value(log + d) - value(log - d)) / 2e-6 for d in step], rel=1e-4, abs=1e-6)


def test_a_network_that_is_far_too_sure_is_mended_alike():
    usual = [logits(k % 4, k, push=1.9) for k in range(16)]
    steep = [SlideLogits(20 * s.logits, s.weights, s.score) for s in usual]
    assert fit_alphas(steep).after == pytest.approx(fit_alphas(usual).after, abs=0.02)
