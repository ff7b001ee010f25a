"""Ink, dirt, bubbles, folds and blur drawn on a synthetic slide, whose place is therefore known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from her2viewer_membrane.scorer import MembraneScorer

from her2viewer.api import Finished, Partial, Region, ScoringInput
from her2viewer.resources import resource_path
from her2viewer.scoring.merge import EvidenceStore
from her2viewer.scoring.registry import find_scorer
from her2viewer.slides.open import open_slide
from her2viewer.stains.artefacts import GOOD, OVERVIEW_UM, ArtefactMap, Quality, artefact_mask
from her2viewer.stains.background import glass_colour
from her2viewer.stains.quality import blurred
from her2viewer.stains.vectors import DAB, HAEMATOXYLIN, angle
from tests.helpers.array_slide import ArraySlide

INKS = {"blue": (30, 60, 170), "green": (20, 130, 70), "black": (20, 20, 22), "red": (190, 30, 40)}
"""Strokes as they look on ``PAPER``; what they hold back is the same on any glass."""
PAPER = np.array((243.0, 240.0, 244.0))
OUT_OF_FOCUS = 3
"""Px of 0.5 um: as much blur as hides membranes and leaves nuclei to judge by."""


class Desk:
    device = "CPU"
    threads = 2

    def check(self) -> None:
        pass


@pytest.fixture(scope="module")
def sample():
    """The bundled slide at 0.5 um/px, and its glass."""
    with open_slide(resource_path("sample", "sample_her2.tif")) as slide:
        ds = 0.5 / slide.pixel_size.mpp
        rgb = slide.read_at(ds, 0, 0, int(slide.width / ds), int(slide.height / ds))
    return rgb, glass_colour(cv2.resize(rgb, None, fx=1 / 12, fy=1 / 12, interpolation=cv2.INTER_AREA))


def stained(rgb, ink, mask):
    """Ink over the tissue: densities add up."""
    density = np.log10(PAPER / np.maximum(np.array(ink, float), 1))
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2)[..., None]
    return np.clip(rgb * 10 ** -(share * density), 0, 255).astype(np.uint8)


def overview(rgb):
    return cv2.resize(rgb, None, fx=0.5 / OVERVIEW_UM, fy=0.5 / OVERVIEW_UM, interpolation=cv2.INTER_AREA)


def mask_of(rgb, glass):
    return artefact_mask(overview(rgb), OVERVIEW_UM, glass, HAEMATOXYLIN, DAB)


def dice(a, b):
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)


def small(mask):
    return overview(mask.astype(np.uint8) * 255) > 127


def test_the_sample_has_no_artefacts(sample):
    assert (mask_of(*sample) == GOOD).all()


@pytest.mark.parametrize("ink", INKS)
def test_a_stroke_of_a_pen_is_found_on_tissue_and_on_glass(sample, ink):
    rgb, glass = sample
    stroke = np.zeros(rgb.shape[:2], np.uint8)
    height, width = stroke.shape
    cv2.polylines(
        stroke, [np.array([(0, height // 3), (width // 2, height // 2), (width, height // 4)])], False, 1, 140
    )
    found = mask_of(stained(rgb, INKS[ink], stroke), glass)
    assert dice(found == Quality.PEN, small(stroke)) > 0.8
    assert set(np.unique(found)) == {GOOD, Quality.PEN}


def test_an_air_bubble_is_found_with_all_that_it_encloses(sample):
    rgb, glass = sample
    inside = np.zeros(rgb.shape[:2], np.uint8)
    middle = (rgb.shape[1] // 2, rgb.shape[0] // 2)
    cv2.circle(inside, middle, 500, 1, -1)
    picture = np.where(inside[..., None] > 0, cv2.GaussianBlur(rgb, (0, 0), 12), rgb)
    cv2.circle(picture, middle, 500, (70, 70, 75), 40, cv2.LINE_AA)
    found = mask_of(picture, glass)
    assert dice(found == Quality.BUBBLE, small(inside)) > 0.85


def test_a_dark_speck_of_dirt_is_found_and_brown_tissue_is_not_dirt(sample):
    rgb, glass = sample
    speck = np.zeros(rgb.shape[:2], np.uint8)
    cv2.circle(speck, (300, 300), 90, 1, -1)
    found = mask_of(stained(rgb, (60, 60, 62), speck), glass)
    assert dice(found == Quality.DIRT, small(speck)) > 0.6
    assert not (found == Quality.PEN).any()


def section(rng, shape=(300, 400), glass=(240, 240, 244)):
    """An overview of even tissue with nests of brown cells."""
    spread = cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), 6)
    brown = np.clip(cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), 12) * 20, 0, 1)
    density = (0.12 + 0.02 * rng.normal(0, 1, shape) + 0.1 * spread)[..., None] * np.array(HAEMATOXYLIN)
    density = density + 0.25 * brown[..., None] * np.array(DAB)
    return np.maximum(density, 0), np.array(glass, float)


@pytest.mark.parametrize("ends", [((40, 150), (360, 170)), ((60, 30), (330, 270)), ((200, 20), (215, 280))])
def test_a_long_fold_is_found_where_two_layers_lie_on_each_other(ends):
    density, glass = section(np.random.default_rng(3))
    fold = np.zeros(density.shape[:2], np.uint8)
    cv2.line(fold, *ends, 1, 8)
    folded = density + fold[..., None] * np.roll(density, (15, 20), (0, 1))
    found, plain = (
        artefact_mask((glass * 10**-d).astype(np.uint8), OVERVIEW_UM, tuple(glass), HAEMATOXYLIN, DAB)
        for d in (folded, density)
    )
    assert (plain == GOOD).all()
    assert dice(found == Quality.FOLD, fold > 0) > 0.6
    assert set(np.unique(found)) == {GOOD, Quality.FOLD}


def test_a_short_dark_gland_is_no_fold():
    density, glass = section(np.random.default_rng(4))
    gland = np.zeros(density.shape[:2], np.uint8)
    cv2.ellipse(gland, (200, 150), (45, 25), 20, 0, 360, 1, 8)
    picture = (glass * 10 ** -(density * (1 + 1.2 * gland[..., None]))).astype(np.uint8)
    assert (artefact_mask(picture, OVERVIEW_UM, tuple(glass), HAEMATOXYLIN, DAB) == GOOD).all()


def test_only_the_blurred_half_is_called_blurred(sample):
    rgb, _ = sample
    soft = rgb.copy()
    half = rgb.shape[1] // 2
    soft[:, :half] = cv2.GaussianBlur(rgb, (0, 0), OUT_OF_FOCUS)[:, :half]
    found = blurred(soft, 0.5, 0.15, 16)
    edge = half // 16
    assert not blurred(rgb, 0.5, 0.15, 16).any()
    assert not found[:, edge + 5 :].any()
    tissue = cv2.resize(rgb, found.shape[::-1], interpolation=cv2.INTER_AREA).mean(axis=2) < 215
    assert found[:, : edge - 5][tissue[:, : edge - 5]].mean() > 0.9


def test_points_are_looked_up_where_they_lie_and_are_good_outside():
    codes = np.full((2, 3), GOOD, np.uint8)
    codes[1, 2] = Quality.PEN
    artefacts = ArtefactMap(codes, 100.0, 50.0, 10.0)
    x, y = np.array([125.0, 99.0, 130.5, 105.0]), np.array([65.0, 65.0, 65.0, 55.0])
    assert artefacts.at(x, y).tolist() == [Quality.PEN, GOOD, GOOD, GOOD]


def test_cells_under_ink_and_in_blur_are_left_out_and_the_reader_is_told(sample):
    rgb, _ = sample
    height, width = rgb.shape[:2]
    stroke = np.zeros((height, width), np.uint8)
    cv2.line(stroke, (0, height // 2), (width, height // 2), 1, 300)
    picture = stained(rgb, INKS["blue"], stroke)
    picture[:, : width // 3] = cv2.GaussianBlur(picture, (0, 0), OUT_OF_FOCUS)[:, : width // 3]
    slide = ArraySlide(picture, 0.5)
    region = Region.rectangle(0, 0, width, height)

    def run(**settings):
        given = ScoringInput(
            slide, slide.pixel_size, region, region, Region.of(()), find_scorer("membrane").complete(settings)
        )
        store, last = EvidenceStore(), None
        for event in MembraneScorer().score(given, Desk()):
            if isinstance(event, Partial):
                store.add(event.evidence)
            elif isinstance(event, Finished):
                last = event
        return {item.name: item for item in store.merged()}, last

    plain, unwarned = run(leave_out_artefacts=False)
    plain_cells = plain["Cells"]
    evidence, finished = run()
    cells, quality = evidence["Cells"], evidence["Image quality"]
    counted = cells.classes < 4
    under_ink = np.abs(cells.y - height / 2) < 130
    in_blur = cells.x < width / 3 - 80
    assert under_ink.any()
    # Ink is not taken for a stain.
    assert angle(finished.estimates["haematoxylin"], HAEMATOXYLIN) < 12
    assert not (counted & under_ink).any()
    assert (counted & in_blur).sum() < 0.3 * (plain_cells.classes[plain_cells.x < width / 3 - 80] < 4).sum()
    assert set(np.unique(quality.classes)) >= {Quality.BLUR, Quality.PEN, GOOD}
    assert "artefacts" in {w.code for w in finished.warnings}
    assert "Image quality" not in plain
    assert (plain["Cells"].classes < 4).sum() > counted.sum()
    assert "artefacts" not in {w.code for w in unwarned.warnings}
