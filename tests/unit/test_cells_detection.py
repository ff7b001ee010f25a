"""Cells found on drawn and on painted tissue, the same ones however it is cut into tiles."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
from her2viewer_cells.detection import DetectionRules, combined, detect
from her2viewer_cells.tile import Found, Means, look
from hypothesis import example, given, settings
from hypothesis import strategies as st

from her2viewer.api import DAB, HAEMATOXYLIN, Region, TilePlan, deconvolution, deconvolve
from tests.helpers.array_slide import ArraySlide
from tests.helpers.drawn_tissue import UM, Drawn, draw_cells

RULES = DetectionRules()
GLASS = (236.0, 235.0, 243.0)


@cache
def drawn() -> Drawn:
    return draw_cells(size=(1900, 1900), seed=4)


@cache
def slide() -> ArraySlide:
    return ArraySlide(drawn().rgb, UM)


def found_in(region: Region) -> list[Found]:
    pixel_size = slide().pixel_size
    assert pixel_size is not None
    plan = TilePlan.of(slide(), pixel_size, 0.49, exact=True)
    means = Means(slide(), plan, region, deconvolution(GLASS, HAEMATOXYLIN, DAB), RULES, 0.065)
    return [look(tile, means) for tile in plan.tiles(region)]


@cache
def everywhere() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = found_in(Region.rectangle(0, 0, slide().width, slide().height))
    assert len(parts) == 4
    return sorted_cells(parts)


def sorted_cells(parts: list[Found]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, membranes and outlines of all cells, by place."""
    xy = np.concatenate([p.xy for p in parts])
    ring = np.concatenate([np.stack([p.features["membrane_od"], p.features["completeness"]], axis=1) for p in parts])
    outlines = np.concatenate([p.outlines for p in parts])
    order = np.lexsort(xy.T.round(3))
    return xy[order], ring[order], outlines[order]


def test_each_drawn_cell_is_found_once_at_its_place() -> None:
    xy, _, _ = everywhere()
    true = np.stack([drawn().x, drawn().y], axis=1)
    away = np.hypot(*(xy[:, None] - true[None]).transpose(2, 0, 1))
    assert (away.min(axis=0) < 3 / UM).mean() > 0.98
    assert (away.min(axis=1) < 3 / UM).mean() > 0.98
    assert len(xy) == pytest.approx(len(true), rel=0.02)


def test_no_two_cells_lie_on_each_other_at_the_borders_of_tiles() -> None:
    xy, _, _ = everywhere()
    away = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(xy))
    assert away.min() > 3 / UM


@settings(max_examples=8, deadline=None)
@example(255, 437, 439, 150)
@given(st.integers(0, 1100), st.integers(0, 1100), st.integers(150, 800), st.integers(150, 800))
def test_any_part_has_the_cells_that_it_has_in_the_whole(x: int, y: int, width: int, height: int) -> None:
    part = Region.rectangle(x, y, width, height)
    inner = Region.rectangle(x + 1, y + 1, width - 2, height - 2)
    whole, own = everywhere(), sorted_cells(found_in(part))
    # A cell on the outline may fall to either side by rounding; no other one may.
    whole, own = (tuple(a[inner.contains_points(*c[0].T)] for a in c) for c in (whole, own))
    assert len(whole[0]) == len(own[0])
    if len(whole[0]):
        # A pixel on the edge of a nucleus may go either way by rounding.
        pairs = np.hypot(*(whole[0][:, None] - own[0][None]).transpose(2, 0, 1)).argmin(axis=1)
        assert sorted(pairs) == list(range(len(pairs)))
        np.testing.assert_allclose(own[0][pairs], whole[0], atol=0.2)
        # So may one or two of the 32 rays of a membrane.
        np.testing.assert_allclose(own[1][pairs], whole[1], atol=100 * 2 / 32 + 0.1)
        assert np.abs(own[2][pairs] - whole[2]).mean() < 0.1


def test_the_membrane_of_a_cell_rises_with_its_class() -> None:
    xy, ring, _ = everywhere()
    true = np.stack([drawn().x, drawn().y], axis=1)
    nearest = np.hypot(*(xy[:, None] - true[None]).transpose(2, 0, 1)).argmin(axis=1)
    means = [ring[drawn().classes[nearest] == c].mean(axis=0) for c in range(4)]
    assert all(a[0] < b[0] for a, b in pairwise(means))
    assert means[0][1] < 10 < 30 < means[1][1] < 70 < 90 < means[3][1]


def test_touching_nuclei_are_parted_and_a_mottled_one_stays_one() -> None:
    h = np.full((200, 200), 0.02, np.float32)
    for at in ((60, 60), (80, 60), (140, 140)):
        cv2.circle(h, at, 9, 0.18, -1)
    rng = np.random.default_rng(0)
    h = cv2.GaussianBlur(h, (0, 0), 0.8) * (1 + 0.3 * cv2.GaussianBlur(rng.normal(0, 3, h.shape), (0, 0), 1.5))
    assert len(detect(h.astype(np.float32), np.zeros_like(h, np.float32), 0.49, RULES)) == 3


def test_a_brown_ring_is_no_nucleus_and_glass_beside_brown_is_none_either() -> None:
    dab = np.zeros((200, 200), np.float32)
    cv2.circle(dab, (100, 100), 20, 1.2, 4)
    nothing = np.zeros_like(dab)
    image = combined(nothing, dab, RULES)
    assert image.min() == pytest.approx(RULES.lowest)
    assert len(detect(nothing, dab, 0.49, RULES)) <= 1


def test_flat_tissue_and_an_empty_picture_have_no_cells() -> None:
    for od in (0.0, 0.3):
        flat = np.full((120, 120), od, np.float32)
        assert len(detect(flat, np.zeros_like(flat), 0.49, RULES)) == 0


def test_pixels_of_a_found_cell_lie_within_its_tile_and_margin() -> None:
    for part in found_in(Region.rectangle(300, 200, 700, 500)):
        assert (part.at >= 22).all()
        assert (part.at[:, 0] <= part.stains.shape[1] - 23).all()
        assert (part.at[:, 1] <= part.stains.shape[0] - 23).all()


def test_the_stains_are_those_of_the_deconvolution() -> None:
    part = found_in(Region.rectangle(300, 200, 700, 500))[0]
    tables = deconvolution(GLASS, HAEMATOXYLIN, DAB)
    assert part.stains.dtype == np.float32
    dark = deconvolve(np.full((1, 1, 3), 100, np.uint8), tables)[0]
    assert part.stains[..., 0].max() < dark.max()
