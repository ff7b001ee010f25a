"""The membrane scorer on the bundled sample slide, whose every tumour cell is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from her2viewer_membrane.scorer import MembraneScorer
from scipy.spatial import cKDTree
from shapely.geometry import shape

from her2viewer.api import Partial, Region, ScoringInput
from her2viewer.resources import resource_path
from her2viewer.scoring.aggregate import shares_of
from her2viewer.scoring.merge import EvidenceStore
from her2viewer.scoring.registry import find_scorer
from her2viewer.slides.open import open_slide


class Desk:
    device = "CPU"
    threads = 2

    def check(self) -> None:
        pass


@pytest.fixture(scope="module")
def sample():
    truth = json.loads(resource_path("sample", "sample_her2.truth.json").read_text(encoding="utf-8"))
    outlines = json.loads(resource_path("sample", "sample_her2.geojson").read_text(encoding="utf-8"))["features"]
    kind = [f["properties"]["classification"]["name"] for f in outlines]
    shapes = [shape(f["geometry"]) for f in outlines]
    region = Region.of(
        [s for s, k in zip(shapes, kind, strict=True) if k == "Tumor"],
        [s for s, k in zip(shapes, kind, strict=True) if k != "Tumor"],
    )
    store = EvidenceStore()
    with open_slide(resource_path("sample", "sample_her2.tif")) as slide:
        settings = find_scorer("membrane").complete({})
        given = ScoringInput(slide, slide.pixel_size, region, region, Region.of(()), settings)
        for event in MembraneScorer().score(given, Desk()):
            if isinstance(event, Partial):
                store.add(event.evidence)
        cells = store.merged()[0]
        return truth, cells, shares_of([cells], region, "cells", slide.pixel_size)


def test_shares_of_the_sample_are_near_the_truth(sample):
    truth, _, shares = sample
    counts = np.array([truth["roi"]["counts"][k] for k in ("0", "1+", "2+", "3+")], float)
    assert np.abs(np.array(shares.percent) - 100 * counts / counts.sum()).max() < 7
    assert abs(shares.total - counts.sum()) < 0.12 * counts.sum()


def test_most_cells_of_the_sample_are_found_and_few_are_two_classes_off(sample):
    truth, found, _ = sample
    cells = {k: np.array(v) for k, v in truth["cells"].items() if k != "kinds"}
    tumour = (cells["kind"] == truth["cells"]["kinds"].index("invasive")) & (cells["in_roi"] == 1)
    places = np.stack([cells["x"], cells["y"]], axis=1)[tumour]
    drawn = cells["her2"][tumour]
    distance, nearest = cKDTree(np.stack([found.x, found.y], axis=1)).query(places)
    hit = distance < 20
    assert hit.mean() > 0.9
    given = found.classes[nearest[hit]].astype(int)
    kept = given < 4
    assert kept.mean() > 0.9
    off = np.abs(given[kept] - drawn[hit][kept])
    assert (off == 0).mean() > 0.72
    assert (off > 1).mean() < 0.02
