"""GeoJSON as QuPath writes and reads it: reading every form, writing only the right one."""

from __future__ import annotations

import gzip
import importlib.util
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2viewer.cases.atomic import StorageError
from her2viewer.cases.geojson import GeoJsonError, load_geojson, read_geojson, write_cells_geojson, write_geojson
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.classes import CELL_SCHEME
from her2viewer.domain.evidence import CellTable
from her2viewer.domain.region import Region

_spec = importlib.util.spec_from_file_location("geojson_rules", Path(__file__).with_name("geojson_rules.py"))
assert _spec is not None
assert _spec.loader is not None
rules = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rules)

SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]
UUID = "11111111-2222-4333-8444-555555555555"


def feature(geometry: Any = None, **properties: Any) -> dict[str, Any]:
    geometry = geometry or {"type": "Polygon", "coordinates": SQUARE}
    return {"type": "Feature", "id": UUID, "geometry": geometry, "properties": properties}


def read(tmp_path: Path, data: Any) -> AnnotationSet:
    return load(tmp_path, data).annotations


def load(tmp_path: Path, data: Any) -> Any:
    path = tmp_path / "in.geojson"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return load_geojson(path)


def only(tmp_path: Path, *features: Any) -> Annotation:
    (annotation,) = read(tmp_path, {"type": "FeatureCollection", "features": list(features)})
    return annotation


def written(tmp_path: Path, *annotations: Annotation, **more: Any) -> dict[str, Any]:
    path = tmp_path / "out.geojson"
    write_geojson(path, AnnotationSet(annotations), **more)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert rules.broken_rules(data) == []
    return data


# Reading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "root",
    [
        {"type": "FeatureCollection", "features": [feature()]},
        {"features": [feature()], "type": "FeatureCollection", "extra": {"a": [1, 2]}},
        [feature()],
        feature(),
        {"type": "Polygon", "coordinates": SQUARE},
        [{"type": "Polygon", "coordinates": SQUARE}],
    ],
)
def test_every_root_that_qupath_reads_is_read(tmp_path: Path, root: Any) -> None:
    (annotation,) = read(tmp_path, root)
    assert annotation.geometry.area == 100
    assert annotation.role is Role.ROI


def test_an_empty_collection_has_no_annotations(tmp_path: Path) -> None:
    assert len(read(tmp_path, {"type": "FeatureCollection", "features": []})) == 0


@pytest.mark.parametrize("key", ["objectType", "object_type", "type"])
@pytest.mark.parametrize("kind", ["detection", "cell", "tile"])
def test_results_of_other_programs_are_counted_and_left_out(tmp_path: Path, key: str, kind: str) -> None:
    cell = feature(**{key: kind})
    cell["nucleusGeometry"] = {"type": "Polygon", "coordinates": SQUARE}
    content = load(tmp_path, [cell, cell, feature(objectType="annotation")])
    assert len(content.annotations) == 1
    assert content.skipped == (f"2 {kind}s were left out: only annotations become regions here.",)


def test_the_old_id_that_holds_a_type_name_is_understood(tmp_path: Path) -> None:
    old = [
        {"type": "Feature", "id": name, "geometry": {"type": "Polygon", "coordinates": SQUARE}, "properties": {}}
        for name in ("PathAnnotationObject", "PathDetectionObject", "PathCellObject")
    ]
    content = load(tmp_path, old)
    assert len(content.annotations) == 1
    assert content.annotations.items[0].id != "PathAnnotationObject"


def test_an_unknown_object_type_is_an_annotation(tmp_path: Path) -> None:
    assert only(tmp_path, feature(objectType="something")).role is Role.ROI


def test_tma_cores_come_as_notes_and_missing_cores_do_not_come(tmp_path: Path) -> None:
    content = load(
        tmp_path, [feature(objectType="tmaCore", name="A-1"), feature(objectType="tmaCore", isMissing=True)]
    )
    (core,) = content.annotations
    assert (core.role, core.name) == (Role.NOTE, "A-1")
    assert "TMA core" in content.notices[0]


def test_an_id_is_kept_and_a_second_one_like_it_is_not(tmp_path: Path) -> None:
    first, second, third = read(tmp_path, [feature(), feature(), {**feature(), "id": 7}])
    assert first.id == UUID
    assert len({first.id, second.id, third.id}) == 3


@pytest.mark.parametrize(
    ("properties", "name", "color"),
    [
        ({"classification": {"name": "Tumor", "color": [200, 0, 0]}}, "Tumor", (200, 0, 0)),
        ({"classification": {"names": ["Tumor", "Positive"], "color": [1, 2, 3]}}, "Tumor: Positive", (1, 2, 3)),
        ({"classification": {"name": "Tumor", "color": [9, 8, 7, 120]}}, "Tumor", (9, 8, 7)),
        ({"classification": {"name": "Tumor", "colorRGB": -3670016}}, "Tumor", (200, 0, 0)),
        ({"classification": {"name": "Tumor", "color": 0xC80000}}, "Tumor", (200, 0, 0)),
        (
            {"classification": {"name": "Positive", "colorRGB": -1, "parentClass": {"name": "Tumor"}}},
            "Tumor: Positive",
            (255, 255, 255),
        ),
        ({"classification": "Tumor"}, "Tumor", (200, 0, 0)),
        ({"classification": {"name": "3+"}}, "3+", (200, 50, 50)),
        ({"classification": {}}, None, None),
        ({"classification": None}, None, None),
        ({"color": [255, 0, 0]}, None, (255, 0, 0)),
        ({"color": -65536}, None, (255, 0, 0)),
        ({"color": "red"}, None, None),
        ({"color": [255, 0]}, None, None),
        ({"classification": {"name": "Tumor", "color": [1, 1, 1]}, "color": [2, 2, 2]}, "Tumor", (2, 2, 2)),
    ],
)
def test_classes_and_colours_are_read_in_all_their_forms(
    tmp_path: Path, properties: dict[str, Any], name: str | None, color: tuple[int, int, int] | None
) -> None:
    annotation = only(tmp_path, feature(**properties))
    assert (annotation.class_name, annotation.color) == (name, color)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Tumor", Role.ROI),
        ("Invasive carcinoma", Role.ROI),
        ("Region*", Role.ROI),
        ("Ignore*", Role.EXCLUDE),
        ("Necrosis", Role.EXCLUDE),
        ("In situ carcinoma", Role.EXCLUDE),
        ("Benign gland", Role.EXCLUDE),
        ("Artefact", Role.EXCLUDE),
        ("Artifact", Role.EXCLUDE),
        ("Control", Role.CONTROL),
        ("Nerve", Role.NOTE),
    ],
)
def test_the_class_tells_the_role(tmp_path: Path, name: str, role: Role) -> None:
    content = load(tmp_path, feature(classification={"name": name, "color": [1, 2, 3]}))
    assert content.annotations.items[0].role is role
    assert bool(content.notices) == (name == "Nerve")


def test_our_own_role_wins_over_the_class(tmp_path: Path) -> None:
    both = feature(classification={"name": "Tumor", "color": [1, 2, 3]}, metadata={"her2viewer:role": "exclude"})
    assert only(tmp_path, both).role is Role.EXCLUDE
    both["properties"]["metadata"]["her2viewer:role"] = "unheard of"
    assert only(tmp_path, both).role is Role.ROI


@pytest.mark.parametrize(
    "measurements",
    [
        {"a": 1.5, "b": "NaN", "c": "Infinity", "d": "-Infinity", "e": "text", "f": None},
        [
            {"name": "a", "value": 1.5},
            {"name": "b", "value": "NaN"},
            {"name": "c", "value": "Infinity"},
            {"name": "d", "value": "-Infinity"},
            {"name": "e"},
            17,
        ],
    ],
)
def test_measurements_are_read_as_object_and_as_list(tmp_path: Path, measurements: Any) -> None:
    numbers = only(tmp_path, feature(measurements=measurements)).measurements
    assert numbers["a"] == 1.5
    assert math.isnan(numbers["b"])
    assert numbers["c"] == math.inf
    assert numbers["d"] == -math.inf
    assert set(numbers) == {"a", "b", "c", "d"}


def test_metadata_written_twice_is_joined(tmp_path: Path) -> None:
    text = json.dumps(feature(metadata={"k": "v"})).replace('"metadata":', '"metadata": {"other": "w"}, "metadata":')
    assert dict(read(tmp_path, text).items[0].metadata) == {"k": "v", "other": "w"}


def test_the_description_of_qupath_is_the_text_of_a_note(tmp_path: Path) -> None:
    assert only(tmp_path, feature(metadata={"ANNOTATION_DESCRIPTION": "see here"})).text == "see here"


@pytest.mark.parametrize("key", ["childObjects", "children"])
def test_nested_features_are_read_in_order(tmp_path: Path, key: str) -> None:
    leaf = feature(name="leaf")
    root = feature(objectType="root", **{key: [feature(name="a", **{key: [leaf]}), feature(name="b")]})
    assert [a.name for a in read(tmp_path, root)] == ["a", "leaf", "b"]


def test_nesting_has_no_depth_limit_of_ours(tmp_path: Path) -> None:
    nested = feature(name="0")
    for depth in range(1, 150):
        nested = feature(name=str(depth), childObjects=[nested])
    assert len(read(tmp_path, nested)) == 150


def test_an_ellipse_is_the_ellipse_of_its_bounding_box(tmp_path: Path) -> None:
    box = {"type": "Polygon", "coordinates": [[[0, 0], [20, 0], [20, 10], [0, 10], [0, 0]]], "isEllipse": True}
    ellipse = only(tmp_path, feature(box)).geometry
    assert ellipse.bounds == pytest.approx((0, 0, 20, 10))
    assert ellipse.area == pytest.approx(math.pi * 10 * 5, rel=0.005)


def test_the_plane_comes_back_unchanged(tmp_path: Path) -> None:
    plane = {"c": -1, "z": 2, "t": 0}
    annotation = only(tmp_path, feature({"type": "Polygon", "coordinates": SQUARE, "plane": plane}))
    assert written(tmp_path, annotation)["features"][0]["geometry"]["plane"] == plane


def test_members_of_other_programs_come_back_unchanged(tmp_path: Path) -> None:
    source = feature(fancy={"a": [1, 2]})
    source["tool"] = "other"
    (out,) = written(tmp_path, only(tmp_path, source))["features"]
    assert out["tool"] == "other"
    assert out["properties"]["fancy"] == {"a": [1, 2]}


def test_a_class_colour_with_alpha_and_an_own_colour_come_back(tmp_path: Path) -> None:
    source = feature(classification={"names": ["Tumor", "Positive"], "color": [9, 8, 7, 120]}, color=[1, 2, 3])
    (out,) = written(tmp_path, only(tmp_path, source))["features"]
    assert out["properties"]["classification"] == source["properties"]["classification"]
    assert out["properties"]["color"] == [1, 2, 3]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]},  # a bow tie
        {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 5], [0, 5]]]},  # not closed
        {"type": "MultiPolygon", "coordinates": [[[[0, 0], [10, 0], [10, 5], [0, 5], [0, 0]]]]},  # one part
        {"type": "Polygon", "coordinates": [[[0, 0, 7], [10, 0, 7], [10, 5, 7], [0, 5, 7], [0, 0, 7]]]},  # with z
        {
            "type": "MultiPolygon",  # overlapping parts
            "coordinates": [
                [[[0, 0], [6, 0], [6, 5], [0, 5], [0, 0]]],
                [[[4, 0], [10, 0], [10, 5], [4, 5], [4, 0]]],
            ],
        },
        {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Point", "coordinates": [500, 500]},
                {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 5], [0, 5], [0, 0]]]},
                {"type": "Nonsense"},
            ],
        },
    ],
)
def test_outlines_are_repaired(tmp_path: Path, geometry: Any) -> None:
    shape = only(tmp_path, feature(geometry)).geometry
    assert shape.is_valid
    assert shape.area == pytest.approx(50)


def test_holes_stay_holes(tmp_path: Path) -> None:
    rings = [SQUARE[0], [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]]
    annotation = only(tmp_path, feature({"type": "Polygon", "coordinates": rings}))
    assert annotation.geometry.area == 96
    assert len(written(tmp_path, annotation)["features"][0]["geometry"]["coordinates"]) == 2


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], ["x", 1], [2, 2]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1e300, 0], [2, 2]]]},
        {"type": "Polygon", "coordinates": 3},
        {"type": "Polygon"},
        {"type": "Triangle", "coordinates": SQUARE},
        {"type": "GeometryCollection", "geometries": []},
        {"type": "Point", "coordinates": []},
        {"type": "LineString", "coordinates": [[1, 1]]},
        {"type": "MultiPolygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[None, 0], [1, 1], [2, 2]]]},
    ],
)
def test_a_damaged_outline_is_left_out_with_its_reason_and_the_others_stay(tmp_path: Path, geometry: Any) -> None:
    bad = {"type": "Feature", "id": UUID, "geometry": geometry, "properties": {"name": "bad"}}
    content = load(tmp_path, {"type": "FeatureCollection", "features": [bad, feature(name="good")]})
    assert [a.name for a in content.annotations] == ["good"]
    (sentence,) = content.skipped
    assert sentence.startswith("“bad” was left out: ")


def test_numbers_that_json_does_not_know_are_no_coordinates(tmp_path: Path) -> None:
    content = load(tmp_path, '{"type":"Polygon","coordinates":[[[0,0],[NaN,1],[2,2],[0,0]]]}')
    assert len(content.annotations) == 0
    assert content.skipped


def test_points_and_lines_are_notes(tmp_path: Path) -> None:
    point = only(tmp_path, feature({"type": "Point", "coordinates": [3, 4]}))
    line = only(tmp_path, feature({"type": "LineString", "coordinates": [[3, 4], [5, 6]]}))
    assert {point.role, line.role} == {Role.NOTE}
    assert point.geometry.geom_type == "Point"


def test_not_everything_in_a_feature_list_need_be_a_feature(tmp_path: Path) -> None:
    content = load(tmp_path, [1, "x", None, [], feature()])
    assert len(content.annotations) == 1
    assert len(content.skipped) == 4


@pytest.mark.parametrize("suffix", [".json", ".geojson", ".geojson.gz", ".zip", ".json.zip"])
def test_archives_and_names_outside_ascii_are_read_and_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"my_nämé{suffix}"
    annotation = Annotation.drawn(shapely.box(0, 0, 5, 5), Role.ROI, name="my_nämé")
    write_geojson(path, [annotation])
    assert read_geojson(path).items[0].name == "my_nämé"
    start = path.read_bytes()[:2]
    assert start == (b"\x1f\x8b" if suffix.endswith(".gz") else b"PK" if suffix.endswith(".zip") else b'{"')


def test_files_are_told_apart_by_content_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_bytes(gzip.compress(json.dumps(feature()).encode()))
    assert len(read_geojson(path)) == 1
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(feature()).encode())
    assert len(read_geojson(path)) == 1
    path.write_bytes(json.dumps(feature()).encode("utf-16"))
    assert len(read_geojson(path)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"<html>",
        b"id,x,y\n1,2,3\n",
        b'{"type": "FeatureCollection", "features": [{"type": "Fea',
        b'{"a": 1}',
        b'{"type": "FeatureCollection", "features": 3}',
        b"[1, 2",
        b"[1 2]",
        b"{,}",
        b"\xff\xd8\xff\xe0 JFIF",
        b'{"name": "\xe4"}',
        b"\x1f\x8b\x08damaged",
        b"PK\x03\x04damaged",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_geojson_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.geojson"
    path.write_bytes(content)
    with pytest.raises(GeoJsonError, match=r"^in\.geojson .*\."):
        load_geojson(path)


def test_a_zip_without_json_and_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    for path in (tmp_path / "in.zip", tmp_path / "absent.json", tmp_path):
        with pytest.raises(GeoJsonError, match=r"\.$"):
            load_geojson(path)


def test_a_file_larger_than_what_is_read_at_once_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("her2viewer.cases.geojson.files.CHUNK", 7)
    collection = {
        "type": "FeatureCollection",
        "bbox": [1, 22, 333, 4444],
        "features": [feature(name=f"n{i}") for i in range(20)],
    }
    assert [a.name for a in read(tmp_path, json.dumps(collection, indent=1))] == [f"n{i}" for i in range(20)]


# Writing -------------------------------------------------------------------------------------------------


def test_a_written_annotation_follows_every_rule(tmp_path: Path) -> None:
    annotation = Annotation(
        geometry=shapely.MultiPolygon([shapely.box(0.123456, 0, 10, 10)]),
        role=Role.EXCLUDE,
        class_name="In situ carcinoma",
        name="duct",
        text="look",
        locked=True,
        measurements={"a": math.nan},
        metadata={"k": "v"},
    )
    (out,) = written(tmp_path, annotation, measurements={annotation.id: {"HER2: 3+ %": 12.5}})["features"]
    assert out["geometry"]["type"] == "Polygon"
    assert out["geometry"]["coordinates"][0][0] in ([10, 0], [0.12, 0], [10, 10], [0.12, 10])
    properties = out["properties"]
    assert properties["isLocked"] is True
    assert properties["measurements"] == {"a": "NaN", "HER2: 3+ %": 12.5}
    assert properties["metadata"] == {"k": "v", "ANNOTATION_DESCRIPTION": "look", "her2viewer:role": "exclude"}
    assert properties["classification"]["color"]


def test_an_annotation_that_is_not_locked_does_not_say_so(tmp_path: Path) -> None:
    (out,) = written(tmp_path, Annotation.drawn(shapely.box(0, 0, 1, 1), Role.ROI))["features"]
    assert "isLocked" not in out["properties"]


def test_a_class_that_was_changed_forgets_the_colours_of_the_old_one(tmp_path: Path) -> None:
    from dataclasses import replace

    source = feature(classification={"name": "Tumor", "color": [9, 8, 7, 120]}, color=[1, 2, 3])
    changed = replace(only(tmp_path, source), class_name="Artefact", color=(5, 5, 5), role=Role.EXCLUDE)
    (out,) = written(tmp_path, changed)["features"]
    assert out["properties"]["classification"] == {"name": "Artefact", "color": [5, 5, 5]}


def test_an_empty_outline_is_not_written(tmp_path: Path) -> None:
    assert written(tmp_path, Annotation(shapely.Polygon()))["features"] == []


def test_a_collection_is_written_as_its_areas(tmp_path: Path) -> None:
    mixed = shapely.GeometryCollection([shapely.Point(0, 0), shapely.box(0, 0, 2, 2)])
    (out,) = written(tmp_path, Annotation(mixed))["features"]
    assert out["geometry"]["type"] == "Polygon"


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"The folder .* is not there"):
        write_geojson(tmp_path / "absent" / "x.geojson", [])


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.geojson"
    write_geojson(path, [Annotation.drawn(shapely.box(0, 0, 1, 1), Role.ROI)])
    before = path.read_bytes()
    broken = Annotation(shapely.box(0, 0, 1, 1), foreign={"properties": {"not json": {1, 2}}})
    with pytest.raises(TypeError):
        write_geojson(path, [broken])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.geojson"]


@pytest.mark.parametrize("contours", [True, False])
def test_cells_are_written_as_qupath_detections(tmp_path: Path, contours: bool) -> None:
    n = 10_000
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 5000, n).astype(np.float32), rng.uniform(0, 5000, n).astype(np.float32)
    square = np.array([[-3, -3], [3, -3], [3, 3], [-3, 3]], dtype=np.float32)
    cells = CellTable(
        name="Cells",
        scheme=CELL_SCHEME,
        x=x,
        y=y,
        classes=rng.integers(0, 5, n).astype(np.uint8),
        features={"membrane_od": rng.uniform(0, 1, n).astype(np.float32)},
        feature_units={"membrane_od": "OD"},
        contours=(np.stack([x, y], 1)[:, None] + square).reshape(-1, 2) if contours else None,
        contour_starts=np.arange(0, 4 * n + 1, 4, dtype=np.int64) if contours else None,
    )
    path = tmp_path / "cells.geojson"
    write_cells_geojson(path, cells)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert rules.broken_rules(data) == []
    assert len(data["features"]) == n
    last = data["features"][-1]
    assert last["geometry"]["type"] == ("Polygon" if contours else "Point")
    assert last["properties"]["measurements"]["Membrane OD"] == pytest.approx(
        cells.features["membrane_od"][-1], abs=1e-4
    )
    names = {tuple(f["properties"]["classification"].get("names", ["not tumour"])) for f in data["features"]}
    assert names == {("Tumor", "Negative"), ("Tumor", "1+"), ("Tumor", "2+"), ("Tumor", "3+"), ("not tumour",)}
    assert load_geojson(path).skipped == (f"{n:,} detections were left out: only annotations become regions here.",)


# Round trips ---------------------------------------------------------------------------------------------

_numbers = st.floats(-50, 60_000, allow_nan=False, width=32)
_points = st.lists(st.tuples(_numbers, _numbers), min_size=3, max_size=14, unique=True)
_colors = st.none() | st.tuples(*[st.integers(0, 255)] * 3)
_texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
_names = _texts.map(lambda t: " ".join(t.replace(":", " ").split()))


@st.composite
def annotations(draw: Any) -> Annotation:
    from her2viewer.domain.region import polygonal

    shape = polygonal(shapely.Polygon(draw(_points)))
    if draw(st.booleans()):
        shape = polygonal(shape.difference(shape.centroid.buffer(max(0.5, shape.length / 20))))
    class_name = draw(st.none() | _names.map(lambda t: t or None))
    return Annotation(
        geometry=shape,
        role=draw(st.sampled_from(Role)),
        class_name=class_name,
        color=draw(_colors) or ((1, 2, 3) if class_name else None),
        name=draw(_texts),
        text=draw(_texts),
        locked=draw(st.booleans()),
        measurements=draw(st.dictionaries(_texts, st.floats(width=32), max_size=3)),
        metadata=draw(st.dictionaries(_texts.map(lambda t: "m" + t), _texts, max_size=3)),
    )


@given(st.lists(annotations(), max_size=4))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_back(tmp_path: Path, items: list[Annotation]) -> None:
    data = written(tmp_path, *items)
    kept = [a for a in items if a.id in {f["id"] for f in data["features"]}]
    for lost in (a for a in items if a not in kept):
        assert lost.geometry.area < 0.02 * max(1.0, lost.geometry.length)
    back = read_geojson(tmp_path / "out.geojson")
    for before, after in zip(kept, back, strict=True):
        for key in ("id", "role", "class_name", "color", "name", "text", "locked", "metadata"):
            assert getattr(after, key) == getattr(before, key), key
        assert after.measurements.keys() == before.measurements.keys()
        for name, value in before.measurements.items():
            assert after.measurements[name] == pytest.approx(value, nan_ok=True)
        assert after.geometry.is_valid
        slack = 0.02 * before.geometry.length + 0.02
        assert after.geometry.symmetric_difference(before.geometry).area <= slack
    # Written once more it is the same file: nothing drifts with each save.
    first = (tmp_path / "out.geojson").read_bytes()
    write_geojson(tmp_path / "again.geojson", back)
    assert (tmp_path / "again.geojson").read_bytes() == first


def test_the_hash_of_a_saved_region_is_that_of_the_drawn_one(tmp_path: Path) -> None:
    drawn = Annotation.drawn(shapely.Point(1234.567, 890.123).buffer(321.7), Role.ROI)
    write_geojson(tmp_path / "a.geojson", [drawn])
    first = read_geojson(tmp_path / "a.geojson")
    assert first.region().hash == AnnotationSet((drawn,)).region().hash
    assert isinstance(first.region(), Region)


def test_an_export_of_qupath_comes_back_as_it_was(shared_slides: Path, tmp_path: Path) -> None:
    source = shared_slides / "geojson" / "qupath05_export.geojson"
    original = json.loads(source.read_text(encoding="utf-8"))
    content = load_geojson(source)
    assert content.skipped == ()
    assert [a.name for a in content.annotations] == ["UT", "I", "I"]
    assert {a.role for a in content.annotations} == {Role.ROI}
    assert rules.broken_rules(original) == []
    back = written(tmp_path, *content.annotations)
    for before, after in zip(original["features"], back["features"], strict=True):
        assert after["id"] == before["id"]
        assert after["geometry"] == before["geometry"]
        metadata = after["properties"].pop("metadata")
        assert metadata == {"her2viewer:role": "roi"}
        assert after["properties"] == before["properties"]
