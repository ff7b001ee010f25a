"""The bundled sample: what is in the repository is what the program makes, and its truth is what was drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from her2viewer.domain.annotation import Role
from her2viewer.domain.pixelsize import PixelSizeSource
from her2viewer.phantom.fields import Window
from her2viewer.phantom.pyramid import reduced, write_pyramid
from her2viewer.phantom.render import DAB, GLASS, HAEMATOXYLIN, Painter
from her2viewer.phantom.sample import SEED, sample_annotations, sample_geojson, sample_truth
from her2viewer.phantom.tissue import HEIGHT, MPP, SHARES, WIDTH, Kind, Plan, plan_sample
from her2viewer.resources import resource_path
from her2viewer.slides.open import open_slide
from her2viewer.slides.slide import Slide


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_sample(SEED)


@pytest.fixture(scope="module")
def painter(plan) -> Painter:
    return Painter(plan)


@pytest.fixture
def slide():
    with open_slide(resource_path("sample", "sample_her2.tif")) as opened:
        yield opened


def dab_of(pixels: np.ndarray) -> np.ndarray:
    """DAB of each pixel by the stain vectors with which the sample is drawn."""
    od = -np.log10(np.maximum(pixels.astype(float), 1) / GLASS)
    return (od.reshape(-1, 3) @ np.linalg.pinv(np.array([HAEMATOXYLIN, DAB])))[:, 1].reshape(pixels.shape[:2])


def test_the_bundled_slide_is_a_small_pyramid_with_pixel_size_and_objective_from_the_file(slide):
    assert (slide.width, slide.height) == (WIDTH, HEIGHT)
    assert len(slide.levels) >= 3
    assert slide.pixel_size is not None
    assert (slide.pixel_size.mpp, slide.pixel_size.source) == (MPP, PixelSizeSource.FILE)
    assert slide.objective_power == 40
    assert resource_path("sample", "sample_her2.tif").stat().st_size < 5_000_000


@pytest.mark.parametrize("place", [(4100, 2500), (2900, 1300), (1700, 3200), (7400, 3600), (1100, 1500)])
def test_the_bundled_slide_shows_what_the_program_draws(slide, painter, place):
    # To within what JPEG leaves: codecs and processors may differ in the last bit.
    drawn = painter.render(Window(*place, 300, 300)).astype(int)
    stored = slide.read(0, *place, 300, 300).astype(int)
    assert np.abs(drawn - stored).mean() < 5
    assert np.abs(drawn.mean(axis=(0, 1)) - stored.mean(axis=(0, 1))).max() < 1


def test_the_bundled_truth_and_outlines_are_those_of_the_plan(plan):
    truth = json.loads(resource_path("sample", "sample_her2.truth.json").read_text())
    assert truth == json.loads(json.dumps(sample_truth(plan)))
    outlines = json.loads(resource_path("sample", "sample_her2.geojson").read_text())
    assert outlines == json.loads(json.dumps(sample_geojson(plan)))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, plan):
    window = Window(4100, 2500, 400, 320)
    contents = []
    for k, seed in enumerate((SEED, SEED, SEED + 1)):
        image = Painter(plan_sample(seed)).render(window)
        path = tmp_path / f"{k}.tif"
        write_pyramid(path, reduced(image, (4,)), mpp=MPP, magnification=40, quality=72)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_neighbouring_areas_fit_together(painter):
    whole = painter.render(Window(4200, 2300, 400, 200)).astype(int)
    left = painter.render(Window(4200, 2300, 200, 200)).astype(int)
    right = painter.render(Window(4400, 2300, 200, 200)).astype(int)
    assert np.abs(whole - np.concatenate([left, right], axis=1)).max() <= 2


def test_shares_are_as_designed_equivocal_with_strong_staining_below_the_cut_off(plan):
    truth = sample_truth(plan)["roi"]
    percent = [truth["percent"][label] for label in ("0", "1+", "2+", "3+")]
    assert percent == pytest.approx([100 * share for share in SHARES], abs=1.0)
    assert sum(truth["counts"].values()) == truth["cells"] > 1000
    assert percent[3] < 10 < percent[2]


def test_leaving_the_ducts_in_would_turn_the_answer(plan):
    annotations = sample_annotations(plan)
    roi = annotations.with_role(Role.ROI)[0]
    cells = plan.cells
    inside = shapely.contains_xy(roi.geometry, cells.x, cells.y)
    assert (cells.her2[inside] == 3).mean() > 0.1
    excluded = annotations.region().contains_points(cells.x, cells.y) & (cells.kind == Kind.IN_SITU)
    assert not excluded.any()


def test_outlines_are_valid_and_lie_on_the_slide(plan):
    annotations = sample_annotations(plan)
    assert [len(annotations.with_role(r)) for r in (Role.ROI, Role.EXCLUDE, Role.CONTROL)] == [1, 3, 4]
    for annotation in annotations:
        assert annotation.geometry.is_valid
        assert shapely.box(0, 0, WIDTH, HEIGHT).contains(annotation.geometry)
    assert len({a.id for a in annotations}) == 8


def measured(slide: Slide, plan: Plan, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strongest DAB, and share of directions in which DAB shows, around each picked cell."""
    strength, around = [], []
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    radii = np.arange(14, 38)
    rows = (40 + np.outer(radii, np.sin(angles))).round().astype(int)
    columns = (40 + np.outer(radii, np.cos(angles))).round().astype(int)
    for k in picked:
        dab = dab_of(slide.read(0, int(plan.cells.x[k]) - 40, int(plan.cells.y[k]) - 40, 81, 81))
        rays = dab[rows, columns]
        strength.append(np.percentile(rays.max(axis=0), 80))
        around.append((rays.max(axis=0) > 0.12).mean())
    return np.array(strength), np.array(around)


def test_drawn_cells_agree_with_their_class(slide, plan):
    """Read from the finished slide: staining rises with the class, and is complete from 2+ on."""
    rng = np.random.default_rng(0)
    cells = plan.cells
    strengths, shares = [], []
    for value in range(4):
        # Pellets: a cell's neighbours have its class, so that what is measured is its own.
        candidates = np.flatnonzero((cells.kind == Kind.CONTROL) & (cells.her2 == value))
        strength, around = measured(slide, plan, rng.choice(candidates, 25, replace=False))
        strengths.append(np.median(strength))
        shares.append(np.median(around))
    assert strengths[0] < 0.1 < strengths[1] < 0.3 < strengths[2] < 0.75 < strengths[3]
    assert shares[0] < 0.2
    assert shares[1] < 0.8
    assert min(shares[2:]) > 0.9


def test_glass_is_a_little_off_white(slide):
    glass = slide.read(0, 60, 60, 300, 300).reshape(-1, 3).mean(axis=0)
    assert glass == pytest.approx(GLASS, abs=1.5)
