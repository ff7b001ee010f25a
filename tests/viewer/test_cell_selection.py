from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.domain.classes import TUMOUR_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.viewer.cell_selection import CellSelection, same_places, shown_cells


def table(n: int = 6) -> CellTable:
    x = np.arange(n, dtype=np.float32) * 10
    return CellTable("cells", TUMOUR_SCHEME, x, x + 5, (np.arange(n) % 4).astype(np.uint8))


def test_indices_are_sorted_and_told_once(qtbot):
    chosen, cells = CellSelection(), table()
    heard = []
    chosen.changed.connect(lambda: heard.append(chosen.indices.tolist()))
    chosen.set(cells, [4, 1, 4])
    chosen.set(cells, [1, 4])
    assert heard == [[1, 4]]
    assert chosen.table is cells


def test_a_mask_chooses_as_indices_do(qtbot):
    chosen, cells = CellSelection(), table()
    chosen.set(cells, cells.classes == 1)
    assert chosen.indices.tolist() == [1, 5]
    assert not chosen.indices.flags.writeable


def test_choosing_none_lets_the_table_go(qtbot):
    chosen = CellSelection()
    chosen.set(table(), [2])
    chosen.set(table(), [])
    assert chosen.table is None
    assert len(chosen) == 0


def test_a_cell_that_is_not_there_is_refused(qtbot):
    with pytest.raises(IndexError, match="no cell 6"):
        CellSelection().set(table(6), [6])


def test_the_selection_stays_while_only_classes_change(qtbot):
    chosen, cells = CellSelection(), table()
    chosen.set(cells, [2, 3])
    other = replace(cells, classes=np.zeros(6, dtype=np.uint8))
    chosen.follow(other)
    assert chosen.table is other
    assert chosen.indices.tolist() == [2, 3]


def test_the_selection_ends_with_the_table(qtbot):
    chosen = CellSelection()
    chosen.set(table(), [2, 3])
    chosen.follow(None)
    assert chosen.table is None
    chosen.set(table(), [2, 3])
    moved = replace(table(), x=table().x + 1000)
    chosen.follow(moved)
    assert chosen.table is None


@given(
    kept=st.lists(st.booleans(), min_size=12, max_size=12),
    wanted=st.lists(st.integers(0, 11), min_size=1, max_size=8),
)
def test_chosen_cells_are_found_again_where_others_were_taken_out(kept, wanted):
    cells = table(12)
    keep = np.asarray(kept)
    less = cells.selected(keep)
    chosen = CellSelection()
    chosen.set(cells, wanted)
    chosen.follow(less)
    expected = {float(cells.x[i]) for i in wanted if keep[i]}
    assert {float(x) for x in less.x[chosen.indices]} == expected


def test_cells_are_shown_when_there_is_one_table():
    cells = table()
    assert shown_cells((cells,)) is cells
    assert shown_cells(()) is None
    assert shown_cells((cells, table())) is None


def test_tables_of_other_places_are_not_the_same():
    assert same_places(table(), table())
    assert not same_places(table(5), table(6))
