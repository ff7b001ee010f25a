"""Corrections of cells in a case: kept whole, damaged files said, those of a newer program left alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.cases.case import CaseError, NewerFormatError
from her2viewer.cases.cell_corrections_file import FILE, read_cell_corrections, write_cell_corrections
from her2viewer.cases.store import CaseStore
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, SaidClass

SAID = NO_CELL_CORRECTIONS.after([1.1, 7.7], [2.2, 3.3], SaidClass("2+", 2)).after(0.1, 0.2, None)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e5, 1e6, width=32),
            st.floats(-1e5, 1e6, width=32),
            st.sampled_from([None, SaidClass("3+", 3), SaidClass("Stroma über", -1)]),
        ),
        max_size=20,
    )
)
def test_what_is_written_is_read_again_to_the_bit(tmp_path_factory: pytest.TempPathFactory, said: list) -> None:
    path = tmp_path_factory.mktemp("case") / FILE
    corrections = NO_CELL_CORRECTIONS
    for x, y, word in said:
        corrections = corrections.after(x, y, word)
    write_cell_corrections(path, corrections)
    again = read_cell_corrections(path)
    assert again.same(corrections)
    assert again.x.dtype == np.float32


def test_no_file_is_no_correction(tmp_path: Path) -> None:
    assert read_cell_corrections(tmp_path / FILE).empty


@pytest.mark.parametrize(
    "change",
    [
        {"cells": [[1, 2]]},
        {"cells": [[1, 2, 5]]},
        {"cells": [[1, 2, 0.5]]},
        {"cells": [[1, 2, 0], [1, 2, -1]]},
        {"cells": [["a", 2, 0]]},
        {"cells": None},
        {"classes": [{"name": "2+"}]},
        {"classes": [{"name": "2+", "her2": 7}]},
        {"version": 0},
    ],
)
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, change: dict) -> None:
    path = tmp_path / FILE
    write_cell_corrections(path, SAID)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=r"damaged|version|does not list|twice"):
        read_cell_corrections(path)


def test_a_case_puts_a_damaged_list_aside_and_says_so(tmp_path: Path) -> None:
    slide = tmp_path / "slide.tif"
    slide.write_bytes(b"x")
    store = CaseStore.for_slide(slide, "identity")
    store.save_cell_corrections(SAID)
    assert store.load_cell_corrections().same(SAID)
    (store.folder / FILE).write_text("{ not json")
    with pytest.raises(CaseError, match=FILE.split(".", maxsplit=1)[0]):
        store.load_cell_corrections()
    assert store.load_cell_corrections().empty
    store.close()


def test_the_list_of_a_newer_program_is_never_overwritten(tmp_path: Path) -> None:
    slide = tmp_path / "slide.tif"
    slide.write_bytes(b"x")
    store = CaseStore.for_slide(slide, "identity")
    store.save_cell_corrections(SAID)
    path = store.folder / FILE
    newer = json.dumps(json.loads(path.read_text()) | {"version": 99})
    path.write_text(newer)
    with pytest.raises(NewerFormatError):
        store.load_cell_corrections()
    store.save_cell_corrections(NO_CELL_CORRECTIONS)
    assert path.read_text() == newer
    store.close()
