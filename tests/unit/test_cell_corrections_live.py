"""Shares and layers follow corrections of cells, whether the cells came in parts or whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.domain.cell_corrections import NO_CELL, NO_CELL_CORRECTIONS, CellCorrections, SaidClass
from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import NOT_SCORED, CellTable, concatenated
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.aggregate import ShareCounter, shares_of
from her2viewer.viewer.live_shares import LiveShares
from her2viewer.viewer.overlays.cell_index import CellStore
from her2viewer.viewer.overlays.cells import describe_cell

SIZE = PixelSize(0.5, 0.5, PixelSizeSource.USER)
WHERE = Region.rectangle(0, 0, 700, 1000)
TWO = SaidClass("2+", 2)


def cells(n: int, seed: int) -> CellTable:
    rng = np.random.default_rng(seed)
    # No two of them nearer than two cells can lie: parts of one seed stand in columns of their own.
    place = rng.choice(4000, n, replace=False)
    x, y = (seed % 10) * 10 + 100 * (place % 10), 2.5 * (place // 10) + rng.random(n)
    return CellTable(
        "Cells", CELL_SCHEME, x.astype(np.float32), y.astype(np.float32), rng.integers(0, 5, n).astype(np.uint8)
    )


def corrections_of(table: CellTable, seed: int, share: float = 0.3) -> CellCorrections:
    rng = np.random.default_rng(seed)
    said = NO_CELL_CORRECTIONS
    for word in (TWO, SaidClass("not tumour", -1), None):
        at = np.flatnonzero(rng.random(len(table)) < share)
        said = said.after(table.x[at], table.y[at], word)
    return said


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 9))
def test_shares_of_corrected_parts_are_those_of_the_corrected_whole(
    sizes: list[int], known_before: int, seed: int
) -> None:
    parts = [cells(n, 10 * seed + k) for k, n in enumerate(sizes)]
    whole = concatenated(parts)
    first, second = corrections_of(whole, seed), corrections_of(whole, seed + 1, 0.1)
    live = LiveShares("cells", SIZE, cell_corrections=first if known_before else NO_CELL_CORRECTIONS)
    for part in parts:
        live.add((part,))
    for said in (first, second, NO_CELL_CORRECTIONS, second):
        live.correct_cells(said)
        assert live.shares(WHERE) == shares_of((said.applied(whole),), WHERE, "cells", SIZE)
        shown = [live.current(part) for part in parts]
        assert sum(len(t) for t in shown if isinstance(t, CellTable)) == len(said.applied(whole))
    live.set_whole(ShareCounter.of((whole,), "cells", SIZE), (whole,))
    assert live.shares(WHERE) == shares_of((second.applied(whole),), WHERE, "cells", SIZE)
    live.correct_cells(first)
    assert live.shares(WHERE) == shares_of((first.applied(whole),), WHERE, "cells", SIZE)


def test_cells_of_parts_that_have_come_may_be_corrected_while_others_are_awaited() -> None:
    live = LiveShares("cells", SIZE)
    first, second, third = (cells(20, k) for k in (1, 2, 3))
    assert live.cells is None
    live.add((first,))
    live.add((second,))
    parts = live.cells
    assert parts is not None
    x, y = second.x[7], second.y[7]
    live.correct_cells(parts.after(x, y, TWO))
    live.add((third,))
    assert live.cells is parts
    now = live.current(second)
    assert isinstance(now, CellTable)
    assert now.classes[7] == 2
    whole = concatenated([first, second, third])
    live.set_whole(None, (whole,))
    now = live.current(whole)
    assert isinstance(now, CellTable)
    assert now.classes[27] == 2


def test_shares_as_found_are_known_also_while_parts_come_in() -> None:
    live = LiveShares("cells", SIZE)
    parts = [cells(40, k) for k in (1, 2, 3)]
    for part in parts:
        live.add((part,))
    whole = concatenated(parts)
    live.correct_cells(corrections_of(whole, 1))
    assert live.shares(WHERE) != shares_of((whole,), WHERE, "cells", SIZE)
    assert live.shares_as_found(WHERE) == shares_of((whole,), WHERE, "cells", SIZE)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(0, 9))
def test_a_layer_corrected_in_place_holds_what_a_new_one_would(sizes: list[int], seed: int) -> None:
    parts = [cells(n, 10 * seed + k) for k, n in enumerate(sizes)]
    whole = concatenated(parts)
    store = CellStore(CELL_SCHEME, 1000, 1000)
    for part in parts:
        store.append(store.prepared(part))  # type: ignore[arg-type]
    live = LiveShares("cells", SIZE)
    live.set_whole(None, (whole,))
    for said in (corrections_of(whole, seed), corrections_of(whole, seed + 1), NO_CELL_CORRECTIONS):
        for patch in live.correct_cells(said):
            store.correct(patch)
        now = said.applied(whole)
        fresh = CellStore(CELL_SCHEME, 1000, 1000)
        cells_now = fresh.prepared(now)
        if cells_now is not None:
            fresh.append(cells_now)
        assert store.counts.tolist() == fresh.counts.tolist()
        assert (store.density.counts == fresh.density.counts).all()
        shown = {
            (float(x), float(y)): int(code)
            for chunk in store.chunks
            for x, y, code in zip(chunk.x, chunk.y, chunk.classes, strict=True)
            if code != NO_CELL
        }
        assert shown == {(float(x), float(y)): int(c) for x, y, c in zip(now.x, now.y, now.classes, strict=True)}


def test_a_removed_cell_is_not_pointed_at_and_comes_back_by_undo() -> None:
    table = cells(50, 4)
    store = CellStore(CELL_SCHEME, 1000, 1000)
    store.append(store.prepared(table))  # type: ignore[arg-type]
    live = LiveShares("cells", SIZE)
    live.set_whole(None, (table,))
    x, y = float(table.x[7]), float(table.y[7])
    every = np.ones(5, dtype=bool)
    for patch in live.correct_cells(NO_CELL_CORRECTIONS.after(x, y, None)):
        store.correct(patch)
    assert store.nearest(x, y, 1.0, every) is None
    for patch in live.correct_cells(NO_CELL_CORRECTIONS):
        store.correct(patch)
    assert store.nearest(x, y, 1.0, every) is not None


def test_a_layer_of_a_reopened_case_shows_a_cell_again_that_was_removed_before() -> None:
    table = cells(50, 4)
    said = NO_CELL_CORRECTIONS.after(table.x[7], table.y[7], None)
    live = LiveShares("cells", SIZE, cell_corrections=said)
    live.set_whole(None, (table,))
    store = CellStore(CELL_SCHEME, 1000, 1000)
    shown = live.current(table)
    assert isinstance(shown, CellTable)
    assert len(shown) == 49
    store.append(store.prepared(shown))  # type: ignore[arg-type]
    for patch in live.corrected_cells:
        store.correct(patch)
    assert len(store) == 49
    for patch in live.correct_cells(NO_CELL_CORRECTIONS):
        store.correct(patch)
    assert len(store) == 50


@pytest.mark.parametrize(
    ("before", "words"), [(NOT_SCORED, "2+"), (1, "reader: 2+ (scorer: 1+)"), (2, "reader: 2+ (scorer: 2+)")]
)
def test_the_hover_says_whose_word_a_class_is(before: int, words: str) -> None:
    table = CellTable(
        "Cells",
        CELL_SCHEME,
        *np.zeros((2, 1), np.float32),
        np.array([2], np.uint8),
        scorer_classes=np.array([before], np.uint8),
    )
    assert describe_cell(table, 0) == words
