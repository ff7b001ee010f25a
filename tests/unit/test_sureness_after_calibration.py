"""Factors of the logits mend classes; how sure the probabilities look is none of their business."""

from __future__ import annotations

import numpy as np
import pytest

from her2viewer.training.calibration_logits import SlideLogits, broken, fit_alphas


def over_classified(slides: int = 6, patches: int = 60) -> list[SlideLogits]:
    """Slides of score 0 whose patches lean a little too often to 1+."""
    rng = np.random.default_rng(5)
    made = []
    for _ in range(slides):
        logits = rng.normal(0, 0.5, (patches, 4)) + np.array([2.0, 1.9, -2.0, -3.0])
        made.append(SlideLogits(logits, np.ones(patches), 0))
    return made


def test_fitted_factors_multiply_to_one_and_their_size_changes_no_class() -> None:
    slides = over_classified()
    found = fit_alphas(slides)
    assert found.after < found.before
    alphas = np.array(found.alphas)
    assert np.prod(alphas) == pytest.approx(1.0)
    assert broken(slides, 0.1 * alphas) == pytest.approx(broken(slides, alphas)) == pytest.approx(found.after)
