"""A case on disk: what is saved comes back, and nothing that goes wrong loses what was there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2viewer.cases import case as case_module
from her2viewer.cases.case import Case, CaseError, NewerFormatError
from her2viewer.cases.journal import verify_journal
from her2viewer.cases.lock import CaseLockedError
from her2viewer.cases.places import existing_case
from her2viewer.cases.store import CaseStore, open_case
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME
from her2viewer.domain.evidence import CellTable, ClassMap, FieldVote, FieldVotes, Grid, Heatmap
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import NotAssessable, Provenance, Result, ResultWarning, Status
from her2viewer.domain.shares import CountedUnit, Shares

IDENTITY = "0123456789abcdef" * 4


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    folder = tmp_path / "slides"
    folder.mkdir()
    path = folder / "case 24-1187.svs"
    path.write_bytes(b"slide")
    return path


@pytest.fixture
def store(slide: Path) -> CaseStore:
    return CaseStore.for_slide(slide, IDENTITY)


def full_case() -> Case:
    return Case(
        fields={"Case number": "24-1187", "Größe": "µm"},
        pixel_size=PixelSize(0.25, 0.2501, PixelSizeSource.USER, "entered by kim"),
        profile="asco_cap_2023_breast",
        scorer="membrane",
        settings={"membrane": {"threads": 2, "od": 0.31, "kind": "a", "on": True}},
        own_score="2+",
        comment="line one\nline two",
        pattern_marked=True,
        control_checked=False,
    )


def annotations() -> AnnotationSet:
    return AnnotationSet(
        (
            Annotation.drawn(shapely.box(0, 0, 100, 50), Role.ROI, name="ROI 1"),
            Annotation.drawn(shapely.Point(50, 25).buffer(10), Role.EXCLUDE, "In situ carcinoma"),
        )
    )


def provenance(scorer: str = "membrane") -> Provenance:
    return Provenance(
        scorer=scorer,
        scorer_version="1.0",
        program_version="0.1.0",
        slide_identity=IDENTITY,
        region_hash="ab",
        mpp=0.25,
        mpp_source="from file",
        device="CPU",
        settings={"od": 0.31},
        estimates={"background": [230.0, 231.0, 229.5], "nested": {"a": None}},
        weights={"w.pt": "00"},
        started="2026-01-02T03:04:05+00:00",
        duration_s=1.25,
    )


def full_result() -> Result:
    rng = np.random.default_rng(3)
    grid = Grid(x=10.5, y=-3.25, step=64.0, columns=7, rows=5)
    n = 700
    lengths = rng.integers(0, 9, n)
    cells = CellTable(
        name="Cells",
        scheme=CELL_SCHEME,
        x=rng.uniform(0, 900, n).astype(np.float32),
        y=rng.uniform(0, 900, n).astype(np.float32),
        classes=rng.integers(0, 5, n).astype(np.uint8),
        features={"membrane/od": rng.uniform(0, 2, n).astype(np.float32), "größe": np.full(n, np.nan, np.float32)},
        feature_units={"membrane/od": "OD", "größe": "um2"},
        contours=rng.uniform(0, 900, (int(lengths.sum()), 2)).astype(np.float32),
        contour_starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        probabilities=rng.uniform(0, 1, (n, 5)).astype(np.float32),
    )
    bare = CellTable("Bare", TUMOUR_SCHEME, np.zeros(0, "f4"), np.zeros(0, "f4"), np.zeros(0, "u1"))
    return Result(
        provenance=provenance(),
        scored=Region.of([shapely.box(0, 0, 300, 300)], [shapely.box(20, 20, 30, 30)]),
        evidence=(
            ClassMap(
                "Map",
                grid,
                TUMOUR_SCHEME,
                rng.integers(0, 4, grid.shape).astype(np.uint8),
                rng.uniform(0, 1, grid.shape).astype(np.float32),
                rng.uniform(0, 1, (*grid.shape, 4)).astype(np.float32),
            ),
            ClassMap(
                "Map 2", grid, TUMOUR_SCHEME, np.full(grid.shape, 255, np.uint8), np.ones(grid.shape, np.float32)
            ),
            Heatmap("Heat", grid, rng.normal(0, 1, grid.shape).astype(np.float32), "OD", -1.0, 2.5, "percentile"),
            cells,
            bare,
            FieldVotes("Fields", (FieldVote(1.0, 2.0, 512.0, 3, (3, 2), (0.9, 0.1)),)),
            FieldVotes("None", ()),
        ),
        shares=Shares(
            (10.0, 2.0, 3.5, 1.0),
            CountedUnit.SURFACE,
            4.0,
            (0.1, 0.2, 0.3, 0.4),
            left_out=(("stroma", 3.0), ("artefact", 1.0)),
        ),
        score=2,
        score_probabilities=(0.1, 0.2, 0.6, 0.1),
        status=Status.EQUIVOCAL,
        status_probability=0.6,
        warnings=(ResultWarning("blur", "Out of focus in 12 % of the region."),),
    )


def assert_same(one: Any, other: Any, where: str = "result") -> None:
    """Equality through dataclasses, containers and arrays (dtype and NaN included)."""
    assert type(one) is type(other), where
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, where
        np.testing.assert_array_equal(one, other, err_msg=where)
    elif isinstance(one, Region):
        assert one.geometry == other.geometry, where
    elif hasattr(one, "__dataclass_fields__"):
        for name in one.__dataclass_fields__:
            assert_same(getattr(one, name), getattr(other, name), f"{where}.{name}")
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            assert_same(one[key], other[key], f"{where}[{key}]")
    elif isinstance(one, tuple):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{index}]")
    else:
        assert one == other, where


# What is saved comes back --------------------------------------------------------------------------------


def test_looking_at_a_slide_leaves_nothing_on_the_disk(store: CaseStore, slide: Path, own_user_folders: Path) -> None:
    case = store.load()
    store.log("opened")
    assert store.load_annotations() == AnnotationSet()
    assert store.load_result("membrane") is None
    assert (case.identity, case.own_score) == (IDENTITY, "")
    assert list(slide.parent.iterdir()) == [slide]
    assert not own_user_folders.exists()


def test_a_case_comes_back_as_it_was_saved(slide: Path, store: CaseStore) -> None:
    store.save(full_case())
    _, case = open_case(slide, IDENTITY)
    assert case == replace(full_case(), slide_path=str(slide), identity=IDENTITY)
    assert store.folder == slide.with_name("case 24-1187.svs.her2case")


def test_annotations_come_back_and_are_written_only_when_they_changed(store: CaseStore) -> None:
    store.save_annotations(annotations())
    path = store.folder / "annotations.geojson"
    first = path.stat().st_mtime_ns, path.stat().st_ino
    store.save_annotations(store.load_annotations())
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == first
    back = store.load_annotations()
    assert [a.role for a in back] == [Role.ROI, Role.EXCLUDE]
    assert back.region().area_px == pytest.approx(annotations().region().area_px, rel=1e-4)
    store.save_annotations(back.removed(back.items[0].id))
    assert len(store.load_annotations()) == 1


def test_a_result_with_every_kind_of_evidence_comes_back_as_it_was(store: CaseStore) -> None:
    result = full_result()
    store.save_result(result)
    back = store.load_result("membrane")
    assert_same(result, back)
    assert store.scorers() == ("membrane",)


def test_a_result_that_is_not_assessable_comes_back(store: CaseStore) -> None:
    result = Result(
        provenance=provenance("other scorer"),
        scored=Region.of(()),
        not_assessable=NotAssessable("empty", "No tissue.", "Outline tissue."),
    )
    store.save_result(result)
    back = store.load_result("other scorer")
    assert back is not None
    assert back.scored.empty
    assert back.not_assessable == result.not_assessable


def test_settings_from_numpy_come_back_as_plain_numbers(store: CaseStore) -> None:
    odd = replace(provenance(), estimates={"a": np.float32(0.5), "b": np.arange(3), "c": (1, 2)})
    store.save_result(Result(provenance=odd, scored=Region.rectangle(0, 0, 9, 9)))
    back = store.load_result("membrane")
    assert back is not None
    assert back.provenance.estimates == {"a": 0.5, "b": [0, 1, 2], "c": [1, 2]}


@given(
    fields=st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4),
    comment=st.text(max_size=60),
    control=st.none() | st.booleans(),
    marked=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_comes_back(
    tmp_path: Path, fields: dict[str, str], comment: str, control: bool | None, marked: bool
) -> None:
    store = CaseStore(tmp_path / "x.her2case", tmp_path / "x", "id")
    case = Case(fields=fields, comment=comment, control_checked=control, pattern_marked=marked)
    store.save(case)
    back = store.load()
    assert (back.fields, back.comment, back.control_checked, back.pattern_marked) == (
        fields,
        comment,
        control,
        marked,
    )


# Where it lies -------------------------------------------------------------------------------------------


def test_a_read_only_folder_of_slides_is_left_alone(slide: Path, own_user_folders: Path) -> None:
    slide.parent.chmod(0o555)
    try:
        store = CaseStore.for_slide(slide, IDENTITY)
        store.save(full_case())
        assert store.folder.is_relative_to(own_user_folders)
        assert list(slide.parent.iterdir()) == [slide]
        assert CaseStore.for_slide(slide, IDENTITY).load().own_score == "2+"
    finally:
        slide.parent.chmod(0o755)


def test_a_case_that_may_not_be_changed_goes_on_in_the_users_own_folder(
    slide: Path, store: CaseStore, own_user_folders: Path
) -> None:
    store.save(full_case())
    store.save_result(full_result())
    store.close()
    for path in (store.folder, store.folder / "results", slide.parent):
        path.chmod(0o555)
    try:
        again = CaseStore.for_slide(slide, IDENTITY)
        assert again.folder.is_relative_to(own_user_folders)
        assert again.load().own_score == "2+"
        again.save(replace(again.load(), own_score="3+"))
        assert CaseStore.for_slide(slide, IDENTITY).load().own_score == "3+"
        assert json.loads((store.folder / "case.json").read_text(encoding="utf-8"))["own_score"] == "2+"
    finally:
        for path in (slide.parent, store.folder, store.folder / "results"):
            path.chmod(0o755)


def test_a_folder_that_turns_out_not_to_be_writable_is_given_up(
    slide: Path, store: CaseStore, own_user_folders: Path
) -> None:
    # As on a network drive that allows it and then refuses: something stands where the folder is to be made.
    store.folder.symlink_to(slide.parent / "nowhere" / "at all")
    store.save(full_case())
    store.save_annotations(annotations())
    assert store.folder.is_relative_to(own_user_folders)
    assert CaseStore.for_slide(slide, IDENTITY).load().own_score == "2+"


def test_looking_for_a_case_changes_nothing(slide: Path, store: CaseStore, own_user_folders: Path) -> None:
    assert existing_case(slide, IDENTITY) is None
    store.save(full_case())
    store.close()
    for path in (store.folder, slide.parent):
        path.chmod(0o555)
    try:
        assert existing_case(slide, IDENTITY) == store.folder
        assert not own_user_folders.exists()
    finally:
        for path in (slide.parent, store.folder):
            path.chmod(0o755)


def test_another_slide_of_the_same_name_gets_a_case_of_its_own(slide: Path, store: CaseStore) -> None:
    store.save(full_case())
    other = CaseStore.for_slide(slide, "f" * 64)
    assert other.folder != store.folder
    assert other.load().own_score == ""
    other.save(replace(full_case(), own_score="0"))
    assert CaseStore.for_slide(slide, "f" * 64).load().own_score == "0"
    assert CaseStore.for_slide(slide, IDENTITY).load().own_score == "2+"


def test_annotations_saved_first_still_belong_to_their_slide(slide: Path, store: CaseStore) -> None:
    store.save_annotations(annotations())
    assert len(CaseStore.for_slide(slide, "f" * 64).load_annotations()) == 0
    assert len(CaseStore.for_slide(slide, IDENTITY).load_annotations()) == 2


def test_a_very_long_name_of_a_slide_is_no_obstacle(tmp_path: Path) -> None:
    slide = tmp_path / ("ä" * 120 + ".svs")
    slide.write_bytes(b"")
    store = CaseStore.for_slide(slide, IDENTITY)
    store.save(full_case())
    assert CaseStore.for_slide(slide, IDENTITY).load().own_score == "2+"


# What goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"format": "her2viewer case"}', b"[" * 99999]
)
def test_a_damaged_case_file_is_kept_aside_and_named(store: CaseStore, content: bytes) -> None:
    store.save(full_case())
    (store.folder / "case.json").write_bytes(content)
    with pytest.raises(CaseError, match=r"case\.json of this case cannot be read: .*kept as case\.json\.damaged-"):
        store.load()
    (aside,) = store.folder.glob("case.json.damaged-*")
    assert aside.read_bytes() == content
    assert store.load().own_score == ""
    store.save(full_case())
    assert aside.read_bytes() == content


def test_a_damaged_case_that_is_saved_without_loading_is_not_overwritten(slide: Path, store: CaseStore) -> None:
    store.save(full_case())
    store.close()
    (store.folder / "case.json").write_bytes(b"precious")
    CaseStore(store.folder, slide, IDENTITY).save(full_case())
    (aside,) = store.folder.glob("case.json.damaged-*")
    assert aside.read_bytes() == b"precious"


def test_damaged_annotations_are_kept_aside(store: CaseStore) -> None:
    store.save_annotations(annotations())
    (store.folder / "annotations.geojson").write_bytes(b"<html>")
    with pytest.raises(CaseError, match=r"kept as annotations\.geojson\.damaged-"):
        store.load_annotations()
    assert len(store.load_annotations()) == 0


@pytest.mark.parametrize("keep", [0, 8, 300, 2000, 5000])
def test_a_result_that_is_cut_off_is_kept_aside(store: CaseStore, keep: int) -> None:
    store.save_result(full_result())
    path = store.folder / "results" / "membrane.h5"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CaseError, match=r"kept as membrane\.h5\.damaged-"):
        store.load_result("membrane")
    assert store.load_result("membrane") is None


def test_a_changed_byte_in_a_compressed_array_is_noticed(store: CaseStore) -> None:
    store.save_result(full_result())
    path = store.folder / "results" / "membrane.h5"
    good = store.load_result("membrane")
    raw = bytearray(path.read_bytes())
    noticed = 0
    for at in range(5, len(raw), 211):
        damaged = bytearray(raw)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            back = store.load_result("membrane")
        except CaseError:
            noticed += 1
            continue
        if back is not None:
            assert_same(good, back)
    assert noticed > 20


def test_a_newer_case_is_neither_read_nor_overwritten(slide: Path, store: CaseStore) -> None:
    store.save(full_case())
    path = store.folder / "case.json"
    newer = {**json.loads(path.read_text(encoding="utf-8")), "version": 99, "new": "things"}
    path.write_text(json.dumps(newer), encoding="utf-8")
    store.close()
    again = CaseStore.for_slide(slide, IDENTITY)
    for action in (again.load, lambda: again.save(full_case()), lambda: again.save_annotations(annotations())):
        with pytest.raises(NewerFormatError, match="Update her2viewer"):
            action()
    assert json.loads(path.read_text(encoding="utf-8")) == newer


def test_an_older_case_is_brought_up_to_date(store: CaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save(full_case())
    steps = {version: lambda d, v=version: {**d, "comment": f"{d['comment']} {v + 1}"} for version in (1, 2)}
    monkeypatch.setattr(case_module, "VERSION", 3)
    monkeypatch.setattr(case_module, "MIGRATIONS", steps)
    assert store.load().comment == "line one\nline two 2 3"


def test_a_full_disk_is_a_sentence_and_the_old_files_stay(slide: Path, store: CaseStore) -> None:
    store.save(full_case())
    store.save_annotations(annotations())
    store.save_result(full_result())
    store.close()
    files = [p for p in store.folder.rglob("*") if p.is_file()]
    before = {p: p.read_bytes() for p in files if p.name != "journal.jsonl"}
    script = """
        import resource, sys
        sys.path.insert(0, sys.argv[3])
        import importlib.util
        spec = importlib.util.spec_from_file_location("t", sys.argv[4]); t = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(t)
        from her2viewer.cases.store import CaseStore
        store = CaseStore.for_slide(sys.argv[1], sys.argv[2])
        store.acquire()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        for save, value in ((store.save, t.full_case()), (store.save_annotations, t.annotations()),
                            (store.save_result, t.full_result())):
            try:
                save(value)
            except t.CaseError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(slide), IDENTITY, os.getcwd(), __file__],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    sentences = done.stdout.splitlines()
    assert len(sentences) == 3, done.stdout + done.stderr
    assert all("is full" in s or "was not saved" in s for s in sentences)
    assert {p: p.read_bytes() for p in before} == before
    assert not list(store.folder.rglob("*.part"))


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.her2case").write_bytes(b"")
    with pytest.raises(CaseError, match="is a file, where a folder is needed"):
        CaseStore(tmp_path / "x.her2case").save(full_case())


# The audit trail -----------------------------------------------------------------------------------------


@pytest.fixture
def logged(store: CaseStore) -> CaseStore:
    store.log("opened", slide="case 24-1187.svs")
    store.save(full_case())
    store.log("roi edited", area_mm2=1.25)
    store.log("scored", scorer="membrane", shares=[1, 2, 3, 4])
    store.save(full_case())
    store.log("report exported", path=Path("/x/y"))
    return store


def lines(store: CaseStore) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (store.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]


def test_what_was_logged_is_there_in_order_and_whole(logged: CaseStore) -> None:
    assert [e["event"] for e in lines(logged)] == ["opened", "roi edited", "scored", "report exported"]
    assert lines(logged)[1]["details"] == {"area_mm2": 1.25}
    check = logged.verify()
    assert check.ok
    assert check.entries == 4


def test_a_later_run_goes_on_with_the_same_chain(slide: Path, logged: CaseStore) -> None:
    logged.close()
    again = CaseStore.for_slide(slide, IDENTITY)
    again.log("opened")
    assert again.verify().entries == 5
    assert again.verify().ok


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_changed_a_removed_and_a_moved_line_show(logged: CaseStore, number: int) -> None:
    path = logged.folder / "journal.jsonl"
    whole = path.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = [*whole]
    changed[number] = changed[number].replace('"who": "', '"who": "x')
    assert changed != whole
    for damaged in (changed, [*whole[:number], *whole[number + 1 :]], [*whole, whole[number]]):
        if damaged == whole[:-1]:
            continue  # Cutting the last line off is the next test's.
        path.write_text("".join(damaged), encoding="utf-8")
        assert not logged.verify().ok
        assert verify_journal(path).problem.endswith(".")


def test_a_journal_cut_off_before_the_last_save_shows(logged: CaseStore) -> None:
    path = logged.folder / "journal.jsonl"
    whole = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(whole[:2]), encoding="utf-8")
    assert "The end of the journal is missing" in logged.verify().problem
    path.unlink()
    assert not logged.verify().ok


def test_a_line_cut_off_by_a_kill_is_kept_aside_and_the_chain_goes_on(slide: Path, logged: CaseStore) -> None:
    logged.close()
    path = logged.folder / "journal.jsonl"
    with path.open("ab") as file:
        file.write(b'{"n": 5, "ti')
    assert "cut off" in logged.verify().problem
    again = CaseStore.for_slide(slide, IDENTITY)
    again.log("opened")
    assert again.verify().ok
    assert again.verify().entries == 5
    (aside,) = logged.folder.glob("journal.jsonl.damaged-*")
    assert aside.read_bytes() == b'{"n": 5, "ti'


# Two windows ---------------------------------------------------------------------------------------------

HOLD = """
import sys
from her2viewer.cases.case import Case
from her2viewer.cases.store import CaseStore
store = CaseStore.for_slide(sys.argv[1], sys.argv[2])
store.save(Case(own_score="held"))
print("held", flush=True)
sys.stdin.read()
"""


def test_two_windows_do_not_write_one_case_and_a_killed_one_does_not_block(slide: Path, store: CaseStore) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(slide), IDENTITY], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert store.load().own_score == "held"
        for action in (store.acquire, lambda: store.save(full_case()), lambda: store.save_annotations(annotations())):
            with pytest.raises(CaseLockedError, match=f"process {other.pid} of"):
                action()
        other.kill()
    store.save(full_case())
    assert store.load().own_score == "2+"
    store.close()
    assert not (store.folder / "lock").exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_a_killed_window_whose_parent_has_not_asked_for_it_does_not_block(slide: Path, store: CaseStore) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(slide), IDENTITY], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        other.kill()
        # It has ended, and stays in the table of processes until the parent takes it out.
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        store.save(full_case())
    assert store.load().own_score == "2+"


@pytest.mark.parametrize("content", ["", "nonsense", "[]"])
def test_a_half_written_lock_of_long_ago_does_not_block(store: CaseStore, content: str) -> None:
    store.folder.mkdir()
    lock = store.folder / "lock"
    lock.write_text(content, encoding="utf-8")
    with pytest.raises(CaseLockedError):
        store.save(full_case())
    os.utime(lock, (1, 1))
    store.save(full_case())


def test_a_lock_of_another_computer_holds_for_a_day(store: CaseStore) -> None:
    store.folder.mkdir()
    lock = store.folder / "lock"
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "user": "kim"}), encoding="utf-8")
    with pytest.raises(CaseLockedError, match="kim on elsewhere"):
        store.save(full_case())
    os.utime(lock, (1, 1))
    store.save(full_case())


def test_a_process_number_that_was_given_again_does_not_block(store: CaseStore) -> None:
    import socket

    store.folder.mkdir()
    (store.folder / "lock").write_text(
        json.dumps({"pid": os.getppid(), "host": socket.gethostname(), "started": "-1", "user": "kim"}),
        encoding="utf-8",
    )
    store.save(full_case())


def test_the_store_does_not_import_what_the_window_need_not_wait_for() -> None:
    code = "import sys, her2viewer.cases.store; print([m for m in ('h5py', 'cv2', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_a_slide_whose_name_is_no_text_has_a_case_with_a_whole_journal(slide: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(slide.parent) + b"/M\xfcller.svs"))
    odd.write_bytes(b"slide")
    with CaseStore.for_slide(odd, IDENTITY) as store:
        store.log("opened", file=str(odd))
        store.save(replace(full_case(), comment=str(odd)))
        store.save_annotations(annotations())
        assert store.verify().ok
    reopened, case = open_case(odd, IDENTITY)
    assert (case.slide_path, case.comment) == (str(odd), str(odd))
    assert reopened.verify().ok
    assert reopened.verify().entries == 1


def test_many_threads_that_save_leave_the_permissions_of_the_program_alone(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from her2viewer.cases.atomic import _umask

    before = os.umask(0o027)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            seen = set(pool.map(lambda _: _umask(), range(4000)))
    finally:
        sys.setswitchinterval(switch)
        after = os.umask(before)
    assert seen == {0o027}
    assert after == 0o027
