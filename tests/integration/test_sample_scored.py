"""Scorers of cells on the bundled sample slide, whose every tumour cell is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from her2viewer.cases.geojson import read_geojson
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.result import Result
from her2viewer.guidelines.engine import decide_result
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles
from her2viewer.resources import resource_path
from her2viewer.scoring.job import JobRequest, score_slide
from her2viewer.scoring.registry import find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.slides.open import open_slide

NEAR_PX = 20
"""5 um."""


@pytest.fixture(scope="module")
def truth() -> Any:
    return json.loads(resource_path("sample", "sample_her2.truth.json").read_text(encoding="utf-8"))


def scored(scorer: str) -> Result:
    path = resource_path("sample", "sample_her2.tif")
    region = read_geojson(path.with_suffix(".geojson")).region()
    with open_slide(path) as slide:
        assert slide.pixel_size is not None
        settings = find_scorer(scorer).complete({})
        request = JobRequest(scorer, str(path), slide.identity, slide.pixel_size, region, settings=settings)
        return score_slide(request, slide, LocalRuntime(2))


@pytest.fixture(scope="module")
def by_membrane() -> Result:
    return scored("membrane")


@pytest.fixture(scope="module")
def by_cells() -> Result:
    return scored("cells")


def check_answer(result: Result, truth: Any, points: float) -> None:
    """The known shares to within so many percentage points, the known number of cells, the known score."""
    assert result.shares is not None
    assert np.array(result.shares.percent) == pytest.approx(list(truth["roi"]["percent"].values()), abs=points)
    assert result.shares.total == pytest.approx(truth["roi"]["cells"], rel=0.12)
    assert decide_result(load_profiles()[DEFAULT_PROFILE], result).score == "2+"


def matched(result: Result, truth: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the counted cells whose nucleus the section shows: which are found, their class, and what was drawn."""
    (table,) = (item for item in result.evidence if isinstance(item, CellTable))
    cells = {k: np.array(v, dtype=float) for k, v in truth["cells"].items() if k != "kinds"}
    shown = (cells["in_roi"] == 1) & ~np.isnan(cells["nucleus_x"])
    assert shown.sum() > 2000
    places = np.stack([cells["nucleus_x"], cells["nucleus_y"]], axis=1)[shown]
    distance, nearest = cKDTree(np.stack([table.x, table.y], axis=1)).query(places)
    hit = distance < NEAR_PX
    # Of the seven classes of ``cells`` the last four are those of the tumour; ``membrane`` has four and one more.
    values = np.array(table.scheme.her2)[table.classes[nearest[hit]]]
    return hit, values, cells["her2"][shown][hit]


def test_shares_by_membrane_are_near_the_truth(by_membrane: Result, truth: Any) -> None:
    check_answer(by_membrane, truth, 7)


def test_shares_by_cells_are_near_the_truth(by_cells: Result, truth: Any) -> None:
    check_answer(by_cells, truth, 7)


def test_membrane_finds_most_cells_and_few_are_two_classes_off(by_membrane: Result, truth: Any) -> None:
    hit, values, drawn = matched(by_membrane, truth)
    assert hit.mean() > 0.85
    kept = values >= 0
    assert kept.mean() > 0.84
    off = np.abs(values - drawn)[kept]
    assert (off == 0).mean() > 0.7
    assert (off > 1).mean() < 0.02


def test_cells_finds_nearly_all_and_takes_hardly_any_tumour_cell_for_another(by_cells: Result, truth: Any) -> None:
    hit, values, drawn = matched(by_cells, truth)
    assert hit.mean() > 0.96
    for value in range(4):
        assert (values[drawn == value] >= 0).mean() > 0.95
    off = np.abs(values - drawn)[values >= 0]
    assert (off == 0).mean() > 0.8
    assert (off > 1).mean() < 0.01
