"""``her2viewer bench napari``: what it says where napari is not there, and what it needs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from her2viewer.commands.bench import main


@pytest.mark.skipif(importlib.util.find_spec("napari") is not None, reason="napari is installed here")
def test_without_napari_a_sentence_says_how_to_get_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["napari", str(tmp_path / "slide.tif")]) != 0
    said = capsys.readouterr()
    assert "pip install napari" in said.out + said.err


def test_it_wants_a_slide(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["napari"]) != 0
    said = capsys.readouterr()
    assert "bench napari SLIDE" in said.out + said.err
