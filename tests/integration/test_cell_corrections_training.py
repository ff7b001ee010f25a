"""From corrections in a case to a data set, and from there to a trained network."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile

from her2viewer import cli
from her2viewer.cases.geojson import write_cells_geojson
from her2viewer.cases.store import CaseStore
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, CellCorrections, SaidClass
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.slides.open import open_slide
from her2viewer.training.dataset import read_data_set
from her2viewer.training.truth import read_cells
from tests.helpers.cell_evidence import SEVEN, cells_result
from tests.helpers.drawn_tissue import draw_cells

UM = 0.49
SIZE = PixelSize(UM, UM, PixelSizeSource.USER)
STROMA = SaidClass("stroma", -1)
Ask = Callable[..., tuple[int, dict]]


@pytest.fixture
def slide(tmp_path: Path) -> tuple[Path, CellTable]:
    """A slide of drawn cells, with the table that a scorer would give."""
    return make_slide(tmp_path / "slides" / "core.tif", seed=1)


def make_slide(path: Path, seed: int) -> tuple[Path, CellTable]:
    path.parent.mkdir(exist_ok=True)
    drawn = draw_cells((0.25, 0.25, 0.25, 0.25), (420, 420), seed=seed, glass=40)
    tifffile.imwrite(path, drawn.rgb, photometric="rgb", tile=(256, 256))
    x, y = np.asarray(drawn.x, np.float32), np.asarray(drawn.y, np.float32)
    return path, CellTable("Cells", SEVEN, x, y, (np.asarray(drawn.classes) + 3).astype(np.uint8))


def keep_case(path: Path, table: CellTable, corrections: CellCorrections, case_id: str = "24-7") -> Path:
    """As the window leaves it behind."""
    slide = open_slide(path)
    region = Region.rectangle(0, 0, slide.width, slide.height)
    store = CaseStore.for_slide(path, slide.identity)
    store.save(replace(store.load(), pixel_size=SIZE, scorer="cells", fields={"case_id": case_id, "lab": "North"}))
    store.save_annotations(AnnotationSet((Annotation.drawn(shapely.box(0, 0, slide.width, slide.height), Role.ROI),)))
    store.save_result(cells_result((table,), region, SIZE))
    store.save_cell_corrections(corrections)
    store.close()
    slide.close()
    return store.folder


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def run(*arguments: object) -> tuple[int, dict]:
        capsys.readouterr()
        code = cli.main(["corrections", *map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def said_of(table: CellTable) -> CellCorrections:
    return (
        NO_CELL_CORRECTIONS.after(table.x[:6], table.y[:6], SaidClass("2+", 2))
        .after(table.x[6:9], table.y[6:9], STROMA)
        .after(table.x[9], table.y[9], None)
    )


def test_the_corrected_cells_alone_are_labels(slide: tuple[Path, CellTable], tmp_path: Path, ask: Ask) -> None:
    path, table = slide
    keep_case(path, table, said_of(table))
    code, told = ask(path, "--out", tmp_path / "set")
    assert code == 0
    assert told["slides"][0]["by_class"] == {"tumour 2+": 6, "stroma": 3, "artefact": 1}
    data = read_data_set(tmp_path / "set" / "SET.toml", for_training=True)
    (entry,) = data.slides
    assert entry.slide == path
    assert (entry.mpp, entry.patient, entry.lab, entry.split) == (UM, "24-7", "North", "train")
    cells = read_cells(None, entry.cells)
    assert cells is not None
    assert np.allclose(np.sort(cells.x), np.sort(table.x[:10]), atol=1e-3)
    rows = list(csv.DictReader(entry.cells.read_text().splitlines()))  # type: ignore[union-attr]
    assert {row["by"] for row in rows} == {"reader"}


def test_whole_regions_hold_the_cells_that_the_reader_left_as_they_were(
    slide: tuple[Path, CellTable], tmp_path: Path, ask: Ask
) -> None:
    path, table = slide
    case = keep_case(path, table, said_of(table))
    code, told = ask(case, "--whole-regions", "--out", tmp_path / "set")
    assert code == 0
    assert sum(told["slides"][0]["by_class"].values()) == len(table)
    rows = list(csv.DictReader((tmp_path / "set" / "core.cells.csv").read_text().splitlines()))
    assert sum(row["by"] == "reader" for row in rows) == 10
    changed = [row for row in rows if row["by"] == "reader" and row["scorer_class"]]
    assert {row["scorer_class"] for row in changed} <= {f"tumour {name}" for name in SEVEN.names[3:]}


def test_a_slide_is_renewed_and_others_are_added_and_what_a_person_wrote_stays(tmp_path: Path, ask: Ask) -> None:
    slides = [make_slide(tmp_path / "slides" / f"s{k}.tif", seed=k) for k in range(5)]
    for number, (path, table) in enumerate(slides):
        keep_case(path, table, said_of(table), case_id=f"P{number}")
    out = tmp_path / "set"
    assert ask(slides[0][0], "--out", out)[0] == 0
    manifest = out / "SET.toml"
    manifest.write_text(manifest.read_text() + 'score = "2+"\n')
    code, told = ask(*(path for path, _ in slides), "--out", out)
    assert code == 0
    assert [s["slides"] for s in told["slides"]] == [1, 2, 3, 4, 5]
    data = tomllib.loads(manifest.read_text())
    assert [s["id"] for s in data["slides"]] == ["s0", "s1", "s2", "s3", "s4"]
    assert data["slides"][0]["score"] == "2+"
    assert data["split"]["validation"] == 0.2
    assert {s.split for s in read_data_set(manifest).slides} == {"train", "validation", "test"}


def test_slides_of_the_same_name_get_entries_of_their_own(tmp_path: Path, ask: Ask) -> None:
    slides = [make_slide(tmp_path / name / "core.tif", seed=k) for k, name in enumerate("ab")]
    for path, table in slides:
        keep_case(path, table, said_of(table))
    code, told = ask(*(path for path, _ in slides), "--out", tmp_path / "set")
    assert code == 0
    assert len({s["id"] for s in told["slides"]}) == 2
    assert len(read_data_set(tmp_path / "set" / "SET.toml").slides) == 2


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nothing", "No cell of core.tif was corrected"),
        ("no case", "core.tif has no case"),
        ("no file", "There is no slide or case"),
        ("another file", "no data set that could be added to"),
        ("no such scorer", "holds no result of membrane (there is: cells)"),
    ],
)
def test_what_cannot_be_written_is_said_in_a_sentence(
    slide: tuple[Path, CellTable], tmp_path: Path, ask: Ask, what: str, words: str
) -> None:
    path, table = slide
    more: list[object] = []
    if what != "no case":
        keep_case(path, table, NO_CELL_CORRECTIONS if what == "nothing" else said_of(table))
    if what == "another file":
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "SET.toml").write_text("name = 1")
    if what == "no such scorer":
        more = ["--scorer", "membrane"]
    target = tmp_path / "gone.tif" if what == "no file" else path
    code, told = ask(target, "--out", tmp_path / "set", *more)
    assert code == 2
    assert words in told["error"]


def test_a_network_is_trained_on_what_a_reader_corrected(
    slide: tuple[Path, CellTable], tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for needed in ("torch", "lightning", "safetensors", "matplotlib"):
        pytest.importorskip(needed, reason=f"{needed} is not installed: training is not tested")
    from her2viewer_cells import recipes

    # One epoch: that it learns is tested elsewhere.
    short = replace(recipes.CELLNET, stages=(replace(recipes.CELLNET.stages[0], epochs=1),))
    monkeypatch.setattr(recipes, "RECIPES", (short, recipes.FINDER))
    path, table = slide
    keep_case(path, table, said_of(table))
    assert ask(path, "--whole-regions", "--out", tmp_path / "set")[0] == 0
    out = tmp_path / "run"
    arguments = ["--data", tmp_path / "set" / "SET.toml", "--out", out, "--name", "mine", "--threads", 1]
    assert cli.main(["train", "cells", *map(str, arguments), "--device", "cpu", "--json"]) == 0
    assert (out / "mine" / "weights.safetensors").exists()
    assert "Corrected cells" in (out / "mine" / "card.md").read_text()


def test_cells_written_for_qupath_are_labels_too(slide: tuple[Path, CellTable], tmp_path: Path) -> None:
    _, table = slide
    path = tmp_path / "cells.geojson"
    write_cells_geojson(path, said_of(table).applied(table))
    cells = read_cells(None, path)
    assert cells is not None
    assert len(cells.x) == len(table) - 1
    assert {"Tumor: 2+", "stroma"} <= set(cells.names)
