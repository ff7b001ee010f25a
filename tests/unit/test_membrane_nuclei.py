"""Watershed, shapes and rings on drawn pictures."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from her2viewer_membrane.nuclei import detect
from her2viewer_membrane.rules import rules_for

from her2viewer.api import rings_of
from her2viewer.scoring.registry import find_scorer
from her2viewer.stains import _cell_kernels as kernels

RULES = rules_for(find_scorer("membrane").complete({}))


def discs(*centres: tuple[int, int], radius: int = 8, od: float = 0.18, size: int = 200) -> np.ndarray:
    h = np.full((size, size), 0.02, np.float32)
    for centre in centres:
        cv2.circle(h, centre, radius, od, -1)
    return cv2.GaussianBlur(h, (0, 0), 0.8)


def test_each_disc_is_one_nucleus_at_its_place():
    centres = [(40, 40), (120, 50), (60, 140), (150, 150)]
    h = discs(*centres)
    found = detect(h, np.zeros_like(h), 0.5, RULES.nuclei)
    assert len(found) == 4
    places = sorted((round(x), round(y)) for x, y in found.shapes[:, 1:3])
    assert all(abs(a - c) <= 1 and abs(b - d) <= 1 for (a, b), (c, d) in zip(places, sorted(centres), strict=True))
    areas = found.shapes[:, 0]
    assert (abs(areas - np.pi * 64) < 0.35 * np.pi * 64).all()


def test_touching_nuclei_are_parted():
    h = discs((80, 100), (97, 100))
    assert len(detect(h, np.zeros_like(h), 0.5, RULES.nuclei)) == 2


def test_a_mottled_nucleus_stays_one():
    rng = np.random.default_rng(0)
    h = discs((100, 100), radius=11)
    h *= 1 + 0.5 * cv2.GaussianBlur(rng.normal(0, 4, h.shape).astype(np.float32), (0, 0), 2)
    assert len(detect(h, np.zeros_like(h), 0.5, RULES.nuclei)) == 1


def test_brown_membranes_are_no_nuclei():
    d = np.zeros((200, 200), np.float32)
    cv2.circle(d, (100, 100), 14, 1.0, 3)
    h = discs((100, 100)) + 0.12 * (d > 0)
    found = detect(h, d, 0.5, RULES.nuclei)
    assert len(found) == 1
    assert abs(found.shapes[0, 1] - 100) < 1.5


def test_specks_and_empty_fields_give_nothing():
    assert len(detect(discs((50, 50), radius=2), np.zeros((200, 200), np.float32), 0.5, RULES.nuclei)) == 0
    flat = np.zeros((64, 64), np.float32)
    assert len(detect(flat, flat, 0.5, RULES.nuclei)) == 0


def test_every_pixel_climbs_to_its_own_peak():
    y, x = np.mgrid[0:40, 0:80]
    height = (np.exp(-((x - 20) ** 2 + (y - 20) ** 2) / 90) + np.exp(-((x - 60) ** 2 + (y - 20) ** 2) / 90)).astype(
        np.float32
    )
    mask = (height > 0.05).astype(np.uint8)
    labels, count = kernels.ascend(height, mask)
    assert count == 2
    assert ((labels > 0) == (mask > 0)).all()
    assert len(np.unique(labels[:, :38][mask[:, :38] > 0])) == 1


def test_a_plateau_is_one_basin():
    labels, count = kernels.ascend(np.ones((20, 30), np.float32), np.ones((20, 30), np.uint8))
    assert count == 1
    assert (labels == 1).all()


def test_basins_with_a_shallow_saddle_merge_and_others_do_not():
    profile = np.array([0, 1, 2, 3, 2.9, 3, 2, 1, 0.5, 1, 2, 3, 2, 1, 0], np.float32)
    height = np.ascontiguousarray(np.tile(profile, (3, 1)))
    labels, count = kernels.ascend(height, np.ones(height.shape, np.uint8))
    assert kernels.merge_basins(labels, count, height, 0.1, 0.0) == 2


@pytest.mark.parametrize(("axes", "turn"), [((12, 6), 0), ((12, 6), 45), ((9, 9), 0)])
def test_shapes_give_the_axes_of_an_ellipse(axes, turn):
    labels = np.zeros((60, 60), np.int32)
    cv2.ellipse(labels, (30, 30), axes, turn, 0, 360, 1, -1)
    row = kernels.shapes(labels, 1, np.ones((60, 60), np.float32), np.zeros((60, 60), np.float32))[1]
    assert row[3] == pytest.approx(2 * axes[0], abs=1.5)
    assert row[4] == pytest.approx(2 * axes[1], abs=1.5)
    assert row[5] == 1.0


def test_the_ring_reads_the_membrane_and_not_the_neighbour():
    h = discs((60, 100), (140, 100), size=200)
    d = np.zeros_like(h)
    cv2.circle(d, (60, 100), 13, 0.8, 3)
    found = detect(h, d, 0.5, RULES.nuclei)
    rings = rings_of(found, d, 0.5, RULES.cells)
    left, right = np.argsort(found.shapes[:, 1])
    assert rings.peak[left].min() > 0.6
    assert rings.peak[right].max() < 0.05


def test_the_manifest_is_read_without_heavy_imports():
    code = (
        "import sys, her2viewer_membrane, her2viewer.api\n"
        "from her2viewer.scoring.registry import find_scorer\n"
        "assert find_scorer('membrane').id == 'membrane'\n"
        "heavy = {'cv2', 'numba', 'scipy', 'torch', 'PySide6', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
