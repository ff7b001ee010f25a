"""``her2viewer ablation`` on runs that were really trained, on small drawn slides."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from her2viewer import cli
from her2viewer.scoring.model_folder import read_model
from tests.helpers import trial_recipes
from tests.helpers.drawn_sets import write_set

for needed in ("torch", "lightning", "safetensors", "matplotlib", "scipy", "sklearn"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: training is not tested")


@pytest.fixture(scope="module", autouse=True)
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    site = tmp_path_factory.mktemp("site")
    trial_recipes.install(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield
    for name in [m for m in sys.modules if m.startswith(trial_recipes.PACKAGE)]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def trained(trial: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a recipe with weak supervision."""
    folder = tmp_path_factory.mktemp("weak")
    data = write_set(folder / "set", truth=False)
    arguments = ["train", "trial", "--data", str(data), "--recipe", "weak", "--out", str(folder / "run")]
    assert cli.main([*arguments, "--device", "cpu", "--threads", "1", "--name", "m", "--json"]) == 0
    return folder / "run"


def asked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = cli.main(
        ["ablation", *map(str, arguments), "--device", "cpu", "--threads", "1", "--draws", "50", "--json"]
    )
    return code, json.loads(capsys.readouterr().out)


def test_every_stage_is_compared_on_training_and_held_out_slides(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = asked(capsys, trained, "--out", tmp_path)
    assert code == 0
    stages = {(s["name"], s["split"]): s for s in found["stages"]}
    names = ("slide labels", "guideline limits", "logit calibration")
    assert set(stages) == {(name, split) for name in names for split in ("train", "validation", "test")}
    for entry in stages.values():
        matrix = np.array(entry["confusion"])
        assert matrix.sum() == entry["slides"] == len(entry["predicted"])
        assert entry["accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum(), abs=1e-4)
    assert sum(s["slides"] for (name, _), s in stages.items() if name == "slide labels") == 12
    # What is measured anew is what the run itself found.
    model = read_model(trained / "m")
    assert found["finished"]["alphas"] == model.more["finished"]["alphas"]
    kept = {k: v for k, v in model.metrics["calibrated_slide_scores"].items() if k in stages[names[2], "test"]}
    assert {k: stages[names[2], "test"][k] for k in kept} == kept
    before, after = (stages[name, "train"]["limits_broken"] for name in names[1:])
    assert after <= before, "the calibration takes nothing that breaks more on the training slides"
    assert any(sentence.startswith("Stage 2, guideline limits") for sentence in found["remarks"])
    assert {p.name for p in tmp_path.iterdir()} == {"ablation.json", "ablation_confusion.png", "ablation_f1.png"}


def test_the_epochs_of_weak_supervision_say_how_slides_do(trained: Path) -> None:
    with (trained / "log.csv").open(encoding="utf-8") as text:
        lines = [line for line in csv.DictReader(text) if line["stage"] == "guideline limits"]
    for line in lines:
        assert 0 <= float(line["slide_macro_f1"]) <= 1
        assert float(line["limits_broken"]) >= 0


def test_people_get_a_table_and_sentences(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(["ablation", str(trained), "--device", "cpu", "--threads", "1", "--draws", "20"]) == 0
    text = capsys.readouterr().out
    assert "1 slide labels" in text
    assert "3 logit calibration" in text
    assert "Factors of the logits" in text


def test_a_run_that_did_not_reach_its_last_stage_is_compared_as_far_as_it_came(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "part"
    shutil.copytree(trained, part)
    (part / "stage-2.safetensors").unlink()
    (part / "state.pt").unlink()
    code, found = asked(capsys, part)
    assert code == 0
    assert {s["name"] for s in found["stages"]} == {"slide labels"}
    assert any("guideline limits" in r and "not there" in r for r in found["remarks"])


@pytest.mark.parametrize("wrong", ["no run", "other data", "damaged", "no slide labels"])
def test_what_cannot_be_compared_is_one_sentence(
    wrong: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, more = tmp_path / "run", []
    if wrong == "no run":
        run.mkdir()
    else:
        shutil.copytree(trained, run)
    if wrong == "other data":
        more = ["--data", write_set(tmp_path / "other", size=400, truth=False)]
    if wrong == "damaged":
        (run / "run.json").write_text("{")
    if wrong == "no slide labels":
        note = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**note, "recipe": "tiny"}))
    code, answer = asked(capsys, run, *more)
    assert code == 2
    expected = {
        "no run": "no folder of a training run",
        "other data": "not the data set of this run",
        "damaged": "cannot be read",
        "no slide labels": "does not learn from the scores of slides",
    }
    assert expected[wrong] in answer["error"]
