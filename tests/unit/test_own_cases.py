"""A measurement neither reads nor changes the case of the slide that it moves about in."""

from __future__ import annotations

from pathlib import Path

import pytest

from her2viewer.cases.places import OWN_CASES, SUFFIX, existing_case, place_of_case
from her2viewer.userdirs import data_dir

IDENTITY = "ab" * 32


def test_with_own_cases_nothing_beside_the_slide_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HER2VIEWER_HOME", str(tmp_path / "home"))
    slide = tmp_path / "slide.svs"
    slide.write_bytes(b"")
    beside = tmp_path / f"slide.svs{SUFFIX}"
    beside.mkdir()
    (beside / "case.json").write_text(f'{{"identity": "{IDENTITY}"}}', encoding="utf-8")
    assert place_of_case(slide, IDENTITY).folder == beside
    monkeypatch.setenv(OWN_CASES, "own")
    place = place_of_case(slide, IDENTITY)
    assert place.folder.is_relative_to(data_dir())
    assert place.copy_of is None
    assert existing_case(slide, IDENTITY) is None
