"""``her2viewer calibrate surface``: factors of the logits fitted on slides of patches, by two small networks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from her2viewer_surface.calibration import FACTORS, logits

from her2viewer.commands import calibrate, score
from her2viewer.domain.evidence import ClassMap
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.scoring.calibration_file import applied, read_calibration, with_calibration
from her2viewer.scoring.job import JobRequest, score_slide
from her2viewer.scoring.registry import find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.slides.open import open_slide
from tests.helpers.drawn_sets import SCORES, SHARES, write_patch_set
from tests.helpers.drawn_tissue import UM
from tests.helpers.surface_models import install

TOO_FEW_2 = (1.0, 1.0, 0.5, 1.0)
"""Factors in the model that let 2+ be taken for 1+."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module", autouse=True)
def _networks(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HER2VIEWER_HOME", str(home))
        install(TOO_FEW_2)
        yield


@pytest.fixture(autouse=True)
def own_user_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All tests here share one folder: slides are scored once."""
    monkeypatch.setenv("HER2VIEWER_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patch_set(tmp_path_factory.mktemp("set"))


def run(*arguments: object) -> tuple[int, dict]:
    with redirect_stdout(io.StringIO()) as out:
        code = calibrate.main([*map(str, arguments), "--json"])
    return code, json.loads(out.getvalue())


@pytest.fixture(scope="module")
def fitted(drawn: Path, home: Path) -> dict:
    code, value = run("surface", drawn, "--out", home / "lab.toml")
    assert code == 0, value
    return value


def scored(path: Path, for_calibration: bool = False, **settings: object) -> Result:
    with open_slide(path) as slide:
        request = JobRequest(
            "surface",
            str(path),
            slide.identity,
            PixelSize(UM, UM, PixelSizeSource.USER),
            Region.rectangle(0, 0, slide.width, slide.height),
            settings=find_scorer("surface").complete(settings),
            for_calibration=for_calibration,
        )
        return score_slide(request, slide, LocalRuntime(2))


def class_map(result: Result) -> ClassMap:
    return next(e for e in result.evidence if isinstance(e, ClassMap) and e.scheme.counted)


def test_factors_that_suit_a_lab_are_found_and_told_by_slides_left_out(fitted: dict) -> None:
    assert fitted["before"]["accuracy"] < 0.9
    assert fitted["after"]["accuracy"] > fitted["before"]["accuracy"]
    assert fitted["cross_validated"]["limits_broken"] < 0.5 * fitted["before"]["limits_broken"]
    assert fitted["better"]
    assert set(fitted["settings"]) == set(FACTORS)
    assert fitted["settings_before"] == dict.fromkeys(FACTORS, 1.0)
    assert fitted["settings"]["factor_2"] > 1.5 * fitted["settings"]["factor_1"]
    assert fitted["folds"] == 12


def test_shares_that_the_fit_counts_are_those_of_a_run_with_its_factors(drawn: Path) -> None:
    path = drawn.parent / "s7.tif"
    own = {"factor_1": 0.8, "factor_2": 1.9}
    values = logits(scored(path, for_calibration=True).evidence)
    scaled = values * np.array([1, 0.8, 1.9, 1])
    again = scored(path, **own)
    found = class_map(again)
    known = ~np.isnan(values).any(axis=2)
    assert known.sum() > 90
    assert (known == (found.classes != 255)).all()
    assert (scaled.argmax(axis=2)[known] == found.classes[known]).all()
    assert (class_map(scored(path)).classes[known] != found.classes[known]).any()


def test_logits_are_handed_over_only_for_a_calibration(drawn: Path) -> None:
    with pytest.raises(ValueError, match="no logits"):
        logits(scored(drawn.parent / "s7.tif").evidence)


def test_factors_in_force_are_where_before_stands_and_never_made_worse(
    drawn: Path, fitted: dict, tmp_path: Path
) -> None:
    there = [part for key, value in fitted["settings"].items() for part in ("--set", f"{key}={value}")]
    code, again = run("surface", drawn, "--out", tmp_path / "again.toml", *there)
    assert code == 0
    assert again["settings_before"] == fitted["settings"]
    assert again["before"]["limits_broken"] == pytest.approx(fitted["after"]["limits_broken"])
    assert again["after"]["limits_broken"] <= fitted["after"]["limits_broken"] + 1e-9


def test_a_run_with_a_calibration_uses_its_factors_and_names_it_with_its_hash(
    fitted: dict, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, out = drawn.parent / "s8.tif", tmp_path / "scored"
    arguments = [str(slide), "--scorer", "surface", "--whole-slide", "--mpp", str(UM), "--out", str(out), "--json"]
    code = score.main([*arguments, "--set", f"calibration={fitted['file']}"])
    capsys.readouterr()
    assert code == 0
    report = json.loads((out / "report.json").read_text())
    provenance = report["result"]["provenance"]
    assert provenance["settings"]["factor_2"] == fitted["settings"]["factor_2"]
    assert provenance["weights"]["calibration lab.toml"] == fitted["sha256"]
    assert report["decision"]["shares"]["percent"][2] > scored(slide).shares.percent[2] + 10


def test_a_calibration_made_with_another_network_is_told_and_not_named(fitted: dict) -> None:
    manifest = find_scorer("surface")
    settings = manifest.complete(with_calibration(manifest, {"calibration": fitted["file"]}))
    made_with = read_calibration(Path(fitted["file"])).weights
    assert set(made_with) == {"segmenter", "classifier"}
    assert applied(manifest, settings, made_with)[0]
    hashes, warnings = applied(manifest, settings, {**made_with, "classifier": "0" * 64})
    assert not hashes
    assert [w.code for w in warnings] == ["calibration_of_other_network"]
    assert "(classifier)" in warnings[0].text


def test_too_few_slides_and_a_missing_class_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = write_patch_set(tmp_path / "few", SHARES[:6], SCORES[:6], side=4)
    code, value = run("surface", path, "--out", tmp_path / "lab.toml")
    assert code == 2
    assert "6 slides with a known score are too few" in value["error"]
    assert "No slide has the score 2+ or 3+" in value["error"]
