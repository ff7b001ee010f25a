"""``her2viewer crossval`` from drawn slides to the table, with the real recipe of ``cells``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from her2viewer import cli
from tests.helpers.drawn_tissue import UM, draw_cells

for needed in ("torch", "lightning", "safetensors", "matplotlib", "scipy", "sklearn", "skimage"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: training is not tested")

SLIDES = 6
NAMES = ("tumour 0", "tumour 1+", "tumour 2+", "tumour 3+")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small slides with labelled cells, two of each patient."""
    folder = tmp_path_factory.mktemp("set")
    text = 'format = "her2viewer-set"\nversion = 1\nname = "Drawn cells"\n'
    for k in range(SLIDES):
        drawn = draw_cells((0.25, 0.25, 0.25, 0.25), (420, 420), seed=k, glass=40)
        tifffile.imwrite(folder / f"s{k}.tif", drawn.rgb, photometric="rgb", tile=(256, 256))
        with (folder / f"s{k}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = zip(drawn.x, drawn.y, (NAMES[c] for c in drawn.classes), strict=True)
            csv.writer(file).writerows([("x", "y", "class"), *rows])
        text += (
            f'[[slides]]\nid = "s{k}"\nslide = "s{k}.tif"\ncells = "s{k}.csv"\nscore = "3+"\nmpp = {UM}\n'
            f'patient = "P{k // 2}"\n'
        )
    (folder / "SET.toml").write_text(text, encoding="utf-8")
    return folder / "SET.toml"


def run(data: Path, out: Path, *more: object) -> int:
    fast = ["--folds", "3", "--trees", "20", "--epochs", "1", "--threads", "1", "--device", "cpu"]
    return cli.main(["crossval", "cells", "--data", str(data), "--out", str(out), *fast, *map(str, more)])


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "run"
    assert run(data, out, "--json") == 0
    return out


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict]]:
    def ask(*arguments: object) -> tuple[int, dict]:
        capsys.readouterr()
        code = run(*arguments, "--json")  # type: ignore[arg-type]
        return code, json.loads(capsys.readouterr().out)

    return ask


def test_three_methods_tell_every_cell_once_and_the_table_is_written(done: Path) -> None:
    value = json.loads((done / "crossval.json").read_text(encoding="utf-8"))
    assert [m["method"] for m in value["methods"]] == ["svm", "forest", "network"]
    cells = np.array(value["cells_of_fold_by_class"])
    assert cells.shape == (3, 7)
    assert (cells[:, :3] == 0).all()
    for method in value["methods"]:
        confusion = np.array(method["confusion_truth_by_predicted"])
        assert (confusion.sum(axis=1) == cells.sum(axis=0)).all()
        figures = {f["of"]: f for f in method["figures"]}
        assert figures["artefact"]["mean"] is None
        assert figures["accuracy"]["mean"] == pytest.approx(np.mean([line[-1] for line in method["by_fold"]]))
        assert (figures["accuracy"]["p"] is None) == (method["method"] == "network")
    # Cells whose membranes were drawn in steps are told apart by what is measured on membranes.
    assert all({f["of"]: f["mean"] for f in m["figures"]}["accuracy"] > 0.8 for m in value["methods"][:2])
    assert len(value["features"]) == 18
    with (done / "crossval.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 3 * 8
    with (done / "components.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == cells[0].sum()
    assert [c["of"] for c in value["components"]] == ["18 hand-made features", "500 features of the network"]
    assert (done / "components.png").stat().st_size > 20_000


def test_a_call_that_was_broken_off_goes_on_to_the_same_figures(
    data: Path, done: Path, asked: Callable[..., tuple[int, dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from her2viewer.training.crossval import run as work

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("done again")

    before = json.loads((done / "crossval.json").read_text(encoding="utf-8"))
    (done / "fold-02-network.npz").unlink()
    for name in ("linear_svm", "random_forest", "stain_channels"):
        monkeypatch.setattr(work, name, forbidden, raising=False)
    code, value = asked(data, done)
    assert code == 0
    figures = [[m["by_fold"], m["confusion_truth_by_predicted"]] for m in value["methods"]]
    assert figures == [[m["by_fold"], m["confusion_truth_by_predicted"]] for m in before["methods"]]


def test_people_get_the_table_with_what_is_to_be_known_of_it(
    data: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(data, done) == 0
    text = capsys.readouterr().out
    for words in ("linear SVM", "random forest", "CellNet", "accuracy", "±", "two-tailed paired t test"):
        assert words in text
    assert "6 fields were dealt out whole to 3 folds of 2 fields" in text
    assert "patients have fields in more than one fold" in text
    assert "Of artefact, stroma, immune there are no cells." in text


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (("--seed", 2), 5, "other slides or options"),
        (("--folds", 2), 2, "--folds must be at least 3"),
        (("--max-minutes", 0), 2, "--max-minutes must be above 0"),
        (("--recipe", "finder"), 2, "no hand-made features"),
        (("--data", "nowhere.toml"), 2, "There is no data set"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    more: tuple[object, ...], code: int, sentence: str, data: Path, done: Path, asked: Callable[..., tuple[int, dict]]
) -> None:
    found, value = asked(data, done, *more)
    assert found == code
    assert sentence in value["error"]


def test_more_folds_than_patients_are_refused_before_anything_is_trained(
    data: Path, tmp_path: Path, asked: Callable[..., tuple[int, dict]]
) -> None:
    code, value = asked(data, tmp_path / "run", "--by", "patient", "--folds", 4)
    assert code == 5
    assert "cannot be dealt out to 4 folds" in value["error"]
    assert not list((tmp_path / "run").glob("fold-*"))
