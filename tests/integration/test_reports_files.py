"""Reports as files: a PDF read back, JSON, tables, on a slide that is really opened."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pypdf
import pytest
import shapely

from her2viewer import RESEARCH_USE
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.classes import CELL_SCHEME, TUMOUR_SCHEME
from her2viewer.domain.evidence import NOT_SCORED, CellTable, ClassMap, Evidence, Grid, Heatmap
from her2viewer.domain.palette import class_colors, her2_colors
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import NotAssessable, Provenance, Result, ResultWarning, Status
from her2viewer.domain.reviewed import ReviewedMap
from her2viewer.domain.shares import CountedUnit, Shares
from her2viewer.guidelines.engine import decide, decide_all, decide_result
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles
from her2viewer.reports.build import build_report
from her2viewer.reports.json_report import SCHEMA, report_json, write_json
from her2viewer.reports.model import OwnAnswer, ReportData, ReportError
from her2viewer.reports.pdf import pdf_bytes, write_pdf
from her2viewer.reports.pdf_style import printable
from her2viewer.reports.tables import write_cells, write_cells_csv, write_patches
from her2viewer.scoring.aggregate import shares_of
from her2viewer.slides.open import open_slide
from her2viewer.slides.slide import Slide

PROFILES = load_profiles()
SIZE = PixelSize(0.5, 0.5, PixelSizeSource.USER, "entered by Dr. Test")
WIDTH, HEIGHT = 2600, 1800
HALVES = ((0, 0, 1300, HEIGHT), (1300, 0, WIDTH - 1300, HEIGHT))


@pytest.fixture(scope="module")
def cells() -> CellTable:
    rng = np.random.default_rng(7)
    n = 3000
    x, y = rng.uniform(60, WIDTH - 60, n), rng.uniform(60, HEIGHT - 60, n)
    left = rng.choice(5, n, p=[0.3, 0.2, 0.3, 0.1, 0.1])
    right = rng.choice(5, n, p=[0.7, 0.18, 0.02, 0.0, 0.1])
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    outline = np.stack([x[:, None] + 9 * np.cos(turn), y[:, None] + 9 * np.sin(turn)], axis=-1)
    return CellTable(
        "Cells",
        CELL_SCHEME,
        x.astype(np.float32),
        y.astype(np.float32),
        np.where(x < WIDTH / 2, left, right).astype(np.uint8),
        {"membrane_od": rng.random(n).astype(np.float32)},
        {"membrane_od": "OD"},
        outline.reshape(-1, 2).astype(np.float32),
        np.arange(n + 1, dtype=np.int64) * 12,
    )


@pytest.fixture(scope="module")
def slide(cells: CellTable, tmp_path_factory: pytest.TempPathFactory) -> Slide:
    image = np.full((HEIGHT, WIDTH, 3), (232, 228, 240), dtype=np.uint8)
    for x, y, code in zip(cells.x, cells.y, cells.classes, strict=True):
        cv2.circle(image, (int(x), int(y)), 6, (110, 110, 170), -1)
        if code < 4:
            cv2.circle(image, (int(x), int(y)), 9, tuple(int(220 - 40 * code - k * 30) for k in range(3)), 2)
    path = tmp_path_factory.mktemp("slide") / "phantom ä.png"
    cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tofile(path)
    return open_slide(path)


ANNOTATIONS = AnnotationSet(
    (
        Annotation.drawn(shapely.box(100, 100, WIDTH - 100, HEIGHT - 400), Role.ROI),
        Annotation.drawn(shapely.Point(1300, 700).buffer(200), Role.EXCLUDE),
        Annotation.drawn(shapely.box(200, HEIGHT - 300, 700, HEIGHT - 100), Role.CONTROL),
    )
)


def result_of(slide: Slide, evidence: tuple[Evidence, ...], **more: object) -> Result:
    region = ANNOTATIONS.region()
    provenance = Provenance(
        scorer="membrane",
        scorer_version="0.3.1",
        program_version="0.1.0",
        slide_identity=slide.identity,
        region_hash=region.hash,
        mpp=SIZE.mpp,
        mpp_source=SIZE.source.value,
        device="CPU",
        settings={"faint": 0.1, "table": "breast", "complete": True},
        estimates={"background": [232.5, 228.25, 240.0], "stains": {"dab": [0.27, 0.57, 0.78]}},
        weights={"net.pt": "ab" * 32},
        started="2026-03-01T10:00:00+00:00",
        duration_s=12.4,
    )
    values: dict[str, object] = {
        "shares": shares_of(evidence, region, "cells", SIZE),
        "warnings": (ResultWarning("focus", "A part of the region is out of focus."),),
        **more,
    }
    return Result(provenance, region, evidence, **values)  # type: ignore[arg-type]


def report(slide: Slide, result: Result | None, **more: object) -> ReportData:
    decision = None if result is None else decide_result(PROFILES[DEFAULT_PROFILE], result)
    others = () if result is None else decide_all(PROFILES, result, without=DEFAULT_PROFILE)
    case = {"Case": "24-1187", "Patient (pseudonym)": "Ångström–Müller Ω", "Block": "A3", "Remark": ""}
    values: dict[str, object] = {"scorer_title": "Membrane staining", **more}
    return build_report(slide, SIZE, ANNOTATIONS, result, decision, others, case, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(slide: Slide, cells: CellTable) -> ReportData:
    return report(slide, result_of(slide, (cells,)))


def text_of(content: bytes | Path) -> str:
    import io

    reader = pypdf.PdfReader(io.BytesIO(content) if isinstance(content, bytes) else content)
    return " ".join("\n".join(page.extract_text() for page in reader.pages).split())


def pages_of(content: bytes) -> int:
    import io

    return len(pypdf.PdfReader(io.BytesIO(content)).pages)


def test_the_pdf_says_all_that_a_reader_needs(data: ReportData, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    write_pdf(data, path)
    text = text_of(path)
    assert data.decision is not None
    assert data.result is not None
    shares = data.decision.shares
    assert shares is not None
    expected = [
        f"{data.decision.score} {data.decision.status}",
        data.decision.counted,
        *(f"{p:.1f} %" for p in shares.percent),
        *(f"{t.value:.2f} %" for t in data.decision.trace if t.value is not None),
        "YES",
        "What is missing",
        "A part of the region is out of focus.",
        "The control tissue has not been checked.",
        "Pham 2022, table 1",
        "Gastric 2016, biopsy",
        "24-1187",
        "Ångström–Müller Ω",
        "phantom ä.png",
        data.slide_identity,
        data.result.provenance.region_hash,
        "faint = 0.1; table = breast; complete = true",
        "background = [232.5, 228.25, 240]",
        "0.5000 µm/px, entered by user, entered by Dr. Test",
        "Image analysis was used: scorer Membrane staining 0.3.1 in her2viewer 0.1.0",
        "ab" * 32,
        "12.4 s",
        f"{data.areas.roi:.2f} mm²",
        "Where 2+ is densest",
        "Own score ☐ 0 ☐ 1+ ☐ 2+ ☐ 3+",
        "Date, signature",
        f"Shannon entropy of the four shares): {shares.entropy:.2f}",
        "page 1 of ",
    ]
    assert [e for e in expected if e not in text] == []
    assert text.count(RESEARCH_USE) == 1
    assert "Remark ......" in text, "a field that nobody filled in has room to be written by hand"


def test_the_pdf_has_one_to_three_pages_with_embedded_fonts_and_pictures(data: ReportData) -> None:
    import io

    reader = pypdf.PdfReader(io.BytesIO(pdf_bytes(data)))
    assert 1 <= len(reader.pages) <= 3
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        assert "DejaVuSans" in font["/BaseFont"]
        assert "/FontFile2" in font["/FontDescriptor"].get_object()
    pictures = [image for page in reader.pages for image in page.images]
    assert len(pictures) == 2 + sum(1 if f.overlay is None else 2 for f in data.fields)


def test_the_slide_stands_on_the_first_page_and_the_fields_on_the_second(data: ReportData) -> None:
    import io

    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf_bytes(data))).pages]
    assert len(pages) == 2
    assert "Left: the whole slide" in pages[0]
    assert "Own score" in pages[0]
    assert "Where 2+ is densest" in pages[1]
    assert "How it was obtained" in pages[1]


def test_regions_are_listed_apart_where_there_is_more_than_one(slide: Slide, cells: CellTable) -> None:
    result = result_of(slide, (cells,))
    left = Annotation.drawn(Region.rectangle(*HALVES[0]).geometry, Role.ROI, name="Left half")
    right = Annotation.drawn(Region.rectangle(*HALVES[1]).geometry, Role.ROI)
    decision = decide_result(PROFILES[DEFAULT_PROFILE], result)
    both = build_report(slide, SIZE, AnnotationSet((left, right)), result, decision)
    assert [r.name for r in both.regions] == ["Left half", "Region 2"]
    counted = [r.shares.total for r in both.regions if r.shares is not None]
    inside = [(cells.x < HALVES[1][0]) == first for first in (True, False)]
    her2 = np.asarray(cells.scheme.her2)[cells.classes]
    assert counted == [float((her2[half] >= 0).sum()) for half in inside]
    text = text_of(pdf_bytes(both))
    assert "A Left half" in text
    assert "B Region 2" in text
    assert [r["name"] for r in report_json(both)["regions"]] == ["Left half", "Region 2"]


def test_no_other_field_stands_in_for_a_missing_case_number(data: ReportData) -> None:
    import io

    reader = pypdf.PdfReader(io.BytesIO(pdf_bytes(replace(data, case={"Case": "", "Reader": "A. Rossi"}))))
    assert reader.metadata is not None
    assert reader.metadata.title == "HER2 report"
    assert "A. Rossi ·" not in reader.pages[0].extract_text()


def test_what_lies_beyond_the_slide_has_no_area(slide: Slide, cells: CellTable) -> None:
    half_outside = AnnotationSet((Annotation.drawn(shapely.box(-1000, 0, 1000, 1000), Role.ROI),))
    beyond = build_report(slide, SIZE, half_outside, result_of(slide, (cells,)), None)
    assert beyond.areas.roi == pytest.approx(0.25)
    assert [r.area_mm2 for r in beyond.regions] == [pytest.approx(0.25)]


def test_the_numbers_of_the_report_follow_from_the_slide_and_the_outlines(data: ReportData) -> None:
    roi = shapely.box(100, 100, WIDTH - 100, HEIGHT - 400)
    hole = shapely.Point(1300, 700).buffer(200)
    assert data.areas.roi == pytest.approx(roi.difference(hole).area * 0.25e-6)
    assert data.areas.excluded == pytest.approx(hole.area * 0.25e-6)
    assert data.areas.control == pytest.approx(500 * 200 * 0.25e-6)
    assert data.areas.scored == pytest.approx(data.areas.roi)
    assert data.result is not None
    assert data.result.shares is not None
    counted = [e.amount for e in data.legend if e.her2 >= 0]
    assert counted == list(data.result.shares.amounts)
    assert data.legend[-1].amount == data.result.shares.excluded


def test_overlays_carry_the_colours_of_the_classes_and_plain_pictures_do_not(data: ReportData) -> None:
    assert 2 <= len(data.fields) <= 3
    magenta = np.array(her2_colors(data.palette)[2])
    first = data.fields[0]
    assert first.overlay is not None
    assert first.plain.shape == first.overlay.shape == (800, 800, 3)
    assert first.um_per_px == 0.5

    def hits(image: np.ndarray) -> int:
        return int((np.abs(image.astype(int) - magenta).max(axis=2) < 12).sum())

    assert hits(first.overlay) > 500
    assert hits(first.plain) == 0


def test_the_overview_shows_the_outline_and_hatches_the_exclusion(data: ReportData) -> None:
    assert data.overview is not None
    image = data.overview.image
    assert max(image.shape[:2]) == 1500
    scale = WIDTH / 1500
    column = image[:, round(100 / scale) - 3 : round(100 / scale) + 4].astype(int)
    red = (column[..., 0] > 150) & (column[..., 1] < 80) & (column[..., 2] < 80)
    assert red.any(axis=1).sum() > 500
    x, y = round(1300 / scale), round(700 / scale)
    inside = image[y - 20 : y + 20, x - 20 : x + 20].reshape(-1, 3)
    assert (inside == (90, 90, 90)).all(axis=1).mean() > 0.1


def test_the_picture_of_the_region_shows_cells_by_class_inside_the_outline_only(data: ReportData) -> None:
    assert data.region is not None
    image = data.region.image.astype(int)
    scale = data.region.um_per_px / 0.5
    y0 = 100 - 0.04 * (WIDTH - 200)
    for color in her2_colors(data.palette):
        hits = np.argwhere(np.abs(image - color).max(axis=2) == 0)
        assert len(hits) > 100
        assert (hits[:, 0] * scale + y0).max() < HEIGHT - 400 + 20
    assert data.fields[-1].title == "Control tissue"
    assert data.fields[-1].overlay is None


def test_a_long_comment_is_printed_whole(data: ReportData) -> None:
    words = " ".join(f"word{i}" for i in range(900))
    content = pdf_bytes(replace(data, own=OwnAnswer("1+", words, "Dr. Žofie Nováková", "2026-03-02", "Faint only")))
    text = text_of(content)
    assert [w for w in ("word0", "word450", "word899", "Žofie Nováková", "Faint only") if w not in text] == []
    assert pages_of(content) <= 4


def test_names_in_greek_and_cyrillic_print_and_what_the_font_lacks_is_named(data: ReportData) -> None:
    names = "Ελένη Иванова ŁÖÑ µ ≥ ²"
    content = pdf_bytes(replace(data, case={"Case": names, "Patient": "中 <b>&amp;"}))
    text = text_of(content)
    assert names.split(maxsplit=1)[0] in text
    assert names.split()[1] in text
    assert "[U+4E2D] <b>&amp;" in text
    assert printable(names) == names
    assert printable("a\x00b") == "ab"
    assert printable("e\u0301") == "é"


def test_no_number_is_rounded_onto_the_limit_that_it_has_crossed(data: ReportData) -> None:
    shares = Shares((89_996.0, 0.0, 0.0, 10_004.0), CountedUnit.CELLS)
    decision = decide(load_profiles()[DEFAULT_PROFILE], shares)
    assert decision.score == "3+"
    text = text_of(pdf_bytes(replace(data, decision=decision)))
    assert ">10 %" in text
    assert "10.0 %" not in text
    assert "10.004 %" in text


def test_a_file_name_that_is_no_text_does_not_stop_the_report(data: ReportData, tmp_path: Path) -> None:
    odd = replace(data, slide_name="M\udcfcller.svs", case={"Case": "\udc80"})
    assert "[U+DCFC]" in text_of(pdf_bytes(odd))
    write_json(odd, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["slide"]["name"] == odd.slide_name


def test_names_without_a_break_wrap_instead_of_running_off_the_page(data: ReportData) -> None:
    content = pdf_bytes(replace(data, case={"Case": "X" * 300}, slide_name="y" * 250 + ".svs"))
    assert pages_of(content) <= 3
    assert text_of(content).replace(" ", "").count("X" * 20) >= 10


def test_many_warnings_and_endless_fields_still_make_a_report(data: ReportData) -> None:
    assert data.result is not None
    warnings = tuple(ResultWarning("tile", f"Tile {i} cannot be read. " + "More of it. " * 40) for i in range(60))
    result = replace(data.result, warnings=warnings)
    crowded = replace(
        data,
        case={"Case": "word " * 3000},
        result=result,
        decision=decide_result(PROFILES[DEFAULT_PROFILE], result),
        own=OwnAnswer("1+ " * 50, "", "N " * 400, "", "because " * 300),
    )
    text = text_of(pdf_bytes(crowded))
    assert "more (complete in the JSON file)" in text
    assert text.count("because") == 300


def test_what_cannot_be_assessed_makes_a_proper_report_too(slide: Slide) -> None:
    why = NotAssessable("no_tissue", "The region holds too little tissue.", "Outline more tissue.")
    data = report(slide, result_of(slide, (), shares=None, not_assessable=why))
    content = pdf_bytes(data)
    text = text_of(content)
    for part in ("cannot be determined", why.reason, why.advice, "Own score", data.slide_identity):
        assert part in text
    assert [f.title for f in data.fields] == ["Middle of the region", "Control tissue"]
    assert all(f.overlay is None for f in data.fields)
    assert pages_of(content) <= 3


def test_a_scorer_without_shares_reports_its_own_answer(slide: Slide) -> None:
    result = result_of(
        slide,
        (),
        shares=None,
        score=2,
        score_probabilities=(0.1, 0.1, 0.7, 0.1),
        status=Status.EQUIVOCAL,
        status_probability=0.7,
    )
    text = text_of(pdf_bytes(report(slide, result)))
    for part in ("2+ equivocal", "scorer's own answer", "no row of the guideline", "2+ 70 %", "Counted: nothing"):
        assert part in text


def test_a_slide_that_was_not_scored_reports_that(slide: Slide) -> None:
    data = report(slide, None)
    text = text_of(pdf_bytes(data))
    assert "Nothing has been scored" in text
    assert "No image analysis was run." in text
    assert report_json(data)["result"] is None


def test_a_region_that_was_scored_in_part_says_so(slide: Slide, cells: CellTable) -> None:
    part = replace(result_of(slide, (cells,)), scored=Region.rectangle(100, 100, 1000, 1000))
    assert "of the region has been scored" in text_of(pdf_bytes(report(slide, part)))


def test_maps_are_drawn_in_the_fields(slide: Slide) -> None:
    grid = Grid(0, 0, 100, 26, 18)
    classes = np.full(grid.shape, NOT_SCORED, dtype=np.uint8)
    classes[2:12, 2:12] = 3
    weight = np.ones(grid.shape, dtype=np.float32)
    item = ClassMap("Classes", grid, TUMOUR_SCHEME, classes, weight)
    region = ANNOTATIONS.region()
    result = result_of(slide, (item,), shares=shares_of((item,), region, "surface", SIZE))
    data = report(slide, result)
    overlay = data.fields[0].overlay
    assert overlay is not None
    yellow = class_colors(TUMOUR_SCHEME)[3].astype(float)
    shift = overlay[300:500, 300:500].astype(float) - data.fields[0].plain[300:500, 300:500]
    expected = 0.42 * (yellow - data.fields[0].plain[300:500, 300:500])
    assert np.median(np.abs(shift - expected)) < 2
    assert "mm² of tumour surface (a proxy of cells)" in text_of(pdf_bytes(data))
    values = np.linspace(0, 1, grid.rows * grid.columns, dtype=np.float32).reshape(grid.shape)
    heat = report(slide, result_of(slide, (Heatmap("attention", grid, values, "", 0, 1),), shares=None, score=1))
    assert [f.title for f in heat.fields] == ["Highest attention", "Lowest attention", "Control tissue"]
    assert heat.fields[0].overlay is not None


# JSON
def test_the_json_carries_raw_numbers_and_is_read_back(data: ReportData, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(data, path)
    read = json.loads(path.read_text(encoding="utf-8"))
    assert (read["schema"], read["schema_version"]) == (SCHEMA, 1)
    assert data.decision is not None
    assert data.decision.shares is not None
    assert read["decision"]["shares"]["percent"] == list(data.decision.shares.percent)
    assert read["decision"]["shares"]["entropy"] == data.decision.shares.entropy
    by_class = read["decision"]["shares"]["excluded_by_class"]
    assert by_class == {"not tumour": data.decision.shares.excluded}
    assert [t["value"] for t in read["decision"]["trace"]] == [t.value for t in data.decision.trace]
    assert read["slide"]["identity"] == data.slide_identity
    assert read["pixel_size"]["source"] == "entered by user"
    assert read["result"]["provenance"]["settings"]["faint"] == 0.1
    assert read["result"]["evidence"][0]["cells"] == 3000
    assert len(read["other_profiles"]) == len(PROFILES) - 1
    assert read["image_analysis_used"] is True
    assert read["research_use"] == RESEARCH_USE


def test_numbers_that_json_lacks_become_null(data: ReportData) -> None:
    assert data.result is not None
    odd = {"nan": math.nan, "inf": np.float32(np.inf), "array": np.arange(2), "path": Path("x")}
    result = replace(data.result, provenance=replace(data.result.provenance, estimates=odd))
    content = report_json(replace(data, result=result))
    assert content["result"]["provenance"]["estimates"] == {"nan": None, "inf": None, "array": [0, 1], "path": "x"}
    json.dumps(content, allow_nan=False)
    pdf_bytes(replace(data, result=result))


# Tables
def test_the_table_of_cells_is_read_back(cells: CellTable, tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    size = PixelSize(0.5, 0.25, PixelSizeSource.FILE)
    assert write_cells(cells, size, path) == 3000
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3000
    first = rows[0]
    assert float(first["x_px"]) == pytest.approx(float(cells.x[0]), abs=0.01)
    assert float(first["y_um"]) == pytest.approx(float(cells.y[0]) * 0.25, abs=0.001)
    assert first["class"] == CELL_SCHEME.names[cells.classes[0]]
    assert float(first["membrane_od (OD)"]) == pytest.approx(float(cells.features["membrane_od"][0]), abs=1e-5)
    region = Region.rectangle(0, 0, 1000, 1000)
    inside = int(region.contains_points(cells.x, cells.y).sum())
    assert write_cells(cells, size, path, region) == inside > 0


def test_a_table_longer_than_a_chunk_loses_no_cell(tmp_path: Path) -> None:
    n = 120_001
    table = CellTable(
        "Cells",
        CELL_SCHEME,
        np.arange(n, dtype=np.float32),
        np.zeros(n, dtype=np.float32),
        np.zeros(n, dtype=np.uint8),
        probabilities=np.full((n, 5), 0.2, dtype=np.float32),
    )
    path = tmp_path / "cells.csv"
    assert write_cells(table, SIZE, path) == n
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == n + 1
    assert lines[0].endswith("p(0),p(1+),p(2+),p(3+),p(not tumour)")
    assert lines[-1].startswith(f"{n - 1}.0,0.0,")
    assert lines[-1].endswith("0.2,0.2,0.2,0.2,0.2")


def test_patches_become_a_table_and_other_evidence_says_that_there_is_none(slide: Slide, tmp_path: Path) -> None:
    grid = Grid(10, 20, 64, 3, 2)
    classes = np.array([[0, 3, NOT_SCORED], [1, NOT_SCORED, 2]], dtype=np.uint8)
    item = ClassMap("Classes", grid, TUMOUR_SCHEME, classes, np.full(grid.shape, 0.5, dtype=np.float32))
    path = tmp_path / "patches.csv"
    assert write_patches(item, SIZE, path) == 4
    rows = path.read_text(encoding="utf-8").splitlines()
    assert rows[2] == "106.0,52.0,64,53.0,26.0,3+,3,0.5"
    everything = Region.rectangle(0, 0, 500, 500)
    assert write_cells_csv(path, result_of(slide, (item,), shares=None), everything, SIZE) == 4
    with pytest.raises(ReportError, match="neither cells nor patches"):
        write_cells_csv(path, result_of(slide, (), shares=None), everything, SIZE)


# Places that cannot be written
@pytest.mark.parametrize("kind", ["pdf", "json", "csv"])
def test_a_folder_that_is_not_there_or_no_folder_is_a_sentence(
    data: ReportData, cells: CellTable, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    for folder in (tmp_path / "absent", file):
        target = folder / f"report.{kind}"
        with pytest.raises(ReportError, match="Choose another folder"):
            write(kind, data, cells, target)


@pytest.mark.parametrize("kind", ["pdf", "json", "csv"])
def test_a_disk_that_takes_no_more_leaves_the_old_report_as_it_was(
    data: ReportData, cells: CellTable, tmp_path: Path, kind: str
) -> None:
    resource = pytest.importorskip("resource")
    target = tmp_path / f"report.{kind}"
    target.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(ReportError, match="not saved"):
            write(kind, data, cells, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def write(kind: str, data: ReportData, cells: CellTable, target: Path) -> None:
    if kind == "pdf":
        write_pdf(data, target)
    elif kind == "json":
        write_json(data, target)
    else:
        write_cells(cells, SIZE, target)


def test_what_was_looked_at_stands_in_every_report(slide: Slide, cells: CellTable, tmp_path: Path) -> None:
    known = ReviewedMap.empty(WIDTH, HEIGHT, SIZE.mpp)
    # The left half, in whole squares.
    half = known.step * (known.seen.shape[1] // 2)
    known = known.with_view([(0, 0), (half, 0), (half, HEIGHT), (0, HEIGHT)])
    result = result_of(slide, (cells,))
    left = Annotation.drawn(shapely.box(100, 100, half - 50, HEIGHT - 400), Role.ROI)
    right = Annotation.drawn(shapely.box(half + 50, 100, WIDTH - 100, HEIGHT - 400), Role.ROI)
    both = AnnotationSet((left, right))
    data = build_report(slide, SIZE, both, result, None, reviewed=known)
    assert [r.reviewed for r in data.regions] == pytest.approx([1, 0], abs=0.03)
    assert data.reviewed is not None
    assert data.reviewed.share == pytest.approx(known.share(both.region()))
    values = report_json(data)
    assert values["reviewed"] == {"percent": pytest.approx(100 * data.reviewed.share), "at_least_magnification": 20}
    assert [r["reviewed_percent"] for r in values["regions"]] == pytest.approx([100, 0], abs=3)
    text = text_of(pdf_bytes(data))
    assert "of the region at 20x or more" in text
    assert "Looked at" in text
    path = tmp_path / "cells.csv"
    write_cells_csv(path, result, both.region(), SIZE, known)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert row["looked_at_20x_or_more"] == ("1" if float(row["x_px"]) < half else "0")
    # Nobody knows: nothing is said.
    silent = build_report(slide, SIZE, both, result, None)
    assert report_json(silent)["reviewed"] is None
    assert "Looked at" not in text_of(pdf_bytes(silent))
