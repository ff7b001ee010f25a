"""What was looked at is kept in the case; cases without it, and damaged ones, open all the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from her2viewer.cases.case import Case, CaseError, NewerFormatError
from her2viewer.cases.store import CaseStore
from her2viewer.domain.reviewed import ReviewedMap

LOOKED = ReviewedMap.empty(10_000, 8000, 0.5).with_view([(0, 0), (900, 0), (900, 700), (0, 700)])


@pytest.fixture
def store(tmp_path: Path) -> CaseStore:
    folder = tmp_path / "slides"
    folder.mkdir()
    (folder / "a.svs").write_bytes(b"slide")
    return CaseStore.for_slide(folder / "a.svs", "0123456789abcdef" * 4)


def test_what_was_looked_at_comes_back(store: CaseStore) -> None:
    store.save(Case())
    assert store.save_reviewed(LOOKED)
    again = store.load_reviewed()
    assert again is not None
    assert np.array_equal(again.seen, LOOKED.seen)
    assert (store.folder / "reviewed.json").stat().st_size < 2000


def test_a_case_of_an_earlier_version_knows_of_nothing_that_was_looked_at(store: CaseStore) -> None:
    store.save(Case())
    assert store.load_reviewed() is None


def test_looking_alone_makes_no_case(store: CaseStore) -> None:
    assert not store.save_reviewed(LOOKED)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"format": "something else"}', b"\xff\xfe\x00", b"[" * 5000]
)
def test_a_damaged_map_is_kept_aside_and_a_new_one_can_be_saved(store: CaseStore, content: bytes) -> None:
    store.save(Case())
    (store.folder / "reviewed.json").write_bytes(content)
    with pytest.raises(CaseError, match=r"reviewed\.json"):
        store.load_reviewed()
    assert len(list(store.folder.glob("reviewed.json.damaged-*"))) == 1
    assert store.load_reviewed() is None
    assert store.save_reviewed(LOOKED)


def test_a_newer_map_is_neither_read_nor_overwritten(store: CaseStore) -> None:
    store.save(Case())
    store.save_reviewed(LOOKED)
    path = store.folder / "reviewed.json"
    newer = json.dumps({**json.loads(path.read_text()), "version": 2})
    path.write_text(newer)
    with pytest.raises(NewerFormatError, match="newer her2viewer"):
        store.load_reviewed()
    assert store.save_reviewed(LOOKED)
    assert path.read_text() == newer
