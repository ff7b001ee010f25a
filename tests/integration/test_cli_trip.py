"""The trip that ``make run`` makes where there is no screen: real window, real scoring process, real files."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pypdf

from her2viewer.cases.geojson import load_geojson
from her2viewer.cases.store import CaseStore


def test_the_whole_trip_leaves_pictures_report_and_case(tmp_path: Path) -> None:
    folder = tmp_path / "trip"
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-m", "her2viewer.commands.trip", str(folder)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert str(folder) in done.stdout
    pictures = {path.stem.partition("-")[2]: cv2.imread(str(path)) for path in folder.glob("*.png")}
    assert pictures.keys() >= {"start", "slide", "answer", "cells", "tissue", "excluded", "end"}
    assert all(picture.shape[:2] == (1000, 1600) for picture in pictures.values())
    # The cells are drawn on the tissue: the same view without them is another picture.
    assert (pictures["cells"] != pictures["tissue"]).any(axis=2).mean() > 0.02
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["decision"]["headline"] in done.stdout
    assert 1 <= len(pypdf.PdfReader(folder / "report.pdf").pages) <= 3
    with (folder / "cells.csv").open(encoding="utf-8", newline="") as file:
        cells = sum(1 for _ in csv.DictReader(file))
    (case,) = folder.rglob("*.her2case")
    store = CaseStore(case)
    result = store.load_result("membrane")
    assert result is not None
    assert result.shares is not None
    assert result.shares.total + result.shares.excluded == cells
    outlines = load_geojson(folder / "annotations.geojson").annotations
    # The exclusion that the trip drew was undone, in the window and in the case.
    assert len(outlines) == len(store.load_annotations()) == len(report_outlines(folder))
    assert store.verify().ok


def report_outlines(folder: Path) -> list[object]:
    """The outlines that the sample came with."""
    (source,) = folder.rglob("sample_her2.geojson")
    return list(load_geojson(source).annotations)
