"""The scorer of cells with the networks that come with the program, on real slides; skips where they are absent.

The networks have seen phantoms only, so the bounds are wide: what a reader would see at once if it were wrong.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from her2viewer_cells.classes import CLASSES
from her2viewer_cells.scorer import CellsScorer
from scipy.stats import spearmanr

from her2viewer.api import CellTable, Finished, Partial, Region, ScoringInput
from her2viewer.scoring.merge import EvidenceStore
from her2viewer.scoring.registry import find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.slides.open import open_slide

H_SCORE = np.array([0, 100, 200, 300])


def score(path: Path, box: tuple[int, int, int, int] | None = None, **settings) -> tuple[Finished, CellTable | None]:
    with open_slide(path) as slide:
        region = Region.rectangle(*(box or (0, 0, slide.width, slide.height)))
        complete = find_scorer("cells").complete(settings)
        given = ScoringInput(slide, slide.pixel_size, region, region, Region.of(()), complete)
        store, finished = EvidenceStore(), None
        for event in CellsScorer().score(given, LocalRuntime(2)):
            if isinstance(event, Partial):
                store.add(event.evidence)
            elif isinstance(event, Finished):
                finished = event
        return finished, next((e for e in store.merged() if isinstance(e, CellTable)), None)


def counted(table: CellTable) -> np.ndarray:
    """Cells by class, (7,)."""
    return np.bincount(table.classes, minlength=len(CLASSES))


@pytest.fixture(scope="module")
def cores(shared_slides: Path) -> list[tuple[int, Finished, CellTable | None]]:
    folder = shared_slides / "gastric-tma"
    with (folder / "gastric_tma9.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        size = int(row["size_px"])
        box = (int(row["x_px"]), int(row["y_px"]), size, size)
        found.append((int(row["ihc_score"]), *score(folder / "gastric_tma9.svs", box)))
    return found


def assessed(cores: list[tuple[int, Finished, CellTable | None]]) -> Iterator[tuple[int, np.ndarray]]:
    for label, finished, table in cores:
        if finished.not_assessable is None:
            assert table is not None
            yield label, counted(table)


def test_the_empty_core_is_not_assessable_and_the_others_are(cores) -> None:
    refused = [finished.not_assessable.code for _, finished, _ in cores if finished.not_assessable is not None]
    assert len(refused) == 1
    assert refused[0] in {"no_tissue", "unstained"}


def test_the_stronger_the_score_of_a_core_the_higher_its_h_score(cores) -> None:
    labels, scores = [], []
    for label, counts in assessed(cores):
        tumour = counts[3:] / counts[3:].sum()
        labels.append(label)
        scores.append(float(tumour @ H_SCORE))
    rho = spearmanr(labels, scores).statistic
    print(len(labels), round(rho, 2), labels, np.round(scores).tolist())  # noqa: T201 (docs/evaluation.md)
    assert rho > 0.6


def test_a_core_has_as_many_cells_as_tissue_can_have(cores) -> None:
    for _, counts in assessed(cores):
        # 1.3 mm2 of each core at most; 1,000 to 10,000 cells per mm2.
        assert 500 < counts[1:].sum() < 13_000


@pytest.mark.parametrize(
    ("name", "counts"), [("os2_ki67_ndpi.ome.tif", (1066, 1323)), ("os2_ki67_vsi.ome.tif", (763, 1353))]
)
def test_ki67_is_refused_as_a_nuclear_stain_and_its_nuclei_are_found(shared_slides, name, counts) -> None:
    """``counts`` are QuPath's own at two thresholds; it counts brown nuclei too, which are not looked for here."""
    path = shared_slides / "whole-slide" / name
    finished, table = score(path)
    assert finished.not_assessable is not None
    assert finished.not_assessable.code == "nuclear_stain"
    assert table is None
    _, table = score(path, score_anyway=True)
    assert table is not None
    found = counted(table)
    print(name, counts, int(found.sum()), found.tolist())  # noqa: T201 (docs/evaluation.md)
    assert 0.6 * counts[0] < found.sum() < 1.25 * counts[1]


def test_haematoxylin_and_eosin_is_not_assessable(shared_slides) -> None:
    finished, _ = score(shared_slides / "whole-slide" / "cmu_small_region.svs")
    assert finished.not_assessable is not None
    assert finished.not_assessable.code == "not_ihc_he"
