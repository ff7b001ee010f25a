"""The bundled sample: what is in the repository is what the program makes, and its truth is what was drawn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import shapely

from her2viewer.cases.geojson import read_geojson, write_geojson
from her2viewer.domain.annotation import Role
from her2viewer.domain.pixelsize import PixelSizeSource
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.engine import decide
from her2viewer.guidelines.profiles import load_profiles
from her2viewer.phantom.rendering import Renderer
from her2viewer.phantom.sample import SEED, SIZE, make_sample, sample_plan, sample_truth
from her2viewer.phantom.slide_plan import SlidePlan
from her2viewer.phantom.survey import KINDS, Survey, survey
from her2viewer.resources import resource_path
from her2viewer.slides.open import open_slide
from her2viewer.slides.slide import Slide

INVASIVE, IN_SITU, CONTROL = (KINDS.index(name) for name in ("invasive", "in_situ", "control"))


@pytest.fixture(scope="module")
def drawn() -> tuple[SlidePlan, Survey]:
    plan = sample_plan(SEED)
    return plan, survey(plan)


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads(resource_path("sample", "sample_her2.truth.json").read_text(encoding="utf-8"))


@pytest.fixture
def slide():
    with open_slide(resource_path("sample", "sample_her2.tif")) as opened:
        yield opened


def test_the_bundled_slide_is_a_small_pyramid_with_pixel_size_and_objective_from_the_file(slide):
    assert (slide.width, slide.height) == SIZE
    assert len(slide.levels) >= 3
    assert slide.pixel_size is not None
    assert (slide.pixel_size.mpp, slide.pixel_size.source) == (0.25, PixelSizeSource.FILE)
    assert slide.objective_power == 40
    assert resource_path("sample", "sample_her2.tif").stat().st_size < 5_500_000


@pytest.mark.parametrize("place", [(1900, 900), (3700, 3700), (2800, 1900), (7500, 4100), (600, 2000)])
def test_the_bundled_slide_shows_what_the_program_draws(slide, drawn, place):
    # To within what JPEG leaves: codecs and processors may differ in the last bit.
    painted = Renderer(drawn[0], "ihc").region(*place, 300, 300).astype(int)
    shown = slide.read(0, *place, 300, 300).astype(int)
    assert painted.std() > 5
    assert np.abs(painted - shown).mean() < 5
    assert np.abs(painted.mean(axis=(0, 1)) - shown.mean(axis=(0, 1))).max() < 1


def test_the_bundled_truth_and_outlines_are_those_of_the_plan(drawn, stored, tmp_path):
    plan, truth = drawn
    assert stored == json.loads(json.dumps(sample_truth(plan, truth)))
    write_geojson(tmp_path / "outlines.geojson", truth.outlines)
    bundled = resource_path("sample", "sample_her2.geojson").read_text(encoding="utf-8")
    assert json.loads(bundled) == json.loads((tmp_path / "outlines.geojson").read_text(encoding="utf-8"))


def test_making_the_sample_writes_slide_outlines_and_truth_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr("her2viewer.phantom.sample.SIZE", (1500, 1100))
    files = make_sample(tmp_path / "small.tif", SEED + 1)
    assert {path.name for path in tmp_path.iterdir()} == {"small.tif", "small.geojson", "small.truth.json"}
    with open_slide(files.slide) as made:
        assert (made.width, made.height) == (1500, 1100)
    truth = json.loads(files.truth.read_text(encoding="utf-8"))
    assert (truth["seed"], truth["size_px"]) == (SEED + 1, [1500, 1100])
    assert len(read_geojson(files.outlines)) > 0


def test_shares_are_as_designed_equivocal_with_strong_staining_below_the_cut_off(drawn, stored):
    percent = list(stored["roi"]["percent"].values())
    assert percent == pytest.approx(drawn[0].recipe.her2.shares, abs=0.1)
    assert sum(stored["roi"]["counts"].values()) == stored["roi"]["cells"] > 2000
    assert percent[3] < 10 < percent[2]
    profile = load_profiles()["asco_cap_2018_2023"]
    assert decide(profile, Shares.from_percent(tuple(percent)), by_program=False).score == "2+"


def test_the_counts_of_the_truth_are_those_of_its_cells(stored):
    cells = {name: np.array(values) for name, values in stored["cells"].items() if name != "kinds"}
    assert len({len(values) for values in cells.values()}) == 1
    counted = cells["in_roi"] == 1
    assert (cells["kind"][counted] == stored["cells"]["kinds"].index("invasive")).all()
    assert np.bincount(cells["her2"][counted], minlength=4).tolist() == list(stored["roi"]["counts"].values())


def test_leaving_the_ducts_in_would_turn_the_answer(drawn):
    truth = drawn[1]
    (roi,) = truth.outlines.with_role(Role.ROI)
    inside = shapely.contains_xy(roi.geometry, truth.x, truth.y) & np.isin(truth.kind, (INVASIVE, IN_SITU))
    assert (truth.her2[inside] == 3).mean() > 0.1
    kept = truth.outlines.region().contains_points(truth.x, truth.y) & (truth.kind == IN_SITU)
    assert not kept.any()


def test_outlines_are_valid_and_lie_on_the_slide(drawn):
    outlines = drawn[1].outlines
    assert [len(outlines.with_role(r)) for r in (Role.ROI, Role.EXCLUDE, Role.CONTROL)] == [1, 3, 4]
    for annotation in outlines:
        assert annotation.geometry.is_valid
        assert shapely.box(0, 0, *SIZE).contains(annotation.geometry)
    assert len({a.id for a in outlines}) == 8


def dab_of(pixels: np.ndarray, plan: SlidePlan) -> np.ndarray:
    """DAB of each pixel by the stain vectors with which the sample is drawn."""
    od = -np.log10(np.maximum(pixels.astype(float), 1) / plan.scanner.glass)
    return (od.reshape(-1, 3) @ np.linalg.pinv(np.array([plan.lab.haematoxylin, plan.lab.dab])))[:, 1].reshape(
        pixels.shape[:2]
    )


def measured(slide: Slide, plan: SlidePlan, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strongest DAB, and share of directions in which DAB shows, around each place."""
    strength, around = [], []
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    radii = np.arange(14, 38)
    rows = (40 + np.outer(radii, np.sin(angles))).round().astype(int)
    columns = (40 + np.outer(radii, np.cos(angles))).round().astype(int)
    for x, y in places.astype(int):
        rays = dab_of(slide.read(0, int(x) - 40, int(y) - 40, 81, 81), plan)[rows, columns]
        strength.append(np.percentile(rays.max(axis=0), 80))
        around.append((rays.max(axis=0) > 0.12).mean())
    return np.array(strength), np.array(around)


def test_drawn_cells_agree_with_their_class(slide, drawn):
    """Read from the finished slide: staining rises with the class, and as much of the outline shows as truth says."""
    plan, truth = drawn
    rng = np.random.default_rng(0)
    strengths, shares, known = [], [], []
    for value in range(4):
        # Pellets: a cell's neighbours have its class, so that what is measured is its own.
        candidates = np.flatnonzero((truth.kind == CONTROL) & (truth.her2 == value))
        picked = rng.choice(candidates, 25, replace=False)
        strength, around = measured(slide, plan, np.stack([truth.x[picked], truth.y[picked]], axis=1))
        strengths.append(np.median(strength))
        shares.append(np.median(around))
        known.append(np.median(truth.completeness[picked]))
    assert strengths[0] < 0.1 < strengths[1] < 0.3 < strengths[2] < 0.75 < strengths[3]
    # What little stain a cell of class 0 bears is too faint to be seen.
    assert shares[0] < 0.1
    assert shares[1:] == pytest.approx(known[1:], abs=0.1)


def test_glass_is_that_of_the_scanner(slide, drawn):
    glass = slide.read(0, 60, 60, 300, 300).reshape(-1, 3).mean(axis=0)
    assert glass == pytest.approx(drawn[0].scanner.glass, abs=1.5)
