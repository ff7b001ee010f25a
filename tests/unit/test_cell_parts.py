"""Cells that come in parts, spoken of by one number each: those of the parts are those of the whole."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, SaidClass
from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable, concatenated
from her2viewer.domain.region import Region
from her2viewer.scoring.cell_parts import CellParts
from tests.unit.test_cell_corrections import EVERYWHERE, REACH, SIZE, TWO, parts_of, random_table, table_of

ALL = np.ones(7, dtype=bool)


def cut(table: CellTable, edges: list[float]) -> list[CellTable]:
    """The table in upright strips, as tiles of a run."""
    bounds = [-1.0, *sorted(edges), 1e6]
    strips = itertools.pairwise(bounds)
    return [table.selected((table.x > a) & (table.x <= b)) for a, b in strips]


@given(st.integers(0, 99), st.lists(st.floats(10, 290), min_size=0, max_size=4))
@settings(deadline=None, max_examples=40)
def test_corrections_of_parts_are_those_of_the_whole_wherever_it_was_cut(seed: int, edges: list[float]) -> None:
    rng = np.random.default_rng(seed)
    tables = cut(random_table(80, seed=seed, side=300), edges)
    parts, whole_table = parts_of(*tables), concatenated(tables)
    whole = parts_of(whole_table)
    said = NO_CELL_CORRECTIONS
    for word in (TWO, SaidClass("stroma", -1), None):
        at = np.flatnonzero(rng.random(80) < 0.2)
        said = parts.after(whole_table.x[at], whole_table.y[at], word)
        assert said.same(whole.after(whole_table.x[at], whole_table.y[at], word))
        parts.set(said)
        whole.set(said)
    now, then = parts.table, whole.table
    assert now is not None
    assert then is not None
    assert now.classes.tolist() == then.classes.tolist()
    assert now.x.tolist() == then.x.tolist()
    assert parts.removed.tolist() == whole.removed.tolist()
    assert parts.change(EVERYWHERE) == whole.change(EVERYWHERE)
    for x, y in rng.uniform(0, 300, (20, 2)).tolist():
        assert parts.nearest(x, y, 15, ALL) == whole.nearest(x, y, 15, ALL)
    alive = parts.in_parts(np.arange(len(now)))
    assert parts.in_table(alive).tolist() == list(range(len(now)))
    assert parts.centres(alive)[0].tolist() == now.x.tolist()
    assert all(parts.contour(k).tolist() == whole_table.contour(k).tolist() for k in range(80))


def test_a_word_on_a_cell_at_the_border_of_a_part_is_not_taken_for_one_on_its_neighbour_beyond() -> None:
    left, right = table_of([99], [50], [4]), table_of([99 + REACH / 2], [50], [4])
    parts = parts_of(left, right)
    parts.set(parts.after(99, 50, TWO))
    assert parts.parts[0].codes.tolist() == [5]
    assert parts.parts[1].codes.tolist() == [4]
    late = CellParts(SIZE, parts.corrections)
    for table in (left, right):
        late.add(table)
    assert late.parts[1].codes.tolist() == [4]


def test_a_table_stays_known_when_more_parts_come_and_no_longer_when_something_is_said() -> None:
    parts = parts_of(table_of([10, 20], [5, 5], [4, 4]), table_of([30], [5], [4]))
    table = parts.table
    assert parts.is_table(table)
    parts.add(table_of([40], [5], [6]))
    assert parts.is_table(table)
    assert parts.in_parts(np.array([2])).tolist() == [2]
    parts.set(parts.after(20, 5, None))
    assert not parts.is_table(table)
    now = parts.table
    assert now is not None
    assert now.x.tolist() == [10, 30, 40]
    assert parts.in_parts(np.array([1, 2])).tolist() == [2, 3]


def test_a_correction_of_a_place_that_the_scorer_has_not_looked_at_yet_is_no_lost_one() -> None:
    parts = parts_of(table_of([10], [5], [4]))
    parts.set(NO_CELL_CORRECTIONS.after([10, 100, 500], [5, 5, 5], TWO))
    assert parts.change(EVERYWHERE).unfit == 2
    assert parts.change(EVERYWHERE, Region.rectangle(0, 0, 200, 200)).unfit == 1


def test_tables_of_different_classes_cannot_be_corrected_together() -> None:
    other = CellTable("Cells", CELL_SCHEME, *np.zeros((2, 1), np.float32), np.zeros(1, np.uint8))
    assert parts_of(table_of([10], [5], [4]), other).scheme is None
    assert parts_of(table_of([10], [5], [4]), other).table is None
    assert parts_of().table is None
