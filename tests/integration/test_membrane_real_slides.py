"""The membrane scorer on the real slides of the shared folder; skips where it is absent."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from her2viewer_membrane.scorer import MembraneScorer

from her2viewer.api import CellTable, Finished, Partial, PixelSize, PixelSizeSource, Region, ScoringInput
from her2viewer.scoring.aggregate import shares_of
from her2viewer.scoring.merge import EvidenceStore
from her2viewer.scoring.registry import find_scorer
from her2viewer.slides.open import open_slide

MANIFEST = find_scorer("membrane")


class Desk:
    device = "CPU"
    threads = 2

    def check(self) -> None:
        pass


def score(path: Path, box: tuple[int, int, int, int] | None = None, mpp: float | None = None, **settings):
    with open_slide(path) as slide:
        size = slide.pixel_size if mpp is None else PixelSize(mpp, mpp, PixelSizeSource.USER)
        region = Region.rectangle(*(box or (0, 0, slide.width, slide.height)))
        given = ScoringInput(slide, size, region, region, Region.of(()), MANIFEST.complete(settings))
        store, finished = EvidenceStore(), None
        for event in MembraneScorer().score(given, Desk()):
            if isinstance(event, Partial):
                store.add(event.evidence)
            elif isinstance(event, Finished):
                finished = event
        evidence = store.merged()
        return finished, evidence, shares_of(evidence, region, "cells", size)


@pytest.fixture(scope="module")
def cores(shared_slides: Path):
    folder = shared_slides / "gastric-tma"
    with (folder / "gastric_tma9.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for row in rows:
        size = int(row["size_px"])
        box = (int(row["x_px"]), int(row["y_px"]), size, size)
        found[int(row["row"]), int(row["col"])] = (int(row["ihc_score"]), *score(folder / "gastric_tma9.svs", box))
    return found


def test_the_strong_core_comes_out_clearly_above_the_negative_ones(cores):
    label, finished, _, strong = cores[2, 1]
    assert label == 3
    assert finished.not_assessable is None
    assert strong.percent[3] > 25
    for place in ((0, 0), (0, 1)):
        label, finished, _, negative = cores[place]
        assert label == 0
        assert finished.not_assessable is None
        assert negative.percent[0] > 98
        assert negative.percent[3] < 0.5


def test_the_two_stained_2_cores_have_more_than_a_tenth_of_2(cores):
    for place in ((1, 1), (2, 0)):
        shares = cores[place][3]
        assert shares.percent[2] > 10
        assert shares.percent[3] < 5


def test_the_empty_core_is_not_assessable(cores):
    assert cores[2, 2][1].not_assessable.code in {"no_tissue", "unstained"}


def test_a_region_across_a_core_is_the_same_for_its_half(cores, shared_slides):
    """Cells of a half region are cells of the whole one: nothing depends on where the region ends."""
    path = shared_slides / "gastric-tma" / "gastric_tma9.svs"
    whole = cores[2, 1][2][0]
    assert isinstance(whole, CellTable)
    with open_slide(path) as slide:
        half = Region.rectangle(5468, 10936, 2734, 5468)
        given = ScoringInput(
            slide,
            slide.pixel_size,
            half,
            Region.rectangle(5468, 10936, 5468, 5468),
            Region.of(()),
            MANIFEST.complete({}),
            cores[2, 1][1].estimates,
        )
        parts = [e.evidence[0] for e in MembraneScorer().score(given, Desk()) if isinstance(e, Partial)]
    x = np.concatenate([p.x for p in parts])
    assert abs(len(x) - (whole.x < 5468 + 2734).sum()) <= 3


@pytest.mark.parametrize(
    ("name", "mpp"), [("cmu_small_region.svs", None), ("tcga_no_mpp.svs", 0.25), ("os1_he.ome.tif", None)]
)
def test_real_haematoxylin_and_eosin_is_not_assessable(shared_slides, name, mpp):
    finished, evidence, _ = score(shared_slides / "whole-slide" / name, mpp=mpp)
    assert finished.not_assessable.code == "not_ihc_he"
    assert evidence == ()


@pytest.mark.parametrize(
    ("name", "counts"), [("os2_ki67_ndpi.ome.tif", (1066, 1323)), ("os2_ki67_vsi.ome.tif", (763, 1353))]
)
def test_ki67_is_refused_as_a_nuclear_stain_and_its_blue_nuclei_are_found(shared_slides, name, counts):
    path = shared_slides / "whole-slide" / name
    finished, _, _ = score(path)
    assert finished.not_assessable.code == "nuclear_stain"
    _, evidence, _ = score(path, score_anyway=True)
    # QuPath counts brown nuclei too; this detector leaves those out on purpose.
    assert 0.75 * counts[0] < len(evidence[0]) < counts[1]


@pytest.mark.parametrize("name", ["skimage_ihc.png", "kidney-48-5.tif"])
def test_other_dab_pictures_end_in_an_answer(shared_slides, name):
    finished, _, _ = score(shared_slides / "images" / name, mpp=0.5)
    assert isinstance(finished, Finished)
