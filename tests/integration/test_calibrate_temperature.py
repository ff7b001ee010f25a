"""A scorer that gives probabilities of the slide's score: a temperature is fitted, and the core applies it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from her2viewer.commands import calibrate
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.calibration_file import with_calibration
from her2viewer.scoring.job import JobRequest, score_slide
from her2viewer.scoring.manifest import ManifestError, read_manifest
from her2viewer.scoring.registry import find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.slides.open import open_slide

pytestmark = pytest.mark.usefixtures("trial_scorers")
WRONG = 4
"""Of 20 slides, how many the scorer gets wrong; it says that it is 99.7 % sure of all of them."""


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    lines = ['format = "her2viewer-set"', "version = 1", 'name = "sure"']
    for k in range(20):
        truth = k % 4
        said = (truth + (1 if truth < 3 else -1)) if k >= 20 - WRONG else truth
        name = f"s{k}_{said}"
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((64, 64, 3), 10 * k, np.uint8), photometric="rgb")
        score = ("0", "1+", "2+", "3+")[truth]
        lines.append(f'[[slides]]\nid = "{name}"\nslide = "{name}.tif"\nscore = "{score}"\nmpp = 0.5')
    path = tmp_path / "SET.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def answer(path: Path, **settings: object) -> tuple[float, ...]:
    manifest = find_scorer("sure")
    with open_slide(path) as slide:
        request = JobRequest(
            "sure",
            str(path),
            slide.identity,
            PixelSize(0.5, 0.5, PixelSizeSource.USER),
            Region.rectangle(0, 0, 64, 64),
            settings=manifest.complete(with_calibration(manifest, settings)),
        )
        found = score_slide(request, slide, LocalRuntime(1)).score_probabilities
    assert found is not None
    return found


def test_a_scorer_that_is_too_sure_becomes_as_sure_as_it_is_often_right(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lab.toml"
    assert calibrate.main(["sure", str(labelled), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["better"]
    assert told["before"]["accuracy"] == told["after"]["accuracy"] == 1 - WRONG / 20
    assert told["cross_validated"]["log_loss"] < 0.7 * told["before"]["log_loss"]
    assert told["settings"]["temperature"] > 1.5
    slide = labelled.parent / "s2_2.tif"
    before, after = answer(slide), answer(slide, calibration=str(out))
    assert before[2] == pytest.approx(0.997)
    assert after[2] == pytest.approx(1 - WRONG / 20, abs=0.03)
    assert sum(after) == pytest.approx(1)
    assert int(np.argmax(after)) == 2


def test_a_manifest_with_two_temperatures_is_refused(trial_scorers: Path, tmp_path: Path) -> None:
    text = (trial_scorers / "her2viewer_trial_sure" / "scorer.toml").read_text()
    path = tmp_path / "scorer.toml"
    path.write_text(text.replace('["temperature"]', '["temperature", "step_px"]'))
    with pytest.raises(ManifestError, match="one setting"):
        read_manifest(path)
