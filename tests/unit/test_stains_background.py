"""Glass colour, tissue, what was stained, focus."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from her2viewer.stains.background import brightest_colour, glass_colour
from her2viewer.stains.density import optical_density
from her2viewer.stains.kind import StainKind, compact_dab, stain_kind
from her2viewer.stains.quality import sharpness
from her2viewer.stains.tissue import tissue_mask

H = np.array((0.62, 0.61, 0.48))
D = np.array((0.22, 0.48, 0.85))
EOSIN = np.array((0.15, 0.88, 0.45))


def overview(glass, tissue_share: float, rng: np.random.Generator) -> np.ndarray:
    out = np.broadcast_to(np.array(glass, float), (200, 300, 3)).copy()
    columns = int(300 * tissue_share)
    density = rng.gamma(2.0, 0.08, (200, columns, 1)) * H
    out[:, :columns] = np.array(glass) * 10**-density
    return np.clip(out + rng.normal(0, 0.8, out.shape), 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("glass", [(176, 178, 181), (236, 235, 243), (214, 214, 214), (252, 252, 253)])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_glass_is_found_whatever_its_colour(glass, share):
    found = glass_colour(overview(glass, share, np.random.default_rng(0)))
    assert found is not None
    assert np.abs(np.array(found) - glass).max() < 2


def test_white_filling_around_a_scan_is_no_glass():
    picture = overview((230, 229, 238), 0.3, np.random.default_rng(0))
    picture[:, -60:] = 255
    found = glass_colour(picture, fill=(255, 255, 255))
    assert np.abs(np.array(found) - (230, 229, 238)).max() < 2


def test_white_glass_is_found_even_where_it_equals_the_filling():
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[:40] = overview((255, 255, 255), 1.0, np.random.default_rng(0))[:40, :100]
    assert glass_colour(picture, fill=(255, 255, 255)) == (255.0, 255.0, 255.0)


def test_a_field_full_of_tissue_has_no_glass():
    rng = np.random.default_rng(0)
    picture = np.clip(235 * 10 ** -(rng.gamma(3, 0.08, (80, 80, 1)) * H), 0, 255).astype(np.uint8)
    assert glass_colour(picture) is None
    assert 180 < brightest_colour(picture)[0] <= 235


def test_a_picture_too_small_for_an_answer_gets_none():
    assert glass_colour(np.zeros((1, 5, 3), np.uint8)) is None


def test_pale_tissue_is_tissue_and_glass_is_not():
    glass = (236.0, 235.0, 243.0)
    picture = np.broadcast_to(np.array(glass), (60, 120, 3)).copy()
    picture[:, :60] *= 10**-0.025
    mask = tissue_mask(picture.round().astype(np.uint8), glass, 8.0)
    assert mask[:, :50].all()
    assert not mask[:, 70:].any()


def pixels(rng: np.random.Generator, stains) -> np.ndarray:
    density = sum(rng.gamma(2.0, amount / 2, (20000, 1)) * vector for amount, vector in stains)
    rgb = np.clip(np.array((236, 235, 243)) * 10**-density, 1, 255).astype(np.uint8)
    return optical_density(rgb, (236.0, 235.0, 243.0))


def test_haematoxylin_alone_is_a_legitimate_ihc():
    found = stain_kind(pixels(np.random.default_rng(0), [(0.12, H)]))
    assert found.kind is StainKind.IHC
    assert found.dab_share < 0.01


def test_haematoxylin_with_dab_is_ihc():
    found = stain_kind(pixels(np.random.default_rng(0), [(0.12, H), (0.3, D)]))
    assert found.kind is StainKind.IHC
    assert found.dab_share > 0.3


def test_eosin_is_recognised():
    assert stain_kind(pixels(np.random.default_rng(0), [(0.1, H), (0.25, EOSIN)])).kind is StainKind.HE


def test_a_section_without_dense_pixels_is_unstained():
    assert stain_kind(np.full((5000, 3), 0.01, np.float32)).kind is StainKind.UNSTAINED
    assert stain_kind(np.zeros((0, 3), np.float32)).kind is StainKind.UNSTAINED


def drawn(shape: str) -> np.ndarray:
    canvas = np.zeros((400, 400), np.float32)
    for y in range(25, 400, 50):
        for x in range(25, 400, 50):
            cv2.circle(canvas, (x, y), 9 if shape == "nuclei" else 14, 0.6, -1 if shape == "nuclei" else 2)
    return cv2.GaussianBlur(canvas, (0, 0), 0.8)


def test_dab_in_nuclei_is_compact_and_dab_on_membranes_is_not():
    nuclear, membrane = compact_dab(drawn("nuclei"), 0.5), compact_dab(drawn("membranes"), 0.5)
    assert nuclear.compact_share > 0.8
    assert nuclear.spots == 64
    assert membrane.compact_share < 0.05
    assert compact_dab(np.zeros((50, 50), np.float32), 0.5).spots == 0


def test_blur_lowers_sharpness_and_stain_strength_does_not_matter():
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (192, 192)), (0, 0), 1.0)
    weak = np.clip(220 + 40 * texture, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    strong = np.clip(150 + 120 * texture, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    blurred = cv2.GaussianBlur(strong, (0, 0), 4.0)
    assert abs(sharpness(weak) - sharpness(strong)) < 0.1
    assert sharpness(blurred) < 0.4 * sharpness(strong)
    assert sharpness(np.full((64, 64, 3), 200, np.uint8)) == 0.0


def test_a_black_picture_still_gives_a_colour_that_densities_can_be_taken_from() -> None:
    assert brightest_colour(np.zeros((8, 8, 3), np.uint8)) == (1.0, 1.0, 1.0)
