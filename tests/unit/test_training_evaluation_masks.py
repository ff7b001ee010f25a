"""The tumour mask of a scorer against a truth that is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest

from her2viewer.domain.evidence import NOT_SCORED, Grid, TissueMask
from her2viewer.domain.pixelsize import PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import Provenance, Result
from her2viewer.training.dataset import SlideEntry
from her2viewer.training.evaluation.masks import MaskCounts, mask_counts, mask_report
from her2viewer.training.evaluation.scored import ScoredSlide

STEP = 8
"""Level-0 px of a px of the truth; the mask's are twice as wide."""


def truth_file(path: Path, codes: np.ndarray, name: str = "tissue") -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "her2viewer-truth"
        file.attrs["version"] = 1
        mask = file.create_dataset(f"masks/{name}", data=codes.astype(np.uint8))
        mask.attrs["legend"] = json.dumps({"0": "glass", "1": "stroma", "2": "invasive"})
        mask.attrs["step"] = STEP
    return path


def scored(truth: Path | None, values: np.ndarray, region: Region) -> ScoredSlide:
    mask = TissueMask("Invasive tumour", Grid(0, 0, 2 * STEP, *values.shape[::-1]), values.astype(np.uint8))
    provenance = Provenance("surface", "1", "0.1.0", "slide", region.hash, 0.25, PixelSizeSource.FILE, "CPU", {})
    entry = SlideEntry("a", Path("a.tif"), truth=truth)
    return ScoredSlide(entry, region, 0.25, Result(provenance, region, (mask,)))


def test_pixels_are_counted_inside_the_outline_where_the_scorer_looked(tmp_path: Path) -> None:
    codes = np.ones((8, 8))
    codes[:, :4] = 2
    values = np.zeros((4, 4))
    values[:2, :3] = 1
    values[3, 0] = NOT_SCORED
    # The lowest row of the mask lies outside but for its first column, where nobody looked.
    region = Region.rectangle(0, 0, 64, 48)
    found = mask_counts(scored(truth_file(tmp_path / "t.h5", codes), values, region), 2, "p")
    assert found == MaskCounts("p", 2, both=4, found=6, known=6)


def test_without_a_mask_of_the_tissue_there_is_nothing_to_compare(tmp_path: Path) -> None:
    values, region = np.ones((4, 4)), Region.rectangle(0, 0, 64, 64)
    assert mask_counts(scored(None, values, region), 0, "p") is None
    other = truth_file(tmp_path / "t.h5", np.ones((8, 8)), name="quality")
    assert mask_counts(scored(other, values, region), 0, "p") is None


def test_dice_of_all_slides_together_and_by_their_score() -> None:
    counts = [MaskCounts("a", 0, 80, 100, 90), MaskCounts("b", 3, 10, 10, 30), MaskCounts("c", 3, 0, 10, 10)]
    report = {m.of: m for m in mask_report(counts, 200, 1)}
    assert report["Dice"].value == pytest.approx(2 * 90 / 250)
    assert report["precision"].value == pytest.approx(90 / 120)
    assert report["recall"].value == pytest.approx(90 / 130)
    assert report["Dice of 0"].value == pytest.approx(160 / 190)
    assert report["Dice of 3+"].value == pytest.approx(20 / 60)
    assert report["Dice of 3+"].n == 2
    assert report["Dice"].low < report["Dice"].value < report["Dice"].high
    assert math.isnan(report["Dice of 0"].low), "one slide has no spread"
    assert "Dice of 1+" not in report
    assert mask_report([], 200, 1) == ()
