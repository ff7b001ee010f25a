"""A slide in a mirror: the same pixels, left and right exchanged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.slides.mirrored import MirroredSlide
from tests.helpers.array_slide import ArraySlide

PIXELS = np.random.default_rng(3).integers(0, 255, (203, 341, 3), dtype=np.uint8)


@given(st.integers(0, 1), st.integers(-60, 380), st.integers(-40, 230), st.integers(1, 120), st.integers(1, 90))
def test_every_area_is_that_of_the_mirrored_picture(level, x, y, width, height):
    slide = ArraySlide(PIXELS)
    turned = ArraySlide(PIXELS)
    turned._levels = [p[:, ::-1] for p in turned._levels]
    assert np.array_equal(
        MirroredSlide(slide).read(level, x, y, width, height), turned.read(level, x, y, width, height)
    )


@given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 200), st.integers(0, 120), st.integers(1, 90))
def test_reduced_pixels_begin_at_the_left_of_the_mirrored_area(reduce, x, y, width):
    mirrored = MirroredSlide(ArraySlide(PIXELS))
    turned = ArraySlide(np.ascontiguousarray(PIXELS[:, ::-1]))
    got = mirrored.read_bgra(0, x, y, width, 50, reduce=reduce)
    assert np.array_equal(got, turned.read_bgra(0, x, y, width, 50, reduce=reduce))


def test_a_mirror_in_a_mirror_shows_the_slide():
    slide = ArraySlide(PIXELS)
    twice = MirroredSlide(MirroredSlide(slide))
    assert np.array_equal(twice.read_at(2.5, 3, 4, 50, 40), slide.read_at(2.5, 3, 4, 50, 40))


def test_closing_it_closes_the_slide():
    slide = ArraySlide(PIXELS)
    MirroredSlide(slide).close()
    assert slide.closed


def test_a_level_that_is_not_there_is_refused_as_by_the_slide(shared_slides):
    from her2viewer.slides.open import open_slide

    with open_slide(shared_slides / "whole-slide" / "cmu_small_region.svs") as slide:
        mirrored = MirroredSlide(slide)
        with pytest.raises(ValueError, match="levels 0 to"):
            mirrored.read(9, 0, 0, 10, 10)
        width = slide.width
        assert np.array_equal(mirrored.read(0, 100, 50, 300, 200), slide.read(0, width - 400, 50, 300, 200)[:, ::-1])
