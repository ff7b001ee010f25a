"""Time left and live shares, without a process."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.corrections import NO_CORRECTIONS
from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, Grid, concatenated
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.shares import CountedUnit
from her2viewer.scoring.aggregate import ShareCounter, SurfaceCounter, shares_of
from her2viewer.viewer.live_shares import LiveShares
from her2viewer.viewer.scoring_progress import TimeLeft, duration_text
from tests.helpers.surface_evidence import surface_evidence

SIZE = PixelSize(0.5, 0.5, PixelSizeSource.USER)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def cells(n: int, seed: int) -> CellTable:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1000, n).astype(np.float32), rng.uniform(0, 1000, n).astype(np.float32)
    return CellTable("Cells", CELL_SCHEME, x, y, rng.integers(0, 5, n).astype(np.uint8))


def test_time_left_of_an_even_run_is_right_and_counts_down_between_pieces():
    clock = Clock()
    estimate = TimeLeft(clock)
    assert estimate.update("Cells", 0, 100).seconds_left is None
    for done in range(1, 41):
        clock.now += 0.5
        shown = estimate.update("Cells", done, 100)
    assert shown.fraction == pytest.approx(0.4)
    assert shown.seconds_left == pytest.approx(30, rel=0.01)
    assert shown.text == "Cells 40 %, 0:30 left"
    clock.now += 2
    assert estimate.update("Cells", 40, 100).seconds_left == pytest.approx(28, rel=0.02)


def test_one_slow_piece_does_not_make_the_time_left_jump():
    clock = Clock()
    estimate = TimeLeft(clock)
    for done in range(41):
        clock.now += 0.5
        before = estimate.update("Cells", done, 100).seconds_left
    clock.now += 2.0
    after = estimate.update("Cells", 41, 100).seconds_left
    assert before is not None
    assert after is not None
    assert 28 < after < 60


def test_a_new_stage_starts_a_new_estimate_and_no_total_gives_none():
    clock = Clock()
    estimate = TimeLeft(clock)
    for done in range(20):
        clock.now += 1
        estimate.update("Stain", done, 20)
    first = estimate.update("Cells", 0, 100)
    assert first.seconds_left is None
    assert first.fraction == 0
    assert estimate.update("Reading", 5, 0).text == "Reading"


def test_durations_are_written_as_clocks_show_them():
    assert [duration_text(s) for s in (0.2, 8, 70, 3730)] == ["0:01", "0:08", "1:10", "1:02:10"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=12),
    st.tuples(st.integers(-50, 900), st.integers(-50, 900), st.integers(1, 800), st.integers(1, 800)),
)
def test_shares_of_parts_equal_shares_of_the_whole(sizes, rectangle):
    parts = [cells(n, seed) for seed, n in enumerate(sizes)]
    region = Region.rectangle(*rectangle)
    live = LiveShares("cells", SIZE)
    for part in parts:
        live.add((part,))
    assert live.shares(region) == shares_of((concatenated(parts),), region, "cells", SIZE)


def test_a_counter_of_the_whole_takes_the_place_of_the_parts_and_takes_more_parts():
    first, second = cells(300, 1), cells(200, 2)
    region = Region.rectangle(0, 0, 1000, 1000)
    live = LiveShares("cells", SIZE)
    live.add((first,))
    live.set_whole(ShareCounter.of((first,), "cells", SIZE))
    assert live.shares(region) == shares_of((first,), region, "cells", SIZE)
    live.add((second,))
    assert live.shares(region) == shares_of((concatenated([first, second]),), region, "cells", SIZE)


def test_surfaces_of_parts_add_up():
    def part(x: float) -> ClassMap:
        grid = Grid(x, 0, 100, 2, 2)
        return ClassMap(
            "map", grid, CELL_SCHEME, np.array([[0, 3], [3, 4]], np.uint8), np.ones((2, 2), dtype=np.float32)
        )

    live = LiveShares("surface", SIZE)
    live.add((part(0), cells(5, 1)))
    live.add((part(200),))
    shares = live.shares(Region.rectangle(0, 0, 400, 200))
    assert shares is not None
    assert shares.unit is CountedUnit.SURFACE
    assert shares.amounts == pytest.approx((0.005, 0, 0, 0.01))
    assert shares.excluded == pytest.approx(0.005)


def test_a_scorer_that_counts_nothing_has_no_shares():
    live = LiveShares("nothing", SIZE)
    live.add((cells(5, 1),))
    assert live.shares(Region.rectangle(0, 0, 10, 10)) is None


def parts_of_a_surface(count: int) -> list[tuple[Evidence, ...]]:
    """Squares of 1 mm side by side."""
    mask, class_map = surface_evidence(2000, 2000, 0.5)

    def moved(item: Evidence, x: float) -> Evidence:
        return replace(item, grid=replace(item.grid, x=x))

    return [tuple(moved(item, 2000.0 * i) for item in (mask, class_map)) for i in range(count)]


def test_a_new_part_is_counted_and_not_all_others_again(monkeypatch):
    counted = []
    count = SurfaceCounter.shares

    def noted(counter, *arguments, **options):
        counted.append(counter)
        return count(counter, *arguments, **options)

    monkeypatch.setattr(SurfaceCounter, "shares", noted)
    live, region = LiveShares("surface", SIZE), Region.rectangle(0, 0, 90_000, 3000)
    for number, part in enumerate(parts_of_a_surface(30), 1):
        live.add(part)
        live.shares(region)
        assert live.change(region).added == 0
        # The first part alone has an interval, which the shares of several have not.
        assert len(counted) <= number + 1
    assert len(set(map(id, counted))) == 30


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "correct", "region"]), st.integers(0, 5)), max_size=12))
@example([("add", 1), ("correct", 2)])
def test_shares_of_parts_are_the_same_however_they_were_asked_for_before(acts):
    parts = parts_of_a_surface(6)
    regions = [Region.rectangle(0, 0, 2000 * i + 700, 1500) for i in range(6)]
    live, given_, corrections, region = LiveShares("surface", SIZE), [], NO_CORRECTIONS, regions[3]
    for act, number in acts:
        if act == "add":
            given_.append(parts[number])
            live.add(parts[number])
        elif act == "correct":
            corrections = corrections.after(
                shapely.box(1000 * number, 100, 1000 * number + 900, 800), number % 2 == 0
            )
            live.correct(corrections)
        else:
            region = regions[number]
        afresh = LiveShares("surface", SIZE, corrections)
        for part in given_:
            afresh.add(part)
        assert live.shares(region) == afresh.shares(region)
        assert live.change(region) == afresh.change(region)
