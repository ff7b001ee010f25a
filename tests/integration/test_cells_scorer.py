"""The cells scorer from pixels to a result, with a small network whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from her2viewer_cells.classes import CLASSES, MPP, PIXELS, SCHEME
from her2viewer_cells.recipes import CELLNET
from her2viewer_cells.scorer import CellsScorer

from her2viewer.api import (
    Cancelled,
    CellTable,
    Finished,
    Partial,
    Region,
    ScorerError,
    ScoringInput,
    TileError,
)
from her2viewer.cli import main
from her2viewer.domain.result import Result
from her2viewer.scoring.job import JobRequest, score_slide
from her2viewer.scoring.registry import available_scorers, find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from tests.helpers.array_slide import ArraySlide
from tests.helpers.cells_models import install, install_finder
from tests.helpers.drawn_tissue import UM, Drawn, draw_cells, draw_he

SIZE = (1800, 1800)


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw_cells((0.3, 0.3, 0.2, 0.2), SIZE, seed=2)


@pytest.fixture
def slide(drawn: Drawn, own_user_folders: Path) -> ArraySlide:
    """With the small network installed."""
    install()
    return ArraySlide(drawn.rgb, UM, downsamples=(1, 2))


def everything(slide: ArraySlide) -> Region:
    return Region.rectangle(0, 0, slide.width, slide.height)


def given(slide: ArraySlide, region: Region | None = None, **settings: Any) -> ScoringInput:
    assert slide.pixel_size is not None
    region = everything(slide) if region is None else region
    complete = find_scorer("cells").complete({"finder": "without", **settings})
    return ScoringInput(slide, slide.pixel_size, region, region, Region.of(()), complete)


def scored(slide: ArraySlide, region: Region | None = None, before: Result | None = None, **settings: Any) -> Result:
    assert slide.pixel_size is not None
    region = everything(slide) if region is None else region
    complete = find_scorer("cells").complete({"finder": "without", **settings})
    request = JobRequest("cells", "in-memory", slide.identity, slide.pixel_size, region, settings=complete)
    return score_slide(request, slide, LocalRuntime(2), before)


def cells(result: Result) -> CellTable:
    return next(e for e in result.evidence if isinstance(e, CellTable))


def test_the_cells_that_were_drawn_are_found_and_classed_by_the_network(slide: ArraySlide, drawn: Drawn) -> None:
    result = scored(slide)
    assert result.not_assessable is None
    assert result.shares is not None
    assert result.shares.total == pytest.approx(len(drawn.x), rel=0.03)
    assert result.shares.percent == pytest.approx((30, 30, 20, 20), abs=3)
    table = cells(result)
    away = np.hypot(table.x[:, None] - drawn.x, table.y[:, None] - drawn.y)
    near = away.min(axis=1) < 3 / UM
    right = np.asarray(SCHEME.her2)[table.classes] == drawn.classes[away.argmin(axis=1)]
    assert right[near].mean() > 0.95


def test_each_cell_has_probabilities_an_outline_and_the_numbers_of_its_membrane(slide: ArraySlide) -> None:
    table = cells(scored(slide))
    assert table.scheme == SCHEME
    assert table.probabilities is not None
    assert table.probabilities.shape == (len(table), 7)
    assert table.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (table.probabilities.argmax(axis=1) == table.classes).all()
    assert set(table.features) == {"membrane_od", "completeness", "nucleus_od"}
    her2 = np.asarray(SCHEME.her2)[table.classes]
    by_class = [float(table.features["membrane_od"][her2 == c].mean()) for c in range(4)]
    assert by_class == sorted(by_class)
    assert table.features["completeness"].max() <= 100
    middle = np.array([table.contour(k).mean(axis=0) for k in range(len(table))])
    assert np.hypot(middle[:, 0] - table.x, middle[:, 1] - table.y).max() < 4 / UM


def test_classes_are_in_the_order_in_which_the_network_is_trained() -> None:
    assert CELLNET.classes == CLASSES
    assert (CELLNET.cut.mpp, CELLNET.cut.pixels) == (MPP, PIXELS)
    assert [c for c in SCHEME.her2 if c >= 0] == [0, 1, 2, 3]


def test_a_region_in_two_halves_has_the_cells_of_the_whole(slide: ArraySlide) -> None:
    whole = scored(slide)
    both = scored(slide, before=scored(slide, Region.rectangle(0, 0, 1010, slide.height)))
    assert whole.shares is not None
    assert both.shares is not None
    assert both.shares.total == pytest.approx(whole.shares.total, abs=2)
    assert both.shares.percent == pytest.approx(whole.shares.percent, abs=0.5)


def test_a_network_finds_the_nuclei_where_there_is_one(slide: ArraySlide, drawn: Drawn) -> None:
    without = scored(slide)
    install_finder()
    found = scored(slide, finder="bluer")
    assert set(without.provenance.weights) == {"ring"}
    assert set(found.provenance.weights) == {"ring", "bluer"}
    table = cells(found)
    away = np.hypot(table.x[:, None] - drawn.x, table.y[:, None] - drawn.y)
    assert (away.min(axis=0) < 3 / UM).mean() > 0.97
    assert len(table) == pytest.approx(len(drawn.x), rel=0.03)
    assert found.shares is not None
    assert found.shares.percent == pytest.approx((30, 30, 20, 20), abs=3)
    few = scored(slide, finder="bluer", nucleus_from=0.95).shares
    assert few is not None
    assert few.total <= found.shares.total


def test_a_network_that_is_done_without_is_not_asked_for(own_user_folders: Path) -> None:
    install()
    install_finder()
    manifest = find_scorer("cells")
    both = {"model": "ring", "finder": "bluer"}
    assert manifest.chosen_models(manifest.complete(both)) == ["ring", "bluer"]
    assert manifest.chosen_models(manifest.complete({**both, "finder": "without"})) == ["ring"]


def test_a_network_for_nuclei_of_an_unusable_size_is_a_sentence(slide: ArraySlide) -> None:
    install_finder(92)
    with pytest.raises(ScorerError, match="pictures of 92 px"):
        scored(slide, finder="bluer")


def test_nuclei_found_by_a_network_are_the_same_ones_in_any_part(slide: ArraySlide) -> None:
    install_finder()
    part = Region.rectangle(333, 401, 1111, 707)
    inner = Region.rectangle(340, 408, 1097, 693)
    whole, alone = (
        cells(scored(slide, r, finder="bluer", background="236 235 243")) for r in (everything(slide), part)
    )
    a, b = (np.stack([t.x, t.y], axis=1)[inner.contains_points(t.x, t.y)] for t in (whole, alone))
    assert len(a) == len(b) > 300
    away = np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1)).min(axis=1)
    # The stains are those of each region, so that nuclei may move by a hair.
    assert away.max() < 1


def test_what_the_network_takes_for_something_else_is_left_out_of_the_shares(slide: ArraySlide) -> None:
    network = install(stroma_below=0.05)
    result = scored(slide)
    assert network.exists()
    assert result.shares is not None
    assert result.shares.excluded > 0.5 * result.shares.total
    assert result.shares.percent[0] == 0
    assert (np.asarray(SCHEME.names)[cells(result).classes] == "stroma").any()


def test_cells_under_ink_are_artefacts(own_user_folders: Path, drawn: Drawn) -> None:
    install()
    inked = drawn.rgb.copy()
    inked[400:900, 500:1000] = (inked[400:900, 500:1000] * np.array([0.2, 0.3, 0.75])).astype(np.uint8)
    inside = Region.rectangle(560, 460, 380, 380)
    slide = ArraySlide(inked, UM, downsamples=(1, 2))
    plain, left_out = (scored(slide, leave_out_artefacts=flag) for flag in (False, True))

    def under(result: Result) -> np.ndarray:
        table = cells(result)
        return table.classes[inside.contains_points(table.x, table.y)]

    assert (under(left_out) == CLASSES.index("artefact")).all()
    assert not (under(plain) == CLASSES.index("artefact")).any()
    assert "artefacts" in [w.code for w in left_out.warnings]


def test_parts_come_from_where_the_reader_looks_outwards(slide: ArraySlide) -> None:
    request = replace(given(slide), focus=(slide.width - 10.0, 10.0))
    parts = [e for e in CellsScorer().score(request, LocalRuntime(2)) if isinstance(e, Partial)]
    assert parts[0].covered.bounds[2] == slide.width
    assert parts[0].covered.bounds[1] == 0
    assert sum(p.covered.area_px for p in parts) == pytest.approx(request.region.area_px)


def test_the_weights_of_the_network_are_named(slide: ArraySlide) -> None:
    *_, finished = CellsScorer().score(given(slide), LocalRuntime(1))
    assert isinstance(finished, Finished)
    assert set(finished.weights) == {"ring"}
    assert len(finished.weights["ring"]) == 64


def test_mixed_staining_is_said_with_its_entropy(own_user_folders: Path) -> None:
    install()
    mixed, even = (scored(ArraySlide(draw_cells(s, (1200, 1200)).rgb, UM)) for s in ((0.25,) * 4, (1, 0, 0, 0)))
    said = {w.code: w.text for w in mixed.warnings}
    assert "1.38" in said["heterogeneous"] or "1.39" in said["heterogeneous"]
    assert "heterogeneous" not in [w.code for w in even.warnings]


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (np.full((1200, 1200, 3), 240, np.uint8), "no_tissue"),
        (draw_he((1200, 1200)), "not_ihc_he"),
        (draw_cells(size=(1200, 1200), nuclear_dab=0.6).rgb, "nuclear_stain"),
        (draw_cells(size=(1200, 1200), blur=6.0).rgb, "out_of_focus"),
    ],
)
def test_what_is_no_readable_her2_slide_gets_no_answer(own_user_folders: Path, picture, code: str) -> None:
    install()
    result = scored(ArraySlide(picture, UM))
    assert result.not_assessable is not None
    assert result.not_assessable.code == code
    assert result.shares is None


def test_a_refused_stain_can_be_scored_anyway_and_the_reason_becomes_a_warning(own_user_folders: Path) -> None:
    install()
    result = scored(ArraySlide(draw_he((1200, 1200)), UM), score_anyway=True)
    assert "not_ihc_he" in [w.code for w in result.warnings]


def test_few_cells_and_coarse_pixels_get_no_answer(slide: ArraySlide, drawn: Drawn) -> None:
    few = scored(slide, Region.rectangle(300, 300, 100, 100))
    coarse = scored(ArraySlide(drawn.rgb, 1.0))
    assert few.not_assessable is not None
    assert coarse.not_assessable is not None
    assert (few.not_assessable.code, coarse.not_assessable.code) == ("few_cells", "too_coarse")


def test_an_empty_region_and_damaged_weights_are_sentences(slide: ArraySlide, own_user_folders: Path) -> None:
    with pytest.raises(ScorerError, match="Nothing is outlined"):
        list(CellsScorer().score(given(slide, Region.of(())), LocalRuntime(1)))
    path = next(own_user_folders.rglob("ring/weights.safetensors"))
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    with pytest.raises(ScorerError, match="ring are damaged"):
        list(CellsScorer().score(given(slide), LocalRuntime(1)))


def test_without_a_network_it_is_listed_with_what_is_missing(
    own_user_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("her2viewer.scoring.model_store._roots", list)
    entry = next(e for e in available_scorers() if e.id == "cells")
    assert not entry.usable
    assert entry.problem is not None
    assert "her2viewer train cells" in entry.problem


class Torn(ArraySlide):
    """A slide of which the upper left cannot be decoded when cells are looked for."""

    def read_at(self, downsample: float, x: float, y: float, width: int, height: int) -> np.ndarray:
        if downsample < 1 and x < 300 and y < 300:
            raise TileError("A tile is damaged.")
        return super().read_at(downsample, x, y, width, height)


def test_a_damaged_tile_is_left_out_and_said(slide: ArraySlide, drawn: Drawn) -> None:
    torn = Torn(drawn.rgb, UM, downsamples=(1, 2))
    result = scored(torn)
    assert "unread" in [w.code for w in result.warnings]
    whole, left = cells(scored(slide)), cells(result)
    assert 100 < len(left) < 0.3 * len(whole)


def test_cancel_ends_it_wherever_it_is(slide: ArraySlide) -> None:
    for looks in (1, 8, 25):
        with pytest.raises(Cancelled):
            list(CellsScorer().score(given(slide), Cancelling(looks)))


class Cancelling(LocalRuntime):
    """Cancels after so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__(2)
        self._looks = looks

    def check(self) -> None:
        self._looks -= 1
        if self._looks < 0:
            raise Cancelled


def test_on_the_command_line_it_scores_and_writes_cells(
    own_user_folders: Path, drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tifffile

    install()
    path = tmp_path / "cells.ome.tif"
    size = {f"PhysicalSize{axis}": UM for axis in "XY"} | {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    tifffile.imwrite(path, drawn.rgb, tile=(256, 256), photometric="rgb", ome=True, metadata={"axes": "YXS", **size})
    command = ["score", str(path), "--whole-slide", "--scorer", "cells", "--set", "finder=without"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert "tumour cells" in capsys.readouterr().out
    head, *rows = (tmp_path / "out" / "cells.csv").read_text(encoding="utf-8").splitlines()
    assert "completeness" in head
    assert "p(immune)" in head
    assert len(rows) > 0.9 * len(drawn.x)
