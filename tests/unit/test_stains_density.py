"""Optical density, deconvolution and stain vectors against pictures made by Beer and Lambert."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.stains.deconvolution import deconvolution, deconvolve
from her2viewer.stains.density import density_table, optical_density
from her2viewer.stains.vectors import DAB, HAEMATOXYLIN, angle, estimate_vectors, unit

glass = st.tuples(*[st.floats(175, 255)] * 3)
amount = st.floats(0.0, 0.8)


def picture(haematoxylin: np.ndarray, dab: np.ndarray, background, h=HAEMATOXYLIN, d=DAB) -> np.ndarray:
    density = haematoxylin[..., None] * np.array(unit(h)) + dab[..., None] * np.array(unit(d))
    return np.clip(np.round(np.array(background) * 10**-density), 0, 255).astype(np.uint8)


def test_glass_has_no_density_and_darker_levels_have_more():
    table = density_table((236.0, 235.0, 243.0))
    assert table.shape == (3, 256)
    assert abs(table[0, 236]) < 1e-6
    assert (np.diff(table, axis=1) <= 0).all()
    assert np.isfinite(table).all()


def test_brighter_than_glass_is_negative_so_that_noise_has_no_bias():
    assert density_table((200.0, 200.0, 200.0))[1, 220] < 0


@pytest.mark.parametrize("background", [(0.0, 200.0, 200.0), (256.0, 200.0, 200.0), (200.0, 200.0)])
def test_an_impossible_background_is_refused(background):
    with pytest.raises(ValueError, match="three grey levels"):
        density_table(background)


@settings(max_examples=40, deadline=None)
@given(background=glass, h=amount, d=amount)
def test_deconvolution_gives_back_what_was_mixed(background, h, d):
    rgb = picture(np.full((4, 4), h), np.full((4, 4), d), background)
    tables = deconvolution(background, HAEMATOXYLIN, DAB)
    found_h, found_d = deconvolve(rgb, tables)
    # One grey level of rounding is worth more OD the darker the pixel.
    darkest = max(float(rgb.min()), 1.0)
    tolerance = 2.0 / darkest + 0.01
    assert abs(found_h[0, 0] - h) < tolerance
    # On top of much haematoxylin the guard against grey may take DAB away, never add any.
    assert found_d[0, 0] < d + tolerance
    if h <= 0.5 * d:
        assert abs(found_d[0, 0] - d) < tolerance


@settings(max_examples=30, deadline=None)
@given(grey=st.floats(0.05, 0.6))
def test_grey_edges_are_hardly_taken_for_dab(grey):
    background = (236.0, 235.0, 243.0)
    level = np.clip(np.round(np.array(background) * 10**-grey), 0, 255).astype(np.uint8)
    rgb = np.broadcast_to(level, (3, 3, 3)).copy()
    _, dab = deconvolve(rgb, deconvolution(background, HAEMATOXYLIN, DAB))
    assert dab.max() < 0.45 * grey


def test_vectors_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="too alike"):
        deconvolution((240.0, 240.0, 240.0), HAEMATOXYLIN, (0.61, 0.61, 0.49))


def test_a_dab_vector_that_is_not_brown_is_refused():
    with pytest.raises(ValueError, match="absorb blue"):
        deconvolution((240.0, 240.0, 240.0), HAEMATOXYLIN, (0.6, 0.3, 0.1))


def test_a_vector_needs_three_sensible_numbers():
    for wrong in ((0.0, 0.0, 0.0), (-1.0, 0.5, 0.5), (float("nan"), 0.1, 0.1)):
        with pytest.raises(ValueError, match="three numbers"):
            unit(wrong)


def mixed_pixels(rng: np.random.Generator, h_vector, d_vector, dab_share: float) -> np.ndarray:
    n = 40000
    h = rng.gamma(3.0, 0.06, n)
    d = np.where(rng.random(n) < dab_share, rng.gamma(3.0, 0.12, n), 0.0)
    background = (236.0, 235.0, 243.0)
    rgb = picture(h, d, background, h_vector, d_vector).astype(float) + rng.normal(0, 1.0, (n, 3))
    return optical_density(np.clip(rgb, 1, 255).astype(np.uint8), background)


@pytest.mark.parametrize(
    ("h_vector", "d_vector"),
    [((0.62, 0.61, 0.48), (0.22, 0.48, 0.85)), ((0.67, 0.63, 0.39), (0.31, 0.54, 0.78)), ((0.7, 0.65, 0.3), DAB)],
)
def test_vectors_are_found_on_a_well_stained_section(h_vector, d_vector):
    density = mixed_pixels(np.random.default_rng(1), h_vector, d_vector, 0.5)
    haematoxylin, dab = estimate_vectors(density)
    assert haematoxylin.estimated
    assert dab.estimated
    assert angle(haematoxylin.vector, h_vector) < 8
    assert angle(dab.vector, d_vector) < 8


def test_without_dab_the_usual_vector_stands_and_says_so():
    density = mixed_pixels(np.random.default_rng(2), HAEMATOXYLIN, DAB, 0.0)
    haematoxylin, dab = estimate_vectors(density)
    assert haematoxylin.estimated
    assert not dab.estimated
    assert dab.vector == unit(DAB)
    assert "too little" in dab.source


def test_an_implausible_estimate_is_not_believed():
    density = mixed_pixels(np.random.default_rng(3), (0.95, 0.2, 0.02), DAB, 0.0)
    haematoxylin, _ = estimate_vectors(density)
    assert not haematoxylin.estimated
    assert "degrees" in haematoxylin.source


def test_nothing_to_estimate_from_gives_the_usual_vectors():
    haematoxylin, dab = estimate_vectors(np.zeros((0, 3), np.float32))
    assert haematoxylin.vector == unit(HAEMATOXYLIN)
    assert dab.vector == unit(DAB)
