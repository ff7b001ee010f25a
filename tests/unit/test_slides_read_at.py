"""``Slide.read_at`` against the exact answer, on a slide whose brightness rises evenly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.slides.base import ReaderBase
from her2viewer.slides.slide import Level

SIDE = 1000
SLOPE = 0.25


class Ramp(ReaderBase):
    """Red rises to the right, green downwards, by ``SLOPE`` grey levels a level-0 px."""

    def __init__(self, *sizes: int) -> None:
        levels = tuple(Level(s, s, SIDE / s, 256, 256) for s in sizes)
        super().__init__(Path("ramp"), "ramp", levels, identity="", properties={})
        self.largest = 0

    def _pixels(self, level, x, y, width, height):
        self.largest = max(self.largest, width * height)
        step = self.levels[level].downsample * SLOPE
        red = (np.arange(x, x + width) + 0.5) * step
        green = (np.arange(y, y + height) + 0.5) * step
        out = np.zeros((height, width, 3))
        out[..., 0] = red
        out[..., 1] = green[:, None]
        return np.round(out).astype(np.uint8)


@given(
    st.one_of(st.sampled_from([1.0, 2.0, 3.0, 4.0, 8.0, 0.999, 3.99, 4.02]), st.floats(0.3, 12)),
    st.floats(30, 700),
    st.floats(30, 700),
    st.integers(1, 15),
    st.booleans(),
)
def test_an_even_gradient_stays_even_at_any_scale_and_offset(downsample, x, y, width, whole):
    slide = Ramp(1000, 500, 121)
    x, y = (round(x), round(y)) if whole else (x, y)
    height = 17
    got = slide.read_at(downsample, x, y, width, height)
    assert got.shape == (height, width, 3)
    red = (x + (np.arange(width) + 0.5) * downsample) * SLOPE
    green = (y + (np.arange(height) + 0.5) * downsample) * SLOPE
    # The slide's own pixels are rounded to whole grey levels already, and so is the answer.
    assert np.abs(got[..., 0] - red).max() <= 1.01 + 0.1 * downsample * SLOPE
    assert np.abs(got[..., 1] - green[:, None]).max() <= 1.01 + 0.1 * downsample * SLOPE


@pytest.mark.parametrize("downsample", [1.0, 2.0, 3.7, 8.3])
def test_a_long_row_does_not_drift(downsample):
    slide = Ramp(1000, 500, 121)
    width = int(900 / downsample)
    got = slide.read_at(downsample, 31, 31, width, 3)
    red = (31 + (np.arange(width) + 0.5) * downsample) * SLOPE
    assert np.abs(got[1, :, 0] - red).max() <= 1.01


def test_whole_pixels_of_a_level_come_unchanged():
    slide = Ramp(1000, 500)
    assert np.array_equal(slide.read_at(2.0, 40, 60, 50, 40), slide.read(1, 20, 30, 50, 40))
    assert np.array_equal(slide.read_at(1.0, 40, 60, 50, 40), slide.read(0, 40, 60, 50, 40))


def test_neighbouring_reads_fit_together():
    slide = Ramp(1000, 121)
    whole = slide.read_at(3.3, 17.3, 25.1, 80, 20)
    right = slide.read_at(3.3, 17.3 + 40 * 3.3, 25.1, 40, 20)
    assert np.abs(whole[:, 40:].astype(int) - right).max() <= 1


def test_zooming_far_out_of_a_slide_without_reduced_levels_reads_it_in_parts(monkeypatch):
    monkeypatch.setattr("her2viewer.slides.slide.MAX_RESAMPLED", 100 * 100)
    slide = Ramp(1000)
    got = slide.read_at(8.0, 0, 0, 125, 125)
    assert slide.largest <= 110 * 110
    red = (np.arange(125) + 0.5) * 8 * SLOPE
    assert np.abs(got[..., 0] - red).max() <= 1.01


def test_outside_the_slide_is_background():
    slide = Ramp(1000, 500)
    assert (slide.read_at(3.0, -500, -500, 100, 100) == 255).all()
    assert (slide.read(0, 2000, 5, 10, 10) == 255).all()
    corner = slide.read(0, -5, -3, 10, 10)
    assert (corner[:3] == 255).all()
    assert (corner[:, :5] == 255).all()
    assert np.array_equal(corner[3:, 5:], slide.read(0, 0, 0, 5, 7))


@pytest.mark.parametrize("area", [(0, 0, 0, 0, 5), (0, 0, 0, 5, -1), (7, 0, 0, 5, 5), (0, 0, 0, 10**6, 10**6)])
def test_senseless_areas_are_refused(area):
    with pytest.raises(ValueError, match=r"area|levels"):
        Ramp(1000).read(*area)


def test_the_best_level_is_the_coarsest_that_is_fine_enough():
    slide = Ramp(1000, 500, 121)
    assert [slide.best_level(d) for d in (0.5, 1, 1.9, 1.995, 2, 8, 8.26, 100)] == [0, 0, 0, 1, 1, 1, 2, 2]
