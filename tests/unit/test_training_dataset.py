"""The manifest of a data set: what it gives, and one sentence for every kind of mistake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from her2viewer.training.dataset import SPLITS, DataSet, DataSetError, read_data_set

HEAD = 'format = "her2viewer-set"\nversion = 1\nname = "Trial"\n'
Writer = Callable[[str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.tif", "b.tif", "c.tif", "d.tif", "a.truth.h5", "a.geojson", "a.csv"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Writer:
    def to(body: str, head: str = HEAD) -> Path:
        path = folder / "set.toml"
        path.write_text(head + body, encoding="utf-8")
        return path

    return to


def slide(name: str, more: str = "", file: str = "") -> str:
    return f'[[slides]]\nid = "{name}"\nslide = "{file or name + ".tif"}"\n{more}\n'


def problems(path: Path, **options: bool) -> tuple[str, ...]:
    with pytest.raises(DataSetError) as caught:
        read_data_set(path, **options)
    return caught.value.problems


def many(folder: Path, count: int, per_patient: int = 1) -> str:
    text = ""
    for k in range(count):
        (folder / f"s{k}.tif").write_bytes(b"%d" % k)
        label = ("0", "1+", "2+", "3+")[k // per_patient % 4]
        text += slide(f"s{k}", f'score = "{label}"\npatient = "p{k // per_patient}"')
    return text


def test_all_entries_are_read_and_paths_are_relative_to_the_manifest(write: Writer, folder: Path) -> None:
    more = (
        'roi = "a.geojson"\nscore = "2+"\nshares = { "0" = 20, "1+" = 30, "2+" = 50 }\ntruth = "a.truth.h5"\n'
        'cells = "a.csv"\nmpp = 0.25\nlab = "L"\nscanner = "S"\npatient = "P"\nsplit = "test"'
    )
    found = read_data_set(write(slide("a", more)))
    entry = found.slides[0]
    assert found.name == "Trial"
    assert entry.slide == folder / "a.tif"
    assert entry.roi == folder / "a.geojson"
    assert entry.truth == folder / "a.truth.h5"
    assert (entry.score, entry.score_index, entry.shares) == ("2+", 2, (20, 30, 50, 0))
    assert (entry.mpp, entry.lab, entry.scanner, entry.patient, entry.split) == (0.25, "L", "S", "P", "test")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (slide("a", 'score = "4+"'), "score '4+' is unknown"),
        (slide("a", "score = 2"), 'did you mean "2+"?'),
        (slide("a", 'shares = { "0" = 20, "3+" = 20 }'), "add up to 40 %"),
        (slide("a", 'shares = { "0" = 0.5, "3+" = 0.5 }'), "write percentages"),
        (slide("a", 'shares = { "0" = 120, "3+" = -20 }'), "share of 0 must be a percentage"),
        (slide("a", 'shares = { "0" = 50, "2" = 50 }'), "did you mean 2+?"),
        (slide("a") + slide("a", file="b.tif"), 'Slides 1 and 2 have the same id "a"'),
        (slide("x", file="aa.tif"), "did you mean a.tif?"),
        (slide("x", file="no/such.tif"), "there is no folder"),
        (slide("a", 'roi = "b.geojson"'), "roi file b.geojson is missing"),
        (slide("a", 'cells = "a.tif"'), "cells must be a .csv"),
        (slide("a", 'scor = "2+"'), "did you mean score?"),
        (slide("a", "mpp = 250"), "mpp must be um per pixel"),
        (slide("a", "patient = 12"), 'patient = "12"'),
        (slide("a", 'split = "valid"'), "did you mean validation?"),
        ('[[slides]]\nslide = "a.tif"', "Slide 1 has no id"),
        ('[[slides]]\nid = "a"', 'Slide "a" names no file'),
        ('[[slides]]\nid = "a/b"\nslide = "a.tif"', "without slashes"),
        ("", "names no slides"),
        ('[split]\nby = "lab"\n' + slide("a"), 'by must be "patient" or "slide"'),
        ("[split]\ntest = 20\n" + slide("a"), "test must be a share"),
        ("[split]\ntest = 0.5\nvalidation = 0.5\n" + slide("a"), "leave something for train"),
        ("[split]\nseed = 1.5\n" + slide("a"), "seed must be a whole number"),
        ("nam = 1\n" + slide("a"), "did you mean name?"),
        (
            slide("a", 'patient = "P"\nsplit = "train"') + slide("b", 'patient = "P"\nsplit = "test"'),
            "Patient P is in two splits (a in train, b in test)",
        ),
        (
            slide("a", 'split = "train"') + slide("b", 'split = "test"', file="a.tif"),
            "The slide file a.tif is in two splits",
        ),
    ],
)
def test_a_mistake_gives_one_sentence_that_names_it(write: Writer, body: str, sentence: str) -> None:
    found = problems(write(body))
    assert any(sentence in problem for problem in found), found
    assert all(problem.endswith(".") and "\n" not in problem for problem in found)


def test_all_mistakes_are_told_at_once(write: Writer) -> None:
    found = problems(write(slide("a", 'score = "5+"\nmpp = -1') + slide("a", 'scaner = "x"', file="gone.tif")))
    assert len(found) == 5


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ('format = "x"\n', "is no data set of her2viewer"),
        ('format = "her2viewer-set"\n', "lacks its version"),
        ('format = "her2viewer-set"\nversion = 9\n', "Install a newer her2viewer"),
        ("format = \n", "is not valid TOML"),
    ],
)
def test_a_file_that_is_no_set_is_refused(folder: Path, head: str, sentence: str) -> None:
    path = folder / "set.toml"
    path.write_text(head + slide("a"), encoding="utf-8")
    assert sentence in problems(path)[0]


def test_a_set_that_is_not_there_or_is_a_folder_is_refused(folder: Path) -> None:
    assert "There is no data set" in problems(folder / "none.toml")[0]
    assert "is a folder" in problems(folder)[0]


def test_training_asks_for_every_score_in_train_and_for_validation(write: Writer) -> None:
    body = slide("a", 'score = "0"\nsplit = "train"') + slide("b", 'score = "3+"\nsplit = "test"')
    path = write(body)
    assert len(read_data_set(path).slides) == 2
    found = problems(path, for_training=True)
    assert any("No slide of score 3+ is in the split train" in p for p in found)
    assert any("No slide is in the split validation" in p for p in found)


def test_a_patient_is_never_in_two_splits_and_every_score_is_in_train(write: Writer, folder: Path) -> None:
    found = read_data_set(write(many(folder, 40, per_patient=2)), for_training=True)
    for patient in {s.patient for s in found.slides}:
        assert len({s.split for s in found.slides if s.patient == patient}) == 1
    assert {s.score for s in found.of("train")} == {"0", "1+", "2+", "3+"}
    sizes = {name: len(found.of(name)) for name in SPLITS}
    assert sum(sizes.values()) == 40
    assert 6 <= sizes["test"] <= 10
    assert 6 <= sizes["validation"] <= 10


def test_patients_of_two_labs_with_one_number_are_two(write: Writer) -> None:
    body = slide("a", 'patient = "1"\nlab = "A"\nsplit = "train"')
    body += slide("b", 'patient = "1"\nlab = "B"\nsplit = "test"')
    assert len(read_data_set(write(body)).of("test")) == 1


def test_a_slide_without_split_follows_its_patient(write: Writer) -> None:
    body = slide("a", 'patient = "1"\nsplit = "test"') + slide("b", 'patient = "1"') + slide("c")
    found = {s.id: s.split for s in read_data_set(write(body)).slides}
    assert found == {"a": "test", "b": "test", "c": "train"}


def test_the_draw_depends_on_the_seed_alone(write: Writer, folder: Path) -> None:
    def drawn(seed: int) -> DataSet:
        return read_data_set(write(f"[split]\nseed = {seed}\n" + many(folder, 30)))

    splits = [tuple(s.split for s in drawn(seed).slides) for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_the_hash_follows_content_and_not_names(write: Writer, folder: Path) -> None:
    def hashed(body: str) -> str:
        return read_data_set(write(body)).hash

    before = hashed(slide("a", 'truth = "a.truth.h5"'))
    (folder / "moved.tif").write_bytes((folder / "a.tif").read_bytes())
    assert hashed(slide("a", 'truth = "a.truth.h5"', file="moved.tif")) == before
    assert hashed(slide("a", 'truth = "a.truth.h5"\nscore = "0"')) != before
    (folder / "a.truth.h5").write_bytes(b"other")
    assert hashed(slide("a", 'truth = "a.truth.h5"')) != before


def test_reading_a_set_imports_nothing_heavy(write: Writer) -> None:
    path = write(slide("a"))
    code = (
        "import sys; from her2viewer.training.dataset import read_data_set; "
        f"read_data_set({str(path)!r}).hash; "
        "print([m for m in ('torch', 'numpy', 'h5py', 'sklearn', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
