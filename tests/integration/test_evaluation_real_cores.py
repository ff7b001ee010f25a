"""The membrane scorer on the real cores against the staining-intensity descriptor of the gastro-oesophageal paper."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.guidelines.engine import decide_result
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles
from her2viewer.scoring.job import JobRequest, score_slide
from her2viewer.scoring.registry import find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.slides.open import open_slide

TILE = 224
"""px at 40x, as in the paper."""


def staining_intensity(slide, x: int, y: int, size: int) -> float:
    """Mean DAB of the tile with most of it: DAB by the stain vectors of scikit-image, tiles that are not empty."""
    color = pytest.importorskip("skimage.color")
    rgb = slide.read(0, x, y, size, size)
    best = 0.0
    for top in range(0, size - TILE + 1, TILE):
        dab = color.rgb2hed(rgb[top : top + TILE])[..., 2]
        grey = rgb[top : top + TILE].mean(axis=2)
        for left in range(0, size - TILE + 1, TILE):
            if (grey[:, left : left + TILE] <= 220).mean() > 0.05:
                best = max(best, float(dab[:, left : left + TILE].mean()))
    return best


@pytest.fixture(scope="module")
def cores(shared_slides):
    path = shared_slides / "gastric-tma" / "gastric_tma9.svs"
    profile = load_profiles()[DEFAULT_PROFILE]
    rows = []
    with path.with_suffix(".csv").open() as file, open_slide(path) as slide:
        size = slide.pixel_size or PixelSize(0.25, 0.25, PixelSizeSource.USER)
        for row in csv.DictReader(file):
            x, y, side = int(row["x_px"]), int(row["y_px"]), int(row["size_px"])
            region = Region.rectangle(x, y, x + side, y + side)
            settings = find_scorer("membrane").complete({"table": "gastric"})
            request = JobRequest("membrane", str(path), slide.identity, size, region, settings=settings)
            result = score_slide(request, slide, LocalRuntime(2))
            if result.not_assessable is not None:
                continue
            percent = np.array(result.shares.percent)
            score = int(decide_result(profile, result).score[0])
            # Ranks inside a score by the H-score, so that nine cores do not tie on four values.
            rows.append(
                (int(row["ihc_score"]), score, float(percent @ [0, 1, 2, 3]), staining_intensity(slide, x, y, side))
            )
    return np.array(rows)


def test_membrane_staining_ranks_the_cores_like_their_labels_at_least_as_well_as_staining_intensity(cores):
    label, score, h_score, intensity = cores.T
    figures = {
        name: (spearmanr(values, label).statistic, kendalltau(values, label).statistic)
        for name, values in (("score", score), ("H-score", h_score), ("intensity", intensity))
    }
    print(len(cores), figures)  # noqa: T201 (the figures of docs/evaluation.md)
    assert len(cores) == 8, "the empty core has no answer"
    # The descriptor of the paper is a continuous number, so a continuous one stands against it.
    assert figures["H-score"][0] >= figures["intensity"][0]
    assert figures["score"][0] > 0.6
