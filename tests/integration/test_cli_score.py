"""The command line as a person or a script calls it: in its own process, judged by exit code, words and files."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pypdf
import pytest
import shapely

from her2viewer.cases.geojson import load_geojson, write_geojson
from her2viewer.cases.store import CaseStore
from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, SaidClass

ENVIRONMENT_ONLY = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def her2viewer(*arguments: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT_ONLY} | variables
    return subprocess.run(
        [sys.executable, "-m", "her2viewer", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
        env=environment,
        cwd=cwd,
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A plain image without a pixel size: empty glass with a little noise."""
    rng = np.random.default_rng(0)
    pixels = np.clip(rng.normal(238, 2, (1024, 1280, 3)), 0, 255).astype(np.uint8)
    path = tmp_path / "glass.png"
    cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def outlines(tmp_path: Path) -> Path:
    path = tmp_path / "roi.geojson"
    write_geojson(
        path,
        [
            Annotation.drawn(shapely.box(0, 0, 512, 512), Role.ROI, name="Left"),
            Annotation.drawn(shapely.box(576, 64, 1088, 960), Role.ROI, name="Right"),
            Annotation.drawn(shapely.box(100, 100, 200, 200), Role.EXCLUDE, "Benign gland"),
        ],
    )
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_slide_is_scored_and_everything_is_written(
    trial_scorers: Path, picture: Path, outlines: Path, out: Path
) -> None:
    done = her2viewer(
        *("score", picture, "--roi", outlines, "--scorer", "grid", "--mpp", "0.5", "--out", out),
        *("--set", "step_px=16", "--case-id", "24-1187", "--control", "ok"),
    )
    assert done.returncode == 0, done.stderr
    assert "Left" in done.stdout
    assert "tumour cells" in done.stdout
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["case"] == {"Case": "24-1187", "Block": "", "Laboratory": "", "Reader": ""}
    assert [region["name"] for region in report["regions"]] == ["Left", "Right"]
    text = "".join(page.extract_text() for page in pypdf.PdfReader(out / "report.pdf").pages)
    assert "24-1187" in text
    with (out / "cells.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    content = load_geojson(out / "annotations.geojson")
    left = next(a for a in content.annotations if a.name == "Left")
    counted = [c for c in cells if left.geometry.covers(shapely.Point(float(c["x_px"]), float(c["y_px"])))]
    assert left.measurements["HER2: counted cells"] == len(counted) > 100
    store = CaseStore(out / "glass.png.her2case")
    result = store.load_result("grid")
    assert result is not None
    assert result.shares is not None
    assert result.shares.total == len(cells)
    assert result.provenance.settings == {"step_px": 16}
    assert store.load().fields == {"case_id": "24-1187"}
    assert store.load().control_checked is True
    assert store.verify().ok
    assert not (store.folder / "lock").exists()
    assert load_geojson(out / "cells.geojson.gz").skipped[0].startswith(f"{len(cells):,} detections")


@pytest.mark.parametrize("scorer", ["grid", "chatty"])
def test_json_is_one_object_and_nothing_else(
    trial_scorers: Path, picture: Path, outlines: Path, out: Path, scorer: str
) -> None:
    done = her2viewer(
        *("score", picture, "--roi", outlines, "--scorer", scorer, "--mpp", "0.5", "--out", out, "--json")
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["ok"] is True
    assert [r["name"] for r in facts["regions"]] == ["Left", "Right"]
    assert sum(r["shares"]["total"] for r in facts["regions"]) == facts["shares"]["total"]
    assert sum(facts["shares"]["percent"].values()) == pytest.approx(100)
    assert all(Path(path).exists() for path in facts["files"].values())


def test_empty_glass_is_not_assessable_and_says_so_in_report_and_exit_code(picture: Path, out: Path) -> None:
    done = her2viewer("score", picture, "--whole-slide", "--mpp", "0.5", "--out", out, "--json")
    assert done.returncode == 4, done.stderr
    facts = json.loads(done.stdout)
    assert facts["ok"] is False
    assert facts["not_assessable"]["reason"].endswith(".")
    assert facts["decision"]["score"] == ""
    text = "".join(page.extract_text() for page in pypdf.PdfReader(out / "report.pdf").pages)
    assert "ssessable" in text or "cannot be determined" in text.lower()


USAGE: list[tuple[list[str], int, str]] = [
    (["--roi", "{roi}"], 2, "does not say how large a pixel is"),
    (["--roi", "{roi}", "--mpp", "25"], 2, "--mpp 25 cannot be right"),
    (["--roi", "{roi}", "--mpp", "-1"], 2, "cannot be right"),
    (["--mpp", "0.5"], 2, "Say what to score: --roi FILE"),
    (["--roi", "{roi}", "--whole-slide", "--mpp", "0.5"], 2, "not both"),
    (["--roi", "{absent}", "--mpp", "0.5"], 2, "There is no file"),
    (["--roi", "{slide}", "--mpp", "0.5"], 2, "is no GeoJSON file"),
    (["--roi", "{notes}", "--mpp", "0.5"], 2, "outlines nothing to be scored"),
    (["--roi", "{outside}", "--mpp", "0.5"], 2, "lie outside the slide"),
    (["--roi", "{roi}", "--mpp", "0.5", "--scorer", "none"], 2, "There is no scorer named 'none'"),
    (["--roi", "{roi}", "--mpp", "0.5", "--scorer", "noimport"], 5, "cannot be loaded"),
    (["--roi", "{roi}", "--mpp", "0.5", "--scorer", "refuses"], 5, "The stain cannot be told apart."),
    (["--roi", "{roi}", "--mpp", "0.5", "--scorer", "bug"], 5, "broke down (ZeroDivisionError"),
    (["--roi", "{roi}", "--mpp", "0.5", "--scorer", "memory"], 5, "memory of this machine"),
    (["--roi", "{roi}", "--mpp", "0.5", "--set", "nonsense=1"], 2, "has no setting named nonsense"),
    (["--roi", "{roi}", "--mpp", "0.5", "--scorer", "grid", "--set", "step_px"], 2, "KEY=VALUE"),
    (["--roi", "{roi}", "--mpp", "0.5", "--scorer", "grid", "--set", "step_px=4"], 2, "must lie between 8"),
    (["--roi", "{roi}", "--mpp", "0.5", "--scorer", "grid", "--set", "step_px=many"], 2, "must be a number"),
    (["--roi", "{roi}", "--mpp", "0.5", "--profile", "none"], 2, "There is no guideline profile 'none'"),
    (["--roi", "{roi}", "--mpp", "0.5", "--threads", "0"], 2, "--threads"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), USAGE)
def test_each_mistake_is_one_sentence_with_its_exit_code(
    trial_scorers: Path,
    picture: Path,
    outlines: Path,
    tmp_path: Path,
    out: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    # In this process, for speed: the command itself is the same.
    from her2viewer.cli import main

    write_geojson(tmp_path / "notes.geojson", [Annotation.drawn(shapely.box(0, 0, 9, 9), Role.NOTE)])
    write_geojson(tmp_path / "outside.geojson", [Annotation.drawn(shapely.box(9000, 0, 9999, 999), Role.ROI)])
    places = {
        "roi": outlines,
        "slide": picture,
        "absent": tmp_path / "absent.geojson",
        "notes": tmp_path / "notes.geojson",
        "outside": tmp_path / "outside.geojson",
    }
    filled = [a.format(**places) for a in arguments]
    assert main(["score", str(picture), "--out", str(out), *filled]) == code
    captured = capfd.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert main(["score", str(picture), "--out", str(out), "--json", *filled]) == code
    facts = json.loads(capfd.readouterr().out)
    assert facts["ok"] is False
    assert facts["exit_code"] == code
    assert words in facts["error"]
    assert not list(out.glob("*"))


def test_a_slide_that_cannot_be_read_is_code_3(tmp_path: Path, out: Path, outlines: Path) -> None:
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"II*\0nothing of use here")
    for arguments in (("info", broken), ("score", broken, "--roi", outlines, "--out", out)):
        done = her2viewer(*arguments)
        assert done.returncode == 3
        assert "broken.svs" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_code_6_before_the_work(
    trial_scorers: Path, picture: Path, outlines: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = her2viewer(
        *("score", picture, "--roi", outlines, "--scorer", "deaf", "--mpp", "0.5", "--out", tmp_path / "file" / "out")
    )
    assert done.returncode == 6
    assert "Choose another folder" in done.stderr


def test_a_case_that_is_scored_again_keeps_what_the_pathologist_said(
    trial_scorers: Path, picture: Path, outlines: Path, out: Path, tmp_path: Path
) -> None:
    command = ("score", picture, "--roi", outlines, "--scorer", "grid", "--mpp", "0.5", "--out", out)
    assert her2viewer(*command, "--block", "A2").returncode == 0
    store = CaseStore(out / "glass.png.her2case")
    with store:
        store.save(replace(store.load(), own_score="2+", comment="Crush artefact at the edge"))
    assert her2viewer(*command, "--case-id", "24-1187").returncode == 0
    again = store.load()
    assert (again.own_score, again.comment) == ("2+", "Crush artefact at the edge")
    assert again.fields == {"block": "A2", "case_id": "24-1187"}
    assert "Crush artefact at the edge" in pypdf.PdfReader(out / "report.pdf").pages[0].extract_text()
    assert not list(store.folder.glob("annotations.replaced-*"))
    other = tmp_path / "other.geojson"
    write_geojson(other, [Annotation.drawn(shapely.box(0, 0, 800, 800), Role.ROI)])
    assert her2viewer("score", picture, "--roi", other, *command[4:]).returncode == 0
    (kept,) = store.folder.glob("annotations.replaced-*.geojson")
    assert [a.name for a in load_geojson(kept).annotations] == ["Left", "Right", ""]


def test_what_a_reader_corrected_in_the_case_counts_when_it_is_scored_again_and_is_said(
    trial_scorers: Path, picture: Path, outlines: Path, out: Path
) -> None:
    command = ("score", picture, "--roi", outlines, "--scorer", "grid", "--mpp", "0.5", "--out", out, "--json")
    first = json.loads(her2viewer(*command).stdout)
    assert first["corrections"] == {
        "applied": False,
        "mask": {"added": 0.0, "removed": 0.0},
        "cells": {"reclassified": 0, "removed": 0, "confirmed": 0, "unfit": 0},
        "notes": [],
    }
    store = CaseStore(out / "glass.png.her2case")
    # Cells stand in the middle of squares of 64 px, of class 0, 1+, 2+, 3+ from left to right.
    said = NO_CELL_CORRECTIONS.after([32, 32], [32, 96], SaidClass("3+", 3)).after(96, 32, None)
    with store:
        store.save_cell_corrections(said)
        found = store.load_result("grid")
    done = her2viewer(*command)
    again = json.loads(done.stdout)
    assert again["corrections"]["applied"] is True
    assert again["corrections"]["cells"] == {"reclassified": 2, "removed": 1, "confirmed": 0, "unfit": 0}
    (note,) = again["corrections"]["notes"]
    assert note.startswith("The corrections of the reader in this case were applied.")
    assert note.endswith("The reader gave 2 cells another class and removed 1.")
    before, now = first["shares"]["amounts"], again["shares"]["amounts"]
    assert [now[k] - before[k] for k in ("0", "1+", "2+", "3+")] == [-2, -1, 0, 2]
    left = next(r for r in again["regions"] if r["name"] == "Left")
    assert left["shares"]["total"] == next(r for r in first["regions"] if r["name"] == "Left")["shares"]["total"] - 1
    text = " ".join(pypdf.PdfReader(out / "report.pdf").pages[0].extract_text().split())
    assert "The reader gave 2 cells another class and removed 1." in text
    told = json.loads((out / "report.json").read_text())["corrections"]["cells"]
    assert (told["reclassified"], told["removed"]) == (2, 1)
    rows = list(csv.DictReader((out / "cells.csv").read_text().splitlines()))
    assert sum(bool(row["scorer_class"]) for row in rows) == 2
    # The case keeps what the scorer found as it was, and the corrections beside it.
    kept = store.load_result("grid")
    assert kept is not None
    assert found is not None
    assert kept.shares == found.shares
    assert kept.evidence[0].classes.tolist() == found.evidence[0].classes.tolist()  # type: ignore[union-attr]
    assert store.load_cell_corrections().same(said)
    spoken = her2viewer(*command[:-1]).stdout
    assert "Note: The corrections of the reader in this case were applied." in " ".join(spoken.split())


def test_corrections_in_another_case_of_the_slide_are_not_applied_and_that_is_said(
    trial_scorers: Path, picture: Path, outlines: Path, out: Path
) -> None:
    command = ("score", picture, "--roi", outlines, "--scorer", "grid", "--mpp", "0.5", "--json", "--out")
    first = json.loads(her2viewer(*command, picture.parent).stdout)
    with CaseStore(picture.parent / "glass.png.her2case") as store:
        store.save_cell_corrections(NO_CELL_CORRECTIONS.after(32, 32, SaidClass("3+", 3)))
    again = json.loads(her2viewer(*command, out).stdout)
    assert again["shares"] == first["shares"]
    assert again["corrections"]["applied"] is False
    (note,) = again["corrections"]["notes"]
    assert note.startswith('Corrections of the reader of 1 cell in "')
    assert note.endswith(f'To score with them, give --out "{picture.parent}".')


def test_corrections_that_are_damaged_are_said_before_the_work(
    trial_scorers: Path, picture: Path, outlines: Path, out: Path
) -> None:
    command = ("score", picture, "--roi", outlines, "--scorer", "grid", "--mpp", "0.5", "--out", out)
    assert her2viewer(*command).returncode == 0
    (out / "glass.png.her2case" / "cells.json").write_text("{")
    done = her2viewer(*command)
    assert done.returncode == 6
    assert "cells.json of this case cannot be read" in " ".join(done.stderr.split())


def test_a_case_of_a_newer_program_is_refused_before_the_work(
    trial_scorers: Path, picture: Path, outlines: Path, out: Path
) -> None:
    command = ("score", picture, "--roi", outlines, "--scorer", "grid", "--mpp", "0.5", "--out", out)
    assert her2viewer(*command).returncode == 0
    file = out / "glass.png.her2case" / "case.json"
    newer = json.loads(file.read_text(encoding="utf-8")) | {"version": 99}
    file.write_text(json.dumps(newer), encoding="utf-8")
    (out / "report.pdf").unlink()
    done = her2viewer(*command)
    assert done.returncode == 6
    assert "newer her2viewer" in done.stderr
    assert "Cells" not in done.stderr
    assert not (out / "report.pdf").exists()
    assert json.loads(file.read_text(encoding="utf-8")) == newer


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_cleanly(
    trial_scorers: Path, picture: Path, outlines: Path, out: Path, kind: signal.Signals
) -> None:
    command = [sys.executable, "-m", "her2viewer", "score", picture, "--roi", outlines, "--scorer", "slow"]
    with subprocess.Popen(
        [*map(str, command), "--mpp", "0.5", "--set", "step_px=8", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("Cells" in line for line in process.stderr)
        process.send_signal(kind)
        rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Cancelled. Nothing was written." in rest[1]
    assert "Traceback" not in rest[1]
    assert not list(out.glob("*"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_that_is_closed_early_changes_no_exit_code(trial_scorers: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "her2viewer", "scorers", "--settings"]
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, text=True) as process:
        os.close(writer)
        told = process.communicate(timeout=60)[1]
    assert (process.returncode, told) == (0, "")


def test_info_says_what_a_slide_is(picture: Path) -> None:
    facts = json.loads(her2viewer("info", picture, "--json").stdout)
    assert (facts["width"], facts["height"]) == (1280, 1024)
    assert facts["pixel_size"] is None
    assert facts["levels"][0]["downsample"] == 1
    told = her2viewer("info", picture).stdout
    assert "1,280 x 1,024" in told
    assert "not in the file" in told


def test_scorers_and_profiles_are_listed_with_what_is_wrong(trial_scorers: Path) -> None:
    facts = json.loads(her2viewer("scorers", "--json").stdout)
    entries = {e["id"]: e for e in facts["scorers"]}
    assert entries["membrane"]["usable"]
    assert [e for e in entries.values() if not e["usable"] and e["problem"]]
    assert any(p["default"] for p in facts["profiles"])
    told = her2viewer("scorers", "--settings").stdout
    assert "step_px=64" in told


def test_the_doctor_passes_here_and_names_a_broken_scorer(trial_scorers: Path) -> None:
    facts = json.loads(her2viewer("doctor", "--json").stdout)
    checks = {c["name"]: c for c in facts["checks"]}
    assert checks["OpenSlide"]["state"] == "PASS"
    assert checks["Qt"]["state"] == "PASS"
    assert checks["Screen"]["state"] == "WARN"
    assert checks["Scorer membrane"]["state"] == "PASS"
    assert checks["Scorer noimport"]["state"] == "FAIL"
    assert all(c["fix"] for c in facts["checks"] if c["state"] != "PASS")
    done = her2viewer("doctor")
    assert done.returncode == 1
    assert "fix:" in done.stdout


def test_without_a_screen_the_window_says_so_instead_of_crashing() -> None:
    done = her2viewer()
    assert done.returncode == 1
    assert "there is no screen" in done.stderr
    done = her2viewer(DISPLAY=":978")
    assert "does not answer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["scor"], "Did you mean her2viewer score?"), (["nothing.svs"], "There is no slide nothing.svs")],
)
def test_a_slip_of_the_finger_is_explained(arguments: list[str], words: str) -> None:
    done = her2viewer(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_help_and_version_need_nothing_heavy() -> None:
    assert "commands" in her2viewer("--help").stdout
    assert her2viewer("--version").stdout.startswith("her2viewer ")
    code = (
        "import sys, her2viewer.cli; "
        "print([m for m in ('numpy', 'shapely', 'PySide6', 'rich', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_a_reader_that_stops_reading_is_no_error(picture: Path) -> None:
    command = f'"{sys.executable}" -m her2viewer info "{picture}" --json | head -n 1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_real_cores_differ_as_their_labels_do(shared_slides: Path, tmp_path: Path, out: Path) -> None:
    slide = shared_slides / "gastric-tma" / "gastric_tma9.svs"
    with slide.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = {"3": "core 2,1", "0": "core 0,0"}
    cores = []
    for row in rows:
        name = f"core {row['row']},{row['col']}"
        if name in wanted.values():
            x, y, size = (float(row[key]) for key in ("x_px", "y_px", "size_px"))
            # The middle of the core: enough to tell them apart, and quick.
            box = shapely.box(x + size / 3, y + size / 3, x + 2 * size / 3, y + 2 * size / 3)
            cores.append(Annotation.drawn(box, Role.ROI, name=name))
    write_geojson(tmp_path / "cores.geojson", cores)
    done = her2viewer(
        *("score", slide, "--roi", tmp_path / "cores.geojson", "--set", "table=gastric", "--out", out, "--json")
    )
    assert done.returncode == 0, done.stdout
    shares = {r["name"]: r["shares"]["percent"] for r in json.loads(done.stdout)["regions"]}
    high, low = shares[wanted["3"]], shares[wanted["0"]]
    assert high["2+"] + high["3+"] > low["2+"] + low["3+"] + 10
    assert high["3+"] > low["3+"]
