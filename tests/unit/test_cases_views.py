"""Views side by side in the folder of a case."""

from __future__ import annotations

import json

import pytest

from her2viewer.cases.case import Case, CaseError
from her2viewer.cases.store import CaseStore
from her2viewer.cases.views_file import KeptView, KeptViews

KEPT = KeptViews(
    views=(
        KeptView("plain"),
        KeptView("scorer", "membrane", linked=False),
        KeptView("other", path="/slides/H&E é.svs"),
    ),
    stacked=True,
    linked=False,
    overlays=False,
    across=0.3,
    down=0.65,
)


@pytest.fixture
def store(tmp_path) -> CaseStore:
    return CaseStore(tmp_path / "slide.svs.her2case", tmp_path / "slide.svs", "id")


def test_views_are_there_again(store):
    assert store.load_views() is None
    with store:
        store.save(Case())
        assert store.save_views(KEPT)
    assert CaseStore(store.folder).load_views() == KEPT


def test_looking_side_by_side_leaves_nothing_on_the_disk(store):
    with store:
        assert not store.save_views(KEPT)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "else"},
        {"version": 0},
        {"views": None},
        {"views": [{"kind": "film"}]},
        {"views": [{"kind": "other"}]},
        {"views": [{"kind": "scorer", "scorer": 3}]},
        {"views": [{"kind": "plain"}] * 4},
        {"across": 0},
        {"down": "half"},
    ],
)
def test_a_damaged_list_is_kept_aside(store, change):
    with store:
        store.save(Case())
        store.save_views(KEPT)
        path = store.folder / "views.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(CaseError, match=r"views\.json"):
            store.load_views()
    assert not path.exists()
    assert list(store.folder.glob("views.json.damaged-*"))
    assert store.load_views() is None


def test_the_views_of_a_newer_program_are_neither_read_nor_overwritten(store):
    with store:
        store.save(Case())
        path = store.folder / "views.json"
        path.write_text(text := json.dumps({"format": "her2viewer views", "version": 99, "views": 1}))
        with pytest.raises(CaseError, match="newer her2viewer"):
            store.load_views()
        assert store.save_views(KEPT)
    assert path.read_text() == text


def test_a_slide_that_moved_with_the_case_is_found_beside_it(tmp_path):
    (tmp_path / "he.svs").write_bytes(b"x")
    assert KeptView("other", path="/gone/he.svs").found(tmp_path / "her2.svs") == tmp_path / "he.svs"
    assert KeptView("other", path="/gone/else.svs").found(tmp_path / "her2.svs") is None
