"""The rules by which QuPath reads and writes GeoJSON, as a checker of what this program writes."""

from __future__ import annotations

import uuid
from typing import Any

OBJECT_TYPES = {"annotation", "detection", "cell", "tile", "tmaCore", "root"}


def broken_rules(collection: Any) -> list[str]:
    """What in a FeatureCollection QuPath would not read, or would read as something else."""
    if not isinstance(collection, dict) or collection.get("type") != "FeatureCollection":
        return ["the root is no FeatureCollection"]
    broken = []
    for number, feature in enumerate(collection["features"]):
        broken += [f"feature {number}: {text}" for text in _feature(feature)]
    ids = [f["id"] for f in collection["features"]]
    if len(set(ids)) != len(ids):
        broken.append("two features share an id")
    return broken


def _feature(feature: dict[str, Any]) -> list[str]:
    broken = []
    if feature.get("type") != "Feature":
        broken.append("type is not Feature")
    try:
        uuid.UUID(feature["id"])
    except (KeyError, ValueError, AttributeError, TypeError):
        broken.append("id is no UUID string")
    properties = feature["properties"]
    if properties.get("objectType") not in OBJECT_TYPES:
        broken.append("objectType is unknown")
    if "name" in properties and not isinstance(properties["name"], str):
        broken.append("name is no string")
    if "color" in properties and not _rgb(properties["color"], (3,)):
        broken.append("color is not [r, g, b]")
    if "classification" in properties:
        broken += _classification(properties["classification"])
    if "isLocked" in properties and properties["isLocked"] is not True:
        broken.append("isLocked is written though it is not true")
    measurements = properties.get("measurements", {"one": 1})
    if not isinstance(measurements, dict) or not measurements:
        broken.append("measurements is no object of numbers, or is empty")
    else:
        for value in measurements.values():
            if not isinstance(value, int | float) and value not in ("NaN", "Infinity", "-Infinity"):
                broken.append(f"a measurement is {value!r}")
    metadata = properties.get("metadata", {})
    if not isinstance(metadata, dict) or any(not isinstance(v, str) for v in metadata.values()):
        broken.append("metadata is no object of strings")
    return broken + _geometry(feature["geometry"])


def _classification(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return ["classification is no object"]
    broken = []
    names = value["names"] if "names" in value else [value.get("name")]
    if "names" in value and "name" in value:
        broken.append("classification has both name and names")
    broken += [
        f"classification name {name!r}"
        for name in names
        if not isinstance(name, str) or not name or ":" in name or "\n" in name
    ]
    if not _rgb(value.get("color"), (3, 4)):
        broken.append("classification without a colour makes QuPath throw")
    elif len(value["color"]) == 4 and value["color"][3] in (0, 255):
        broken.append("an alpha of 0 or 255 is written")
    return broken


def _rgb(value: Any, lengths: tuple[int, ...]) -> bool:
    return isinstance(value, list) and len(value) in lengths and all(type(v) is int and 0 <= v <= 255 for v in value)


def _geometry(geometry: dict[str, Any]) -> list[str]:
    kind, coordinates = geometry["type"], geometry["coordinates"]
    match kind:
        case "Point":
            return _positions([coordinates])
        case "MultiPoint":
            return _positions(coordinates) + ["one-part MultiPoint"] * (len(coordinates) == 1)
        case "LineString":
            return _positions(coordinates)
        case "MultiLineString":
            broken = ["one-part MultiLineString"] * (len(coordinates) == 1)
            return broken + [text for line in coordinates for text in _positions(line)]
        case "Polygon":
            return _polygon(coordinates)
        case "MultiPolygon":
            broken = ["one-part MultiPolygon"] * (len(coordinates) == 1)
            return broken + [text for part in coordinates for text in _polygon(part)]
        case _:
            return [f"geometry type {kind}"]


def _polygon(rings: list[Any]) -> list[str]:
    broken = []
    for ring in rings:
        if len(ring) < 4:
            broken.append("a ring has fewer than four positions")
        if ring[0] != ring[-1]:
            broken.append("a ring is not closed")
        broken += _positions(ring)
    return broken


def _positions(points: list[Any]) -> list[str]:
    broken = []
    for point in points:
        if len(point) != 2:
            broken.append("a position has not two numbers")
        for value in point:
            if isinstance(value, bool) or not isinstance(value, int | float):
                broken.append("a coordinate is no number")
            elif abs(value * 100 - round(value * 100)) > 1e-4 or "e" in repr(value):
                broken.append(f"coordinate {value!r} has more than two decimals")
    return broken
