"""What every scorer that comes with the program keeps to, whatever its method."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from her2viewer.api import (
    Cancelled,
    CellTable,
    ClassMap,
    Event,
    Finished,
    Heatmap,
    Partial,
    Progress,
    Region,
    ScorerError,
    ScoringInput,
    TissueMask,
)
from her2viewer.domain.result import Result
from her2viewer.scoring.job import JobRequest, score_slide
from her2viewer.scoring.registry import available_scorers, find_scorer, load_scorer
from her2viewer.scoring.runtime import LocalRuntime
from tests.helpers import cells_models, surface_models
from tests.helpers.array_slide import ArraySlide
from tests.helpers.drawn_tissue import UM
from tests.helpers.surface_slide import strips

SCORERS = ("cells", "membrane", "surface")
CORNER = 300
"""px at the upper left of the slide that the region leaves out."""


def install() -> None:
    """Small networks for the scorers that need some."""
    cells_models.install()
    cells_models.install_finder()
    surface_models.install()


@pytest.fixture(params=SCORERS)
def scorer(request: pytest.FixtureRequest, own_user_folders: Path) -> str:
    install()
    return str(request.param)


@pytest.fixture
def slide() -> ArraySlide:
    return ArraySlide(strips()[:, : 1536 + 256], UM, downsamples=(1, 2))


def odd(slide: ArraySlide) -> Region:
    """Most of the slide, with a slanting edge and a corner left out."""
    w, h = slide.width, slide.height
    outline = shapely.Polygon([(CORNER, 0), (w, 0), (w, h - 200), (0, h), (0, CORNER), (CORNER, CORNER)])
    return Region(outline)


def given(scorer: str, slide: ArraySlide, **changes: Any) -> ScoringInput:
    assert slide.pixel_size is not None
    region = odd(slide)
    settings = find_scorer(scorer).complete({})
    made = ScoringInput(slide, slide.pixel_size, region, region, Region.of(()), settings)
    return replace(made, **changes)


class Watched(LocalRuntime):
    """Counts the looks at the cancel flag; cancels after so many."""

    def __init__(self, cancel_after: int | None = None) -> None:
        super().__init__(2)
        self.looks = 0
        self._cancel_after = cancel_after

    def check(self) -> None:
        self.looks += 1
        if self._cancel_after is not None and self.looks > self._cancel_after:
            raise Cancelled
        super().check()


def run(scorer: str, request: ScoringInput, runtime: LocalRuntime | None = None) -> list[Event]:
    return list(load_scorer(find_scorer(scorer)).score(request, runtime or LocalRuntime(2)))


def scored(scorer: str, slide: ArraySlide, region: Region, before: Result | None = None) -> Result:
    assert slide.pixel_size is not None
    settings = find_scorer(scorer).complete({})
    request = JobRequest(scorer, "in-memory", slide.identity, slide.pixel_size, region, settings=settings)
    return score_slide(request, slide, LocalRuntime(2), before)


def test_every_scorer_of_the_program_is_held_to_this(own_user_folders: Path) -> None:
    install()
    assert {e.id for e in available_scorers() if e.package.startswith("her2viewer_")} == set(SCORERS)
    assert all(e.usable for e in available_scorers() if e.id in SCORERS)


def test_it_says_how_far_it_is_and_ends_once_with_an_answer(scorer: str, slide: ArraySlide) -> None:
    events = run(scorer, given(scorer, slide))
    assert isinstance(events[0], Progress)
    assert [isinstance(e, Finished) for e in events].count(True) == 1
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.not_assessable is None
    for progress in (e for e in events if isinstance(e, Progress)):
        assert progress.stage[0].isupper()
        assert 0 <= progress.done <= progress.total or progress.total == 0
    json.dumps(dict(finished.estimates))
    for warning in finished.warnings:
        assert warning.text.rstrip()[-1] in ".!"


def test_its_parts_make_up_the_region_and_nothing_else(scorer: str, slide: ArraySlide) -> None:
    request = given(scorer, slide)
    parts = [e.covered for e in run(scorer, request) if isinstance(e, Partial)]
    together = Region.of(part.geometry for part in parts)
    # Where there is only glass there may be no part.
    assert together.area_px > 0.9 * request.region.area_px
    assert together.difference(request.region).area_px < 1


def test_its_evidence_has_arrays_of_its_grid_in_the_stated_types(scorer: str, slide: ArraySlide) -> None:
    for part in (e for e in run(scorer, given(scorer, slide)) if isinstance(e, Partial)):
        for item in part.evidence:
            if isinstance(item, ClassMap):
                assert (item.classes.shape, item.classes.dtype) == (item.grid.shape, np.uint8)
                assert (item.weight.shape, item.weight.dtype) == (item.grid.shape, np.float32)
                assert (item.weight >= 0).all()
                assert (item.weight <= 1).all()
            elif isinstance(item, TissueMask):
                assert (item.values.shape, item.values.dtype) == (item.grid.shape, np.uint8)
            elif isinstance(item, Heatmap):
                assert (item.values.shape, item.values.dtype) == (item.grid.shape, np.float32)
                assert item.unit
            elif isinstance(item, CellTable):
                assert len(item.x) == len(item.y) == len(item.classes)
                assert set(item.features) == set(item.feature_units)


def test_twice_the_same_and_no_matter_how_many_threads(scorer: str, slide: ArraySlide) -> None:
    first, second = (
        [e.evidence for e in run(scorer, given(scorer, slide), LocalRuntime(threads)) if isinstance(e, Partial)]
        for threads in (1, 2)
    )
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        for x, y in zip(a, b, strict=True):
            assert same(vars(x), vars(y))


def same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    def equal(x: Any, y: Any) -> bool:
        if isinstance(x, np.ndarray):
            return bool(np.allclose(x, y, atol=1e-5, equal_nan=x.dtype.kind == "f"))
        if isinstance(x, dict):
            return same(x, y)
        return bool(x == y)

    return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)


def test_a_larger_region_gives_what_it_would_have_given_at_once(scorer: str, slide: ArraySlide) -> None:
    everything = odd(slide)
    half = everything.intersection(Region.rectangle(0, 0, 900, slide.height))
    at_once, grown = scored(scorer, slide, everything), scored(scorer, slide, everything, scored(scorer, slide, half))
    assert at_once.shares is not None
    assert grown.shares is not None
    # The glass and the stains of the half are those of the first run.
    assert grown.shares.percent == pytest.approx(at_once.shares.percent, abs=1.0)


@pytest.mark.parametrize("looks", [0, 3, 12])
def test_it_stops_when_the_reader_cancels(scorer: str, slide: ArraySlide, looks: int) -> None:
    with pytest.raises(Cancelled):
        run(scorer, given(scorer, slide), Watched(cancel_after=looks))


def test_it_looks_often_whether_the_reader_has_cancelled(scorer: str, slide: ArraySlide) -> None:
    runtime = Watched()
    longest = between = 0
    for event in load_scorer(find_scorer(scorer)).score(given(scorer, slide), runtime):
        if isinstance(event, Partial):
            between = runtime.looks - longest
            longest = runtime.looks
            assert between > 0


def test_an_abandoned_run_leaves_no_thread_at_work(scorer: str, slide: ArraySlide) -> None:
    before = set(threading.enumerate())
    events = load_scorer(find_scorer(scorer)).score(given(scorer, slide), LocalRuntime(2))
    for event in events:
        if isinstance(event, Partial):
            break
    events.close()
    left = [t for t in threading.enumerate() if t not in before and t.name.startswith(scorer)]
    for thread in left:
        thread.join(30)
    assert not any(t.is_alive() for t in left)


def test_nothing_outlined_is_a_sentence(scorer: str, slide: ArraySlide) -> None:
    with pytest.raises(ScorerError, match="Nothing is outlined"):
        run(scorer, given(scorer, slide, region=Region.of(())))


def test_glass_alone_is_not_assessable_with_reason_and_advice(scorer: str) -> None:
    glass = ArraySlide(np.full((1200, 1200, 3), 240, np.uint8), UM)
    finished = run(scorer, given(scorer, glass))[-1]
    assert isinstance(finished, Finished)
    assert finished.not_assessable is not None
    assert finished.not_assessable.code == "no_tissue"
    assert finished.not_assessable.advice
