"""Corrections of cells by the reader: by place, exact in the same table, near where another run found the cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.domain.cell_bins import CellBins
from her2viewer.domain.cell_corrections import (
    NO_CELL,
    NO_CELL_CORRECTIONS,
    CellCorrections,
    SaidClass,
)
from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME, ClassScheme
from her2viewer.domain.evidence import NOT_SCORED, CellTable, concatenated
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.aggregate import CellCounter
from her2viewer.scoring.cell_parts import CellParts
from her2viewer.scoring.corrected_cells import REACH_UM, CorrectedCells, corrected_cells

SEVEN = ClassScheme(("artefact", "stroma", "immune", "0", "1+", "2+", "3+"), (-1, -1, -1, 0, 1, 2, 3))
SIZE = PixelSize(0.5, 0.5, PixelSizeSource.USER)
REACH = REACH_UM / 0.5
EVERYWHERE = Region.rectangle(-1e6, -1e6, 2e6, 2e6)
TWO, STROMA = SaidClass("2+", 2), SaidClass("stroma", -1)


def table_of(x: object, y: object, classes: object, scheme: ClassScheme = SEVEN) -> CellTable:
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    n = len(x)
    corners = np.array([[-2, -2], [2, -2], [0, 2]], np.float32)
    return CellTable(
        "Cells",
        scheme,
        x,
        y,
        np.asarray(classes, np.uint8),
        features={"membrane_od": np.arange(n, dtype=np.float32)},
        contours=(np.stack([x, y], 1)[:, None] + corners).reshape(-1, 2),
        contour_starts=np.arange(n + 1, dtype=np.int64) * 3,
    )


def parts_of(*tables: CellTable) -> CellParts:
    """As if a scorer had given these tables one after another."""
    parts = CellParts(SIZE)
    for table in tables:
        parts.add(table)
    return parts


def random_table(n: int, seed: int = 0, side: float = 2000.0) -> CellTable:
    rng = np.random.default_rng(seed)
    return table_of(rng.uniform(0, side, n), rng.uniform(0, side, n), rng.integers(0, 7, n))


def test_a_class_is_changed_a_cell_removed_and_what_the_scorer_said_is_kept() -> None:
    table = table_of([10, 20, 30], [5, 5, 5], [4, 4, 6])
    said = NO_CELL_CORRECTIONS.after(10, 5, TWO).after([30], [5], None)
    now = said.applied(table)
    assert now.classes.tolist() == [5, 4]
    assert now.scorer_classes is not None
    assert now.scorer_classes.tolist() == [4, NOT_SCORED]
    assert now.features["membrane_od"].tolist() == [0, 1]
    assert now.contour(1).tolist() == table.contour(1).tolist()
    assert table.classes.tolist() == [4, 4, 6]
    assert table.scorer_classes is None


def test_the_last_word_on_a_cell_counts_and_can_be_taken_back() -> None:
    table = table_of([10], [5], [4])
    said = NO_CELL_CORRECTIONS.after(10, 5, TWO).after(10, 5, STROMA)
    assert len(said) == 1
    assert said.applied(table).classes.tolist() == [1]
    assert said.without(10, 5).applied(table) is table
    assert said.without_in(Region.rectangle(0, 0, 50, 50)).empty


def test_a_correction_follows_a_cell_that_another_run_finds_a_little_beside() -> None:
    said = NO_CELL_CORRECTIONS.after(100, 100, TWO)
    moved = table_of([103, 96, 140], [100, 100, 100], [4, 4, 4])
    assert said.applied(moved, REACH).classes.tolist() == [5, 4, 4]
    far = table_of([107, 140], [100, 100], [4, 4])
    assert said.applied(far, REACH).classes.tolist() == [4, 4]
    assert said.applied(moved).classes.tolist() == [4, 4, 4]


def test_two_corrections_never_take_the_same_cell_and_the_exact_one_comes_first() -> None:
    table = table_of([100, 104], [100, 100], [4, 4])
    both = NO_CELL_CORRECTIONS.after(101, 100, STROMA).after(100, 100, TWO)
    assert both.applied(table, REACH).classes.tolist() == [5, 1]


def test_a_correction_of_a_cell_that_is_no_longer_found_is_kept_and_counted() -> None:
    cells = parts_of(table_of([100], [100], [4]))
    said = NO_CELL_CORRECTIONS.after([100, 300, 400], [100, 300, 400], TWO).after(500, 500, None)
    cells.set(said)
    change = cells.change(EVERYWHERE)
    assert (change.reclassified, change.removed, change.unfit) == (1, 0, 2)
    assert cells.change(Region.rectangle(0, 0, 350, 350)).unfit == 1
    assert cells.corrections is said


def test_a_class_is_understood_by_schemes_that_name_it_otherwise() -> None:
    assert SaidClass("immune", -1).code_in(SEVEN) == 2
    assert SaidClass("immune", -1).code_in(CELL_SCHEME) == 4
    assert SaidClass("immune", -1).code_in(TUMOUR_SCHEME) == NO_CELL
    assert SaidClass("tumour 3+", 3).code_in(SEVEN) == 6
    assert SaidClass("not tumour", -1).code_in(SEVEN) == 0


def test_a_word_on_a_cell_replaces_the_older_one_that_was_said_a_little_beside() -> None:
    cells = parts_of(table_of([103], [100], [4]))
    cells.set(NO_CELL_CORRECTIONS.after(100, 100, TWO))
    again = cells.after(103, 100, STROMA)
    assert len(again) == 1
    cells.set(again)
    assert cells.table is not None
    assert cells.table.classes.tolist() == [1]
    assert cells.unsaid(103, 100).empty


def test_cells_at_the_very_same_place_are_corrected_together() -> None:
    table = table_of([7, 7, 9], [7, 7, 9], [4, 3, 3])
    assert NO_CELL_CORRECTIONS.after(7, 7, None).applied(table).x.tolist() == [9]


def test_a_table_of_what_is_no_cell_is_left_alone() -> None:
    flaws = table_of([10], [5], [0], ClassScheme(("pen",), (-1,)))
    assert NO_CELL_CORRECTIONS.after(10, 5, TWO).applied(flaws) is flaws


def test_evidence_that_is_no_table_passes_untouched() -> None:
    table = table_of([10], [5], [4])
    said = NO_CELL_CORRECTIONS.after(10, 5, TWO)
    (now,) = corrected_cells((table,), said, SIZE)
    assert isinstance(now, CellTable)
    assert now.classes.tolist() == [5]
    assert corrected_cells((table,), NO_CELL_CORRECTIONS, SIZE) == (table,)


def test_joined_tables_keep_who_said_what() -> None:
    one = NO_CELL_CORRECTIONS.after(10, 5, TWO).applied(table_of([10], [5], [4]))
    joined = concatenated([one, table_of([50], [5], [3])])
    assert joined.scorer_classes is not None
    assert joined.scorer_classes.tolist() == [4, NOT_SCORED]


def test_the_same_corrections_in_another_order_are_the_same() -> None:
    a = NO_CELL_CORRECTIONS.after(1, 1, TWO).after(2, 2, None).after(3, 3, STROMA)
    b = NO_CELL_CORRECTIONS.after(3, 3, STROMA).after(2, 2, None).after(1, 1, TWO)
    assert a.same(b)
    assert not a.same(b.after(2, 2, TWO))
    assert not a.same(b.without(2, 2))


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=60, unique=True),
    st.lists(st.tuples(st.integers(-40, 440), st.integers(-40, 440)), max_size=60),
    st.floats(0, 40),
)
@settings(deadline=None)
def test_bins_find_exactly_the_cells_that_a_look_at_all_of_them_finds(
    cells: list[tuple[int, int]], asked: list[tuple[int, int]], reach: float
) -> None:
    at, ask = np.array(cells, np.float32), np.array(asked, np.float32).reshape(-1, 2)
    bins = CellBins(at[:, 0], at[:, 1])
    apart = np.hypot(*(ask[:, None] - at[None]).astype(np.float64).transpose(2, 0, 1))
    which, cell, distance = bins.near(ask[:, 0], ask[:, 1], reach)
    assert set(zip(which.tolist(), cell.tolist(), strict=True)) == set(zip(*np.nonzero(apart <= reach), strict=True))
    assert np.allclose(distance, apart[which, cell])
    which, cell = bins.at(ask[:, 0], ask[:, 1])
    assert set(zip(which.tolist(), cell.tolist(), strict=True)) == set(zip(*np.nonzero(apart == 0), strict=True))


steps = st.lists(
    st.tuples(
        st.lists(st.integers(0, 59), min_size=1, max_size=12),
        st.sampled_from([TWO, STROMA, SaidClass("3+", 3), None, "back"]),
    ),
    max_size=8,
)


@given(steps)
@settings(deadline=None)
def test_edit_by_edit_is_the_same_as_all_at_once_and_counts_follow(
    edits: list[tuple[list[int], SaidClass | str | None]],
) -> None:
    table = random_table(60, seed=3, side=300)
    bins = CellBins(table.x, table.y)
    parts, counter = CellParts(SIZE), CellCounter(table, SIZE, bins)
    cells = parts.add(table, bins)
    for chosen, said in edits:
        x, y = table.x[chosen], table.y[chosen]
        before = cells.codes
        changed = parts.set(
            parts.unsaid(x, y) if said == "back" else parts.after(x, y, said)  # type: ignore[arg-type]
        )
        other = np.concatenate([np.zeros(0, np.int64), *(one for _, one in changed)])
        assert set(np.flatnonzero(before != cells.codes)) <= set(other.tolist())
        counter = counter.recoded(other, cells.codes[other])
        whole = cells.corrections.applied(table, REACH)
        assert cells.table.classes.tolist() == whole.classes.tolist()
        assert cells.table.x.tolist() == whole.x.tolist()
        assert counter.counts(EVERYWHERE).tolist() == CellCounter(whole).counts(EVERYWHERE).tolist()
        half = Region.rectangle(0, 0, 150, 300)
        assert counter.shares(half, interval=True).amounts == CellCounter(whole, SIZE).shares(half).amounts


@given(st.integers(0, 2**31), st.integers(1, 40))
@settings(deadline=None)
def test_no_cell_is_taken_twice_and_none_from_beyond_the_reach(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    table = random_table(80, seed=seed, side=120)
    said = NO_CELL_CORRECTIONS.after(rng.uniform(0, 120, count), rng.uniform(0, 120, count), TWO)
    fit = said.fit(CellBins(table.x, table.y), REACH)
    assert len(np.unique(fit.cell)) == len(fit.cell)
    assert len(np.unique(fit.correction)) == len(fit.correction)
    apart = np.hypot(said.x[fit.correction] - table.x[fit.cell], said.y[fit.correction] - table.y[fit.cell])
    assert (apart <= REACH + 1e-3).all()
    # Whoever was left without a cell has none within reach that is free.
    for left in set(range(len(said))) - set(fit.correction.tolist()):
        near = np.hypot(said.x[left] - table.x, said.y[left] - table.y) <= REACH
        assert set(np.flatnonzero(near)) <= set(fit.cell.tolist())


@pytest.mark.parametrize("moved", [0.0, 1.5])
def test_ten_thousand_corrections_of_a_million_cells_need_no_look_at_every_pair(moved: float) -> None:
    rng = np.random.default_rng(1)
    n = 1_000_000
    table = CellTable(
        "Cells",
        SEVEN,
        rng.uniform(0, 60_000, n).astype(np.float32),
        rng.uniform(0, 60_000, n).astype(np.float32),
        rng.integers(0, 7, n).astype(np.uint8),
    )
    chosen = rng.choice(n, 10_000, replace=False)
    said = NO_CELL_CORRECTIONS.after(table.x[chosen] + np.float32(moved), table.y[chosen], TWO)
    now = said.applied(table, REACH)
    assert now.scorer_classes is not None
    corrected = now.scorer_classes != NOT_SCORED
    assert corrected.sum() >= 9_990
    assert (now.classes[corrected] == 5).all()


def test_a_patch_holds_the_cells_that_changed_removed_ones_too() -> None:
    cells = CorrectedCells(table_of([10, 20, 30], [5, 5, 5], [4, 4, 6]), SIZE)
    other = cells.set(CellCorrections().after(10, 5, TWO).after(30, 5, None))
    patch = cells.patch(other)
    assert patch.x.tolist() == [10, 30]
    assert patch.classes.tolist() == [5, NO_CELL]


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_outlines_of_chosen_cells_are_theirs_however_many_are_chosen(share: float) -> None:
    table = random_table(2000, seed=5)
    keep = np.random.default_rng(2).random(2000) < share
    chosen = table.selected(keep)
    assert len(chosen) == keep.sum() > 0
    assert all(
        chosen.contour(k).tolist() == table.contour(i).tolist() for k, i in enumerate(np.flatnonzero(keep).tolist())
    )
