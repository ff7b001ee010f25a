"""Discovery of scorers: manifest first, broken ones isolated."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from her2viewer.scoring.contract import ScorerError
from her2viewer.scoring.manifest import ManifestError, read_manifest
from her2viewer.scoring.registry import available_scorers, find_scorer, load_scorer


def test_scorers_are_listed_without_importing_their_code(trial_scorers: Path) -> None:
    entries = {e.id: e for e in available_scorers()}
    assert entries["grid"].usable
    assert entries["grid"].manifest is not None
    assert entries["grid"].manifest.settings[0].default == 64
    assert not [m for m in sys.modules if m.startswith("her2viewer_trial")]


@pytest.mark.parametrize(
    ("scorer", "reason"),
    [
        ("future", "API 99"),
        ("needy", "pip install a_module_nobody_has"),
        ("garbled", "cannot be read"),
        ("gone", "not installed"),
    ],
)
def test_a_broken_scorer_is_an_entry_with_its_reason(trial_scorers: Path, scorer: str, reason: str) -> None:
    entry = {e.id: e for e in available_scorers()}[scorer]
    assert not entry.usable
    assert entry.problem is not None
    assert reason in entry.problem
    with pytest.raises(ScorerError, match="cannot be used"):
        find_scorer(scorer)


def test_a_scorer_that_is_not_installed_is_named_with_those_that_are(trial_scorers: Path) -> None:
    with pytest.raises(ScorerError, match="grid"):
        find_scorer("nonsense")


def test_code_that_fails_on_import_is_a_sentence(trial_scorers: Path) -> None:
    with pytest.raises(ScorerError, match="a_module_that_does_not_exist"):
        load_scorer(find_scorer("noimport"))


def test_settings_are_completed_and_checked(trial_scorers: Path) -> None:
    manifest = find_scorer("grid")
    assert manifest.complete({}) == {"step_px": 64}
    assert manifest.complete({"step_px": 32}) == {"step_px": 32}
    for wrong in ({"step_px": 1}, {"step_px": 8.5}, {"step_px": "many"}, {"step_px": True}, {"other": 1}):
        with pytest.raises(ValueError, match=r"step_px|other"):
            manifest.complete(wrong)


@pytest.mark.parametrize("missing", ["id", "entry", "mpp", "counts"])
def test_a_manifest_that_lacks_an_entry_says_which(trial_scorers: Path, tmp_path: Path, missing: str) -> None:
    text = (trial_scorers / "her2viewer_trial_grid" / "scorer.toml").read_text()
    kept = [line for line in text.splitlines() if not line.startswith(f"{missing} =")]
    path = tmp_path / "scorer.toml"
    path.write_text("\n".join(kept))
    with pytest.raises(ManifestError, match=missing):
        read_manifest(path)
