"""``her2viewer bench beside``: the real window while a real scorer works. No figure is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from her2viewer.commands import exit_codes
from her2viewer.commands.bench import main
from her2viewer.commands.bench_beside import show
from her2viewer.commands.output import Output
from her2viewer.phantom.pyramid import reduced, write_pyramid


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    # On the slide that is made where none is named: large enough for the scorer to go on for a while.
    arguments = ["bench", "beside", "--seconds", "30", "--size", "900x600", "--json"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-m", "her2viewer", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert done.returncode == exit_codes.OK, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_zooming_and_panning_are_timed_alone_and_beside_the_scorer(figures: dict[str, Any]) -> None:
    assert figures["ok"] is True
    assert figures["scorer"]["id"] == "membrane"
    assert [act["what"] for act in figures["acts"]] == ["zooming", "panning at 1:1"]
    for act in figures["acts"]:
        for row in (act["alone"], act["beside"]):
            assert 0 < row["median_ms"] <= row["p99_ms"] <= row["worst_ms"]
            assert len(row["p99_of_rounds_ms"]) == row["steps"] / 300 >= 1
            # The last step of a round may have no frame on a busy machine.
            assert 0.9 * row["steps"] <= row["answered"] <= row["steps"]


def test_the_table_says_the_same_to_people(figures: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    show(Output(False).people(), figures)
    text = capsys.readouterr().out
    assert "zooming, alone" in text
    assert "panning at 1:1, beside membrane" in text
    assert f"{figures['acts'][0]['beside']['p99_ms']:.1f}" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scorer", "nobody"], "nobody"),
        (["--set", "no_such_setting=1"], "no_such_setting"),
        (["nowhere.svs"], "nowhere.svs"),
        (["--seconds", "1"], "--seconds takes"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide = tmp_path / "small.tif"
    picture = np.full((600, 600, 3), 220, np.uint8)
    write_pyramid(slide, reduced(picture, (4,)), mpp=0.5, magnification=20)
    named = [] if arguments[0] == "nowhere.svs" else [str(slide)]
    assert main(["beside", *named, *arguments]) != exit_codes.OK
    assert words in capsys.readouterr().err
