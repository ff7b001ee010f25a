"""Scorers on the real cores against the staining-intensity descriptor of the gastro-oesophageal paper."""

from __future__ import annotations

import csv
from pathlib import Path

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


def scored(path: Path, scorer: str, **chosen: str) -> np.ndarray:
    """Known score, found score, H-score and staining intensity of each core with an answer."""
    profile = load_profiles()[DEFAULT_PROFILE]
    rows = []
    with path.with_suffix(".csv").open() as file, open_slide(path) as slide:
        size = slide.pixel_size or PixelSize(0.25, 0.25, PixelSizeSource.USER)
        for row in csv.DictReader(file):
            x, y, side = int(row["x_px"]), int(row["y_px"]), int(row["size_px"])
            region = Region.rectangle(x, y, x + side, y + side)
            settings = find_scorer(scorer).complete(chosen)
            request = JobRequest(scorer, str(path), slide.identity, size, region, settings=settings)
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


def figures_of(cores: np.ndarray) -> dict[str, tuple[float, float]]:
    """Spearman and Kendall of what was found with the known score."""
    label, score, h_score, intensity = cores.T
    found = {
        name: (spearmanr(values, label).statistic, kendalltau(values, label).statistic)
        for name, values in (("score", score), ("H-score", h_score), ("intensity", intensity))
    }
    print(len(cores), found, np.column_stack([label, score, h_score]).round(1).tolist())  # noqa: T201 (docs/evaluation.md)
    return found


def test_membrane_staining_ranks_the_cores_like_their_labels_at_least_as_well_as_staining_intensity(shared_slides):
    cores = scored(shared_slides / "gastric-tma" / "gastric_tma9.svs", "membrane", table="gastric")
    assert len(cores) == 8, "the empty core has no answer"
    figures = figures_of(cores)
    # The descriptor of the paper is a continuous number, so a continuous one stands against it.
    assert figures["H-score"][0] >= figures["intensity"][0]
    assert figures["score"][0] > 0.6


def test_the_surface_of_real_cores_ranks_them_like_their_labels_though_its_networks_saw_phantoms_only(shared_slides):
    cores = scored(shared_slides / "gastric-tma" / "gastric_tma9.svs", "surface")
    assert len(cores) == 8, "the empty core has no answer"
    figures = figures_of(cores)
    assert figures["H-score"][0] > 0.5
    # The one core that shows strong stain all over.
    assert cores[cores[:, 0] == 3, 1].tolist() == [3]
