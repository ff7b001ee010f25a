"""Training runs from slides to model folder, with kills in between."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from her2viewer import cli
from her2viewer.scoring.model_folder import read_model, verify_model
from her2viewer.scoring.runtime.eight_bit import input_ranges
from tests.helpers import trial_recipes

for needed in ("torch", "lightning", "safetensors", "matplotlib", "scipy"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: training is not tested")

SPLITS = ("train", "train", "validation", "test")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four small phantom slides with truth."""
    folder = tmp_path_factory.mktemp("set")
    text = 'format = "her2viewer-set"\nversion = 1\nname = "Small phantoms"\n'
    for number, split in enumerate(SPLITS, start=1):
        made = ["phantom", str(folder / f"s{number}.tif"), "--size", "1536", "1536", "--seed", str(number), "--json"]
        assert cli.main(made) == 0
        text += (
            f'[[slides]]\nid = "s{number}"\nslide = "s{number}.tif"\nroi = "s{number}.geojson"\n'
            f'truth = "s{number}.truth.h5"\nscore = "2+"\nsplit = "{split}"\n'
            'shares = { "0" = 40, "1+" = 30, "2+" = 30, "3+" = 0 }\n'
        )
    (folder / "set.toml").write_text(text, encoding="utf-8")
    return folder / "set.toml"


@pytest.fixture(autouse=True)
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    trial_recipes.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    yield
    for name in [m for m in sys.modules if m.startswith(trial_recipes.PACKAGE)]:
        del sys.modules[name]


def train(data: Path, out: Path, *more: str, recipe: str = "tiny") -> int:
    return cli.main(arguments(data, out, *more, recipe=recipe))


def arguments(data: Path, out: Path, *more: str, recipe: str = "tiny") -> list[str]:
    base = ["train", "trial", "--data", str(data), "--recipe", recipe, "--out", str(out), "--device", "cpu"]
    return [*base, "--threads", "1", "--name", "m", *more]


def log(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_a_run_ends_in_a_model_folder_measured_on_held_out_slides(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert train(data, tmp_path / "run", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    model = read_model(tmp_path / "run" / "m")
    verify_model(model)
    assert (model.plugin, model.mpp, model.classes) == ("trial", 0.8, ("stroma", "immune", "tumour"))
    confusion = np.array(model.metrics["confusion"])
    assert model.metrics["split"] == "test"
    assert confusion.sum() == answer["samples"]["test"] > 20
    assert model.metrics["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum(), abs=1e-4)
    card = model.card.read_text(encoding="utf-8")
    assert "of the split test" in card
    assert "drawn by this program, not scanned" in card
    from safetensors.numpy import load_file

    weights = load_file(model.weights)
    assert set(model.more["input_ranges"]) == {name for name, value in weights.items() if value.ndim == 4}
    assert input_ranges(model)
    assert "8-bit integers" in card
    assert (model.folder / "loss.png").stat().st_size > 5000
    assert (model.folder / "confusion.png").stat().st_size > 5000
    assert [(line["stage"], line["epoch"]) for line in log(tmp_path / "run")] == [
        ("first", "1"), ("first", "2"), ("second", "1"), ("second", "2"),
    ]  # fmt: skip
    assert not list((tmp_path / "run").rglob("*.part"))


def test_the_network_learns_what_tells_the_cells_apart(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "run", recipe="learns") == 0
    lines = log(tmp_path / "run")
    losses = [float(line["train_loss"]) for line in lines]
    assert np.mean(losses[-5:]) < 0.88 * losses[0]
    assert read_model(tmp_path / "run" / "m").metrics["kappa"] > 0.2


def test_without_test_slides_the_card_says_that_nothing_was_measured(data: Path, tmp_path: Path) -> None:
    lone = data.with_name("lone.toml")
    lone.write_text(data.read_text(encoding="utf-8").replace('"test"', '"train"'), encoding="utf-8")
    assert train(lone, tmp_path / "run") == 0
    model = read_model(tmp_path / "run" / "m")
    assert model.metrics == {}
    assert "Not measured" in model.card.read_text(encoding="utf-8")


def started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "her2viewer", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def kill_when(process: subprocess.Popen[bytes], seen: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not seen():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < until, "what the test waits for did not happen"
        time.sleep(0.0005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_killed_while_cutting_training_and_saving_a_run_goes_on_to_the_same_model(data: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(data, whole, recipe="heavy") == 0
    command = arguments(data, broken, "--resume", recipe="heavy")
    kill_when(started(command), lambda: any((broken / "samples").glob("*.part")))
    assert not (broken / "state.pt").exists()
    kill_when(started(command), (broken / "log.csv").exists)
    first = len(log(broken))
    assert 1 <= first < 9
    kill_when(started(command), lambda: len(log(broken)) > first and any(broken.glob(".state.pt.*.part")))
    assert len(log(broken)) < 9
    assert train(data, broken, "--resume", recipe="heavy") == 0
    assert read_model(broken / "m").sha256 == read_model(whole / "m").sha256
    assert read_model(broken / "m").metrics == read_model(whole / "m").metrics
    timeless = [[{k: v for k, v in line.items() if k != "seconds"} for line in log(out)] for out in (whole, broken)]
    assert timeless[0] == timeless[1]


def test_two_processes_learn_together_end_together_and_one_of_them_speaks(data: Path, tmp_path: Path) -> None:
    script = Path(trial_recipes.__file__).with_name("train_in_two.py")
    root = str(script.parents[2])
    paths = os.pathsep.join([root, os.environ["PYTHONPATH"]])
    for more in ((), ("--resume", "--json")):
        more = ("--max-minutes", "0.1", *more)
        command = [sys.executable, str(script), *arguments(data, tmp_path / "run", *more, recipe="heavy")]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count('"ok"') == 1
    answer = json.loads(done.stdout)
    verify_model(read_model(Path(answer["model"])))
    assert len(log(tmp_path / "run")) == answer["epochs"] > 0


def test_ctrl_c_keeps_the_best_so_far(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = started(arguments(data, out, recipe="heavy"))
    until = time.monotonic() + 120
    while not (out / "log.csv").exists() and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0, said
    model = read_model(out / "m")
    verify_model(model)
    assert "Ctrl+C" in model.card.read_text(encoding="utf-8")
    assert 1 <= len(log(out)) < 9


def test_max_minutes_ends_in_a_model_that_says_so(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "cut") == 0
    shutil.copytree(tmp_path / "cut" / "samples", tmp_path / "run" / "samples")
    assert train(data, tmp_path / "run", "--max-minutes", "0.001", recipe="heavy") == 0
    card = read_model(tmp_path / "run" / "m").card.read_text(encoding="utf-8")
    assert "The time of 0.001 minutes was up" in card


def test_a_run_is_not_overwritten_and_another_run_is_not_gone_on_with(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(data, out) == 0
    assert train(data, out) == 5
    assert "--resume goes on with it" in capsys.readouterr().err
    assert train(data, out, "--resume", "--seed", "2") == 5
    assert "other data, recipe or seed" in capsys.readouterr().err
    before = read_model(out / "m").sha256
    assert train(data, out, "--resume") == 0
    assert read_model(out / "m").sha256 == before
    (out / "state.pt").write_bytes(b"damaged")
    assert train(data, out, "--resume") == 5
    assert "delete it to train from the start" in capsys.readouterr().err


def test_slides_are_cut_once_and_others_only_where_they_changed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(data, out) == 0
    before = {p.name: p.stat().st_mtime_ns for p in (out / "samples").iterdir()}
    moved = data.with_name("moved.toml")
    moved.write_text(data.read_text(encoding="utf-8").replace('id = "s4"', 'id = "s4"\nmpp = 0.3'), encoding="utf-8")
    shutil.copytree(out / "samples", tmp_path / "other" / "samples")
    assert train(moved, tmp_path / "other") == 0
    after = {p.name for p in (tmp_path / "other" / "samples").iterdir()}
    assert len(before) == 4
    assert len(after - set(before)) == 1


def test_weak_supervision_chooses_its_samples_and_fits_at_the_end(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "run", recipe="patches") == 0
    model = read_model(tmp_path / "run" / "m")
    assert model.more["finished"]["alpha"] == [1.0, 1.0, 1.0, 1.0]
    assert model.more["finished"]["samples"] > 8
    assert {line["stage"] for line in log(tmp_path / "run")} == {"every label", "surest"}


def test_segmentation_is_measured_by_pixels(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "run", recipe="masks") == 0
    model = read_model(tmp_path / "run" / "m")
    confusion = np.array(model.metrics["confusion"])
    assert confusion.sum() % (32 * 32) == 0
    assert (confusion.sum(axis=1) > 0).all()
    of_score = model.metrics["by_score"]["2+"]
    assert of_score["slides"] == 1
    assert of_score["pixels"] == confusion.sum()
    found, hit = of_score["tumour"], confusion[1, 1]
    assert found["recall"] == pytest.approx(hit / confusion[1].sum(), abs=1e-4)
    assert found["dice"] == pytest.approx(2 * hit / (confusion[1].sum() + confusion[:, 1].sum()), abs=1e-4)
    card = model.card.read_text(encoding="utf-8")
    assert "pixels" in card
    assert f"| 2+ | 1 | {found['precision']:.3f} | {found['recall']:.3f} | {found['dice']:.3f} |" in card


def test_a_classifier_of_patches_is_measured_by_the_scores_of_its_slides(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path / "run", recipe="patches") == 0
    model = read_model(tmp_path / "run" / "m")
    slides = model.metrics["slide_scores"]
    assert slides["slides"] == np.sum(slides["confusion"]) == 1
    assert 0 <= slides["share_error"] <= 50
    assert "Scores of whole slides" in model.card.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["nosuch"], "No plugin named 'nosuch' can be trained"),
        (["trial", "--recipe", "nosuch"], "has no recipe 'nosuch'"),
        (["trial", "--max-minutes", "0"], "--max-minutes must be above 0"),
        (["trial", "--name", "../x"], "cannot be a folder's name"),
        ([], "Say what to train"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    data: Path, more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *more, "--data", str(data)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_set_without_cells_is_told_by_its_slide(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = data.with_name("bare.toml")
    bare.write_text(data.read_text(encoding="utf-8").replace('truth = "s2.truth.h5"\n', ""), encoding="utf-8")
    assert train(bare, tmp_path / "run") == 5
    assert 'Slide "s2" has no labelled cells' in capsys.readouterr().err


def test_cuda_that_is_not_there_is_one_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert train(data, tmp_path / "run", "--device", "cuda") == 5
    assert "No CUDA device can be used" in capsys.readouterr().err
