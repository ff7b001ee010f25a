"""A slide of 200,000 px a side: opened, looked at and closed within bounds that do not depend on its size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openslide
import pytest

from her2viewer.slides.open import open_slide
from tests.helpers.giant_slide import SIDE, write_giant


@pytest.fixture(scope="module")
def giant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("giant") / "giant.tif"
    write_giant(path)
    return path


def test_it_is_read_directly_and_to_the_pixels_of_openslide(giant: Path) -> None:
    with open_slide(giant) as slide, openslide.OpenSlide(str(giant)) as reference:
        assert (slide.width, slide.height) == reference.dimensions == (SIDE, SIDE)
        for level, (width, height) in enumerate(reference.level_dimensions):
            scale = reference.level_downsamples[level]
            x, y = max(0, width - 300), max(0, height // 2 - 200)
            ours = slide.read(level, x, y, min(280, width), min(300, height))
            theirs = np.asarray(
                reference.read_region((round(x * scale), round(y * scale)), level, ours.shape[1::-1]).convert("RGB")
            )
            if level == 0:
                assert np.array_equal(ours, theirs)
            assert ours.shape == theirs.shape


def test_its_window_stays_within_1500_mb_while_it_is_moved_about(giant: Path) -> None:
    command = [sys.executable, "-m", "her2viewer", "bench", "endurance", str(giant), "--minutes", "0.2", "--json"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["slide"]["width"] == SIDE
    assert figures["peak_mb"] < 1500
    files = [sample["files"] for sample in figures["samples"]]
    assert max(files) - files[0] <= 3
    assert not list(giant.parent.glob("*.her2case")), "what was looked at here was not looked at by a reader"


def test_endurance_says_what_it_wants(capsys: pytest.CaptureFixture[str]) -> None:
    from her2viewer.commands.bench import main

    assert main(["endurance", "--minutes", "0"]) != 0
    assert main(["endurance", "nowhere.svs"]) != 0
    said = capsys.readouterr()
    assert "0.02 to 1440" in said.err + said.out
    assert "nowhere.svs does not exist" in said.err + said.out
