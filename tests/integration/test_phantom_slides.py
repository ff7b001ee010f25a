"""Phantom slides: the same each time, the same in parts, shares on target, and a truth that agrees with pixels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2viewer.cases.geojson import read_geojson
from her2viewer.cli import main
from her2viewer.domain.annotation import Role
from her2viewer.phantom.looks import lab, labs, scanner, scanners
from her2viewer.phantom.make import Phantom, make_phantom
from her2viewer.phantom.recipe import GROWTHS, Her2, Recipe, Tissue, read_recipe
from her2viewer.phantom.rendering import Renderer
from her2viewer.phantom.sets import make_set, plan_set
from her2viewer.phantom.slide_plan import BLOCK, SlidePlan
from her2viewer.phantom.survey import INVASIVE, survey
from her2viewer.slides.open import open_slide
from her2viewer.stains.density import optical_density
from her2viewer.training.dataset import read_data_set

SIZE = (2300, 1800)


def _plan(recipe: Recipe, seed: int = 3, size: tuple[int, int] = SIZE, glass: str = "white") -> SlidePlan:
    return SlidePlan(recipe, seed, size, scanner=scanner(glass), lab=lab("A"))


def _plain() -> Recipe:
    """Solid tumour all over, nothing but pixels as the stains make them."""
    tissue = Tissue(growth=("sheets", "sheets"), coverage=2.0, lymphocytes=0.0)
    return Recipe("plain", tissue, Her2(shares=(25.0, 25.0, 25.0, 25.0), clusters=0.6, mosaic=0.1, lateral=0.0))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Phantom:
    path = tmp_path_factory.mktemp("pair") / "both.tif"
    recipe = read_recipe("breast")
    return make_phantom(path, recipe, 5, SIZE, scanner=scanner("lilac"), lab=lab("B"), stain="both", workers=2)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    recipe = read_recipe("biopsy")

    def made(name: str, seed: int, workers: int) -> list[str]:
        path = tmp_path / name
        look = {"scanner": scanner("white"), "lab": lab("C")}
        phantom = make_phantom(path, recipe, seed, SIZE, workers=workers, **look)  # type: ignore[arg-type]
        files = (*phantom.slides, phantom.outlines, *phantom.truths)
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    first = made("a.tif", 11, 2)
    assert made("b.tif", 11, 1) == first
    assert made("c.tif", 12, 2)[0] != first[0]


def test_any_block_rendered_alone_is_the_same_area_of_the_whole_slide() -> None:
    recipe = read_recipe("breast")
    whole = Renderer(_plan(recipe), "ihc").region(0, 0, *SIZE)
    for column, row in ((1, 1), (2, 0), (0, 1)):
        alone = Renderer(_plan(recipe), "ihc").block(column, row)
        x, y = column * BLOCK, row * BLOCK
        np.testing.assert_array_equal(alone, whole[y : y + alone.shape[0], x : x + alone.shape[1]])
    part = Renderer(_plan(recipe), "ihc").region(900, 950, 300, 200)
    np.testing.assert_array_equal(part, whole[950:1150, 900:1200])


@pytest.mark.parametrize("name", ["breast", "gastric"])
def test_blocks_meet_without_a_seam(name: str) -> None:
    """What two blocks say of the pixels that both can paint, in stains, before any noise."""
    recipe = replace(read_recipe(name), artefacts=replace(read_recipe(name).artefacts, folds=0))
    size = (4 * BLOCK, BLOCK)
    renderer = Renderer(_plan(recipe, size=size), "ihc")
    for column in range(3):
        left = renderer.stains(column, 0, 16)
        blue, other = left.blue.copy(), left.other.copy()
        right = renderer.stains(column + 1, 0, 16)
        assert float(np.abs(blue[:, -32:] - right.blue[:, :32]).max()) < 1e-3
        assert float(np.abs(other[:, -32:] - right.other[:, :32]).max()) < 1e-3


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shares=st.tuples(*[st.integers(0, 33)] * 3),
    growth=st.tuples(st.sampled_from(GROWTHS), st.sampled_from(GROWTHS)),
    organ=st.sampled_from(["breast", "gastric"]),
    layout=st.sampled_from(["resection", "biopsy", "core"]),
    clusters=st.floats(0, 2),
    mosaic=st.floats(0, 2),
    seed=st.integers(0, 10_000),
)
def test_shares_are_within_half_a_point_of_what_was_asked_for(
    shares: tuple[int, int, int],
    growth: tuple[str, str],
    organ: str,
    layout: str,
    clusters: float,
    mosaic: float,
    seed: int,
) -> None:
    wanted = (100.0 - sum(shares), *map(float, shares))
    tissue = Tissue(organ=organ, layout=layout, growth=growth, coverage=1.0, in_situ=0.4, benign=0.4)
    recipe = Recipe("any", tissue, Her2(shares=wanted, clusters=clusters, mosaic=mosaic))  # type: ignore[arg-type]
    truth = survey(_plan(recipe, seed, (2600, 2600)), workers=2)
    cells = int(truth.counted.sum())
    tolerance = max(0.5, 100.0 / max(cells, 1))
    assert cells > 20
    assert np.allclose(truth.shares_by_cell, wanted, atol=tolerance)


def test_dab_on_the_outline_rises_with_the_class_in_truth_and_in_pixels() -> None:
    plan = _plan(_plain())
    truth = survey(plan, workers=2)
    renderer = Renderer(plan, "ihc")
    dab = np.concatenate(
        [np.concatenate([_cut(renderer, c, r, plan) for c in range(3)], axis=1) for r in range(2)], axis=0
    )
    means, pixels = [], []
    for value in range(4):
        ours = truth.counted & (truth.her2 == value)
        inside = ours & (truth.x > 60) & (truth.y > 60) & (truth.x < SIZE[0] - 60) & (truth.y < SIZE[1] - 60)
        means.append(float(truth.dab[ours].mean()))
        rings = [_highest(dab, x, y) for x, y in zip(truth.x[inside], truth.y[inside], strict=True)]
        pixels.append(float(np.median(rings)))
        assert inside.sum() > 30
    assert means == sorted(means)
    assert pixels == sorted(pixels)
    assert pixels[3] > 2 * pixels[2] > 2 * pixels[0]
    complete = [float(truth.completeness[truth.counted & (truth.her2 == value)].mean()) for value in range(4)]
    assert complete[1] < 0.7 < 0.9 < complete[2] <= complete[3]


def test_nuclei_of_the_truth_are_where_they_are_painted_also_in_glands() -> None:
    plan = _plan(Recipe("glands", Tissue(organ="gastric", growth=("glands", "glands"), coverage=1.5), Her2()))
    truth = survey(plan, workers=2)
    blue = Renderer(plan, "ihc").stains(0, 0).blue

    def density(x: np.ndarray, y: np.ndarray, chosen: np.ndarray) -> float:
        return float(blue[y[chosen].astype(int), x[chosen].astype(int)].mean())

    invasive = (truth.kind == 1) & (truth.x < BLOCK) & (truth.y < BLOCK)
    there = invasive & (truth.nucleus_x >= 0) & (truth.nucleus_x < BLOCK)
    there &= (truth.nucleus_y >= 0) & (truth.nucleus_y < BLOCK)
    assert there.sum() > 100
    # The middle of a tall cell is beside its nucleus; some cells are cut where there is none.
    assert density(truth.nucleus_x, truth.nucleus_y, there) > 1.15 * density(truth.x, truth.y, there)
    assert 0.01 < np.isnan(truth.nucleus_x[truth.kind == 1]).mean() < 0.12


def _cut(renderer: Renderer, column: int, row: int, plan: SlidePlan) -> np.ndarray:
    stain = renderer.stains(column, row).other.copy()
    return stain[: plan.height - row * BLOCK, : plan.width - column * BLOCK]


def _highest(dab: np.ndarray, x: float, y: float) -> float:
    """Mean over directions of the highest DAB on rays from a cell's centre."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    along = np.arange(8, 34)
    rows = np.round(y + along[None] * np.sin(angles)[:, None]).astype(int).clip(0, dab.shape[0] - 1)
    columns = np.round(x + along[None] * np.cos(angles)[:, None]).astype(int).clip(0, dab.shape[1] - 1)
    return float(dab[rows, columns].max(axis=1).mean())


@pytest.mark.parametrize("name", sorted(scanners()))
def test_the_background_of_the_truth_is_the_glass_of_the_pixels(tmp_path: Path, name: str) -> None:
    path = tmp_path / "glass.tif"
    look = scanner(name)
    size = (1400, 1100)
    phantom = make_phantom(path, read_recipe("gastric"), 2, size, scanner=look, lab=lab("A"), workers=2)
    with h5py.File(phantom.truths[0]) as file, open_slide(path) as slide:
        background = file.attrs["background"]
        corner = slide.read(0, 0, 0, 60, 60).reshape(-1, 3)
        assert np.abs(corner.mean(axis=0) - background).max() < 1.0
        assert slide.pixel_size is not None
        assert slide.pixel_size.mpp == pytest.approx(look.mpp, abs=1e-3)
        assert (slide.width, slide.height) == size
        step = file["masks/tissue"].attrs["step"]
        assert file["masks/tissue"].shape == (-(-size[1] // step), -(-size[0] // step))


def test_stains_of_the_pixels_lie_in_the_plane_of_the_true_vectors() -> None:
    plan = _plan(_plain())
    survey(plan, workers=2)
    renderer = Renderer(plan, "ihc")
    image = renderer.block(0, 0).astype(np.float64)
    density = optical_density(image.astype(np.uint8), plan.scanner.glass).reshape(-1, 3)
    dense = density[density.sum(axis=1) > 0.5]
    normal = np.cross(*renderer.vectors)
    normal /= np.linalg.norm(normal)
    angles = np.degrees(np.arcsin(np.abs(dense @ normal) / np.linalg.norm(dense, axis=1)))
    assert len(dense) > 10_000
    assert np.median(angles) < 3.0


def test_the_two_slides_of_a_pair_show_the_same_tissue(pair: Phantom) -> None:
    ihc, he = (_grey(path) for path in pair.slides)
    assert ihc.shape == he.shape
    tissue_ihc, tissue_he = ihc < 0.985 * np.median(ihc[:40]), he < 0.97 * np.median(he[:40])
    assert (tissue_ihc & tissue_he).sum() / (tissue_ihc | tissue_he).sum() > 0.6
    best = max((_correlation(ihc, he, dx, dy), dx, dy) for dx in range(-6, 7, 2) for dy in range(-6, 7, 2))
    assert best[1:] == (0, 0)
    with h5py.File(pair.truths[0]) as a, h5py.File(pair.truths[1]) as b:
        for name in ("cells/x", "cells/her2", "masks/tissue", "masks/her2", "masks/quality"):
            np.testing.assert_array_equal(a[name], b[name])
        assert a.attrs["stain"] == "ihc"
        assert b.attrs["stain"] == "he"
        assert a.attrs["stain_vectors"][1].tolist() == list(lab("B").dab)
        assert b.attrs["stain_vectors"][1].tolist() == list(lab("B").eosin)


def _grey(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        return slide.read(0, 0, 0, slide.width, slide.height).mean(axis=2)


def _correlation(a: np.ndarray, b: np.ndarray, dx: int, dy: int) -> float:
    inner = (slice(8, -8), slice(8, -8))
    moved = np.roll(b, (dy, dx), axis=(0, 1))
    return float(np.corrcoef(a[inner].ravel(), moved[inner].ravel())[0, 1])


def test_outlines_hold_what_they_name(pair: Phantom) -> None:
    outlines = read_geojson(pair.outlines)
    with h5py.File(pair.truths[0]) as file:
        kinds = json.loads(file["cells"].attrs["kinds"])
        x, y, kind = file["cells/x"][:], file["cells/y"][:], file["cells/kind"][:]
        counted, her2 = file["cells/counted"][:].astype(bool), file["cells/her2"][:]
        step, tissue = file["masks/tissue"].attrs["step"], file["masks/tissue"][:]
        shares = file.attrs["shares_by_cell"]
    region = outlines.region()
    invasive = kind == kinds.index("invasive")
    np.testing.assert_array_equal(counted, invasive & region.contains_points(x, y))
    assert counted.sum() / invasive.sum() > 0.9
    in_region = region.contains_points(x, y)
    for foreign in ("in_situ", "benign"):
        own = kind == kinds.index(foreign)
        if own.any():
            assert (in_region & own).sum() / own.sum() < 0.05
    assert np.allclose(100 * np.bincount(her2[counted], minlength=4)[:4] / counted.sum(), shares)
    assert set(np.unique(her2[~np.isin(kind, (1, 2))])) == {255}
    assert len(outlines.with_role(Role.CONTROL)) == 4
    # The mask says invasive where invasive cells lie.
    i, j = (x[counted] / step).astype(int), (y[counted] / step).astype(int)
    assert (tissue[j, i] == INVASIVE).mean() > 0.95


def test_controls_are_stained_from_nothing_to_intense() -> None:
    plan = _plan(read_recipe("biopsy"), size=(4096, 3072))
    truth = survey(plan, workers=2)
    control = truth.kind == 4
    rows = (truth.y * 4 // plan.height).astype(int)
    means = [float(truth.dab[control & (rows == k)].mean()) for k in range(4)]
    assert means == sorted(means)
    assert means[3] > 5 * means[1]


def test_a_set_is_read_by_the_training_kit_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    members = plan_set(5, 4)
    assert [m.id for m in plan_set(3, 4)] == [m.id for m in members[:3]]
    assert plan_set(3, 4) == members[:3]
    manifest = make_set(tmp_path / "set", members[:3], None, (1024, 1024), workers=2)
    before = {p.name: p.stat().st_mtime_ns for p in manifest.parent.glob("*.tif")}
    manifest = make_set(tmp_path / "set", members, None, (1024, 1024), workers=2)
    data = read_data_set(manifest)
    assert [e.id for e in data.slides] == [m.id for m in members]
    assert sum(e.shares is not None for e in data.slides) >= 3
    assert {p.name: p.stat().st_mtime_ns for p in manifest.parent.glob("*.tif") if p.name in before} == before
    for entry in data.slides:
        assert entry.lab in labs()
        assert entry.truth is not None
        with h5py.File(entry.truth) as file:
            assert file["cells/counted"][:].any() == (entry.shares is not None)
            if entry.shares is not None:
                assert np.allclose(file.attrs["shares_by_cell"], entry.shares, atol=1e-3)
                assert file.attrs["score"] == entry.score


def test_a_large_set_holds_every_score_scanner_and_lab_and_no_patient_of_two_labs() -> None:
    members = plan_set(80, 1)
    assert {m.scanner for m in members} == set(scanners())
    assert {m.lab for m in members} == set(labs())
    assert len({m.patient for m in members}) < len(members)
    assert len({(m.patient, m.lab) for m in members}) == len({m.patient for m in members})


@pytest.mark.parametrize(
    ("arguments", "part", "code"),
    [
        (["x.png"], "ends in .tif", 2),
        ([], "Say where to write", 2),
        (["x.tif", "--size", "10", "10"], "each side must be", 2),
        (["x.tif", "--recipe", "breasts"], "did you mean breast?", 2),
        (["x.tif", "--shares", "3+ 120"], "add up to 120 %", 2),
        (["x.tif", "--scanner", "blue"], "There is no scanner blue", 2),
        (["x.tif", "--lab", "A", "--lab", "B"], "several need --set", 2),
        (["x.tif", "--seed", "-3"], "--seed must be 0 or more", 2),
        (["x.tif", "--set", "2"], "With --set a folder", 2),
        (["folder", "--set", "0"], "A set of 0 slides", 2),
        (["/proc/none/x.tif", "--size", "300", "300"], "/proc/none", 6),
    ],
)
def test_mistakes_on_the_command_line_end_in_one_sentence(
    arguments: list[str],
    part: str,
    code: int,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["phantom", *arguments]) == code
    text = capsys.readouterr().err.strip()
    assert part in text
    assert "Traceback" not in text
    assert text[-1] in ".?"
    assert not any(tmp_path.iterdir())
