"""Alignments in the folder of a case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from her2viewer.cases.alignment_file import AlignedSlide
from her2viewer.cases.case import Case, CaseError
from her2viewer.cases.store import CaseStore
from her2viewer.domain.alignment import Alignment, Landmark, Similarity

ALIGNED = AlignedSlide(
    "/slides/H&E é.svs",
    "abc",
    Alignment(Similarity(0.5, 12.5, True, 3, 4), (Landmark((1, 2), (3, 4)), Landmark((5, 6), (7, 8))), True),
)


@pytest.fixture
def store(tmp_path) -> CaseStore:
    return CaseStore(tmp_path / "slide.svs.her2case", tmp_path / "slide.svs", "id")


def test_aligned_slides_are_there_again(store):
    assert store.load_alignments() == ()
    with store:
        store.save_alignments((ALIGNED,))
    assert CaseStore(store.folder).load_alignments() == (ALIGNED,)


def test_a_folder_with_an_alignment_says_whose_it_is(store):
    with store:
        store.save_alignments((ALIGNED,))
        assert store.load() == Case(slide_path=store.slide_path, identity="id")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "else"}', '{"format": "her2viewer alignments", "version": 0}']
)
def test_a_damaged_list_is_kept_aside(store, text):
    store.folder.mkdir()
    path = store.folder / "alignments.json"
    path.write_text(text)
    with pytest.raises(CaseError, match=r"alignments\.json"):
        store.load_alignments()
    assert not path.exists()
    assert store.load_alignments() == ()


def test_one_damaged_entry_is_found_out(store):
    with store:
        store.save_alignments((ALIGNED,))
    path = store.folder / "alignments.json"
    data = json.loads(path.read_text())
    data["slides"][0]["scale"] = -1
    path.write_text(json.dumps(data))
    with pytest.raises(CaseError, match="damaged"):
        store.load_alignments()


def test_the_list_of_a_newer_program_is_neither_read_nor_overwritten(store):
    store.folder.mkdir()
    path = store.folder / "alignments.json"
    path.write_text('{"format": "her2viewer alignments", "version": 99}')
    with pytest.raises(CaseError, match="newer"):
        store.load_alignments()
    with store:
        store.save_alignments((ALIGNED,))
    assert '"version": 99' in path.read_text()


def test_an_aligned_slide_is_found_where_it_was_or_beside_the_main_one(tmp_path):
    before, now = tmp_path / "before", tmp_path / "now"
    before.mkdir()
    now.mkdir()
    aligned = AlignedSlide(str(before / "he.svs"), "", Alignment())
    main = now / "her2.svs"
    assert aligned.found(main) is None
    (now / "he.svs").touch()
    assert aligned.found(main) == now / "he.svs"
    (before / "he.svs").touch()
    assert aligned.found(main) == Path(before / "he.svs")
