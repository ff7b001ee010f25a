"""What few cells and few tissues of a phantom have: mitoses, mucin, signet-ring cells. Truth and pixels agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from her2viewer.phantom.looks import lab, scanner
from her2viewer.phantom.make import make_phantom
from her2viewer.phantom.recipe import Her2, Recipe, Tissue, read_recipe
from her2viewer.phantom.rendering import Renderer
from her2viewer.phantom.sets import plan_set
from her2viewer.phantom.slide_plan import BLOCK, SlidePlan
from her2viewer.phantom.survey import INVASIVE, MUCIN, NUCLEI, Survey, survey
from her2viewer.stains.density import optical_density

SIZE = (2048, 2048)
MITOSIS, SIGNET = NUCLEI.index("mitosis"), NUCLEI.index("signet_ring")
MUCINOUS = Recipe(
    "mucinous",
    Tissue(organ="gastric", growth=("glands", "glands"), coverage=2.0, mucin=0.6, signet=0.7, lymphocytes=0.1),
    Her2(shares=(100.0, 0.0, 0.0, 0.0)),
)


def plan_of(tissue: Tissue, size: tuple[int, int] = SIZE, seed: int = 4) -> SlidePlan:
    recipe = Recipe("own", tissue, Her2(shares=(100.0, 0.0, 0.0, 0.0)))
    return SlidePlan(recipe, seed, size, scanner=scanner("white"), lab=lab("A"))


def solid(**changes: object) -> Tissue:
    tissue = Tissue(grade=3, growth=("sheets", "sheets"), coverage=2.0, lymphocytes=0.0, vessels=0.0)
    return replace(tissue, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def mucinous() -> tuple[SlidePlan, Survey]:
    plan = SlidePlan(MUCINOUS, 4, (3072, 3072), scanner=scanner("white"), lab=lab("A"))
    return plan, survey(plan)


def test_mitoses_change_nothing_but_the_cells_that_divide() -> None:
    many, none = plan_of(solid(mitoses=8.0)), plan_of(solid(mitoses=0.0))
    with_, without = survey(many), survey(none)
    divides = with_.nucleus == MITOSIS
    assert divides.sum() > 10
    assert not without.nucleus.any()
    assert (with_.x == without.x).all()
    assert (with_.her2 == without.her2).all()
    assert (with_.kind[divides] == 1).all()
    a, b = (Renderer(p, "ihc").block(0, 0).astype(int) for p in (many, none))
    rows, columns = np.nonzero(np.abs(a - b).max(axis=2) > 24)
    assert len(rows) > 0
    near = np.hypot(with_.x[divides][None] - columns[:, None], with_.y[divides][None] - rows[:, None]).min(axis=1)
    assert near.max() < 15 / many.mpp, "um from the middle of a cell that divides"


def test_a_mitosis_is_darker_than_any_resting_nucleus_beside_it() -> None:
    plan = plan_of(solid(mitoses=8.0))
    found = survey(plan)
    od = optical_density(Renderer(plan, "ihc").block(0, 0), scanner("white").glass)[..., 0]
    half = round(6 / plan.mpp)
    inside = (found.x > half) & (found.y > half) & (found.x < BLOCK - half) & (found.y < BLOCK - half)
    inside &= ~np.isnan(found.nucleus_x)

    def darkest(chosen: np.ndarray) -> np.ndarray:
        x, y = (found.nucleus_x[chosen].astype(int), found.nucleus_y[chosen].astype(int))
        inner = [(a, b) for a, b in zip(x, y, strict=True) if half <= a < BLOCK - half and half <= b < BLOCK - half]
        return np.array([np.percentile(od[b - half : b + half, a - half : a + half], 97) for a, b in inner])

    divides, rests = darkest(inside & (found.nucleus == MITOSIS)), darkest(inside & (found.nucleus == 0))
    assert len(divides) >= 3
    assert np.median(divides) > np.percentile(rests, 90)


def test_the_higher_the_grade_the_more_cells_divide() -> None:
    shares = []
    for grade in (1, 2, 3):
        found = survey(plan_of(solid(grade=grade, mitoses=10.0), (3072, 3072)))
        shares.append((found.nucleus == MITOSIS).sum() / (found.kind == 1).sum())
    assert shares[0] < 0.6 * shares[1] < 0.4 * shares[2]
    assert 0.015 < shares[2] < 0.06


def test_pools_of_mucin_are_pale_and_hold_no_cells_but_groups_of_tumour(mucinous: tuple[SlidePlan, Survey]) -> None:
    plan, found = mucinous
    pool = found.tissue == MUCIN
    assert 0.02 < pool.mean() < 0.5
    rows, columns = (np.clip((v / found.step).astype(int), 0, pool.shape[0] - 1) for v in (found.y, found.x))
    within = cv2.erode(pool.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert not (within[rows, columns] & (found.kind > 1)).any()
    image = Renderer(plan, "ihc").region(0, 0, *SIZE)
    grey = optical_density(image, scanner("white").glass).mean(axis=2)
    side = SIZE[0] // found.step
    small = (
        grey[: side * found.step, : side * found.step].reshape(side, found.step, side, found.step).mean(axis=(1, 3))
    )
    part, tumour = pool[:side, :side], found.tissue[:side, :side] == INVASIVE
    assert part.any()
    assert 0.002 < small[part].mean() < 0.4 * small[tumour].mean()


def test_signet_ring_cells_are_tumour_cells_with_a_flat_nucleus_at_their_edge(
    mucinous: tuple[SlidePlan, Survey],
) -> None:
    plan, found = mucinous
    signet = found.nucleus == SIGNET
    assert signet.sum() > 50
    assert (found.kind[signet] == 1).all()
    assert (found.her2[signet] < 4).all()
    off = np.hypot(found.nucleus_x - found.x, found.nucleus_y - found.y) * plan.mpp
    others = (found.kind == 1) & (found.nucleus == 0)
    assert np.nanmedian(off[signet]) > 3.5
    assert np.median(found.radius[signet]) < np.median(found.radius[others])


def test_the_truth_file_names_the_kinds_of_nuclei(tmp_path: Path) -> None:
    look = {"scanner": scanner("white"), "lab": lab("A")}
    made = make_phantom(tmp_path / "m.tif", MUCINOUS, 4, (1024, 1024), **look)  # type: ignore[arg-type]
    with h5py.File(made.truths[0]) as file:
        cells = file["cells"]
        names = json.loads(cells.attrs["nuclei"])
        codes = cells["nucleus"][:]
        assert names == list(NUCLEI)
        assert len(codes) == len(cells["x"])
        assert codes.max() < len(names)
        assert "mucin" in json.loads(file["masks/tissue"].attrs["legend"]).values()


def test_what_is_rare_takes_no_draw_from_the_rest_of_a_set() -> None:
    drawn = plan_set(6, 3, recipes=["gastric"])
    mucin = {m.recipe.tissue.mucin for m in drawn}
    assert len(mucin) > 2
    plain = read_recipe("breast").tissue
    assert (plain.mucin, plain.signet) == (0.0, 0.0)
