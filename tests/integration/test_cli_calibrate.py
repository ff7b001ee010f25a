"""``her2viewer calibrate`` on drawn slides, and what a run says of the calibration that it used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from her2viewer_membrane import calibration as membrane

from her2viewer.commands import calibrate, score
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.region import Region
from her2viewer.scoring.calibration_file import (
    CalibrationError,
    applied,
    check_fits,
    read_calibration,
    with_calibration,
)
from her2viewer.scoring.job import JobRequest, score_slide
from her2viewer.scoring.registry import find_scorer
from her2viewer.scoring.runtime import LocalRuntime
from her2viewer.slides.open import open_slide
from her2viewer.viewer.scoring_model import ScorerChoice
from tests.helpers.drawn_sets import SCORES, SHARES, write_set


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_home(home, monkeypatch):
    monkeypatch.setenv("HER2VIEWER_HOME", str(home))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("set"))


def run(capsys, *arguments) -> tuple[int, dict]:
    code = calibrate.main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def wrong_limits(*values: str) -> list[str]:
    return [part for value in values for part in ("--set", value)]


@pytest.fixture
def fitted(drawn, tmp_path, capsys):
    code, value = run(capsys, "membrane", drawn, "--out", tmp_path / "lab.toml", *wrong_limits("intense=1.2"))
    assert code == 0, value
    return value


def test_limits_that_are_wrong_for_a_lab_are_mended(fitted):
    assert fitted["before"]["accuracy"] < 0.9
    assert fitted["after"]["accuracy"] == 1
    assert fitted["cross_validated"]["accuracy"] > fitted["before"]["accuracy"]
    assert fitted["better"]
    assert fitted["settings"]["intense"] < 1.2
    assert fitted["settings_before"]["intense"] == 1.2
    assert len(fitted["slides"]) == 12


def test_the_file_says_who_when_on_what_and_how_well(fitted):
    found = read_calibration(Path(fitted["file"]))
    assert (found.scorer, found.scorer_version) == ("membrane", find_scorer("membrane").version)
    assert found.data_set_hash == fitted["data_set_hash"]
    assert found.made[:2] == "20"
    assert found.cross_validated["accuracy"] == fitted["cross_validated"]["accuracy"]
    assert found.sha256 == fitted["sha256"]


def test_the_shares_of_all_candidates_are_those_that_the_scorer_gives(drawn):
    manifest = find_scorer("membrane")
    settings = manifest.complete({})
    with open_slide(drawn.parent / "s7.tif") as slide:
        from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource

        size = PixelSize(0.5, 0.5, PixelSizeSource.USER)
        region = Region.rectangle(0, 0, slide.width, slide.height)

        def scored(given: dict, for_calibration: bool = False):
            request = JobRequest(
                "membrane",
                str(slide.path),
                slide.identity,
                size,
                region,
                settings=given,
                for_calibration=for_calibration,
            )
            return score_slide(request, slide, LocalRuntime(2))

        table = next(e for e in scored(settings, True).evidence if isinstance(e, CellTable))
        limits = membrane.candidates(settings)
        counts = membrane.counts(table, settings, limits)
        assert len(counts) > 5000
        for k in (0, 1, len(counts) // 3, len(counts) // 2, len(counts) - 1):
            own = {name: float(values[k]) for name, values in limits.items()}
            result = scored({**settings, **own})
            # A cell whose density lies on a limit to the last bit may fall to either side.
            assert np.abs(counts[k] - result.shares.amounts).max() <= 1, own


def test_a_second_calibration_scores_nothing_anew(fitted, drawn, tmp_path, capsys, monkeypatch):
    from her2viewer.training.evaluation import scored

    def forbidden(*_, **__):
        raise AssertionError("scored again")

    monkeypatch.setattr(scored, "score_slide", forbidden)
    code, _ = run(capsys, "membrane", drawn, "--out", tmp_path / "other.toml")
    assert code == 0


def test_a_run_with_a_calibration_uses_its_limits_and_names_it_with_its_hash(fitted, drawn, tmp_path, capsys):
    out = tmp_path / "scored"
    slide = drawn.parent / "s9.tif"
    arguments = [str(slide), "--whole-slide", "--mpp", "0.5", "--out", str(out), "--json"]
    code = score.main([*arguments, "--set", f"calibration={fitted['file']}"])
    capsys.readouterr()
    assert code == 0
    provenance = json.loads((out / "report.json").read_text())["result"]["provenance"]
    assert provenance["settings"]["intense"] == fitted["settings"]["intense"]
    assert provenance["weights"] == {"calibration lab.toml": fitted["sha256"]}


def test_limits_given_besides_a_calibration_count_and_the_answer_does_not_go_by_it(fitted):
    manifest = find_scorer("membrane")
    settings = manifest.complete(with_calibration(manifest, {"calibration": fitted["file"], "intense": 0.9}))
    hashes, warnings = applied(manifest, settings, {})
    assert settings["intense"] == 0.9
    assert not hashes
    assert [w.code for w in warnings] == ["calibration_overruled"]


def test_a_calibration_that_is_gone_is_told_and_the_limits_stay(fitted):
    manifest = find_scorer("membrane")
    settings = manifest.complete(with_calibration(manifest, {"calibration": fitted["file"]}))
    Path(fitted["file"]).unlink()
    hashes, warnings = applied(manifest, settings, {})
    assert not hashes
    assert [w.code for w in warnings] == ["calibration_unusable"]


def test_a_calibration_of_another_scorer_or_version_is_refused(fitted, tmp_path):
    text = Path(fitted["file"]).read_text()
    manifest = find_scorer("membrane")
    for old, new, sentence in (
        ('scorer = "membrane"', 'scorer = "surface"', "made for the scorer 'surface'"),
        (f'scorer_version = "{manifest.version}"', 'scorer_version = "0.0.1"', "made with version 0.0.1"),
    ):
        path = tmp_path / "other.toml"
        path.write_text(text.replace(old, new))
        with pytest.raises(CalibrationError, match=sentence):
            check_fits(read_calibration(path), manifest)


@pytest.mark.parametrize("content", ["", "format = 1", 'format = "her2viewer-calibration"\nversion = 9', "[[["])
def test_a_file_that_is_no_calibration_is_refused_in_a_sentence(content, tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(content)
    with pytest.raises(CalibrationError, match=r"x\.toml"):
        read_calibration(path)


def test_the_window_takes_the_limits_of_a_calibration_that_is_named(fitted):
    choice = ScorerChoice()
    before = choice.settings_of("membrane")
    assert choice.choose_settings({**before, "calibration": fitted["file"]})
    assert choice.settings_of("membrane")["intense"] == fitted["settings"]["intense"]
    with pytest.raises(ValueError, match="no calibration file"):
        choice.choose_settings({**before, "calibration": "/nowhere.toml"})


def test_too_few_slides_and_a_missing_class_are_refused_before_anything_is_scored(tmp_path, capsys, monkeypatch):
    from her2viewer.training.evaluation import scored

    path = write_set(tmp_path / "set", SHARES[:6], SCORES[:6])
    monkeypatch.setattr(scored, "score_slide", lambda *_, **__: pytest.fail("scored"))
    code, value = run(capsys, "membrane", path, "--out", tmp_path / "lab.toml")
    assert code == 2
    assert "6 slides with a known score are too few" in value["error"]
    assert "No slide has the score 2+ or 3+" in value["error"]
    assert not (tmp_path / "lab.toml").exists()


def test_the_same_slide_with_two_scores_is_refused_by_name(drawn, tmp_path, capsys):
    folder = tmp_path / "set"
    shutil.copytree(drawn.parent, folder)
    text = (folder / "SET.toml").read_text()
    path = folder / "SET.toml"
    path.write_text(
        text + '[[slides]]\nid = "again"\nslide = "s0.tif"\nscore = "3+"\nmpp = 0.5\npatient = "p0"\nlab = "here"\n'
    )
    code, value = run(capsys, "membrane", path, "--out", tmp_path / "lab.toml")
    assert code == 2
    assert "s0 and again are the same slide and region with different scores" in value["error"]


def test_a_score_that_contradicts_its_shares_is_refused(drawn, tmp_path, capsys):
    folder = tmp_path / "set"
    shutil.copytree(drawn.parent, folder)
    path = folder / "SET.toml"
    path.write_text(path.read_text().replace('id = "s0"', 'id = "s0"\nshares = { "0" = 20, "3+" = 80 }', 1))
    code, value = run(capsys, "membrane", path, "--out", tmp_path / "lab.toml")
    assert code == 2
    assert "s0: its score and its shares contradict each other" in value["error"]


def test_an_unknown_scorer_and_a_folder_as_file_are_refused(drawn, tmp_path, capsys):
    assert "no scorer named" in run(capsys, "nothing", drawn, "--out", tmp_path / "x.toml")[1]["error"]
    assert "is a folder" in run(capsys, "membrane", drawn, "--out", tmp_path)[1]["error"]


def test_events_for_the_window_end_in_the_figures(drawn, tmp_path, capfd):
    assert calibrate.main(["membrane", str(drawn), "--out", str(tmp_path / "x.toml"), "--events"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [x["event"] for x in lines[-2:]] == ["slide", "done"]
    assert lines[-2]["done"] == lines[-2]["total"] == 12
    assert lines[-1]["cross_validated"]["slides"] == 12


def test_the_first_candidate_is_what_the_settings_say(fitted):
    # The first candidate is what "before" means everywhere.
    limits = membrane.candidates(find_scorer("membrane").complete({"intense": 1.2}))
    assert {k: float(v[0]) for k, v in limits.items()} == fitted["settings_before"]
