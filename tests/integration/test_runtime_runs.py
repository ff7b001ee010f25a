"""A scorer with a network from the command line and in the scoring process: device, provenance, throughput."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from her2viewer import cli
from her2viewer.commands import exit_codes
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.job import JobDone, JobRequest, score_slide
from her2viewer.scoring.messages import FromProcess, JobFailed, JobSays, Ready
from her2viewer.scoring.model_store import user_models
from her2viewer.scoring.process import ScoringProcess
from her2viewer.scoring.registry import find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.scoring.runtime.devices import devices
from her2viewer.slides.identity import slide_identity
from her2viewer.slides.open import open_slide
from tests.helpers import network_scorer

for needed in ("torch", "safetensors", "onnx", "onnxscript", "openvino"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: networks are not tested")

pytestmark = pytest.mark.skipif(
    devices()[0].kind != "cpu", reason="the best device here is no processor; the devices of these runs are known"
)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    network_scorer.install(folder / "site")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "site"))
        network_scorer.make_model(folder / "model")
    forget()
    return folder / "model"


@pytest.fixture(autouse=True)
def netted(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    network_scorer.install(tmp_path / "site")
    shutil.copytree(model_folder, user_models() / network_scorer.ID / network_scorer.MODEL)
    yield
    forget()


def forget() -> None:
    for name in [m for m in sys.modules if m.startswith(network_scorer.PACKAGE)]:
        del sys.modules[name]


@pytest.fixture
def slide_file(tmp_path: Path) -> Path:
    import tifffile

    path = tmp_path / "slide.tif"
    pixels = np.random.default_rng(3).integers(0, 256, (512, 768, 3), np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb")
    return path


def request_for(slide: Path, **settings: str) -> JobRequest:
    return JobRequest(
        network_scorer.ID,
        str(slide),
        slide_identity(slide),
        PixelSize(0.5, 0.5, PixelSizeSource.USER),
        Region.rectangle(0, 0, 768, 512),
        settings=find_scorer(network_scorer.ID).complete(settings),
    )


def missing_device() -> str:
    there = {d.kind for d in devices()}
    return next(kind for kind in ("mps", "npu", "cuda", "gpu") if kind not in there)


def until_done(client: ScoringProcess) -> list[FromProcess]:
    said: list[FromProcess] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = client.receive(0.1)
        if message is not None:
            said.append(message)
            if isinstance(message, JobFailed) or (
                isinstance(message, JobSays) and isinstance(message.event, JobDone)
            ):
                return said
    raise AssertionError(f"not done in a minute, only {said}")


def test_provenance_says_where_the_networks_ran_and_where_they_were_told_to(slide_file: Path) -> None:
    runtime = LocalRuntime(1)
    with open_slide(slide_file) as slide:
        result = score_slide(request_for(slide_file, device="cpu"), slide, runtime)
    assert result.provenance.device == "CPU"
    assert result.provenance.settings["device"] == "cpu"
    assert list(result.provenance.weights) == [network_scorer.MODEL]
    assert runtime.spent[network_scorer.MODEL].items == 96
    assert runtime.spent["Reading"].items == 96 * 64 * 64


def test_the_device_is_a_setting_of_scorers_with_networks_and_of_no_other() -> None:
    setting = next(s for s in find_scorer(network_scorer.ID).settings if s.id == "device")
    assert (setting.default, setting.group) == ("auto", "Networks")
    assert set(setting.choices) == {"auto", "cpu", "gpu", "npu", "cuda", "mps"}
    assert all(s.id != "device" for s in find_scorer("membrane").settings)


def test_a_device_that_is_missing_fails_the_run_with_a_sentence_and_not_the_process(slide_file: Path) -> None:
    process = ScoringProcess()
    try:
        process.start(request_for(slide_file, device=missing_device()))
        last = until_done(process)[-1]
        assert isinstance(last, JobFailed)
        assert "was asked for and is not there; networks can run on CPU" in last.sentence
        process.start(request_for(slide_file))
        assert isinstance(until_done(process)[-1], JobSays)
    finally:
        process.close()


def test_the_window_is_told_when_the_work_goes_to_another_device(
    slide_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A name for the processor that shows that the worker's own word is passed on.
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import her2viewer.scoring.runtime.devices as d\nd.TITLES['cpu'] = 'Processor'\n", encoding="utf-8"
    )
    scorer = tmp_path / "site" / network_scorer.PACKAGE / "scorer.py"
    scorer.write_text(scorer.read_text(encoding="utf-8").replace('== "CPU"', '== "Processor"'), encoding="utf-8")
    process = ScoringProcess()
    try:
        process.start(request_for(slide_file))
        said = until_done(process)
    finally:
        process.close()
    assert [m.device for m in said if isinstance(m, Ready)] == ["CPU", "Processor"]
    done = said[-1]
    assert isinstance(done, JobSays)
    assert isinstance(done.event, JobDone)
    assert done.event.provenance.device == "Processor"


def test_score_takes_a_device_and_says_what_it_ran_on(
    slide_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["score", str(slide_file), "--whole-slide", "--mpp", "0.5", "--out", str(tmp_path / "out"), "--json"]
    assert cli.main([*base, "--scorer", network_scorer.ID, "--device", "cpu"]) == exit_codes.OK
    assert json.loads(capsys.readouterr().out)["ok"]
    assert cli.main([*base, "--scorer", network_scorer.ID, "--device", missing_device()]) == exit_codes.SCORER_FAILED
    assert "is not there; networks can run on CPU" in json.loads(capsys.readouterr().out)["error"]
    assert cli.main([*base, "--device", "cuda"]) == exit_codes.USAGE
    assert "has no networks and runs on the processor" in json.loads(capsys.readouterr().out)["error"]


def test_bench_score_says_how_fast_each_part_is(slide_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "score", str(slide_file), "--mpp", "0.5", "--scorer", network_scorer.ID, "--threads", "1"]
    assert cli.main([*arguments, "--json"]) == exit_codes.OK
    figures = json.loads(capsys.readouterr().out)
    assert figures["ok"]
    assert figures["device"] == "CPU"
    assert figures["region_mm2"] == pytest.approx(768 * 512 * 0.25e-6)
    assert figures["mm2_per_s"] == pytest.approx(figures["region_mm2"] / figures["seconds"])
    assert 0 < figures["first_evidence_s"] <= figures["seconds"]
    items = {row["name"]: row["items"] for row in (*figures["stages"], *figures["networks"])}
    assert items == {"Pixels from the file": 768 * 512, "Reading": 768 * 512, network_scorer.MODEL: 96}
    (network,) = figures["networks"]
    assert network["precision"] == "fp32"
    assert network["times_torch"] == pytest.approx(network["alone_per_s"] / network["torch_fp32_per_s"])
    assert cli.main(arguments) == exit_codes.OK
    text = capsys.readouterr().out
    assert f"{network_scorer.MODEL} alone: " in text
    assert "times torch fp32 on the processor" in text
    assert "mm² a second" in text


def test_bench_score_answers_wrong_options_with_a_sentence(
    slide_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, code, words in (
        (["nowhere.svs"], exit_codes.SLIDE_UNREADABLE, "There is no file nowhere.svs"),
        ([str(slide_file)], exit_codes.USAGE, "how large a pixel is"),
        ([str(slide_file), "--mpp", "0.5", "--scorer", "nobody"], exit_codes.USAGE, "nobody"),
        ([str(slide_file), "--mpp", "0.5", "--device", "cuda"], exit_codes.USAGE, "has no networks"),
        ([str(slide_file), "--mpp", "0.5", "--threads", "0"], exit_codes.USAGE, "--threads must be at least 1"),
    ):
        assert cli.main(["bench", "score", *arguments, "--json"]) == code
        assert words in json.loads(capsys.readouterr().out)["error"]


def test_the_doctor_says_where_networks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from her2viewer.commands.checks import run_checks

    found = {check.name: check for check in run_checks()}["Networks"]
    assert found.state in ("PASS", "WARN")
    assert "run on CPU (fp32" in found.detail
    assert "networks are kept in" in found.detail
    monkeypatch.setenv("HER2VIEWER_DEVICE", missing_device())
    refused = {check.name: check for check in run_checks()}["Networks"]
    assert refused.state == "FAIL"
    assert "HER2VIEWER_DEVICE" in refused.fix
