"""The surface scorer on drawn tissue, with two small networks whose answers are known."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from her2viewer_surface.scorer import SurfaceScorer

from her2viewer.api import (
    NOT_SCORED,
    Cancelled,
    ClassMap,
    Event,
    Finished,
    Partial,
    Progress,
    Region,
    ScorerError,
    ScoringInput,
    SlideError,
    TileError,
    TissueMask,
    find_artefacts,
)
from her2viewer.cli import main
from her2viewer.domain.result import Result
from her2viewer.scoring.job import JobRequest, score_slide
from her2viewer.scoring.merge import EvidenceStore
from her2viewer.scoring.registry import available_scorers, find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from tests.helpers.array_slide import ArraySlide
from tests.helpers.drawn_tissue import UM, draw_cells, draw_he
from tests.helpers.surface_models import install
from tests.helpers.surface_slide import PATCH_PX, STRIP, strips, write_strips


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return strips()


@pytest.fixture
def slide(pixels: np.ndarray, own_user_folders: Path) -> ArraySlide:
    """With the small networks installed."""
    install()
    return ArraySlide(pixels, UM, downsamples=(1, 2))


def everything(slide: ArraySlide) -> Region:
    return Region.rectangle(0, 0, slide.width, slide.height)


def given(slide: ArraySlide, region: Region | None = None, **settings: Any) -> ScoringInput:
    assert slide.pixel_size is not None
    region = everything(slide) if region is None else region
    complete = find_scorer("surface").complete(settings)
    return ScoringInput(slide, slide.pixel_size, region, region, Region.of(()), complete)


def scored(slide: ArraySlide, region: Region | None = None, before: Result | None = None, **settings: Any) -> Result:
    assert slide.pixel_size is not None
    region = everything(slide) if region is None else region
    complete = find_scorer("surface").complete(settings)
    request = JobRequest("surface", "in-memory", slide.identity, slide.pixel_size, region, settings=complete)
    return score_slide(request, slide, LocalRuntime(2), before)


def class_map(result: Result) -> ClassMap:
    return next(e for e in result.evidence if isinstance(e, ClassMap) and e.scheme.counted)


def mask(result: Result) -> TissueMask:
    return next(e for e in result.evidence if isinstance(e, TissueMask))


def partials(events: Iterator[Event] | list[Event]) -> list[Partial]:
    return [e for e in events if isinstance(e, Partial)]


def cut(values: np.ndarray, grid: Any, region: Region) -> np.ndarray:
    """The part of a map that lies in a rectangle."""
    x0, y0, x1, y1 = region.bounds
    columns = slice(round((x0 - grid.x) / grid.step), round((x1 - grid.x) / grid.step))
    rows = slice(round((y0 - grid.y) / grid.step), round((y1 - grid.y) / grid.step))
    return values[rows, columns]


def test_the_surface_that_was_drawn_is_found_class_by_class(slide: ArraySlide) -> None:
    result = scored(slide)
    assert result.not_assessable is None
    drawn = STRIP[0] * STRIP[1] * UM**2 / 1e6
    assert result.shares is not None
    assert result.shares.total == pytest.approx(4 * drawn, rel=0.1)
    assert result.shares.percent == pytest.approx((25, 25, 25, 25), abs=2)


def test_mask_and_class_map_lie_on_one_grid_from_the_origin_of_the_slide(slide: ArraySlide) -> None:
    region = Region.rectangle(333, 277, 1500, 900)
    result = scored(slide, region)
    for grid in (class_map(result).grid, mask(result).grid):
        assert grid.x % PATCH_PX == 0
        assert grid.y % PATCH_PX == 0
    assert class_map(result).grid.step == PATCH_PX
    assert mask(result).grid.step == 4.0 / UM
    assert set(np.unique(mask(result).values)) == {0, 1, NOT_SCORED}


def test_every_patch_with_tissue_has_a_class_and_its_weight_is_its_share_of_the_mask(slide: ArraySlide) -> None:
    result = scored(slide)
    found, tumour = class_map(result), mask(result).values
    known = found.classes != NOT_SCORED
    assert found.probabilities is not None
    assert found.probabilities[known].sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (found.probabilities[known].argmax(axis=1) == found.classes[known]).all()
    rows, columns = found.grid.shape
    share = (tumour == 1).reshape(rows, 16, columns, 16).mean(axis=(1, 3))
    np.testing.assert_allclose(found.weight[known], share[known], atol=1e-6)
    assert (share[~known] == 0).all()
    assert (known & (found.weight <= found.least_weight)).any()
    assert found.least_weight == 0.10


def test_a_region_in_two_halves_gives_the_same_as_the_whole(slide: ArraySlide) -> None:
    whole = scored(slide)
    half = scored(slide, Region.rectangle(0, 0, 1450, slide.height))
    both = scored(slide, before=half)
    assert both.shares is not None
    assert whole.shares is not None
    assert both.shares.amounts == pytest.approx(whole.shares.amounts, abs=1e-9)
    np.testing.assert_array_equal(class_map(both).classes, class_map(whole).classes)
    np.testing.assert_allclose(class_map(both).probabilities, class_map(whole).probabilities, atol=1e-5)
    np.testing.assert_array_equal(mask(both).values, mask(whole).values)


@pytest.mark.parametrize("corner", [(130, 200), (901, 333), (1400, 500)])
def test_a_part_scored_alone_is_the_same_as_in_the_whole(slide: ArraySlide, corner: tuple[int, int]) -> None:
    inner = Region.rectangle(corner[0] // PATCH_PX * PATCH_PX, corner[1] // PATCH_PX * PATCH_PX, 512, 640)
    # Entered glass, so that only the windows can make a difference.
    whole, part = (scored(slide, r, background="236 235 243") for r in (everything(slide), inner))
    for of in (class_map, mask):
        a, b = of(whole), of(part)
        name = "classes" if isinstance(a, ClassMap) else "values"
        np.testing.assert_array_equal(cut(getattr(a, name), a.grid, inner), cut(getattr(b, name), b.grid, inner))


def test_parts_cover_the_region_and_come_from_where_the_reader_looks_outwards(slide: ArraySlide) -> None:
    request = given(slide)
    looking = ScoringInput(**{**request.__dict__, "focus": (slide.width - 10.0, 10.0)})
    events = list(SurfaceScorer().score(looking, LocalRuntime(2)))
    parts = partials(events)
    # A part may come again when the artefacts in it are known, which is never waited for.
    places = [p.covered.geometry for p in parts]
    assert shapely.union_all(places).area == pytest.approx(request.region.area_px)
    assert max(places.count(place) for place in places) <= 2
    assert parts[0].covered.bounds[2] == slide.width
    assert parts[0].covered.bounds[1] == 0
    middle = shapely.Point(slide.width / 2, slide.height / 2)
    first = partials(SurfaceScorer().score(request, LocalRuntime(2)))[0]
    assert first.covered.geometry.distance(middle) == 0, "without a focus, from the middle"


def test_progress_tells_the_blocks_and_weights_of_both_networks_are_named(slide: ArraySlide) -> None:
    events = list(SurfaceScorer().score(given(slide), LocalRuntime(1)))
    last = [e for e in events if isinstance(e, Progress) and e.total][-1]
    assert last.done == last.total > 1
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert set(finished.weights) == {"segmenter", "classifier"}
    assert all(len(digest) == 64 for digest in finished.weights.values())


def test_another_overlap_of_windows_finds_the_same_tumour(slide: ArraySlide) -> None:
    base, fine = scored(slide).shares, scored(slide, overlap="128").shares
    assert base is not None
    assert fine is not None
    assert fine.total == pytest.approx(base.total, rel=0.01)


def test_the_threshold_moves_the_edge_of_the_tumour(slide: ArraySlide) -> None:
    low, high = (scored(slide, threshold=t).shares for t in (0.05, 0.95))
    assert low is not None
    assert high is not None
    assert low.total > 1.05 * high.total


def test_factors_of_the_logits_from_the_calibration_are_used(pixels: np.ndarray) -> None:
    install(alphas=(1.0, 1.0, 1.0, 0.01))
    shares = scored(ArraySlide(pixels, UM)).shares
    assert shares is not None
    assert shares.percent[3] == 0
    assert shares.percent[2] > 40


def test_wrong_factors_are_a_sentence(pixels: np.ndarray) -> None:
    install(alphas=(1.0, -1.0))
    with pytest.raises(ScorerError, match="logit factors"):
        scored(ArraySlide(pixels, UM))


class _Pulled(ArraySlide):
    """A disk that is pulled out when the first block is read."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        if threading.current_thread().name.startswith("surface-reader"):
            raise SlideError("The slide is gone.")
        return super().read(level, x, y, width, height)


def test_after_a_failure_artefacts_are_no_longer_looked_for(pixels: np.ndarray, monkeypatch) -> None:
    begun: list[object] = []

    def look(*given: Any, **options: Any) -> Any:
        begun.append(given)
        return find_artefacts(*given, **options)

    monkeypatch.setattr("her2viewer_surface.scorer.find_artefacts", look)
    install()
    with pytest.raises(SlideError, match="gone"):
        scored(_Pulled(pixels, UM))
    for thread in [t for t in threading.enumerate() if t.name.startswith("surface-helper")]:
        thread.join(60)
        assert not thread.is_alive()
    assert begun == []
    scored(ArraySlide(pixels, UM))
    assert len(begun) == 1


def test_damaged_weights_are_a_sentence(slide: ArraySlide, own_user_folders: Path) -> None:
    path = next(own_user_folders.rglob("segmenter/weights.safetensors"))
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    with pytest.raises(ScorerError, match="segmenter are damaged"):
        scored(slide)


def test_without_networks_it_is_listed_with_what_is_missing(own_user_folders: Path, monkeypatch) -> None:
    monkeypatch.setattr("her2viewer.scoring.model_store._roots", list)
    entry = next(e for e in available_scorers() if e.id == "surface")
    assert not entry.usable
    assert entry.problem is not None
    assert "Network for the tumour, Network for the classes" in entry.problem


def test_ink_is_no_tumour_and_shown_as_ink(slide: ArraySlide, pixels: np.ndarray) -> None:
    inked = pixels.copy()
    inked[300:700, 1000:1300] = (30, 60, 160)
    dirty = ArraySlide(inked, UM, downsamples=(1, 2))
    ink = Region.rectangle(1024, 384, 256, 256)
    plain, left_out = (scored(dirty, leave_out_artefacts=flag) for flag in (False, True))
    assert (cut(mask(plain).values, mask(plain).grid, ink) == 1).all()
    assert (cut(mask(left_out).values, mask(left_out).grid, ink) == 0).all()
    assert "Image quality" in [e.name for e in left_out.evidence]
    assert "artefacts" in [w.code for w in left_out.warnings]


def test_artefacts_that_are_found_late_put_right_what_was_handed_over_before(
    slide: ArraySlide, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    inked = pixels.copy()
    inked[300:700, 1000:1300] = (30, 60, 160)
    dirty = ArraySlide(inked, UM, downsamples=(1, 2))
    at_once = scored(dirty)
    all_done = threading.Event()

    def late(*arguments: Any, **more: Any) -> Any:
        assert all_done.wait(60)
        return find_artefacts(*arguments, **more)

    monkeypatch.setattr("her2viewer_surface.scorer.find_artefacts", late)
    store, parts = EvidenceStore(), 0
    for event in SurfaceScorer().score(given(dirty), LocalRuntime(2)):
        if isinstance(event, Progress) and event.total and event.done == event.total:
            blocks = event.total
            all_done.set()
        if isinstance(event, Partial):
            parts += 1
            store.add(event.evidence)
    assert isinstance(event, Finished)
    assert "artefacts" in [w.code for w in event.warnings]
    # Each block, and those with ink once more.
    assert blocks < parts <= 2 * blocks
    again = {e.name: e for e in store.merged()}
    np.testing.assert_array_equal(again["Invasive tumour"].values, mask(at_once).values)
    np.testing.assert_array_equal(again[class_map(at_once).name].weight, class_map(at_once).weight)


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (np.full((1500, 1500, 3), 240, np.uint8), "no_tissue"),
        (draw_he((1500, 1500)), "not_ihc_he"),
        (draw_cells(size=(1500, 1500), nuclear_dab=0.6).rgb, "nuclear_stain"),
        (draw_cells(size=(1500, 1500), blur=6.0).rgb, "out_of_focus"),
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
    result = scored(ArraySlide(draw_he((1500, 1500)), UM), score_anyway=True)
    assert result.not_assessable is None
    assert "not_ihc_he" in [w.code for w in result.warnings]


def test_coarse_pixels_get_no_answer_before_anything_is_read(pixels: np.ndarray, own_user_folders: Path) -> None:
    install()
    slide = ArraySlide(pixels, 2.0)
    slide.close()
    result = scored(slide)
    assert result.not_assessable is not None
    assert result.not_assessable.code == "too_coarse"


def test_a_region_with_hardly_any_tumour_gets_no_answer(slide: ArraySlide) -> None:
    result = scored(slide, Region.rectangle(100, 100, 200, 200), threshold=0.95)
    assert result.not_assessable is not None
    assert result.not_assessable.code in ("little_tumour", "no_tissue")


def test_an_empty_region_and_earlier_estimates_that_are_damaged_are_sentences(slide: ArraySlide) -> None:
    request = given(slide)
    with pytest.raises(ScorerError, match="Nothing is outlined"):
        list(SurfaceScorer().score(given(slide, Region.of(())), LocalRuntime(1)))
    damaged = ScoringInput(**{**request.__dict__, "estimates": {"background": "white"}})
    with pytest.raises(ScorerError, match="cannot be used again"):
        list(SurfaceScorer().score(damaged, LocalRuntime(1)))


class Torn(ArraySlide):
    """A slide on which everything that touches one square cannot be decoded for the networks."""

    torn: tuple[int, int, int, int] | None = None

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        d = int(self.levels[level].downsample)
        if self.torn is not None and threading.current_thread().name.startswith("surface-reader"):
            x0, y0, x1, y1 = self.torn
            if x * d < x1 and (x + width) * d > x0 and y * d < y1 and (y + height) * d > y0:
                raise TileError("A tile is damaged.")
        return super().read(level, x, y, width, height)


def test_a_damaged_tile_costs_the_patches_on_it_and_no_more(slide: ArraySlide, pixels: np.ndarray) -> None:
    whole = scored(slide, background="236 235 243")
    torn = Torn(pixels, UM, downsamples=(1, 2))
    torn.torn = (1100, 400, 1110, 410)
    result = scored(torn, background="236 235 243", leave_out_artefacts=False)
    assert "unread" in [w.code for w in result.warnings]
    before, after = class_map(whole).classes, class_map(result).classes
    lost = (before != NOT_SCORED) & (after == NOT_SCORED)
    assert lost[3, 8]
    assert lost.sum() <= 4
    assert (after[~lost] == before[~lost]).all()


def test_cancel_ends_it_wherever_it_is_and_leaves_no_thread_at_work(slide: ArraySlide) -> None:
    for looks in (1, 5, 20):
        runtime = Cancelling(looks)
        with pytest.raises(Cancelled):
            list(SurfaceScorer().score(given(slide), runtime))
    working = [t.name for t in threading.enumerate() if t.name.startswith(("surface-reader", "surface-segmenter"))]
    assert not working


class Cancelling(LocalRuntime):
    """Cancels after so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__(2)
        self._looks = looks

    def check(self) -> None:
        self._looks -= 1
        if self._looks < 0:
            raise Cancelled


def test_on_the_command_line_it_scores_and_speaks_of_tumour_surface(
    own_user_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install()
    path = write_strips(tmp_path / "strips.ome.tif")
    command = ["score", str(path), "--whole-slide", "--scorer", "surface", "--out", str(tmp_path / "out")]
    assert main([*command, "--set", "overlap=0"]) == 0
    printed = capsys.readouterr().out
    assert "mm² of tumour surface" in printed
    written = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"report.pdf", "report.json", "patches.csv"} <= written
    assert "cells.csv" not in written
    table = (tmp_path / "out" / "patches.csv").read_text(encoding="utf-8").splitlines()
    assert "tumour_fraction" in table[0]
    assert len(table) > 100


def test_on_the_command_line_missing_networks_are_a_sentence(
    slide: ArraySlide, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("her2viewer.scoring.model_store._roots", list)
    path = write_strips(tmp_path / "strips.ome.tif")
    assert main(["score", str(path), "--whole-slide", "--scorer", "surface", "--out", str(tmp_path / "out")]) == 2
    assert "no trained model" in capsys.readouterr().err


def test_a_scorer_that_was_prepared_compiles_nothing_more_when_it_tells_stains_apart() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from her2viewer_surface.scorer import SurfaceScorer\nfrom her2viewer.stains._kernels import unmix\n"
            "before = len(unmix.signatures)\nSurfaceScorer().prepare({})\nprint(before, len(unmix.signatures))",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert done.stdout.split() == ["0", "1"]
