"""Maps whose weights decide what counts, and masks of tissue: joined from parts, counted, kept in a case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from her2viewer.cases.result_file import read_result, write_result
from her2viewer.domain.classes import TUMOUR_SCHEME
from her2viewer.domain.evidence import NOT_SCORED, ClassMap, Grid, TissueMask
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import Provenance, Result
from her2viewer.scoring.aggregate import SurfaceCounter
from her2viewer.scoring.merge import EvidenceStore

MPP = PixelSize(0.5, 0.5, PixelSizeSource.FILE)
PROVENANCE = Provenance("surface", "1", "0.1.0", "id", "region", 0.5, "file", "CPU", {})


def _map(x: float, weight: list[list[float]], classes: list[list[int]]) -> ClassMap:
    return ClassMap(
        "HER2 class",
        Grid(x, 0, 128, len(weight[0]), len(weight)),
        TUMOUR_SCHEME,
        np.array(classes, np.uint8),
        np.array(weight, np.float32),
        least_weight=0.1,
    )


def test_a_patch_with_too_little_tumour_is_neither_shown_nor_counted() -> None:
    found = _map(0, [[0.1, 0.11, 1.0, 0.5]], [[3, 2, 1, NOT_SCORED]])
    assert found.shown.tolist() == [[False, True, True, False]]
    shares = SurfaceCounter(found, MPP).shares(Region.rectangle(0, 0, 1000, 1000))
    patch = MPP.mm2(128**2)
    assert shares.amounts == pytest.approx((0, patch, 0.11 * patch, 0))
    assert shares.excluded == 0


def test_without_a_least_weight_a_map_of_anything_is_shown_whole() -> None:
    found = replace(_map(0, [[0.0, 1.0]], [[0, NOT_SCORED]]), least_weight=0.0)
    assert found.shown.tolist() == [[True, False]]


def test_parts_of_a_mask_are_joined_and_what_nobody_looked_at_stays_so() -> None:
    left = TissueMask("Invasive tumour", Grid(0, 0, 8, 2, 1), np.array([[1, NOT_SCORED]], np.uint8))
    right = TissueMask("Invasive tumour", Grid(8, 8, 8, 2, 1), np.array([[0, 1]], np.uint8))
    store = EvidenceStore()
    store.add((left, _map(0, [[0.5]], [[1]])))
    store.add((right, _map(128, [[0.6]], [[2]])))
    mask, joined = store.merged()
    assert isinstance(mask, TissueMask)
    assert mask.values.tolist() == [[1, NOT_SCORED, NOT_SCORED], [NOT_SCORED, 0, 1]]
    assert isinstance(joined, ClassMap)
    assert joined.least_weight == 0.1


def test_a_case_keeps_masks_and_the_least_weight(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask = TissueMask("Invasive tumour", Grid(0, 0, 8, 90, 70), rng.integers(0, 2, (70, 90)).astype(np.uint8))
    evidence = (mask, _map(0, [[0.5, 0.05]], [[1, 2]]))
    result = Result(PROVENANCE, Region.rectangle(0, 0, 9, 9), evidence)
    write_result(tmp_path / "result.h5", result)
    again = read_result(tmp_path / "result.h5")
    kept, class_map = again.evidence
    assert isinstance(kept, TissueMask)
    assert kept.name == mask.name
    assert kept.grid == mask.grid
    np.testing.assert_array_equal(kept.values, mask.values)
    assert isinstance(class_map, ClassMap)
    assert class_map.least_weight == 0.1
