from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import ImageCms

from her2viewer.slides.colour import display_transform, profile_name, profile_problem

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def test_an_srgb_profile_changes_next_to_nothing():
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    transform = display_transform(SRGB)
    assert transform is not None
    assert np.abs(transform(image).astype(int) - image).max() <= 2
    assert profile_problem(SRGB) is None
    assert "sRGB" in profile_name(SRGB)


@pytest.mark.parametrize(
    ("profile", "said"), [(None, "no colour profile"), (b"rubbish" * 40, "cannot be used"), (LAB, "not RGB")]
)
def test_a_profile_that_cannot_be_used_says_why(profile, said):
    assert display_transform(profile) is None
    problem = profile_problem(profile)
    assert problem is not None
    assert said in problem


def test_a_real_scanner_profile_changes_the_display_and_leaves_the_pixels(shared_slides):
    from her2viewer.slides.open import open_slide

    with open_slide(shared_slides / "whole-slide" / "cmu_embedded_icc.tif") as slide:
        before = slide.read(0, 100, 100, 256, 256)
        transform = display_transform(slide.icc_profile)
        assert transform is not None
        shown = transform(before)
        assert np.array_equal(before, slide.read(0, 100, 100, 256, 256))
    assert shown.shape == before.shape
    assert np.abs(shown.astype(int) - before).mean() > 2


def test_one_transform_serves_many_threads():
    transform = display_transform(SRGB)
    assert transform is not None
    images = [np.random.default_rng(k).integers(0, 255, (64, 64, 3), dtype=np.uint8) for k in range(8)]
    wanted = [transform(image) for image in images]
    wrong = []

    def work(k: int) -> None:
        wrong.extend(k for _ in range(30) if not np.array_equal(transform(images[k]), wanted[k]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
