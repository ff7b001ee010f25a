"""Annotations between this program's values and QuPath's features."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from her2viewer.cases.geojson import classes
from her2viewer.cases.geojson.geometry import geometry_from_json, geometry_to_json
from her2viewer.domain.annotation import RGB, Annotation, AnnotationSet, Role

ROLE_KEY = "her2viewer:role"
"""Metadata key that keeps our role, whatever class the object has or gets in QuPath."""
TEXT_KEY = "ANNOTATION_DESCRIPTION"
"""Metadata key under which QuPath keeps the description of an annotation."""

MAX_REMARKS = 20

# QuPath 0.2 kept the type of an object in its id.
_LEGACY_TYPES = {
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "TMACoreObject": "tmaCore",
    "PathRootObject": "root",
}
_NOT_DRAWN = {"detection": "detections", "cell": "cells", "tile": "tiles"}
_TYPES = (*_LEGACY_TYPES.values(),)
_GEOMETRIES = (
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "LinearRing",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
)
_OWN_FEATURE = {"type", "id", "geometry", "properties", "nucleusGeometry", "bbox"}
_OWN_PROPERTIES = {
    "objectType",
    "object_type",
    "type",
    "name",
    "color",
    "classification",
    "isLocked",
    "isMissing",
    "measurements",
    "metadata",
    "childObjects",
    "children",
}
_OWN_GEOMETRY = {"type", "coordinates", "geometries", "isEllipse", "bbox"}


@dataclass(frozen=True)
class GeoJsonContent:
    """What a GeoJSON file held."""

    annotations: AnnotationSet
    skipped: tuple[str, ...] = ()
    """Sentences: what was left out and why."""
    notices: tuple[str, ...] = ()
    """Sentences: what was taken in a way the reader should know of."""


def is_geometry(data: Any) -> bool:
    """True for a bare geometry object, which stands for an annotation without a class."""
    return isinstance(data, Mapping) and data.get("type") in _GEOMETRIES


def to_features(
    annotations: Iterable[Annotation], measurements: Mapping[str, Mapping[str, float]] | None = None
) -> Iterator[dict[str, Any]]:
    """The features of annotations, in their order; one whose geometry is empty is left out.

    Args:
        annotations: geometry in level-0 px.
        measurements: further measurements by annotation id, added to the annotation's own.
    """
    for annotation in annotations:
        geometry = geometry_to_json(annotation.geometry)
        if geometry is not None:
            yield _feature(annotation, geometry, (measurements or {}).get(annotation.id, {}))


def _feature(annotation: Annotation, geometry: dict[str, Any], more: Mapping[str, float]) -> dict[str, Any]:
    foreign = annotation.foreign
    properties: dict[str, Any] = {"objectType": "annotation"}
    if annotation.name:
        properties["name"] = annotation.name
    stored = foreign.get("classification", {})
    if annotation.class_name:
        # What the file said of this class is valid as long as the class was not changed since.
        known = stored if stored.get("name") == annotation.class_name else {}
        class_color = known.get("color")
        if class_color is not None and annotation.color is not None:
            properties["color"] = list(annotation.color)
        color = tuple(class_color) if class_color is not None else annotation.color
        properties["classification"] = classes.classification(
            annotation.class_name, color, known.get("alpha"), annotation.role
        )
    elif annotation.color is not None:
        properties["color"] = list(annotation.color)
    if annotation.locked:
        properties["isLocked"] = True
    numbers = {**annotation.measurements, **more}
    if numbers:
        properties["measurements"] = {str(k): number_to_json(v) for k, v in numbers.items()}
    metadata = {k: v for k, v in annotation.metadata.items() if k not in (ROLE_KEY, TEXT_KEY)}
    if annotation.text:
        metadata[TEXT_KEY] = annotation.text
    metadata[ROLE_KEY] = annotation.role.value
    properties["metadata"] = metadata
    properties.update({k: v for k, v in foreign.get("properties", {}).items() if k not in _OWN_PROPERTIES})
    extra = {k: v for k, v in foreign.get("feature", {}).items() if k not in _OWN_FEATURE}
    geometry.update({k: v for k, v in foreign.get("geometry", {}).items() if k not in _OWN_GEOMETRY})
    return {
        "type": "Feature",
        "id": _uuid(annotation.id) or str(uuid.uuid4()),
        "geometry": geometry,
        "properties": properties,
        **extra,
    }


def number_to_json(value: float) -> float | int | str:
    """A measurement as QuPath writes it: NaN and infinities as strings."""
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def from_features(features: Iterable[Any]) -> GeoJsonContent:
    """The annotations among features; nested ones come after their parent.

    Cells, detections and tiles are left out and counted: they are results, not outlines of a person. TMA cores
    are kept as notes. Damaged features are left out with their reason; the others are kept.
    """
    return _Reader().read(features)


class _Reader:
    """Collects annotations and remarks over one file."""

    def __init__(self) -> None:
        self.items: list[Annotation] = []
        self.ids: set[str] = set()
        self.not_drawn: Counter[str] = Counter()
        self.skipped: list[str] = []
        self.unknown_classes: Counter[str] = Counter()
        self.cores = 0
        self.number = 0

    def read(self, features: Iterable[Any]) -> GeoJsonContent:
        for top in features:
            # A stack instead of recursion: files nest as deep as they like.
            waiting = [top]
            while waiting:
                feature = waiting.pop()
                self.number += 1
                children = self._read_one(feature)
                waiting.extend(reversed(children))
        return GeoJsonContent(AnnotationSet(tuple(self.items)), tuple(self._skipped()), tuple(self._notices()))

    def _read_one(self, feature: Any) -> list[Any]:
        if is_geometry(feature):
            feature = {"geometry": feature}
        if not isinstance(feature, Mapping):
            self.skipped.append(f"Object {self.number} was left out: it is no GeoJSON feature.")
            return []
        properties = feature.get("properties")
        if not isinstance(properties, Mapping):
            properties = {}
        kind = _object_type(feature, properties)
        if kind in _NOT_DRAWN:
            self.not_drawn[kind] += 1
        elif kind != "root":
            missing_core = kind == "tmaCore" and properties.get("isMissing") is True
            if not missing_core:
                self._keep(feature, properties, core=kind == "tmaCore")
        children = properties.get("childObjects", properties.get("children"))
        return list(children) if isinstance(children, list) else []

    def _keep(self, feature: Mapping[str, Any], properties: Mapping[str, Any], core: bool) -> None:
        name = properties.get("name")
        name = "" if name is None else str(name)
        try:
            geometry = geometry_from_json(feature.get("geometry"))
        except ValueError as error:
            label = f"“{name}”" if name else f"Object {self.number}"
            self.skipped.append(f"{label} was left out: {error}.")
            return
        class_name, class_color, alpha = classes.parse_classification(properties.get("classification"))
        own_color, _ = classes.parse_color(properties.get("color"))
        metadata = properties.get("metadata")
        metadata = {str(k): _text(v) for k, v in metadata.items()} if isinstance(metadata, Mapping) else {}
        text = metadata.pop(TEXT_KEY, "")
        role = _role(metadata.pop(ROLE_KEY, None), class_name)
        if core:
            role, class_name = Role.NOTE, class_name or "TMA core"
            self.cores += 1
        elif role is None:
            role = Role.NOTE
            self.unknown_classes[class_name or ""] += 1
        if "Polygon" not in geometry.geom_type and role is not Role.NOTE:
            # Points and lines have no area that could be scored or excluded.
            role = Role.NOTE
        identity = _uuid(feature.get("id"))
        if identity is None or identity in self.ids:
            identity = str(uuid.uuid4())
        self.ids.add(identity)
        self.items.append(
            Annotation(
                geometry=geometry,
                role=role,
                class_name=class_name,
                color=own_color or class_color or (classes.default_color(class_name, role) if class_name else None),
                name=name,
                text=text,
                locked=properties.get("isLocked") is True,
                id=identity,
                measurements=_measurements(properties.get("measurements")),
                metadata=metadata,
                foreign=_foreign(
                    feature,
                    properties,
                    class_name=class_name,
                    class_color=class_color,
                    alpha=alpha,
                    own_color=own_color,
                ),
            )
        )

    def _skipped(self) -> Iterator[str]:
        for kind, count in self.not_drawn.items():
            verb = "was" if count == 1 else "were"
            what = _NOT_DRAWN[kind] if count != 1 else kind
            yield f"{count:,} {what} {verb} left out: only annotations become regions here."
        yield from self.skipped[:MAX_REMARKS]
        if len(self.skipped) > MAX_REMARKS:
            yield f"{len(self.skipped) - MAX_REMARKS:,} more objects were left out for such reasons."

    def _notices(self) -> Iterator[str]:
        if self.cores:
            yield f"{self.cores:,} TMA core{'s' * (self.cores != 1)} came as notes: they are not scored."
        for name, count in self.unknown_classes.most_common(MAX_REMARKS):
            yield (
                f"{count:,} outline{'s' * (count != 1)} of the class “{name}” came as notes: this class is not "
                "known as tumour, exclusion or control. Change its role to have it counted."
            )


def _object_type(feature: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    value = next((properties[k] for k in ("objectType", "object_type", "type") if k in properties), None)
    if value is None:
        value = _LEGACY_TYPES.get(str(feature.get("id")))
    # An unknown type is an annotation, as in QuPath; so is a feature that has none.
    lowered = {t.lower(): t for t in _TYPES}
    return _LEGACY_TYPES.get(str(value)) or lowered.get(str(value).lower(), "annotation")


def _role(stored: str | None, class_name: str | None) -> Role | None:
    try:
        return Role(stored) if stored is not None else classes.role_of_class(class_name)
    except ValueError:
        return classes.role_of_class(class_name)


def _uuid(value: Any) -> str | None:
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ("" if value is None else str(value))


def _measurements(value: Any) -> dict[str, float]:
    if isinstance(value, Mapping):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list):
        pairs = [(v.get("name"), v.get("value")) for v in value if isinstance(v, Mapping)]
    else:
        return {}
    numbers: dict[str, float] = {}
    for name, number in pairs:
        try:
            if name is not None and not isinstance(number, bool):
                # float() reads the strings "NaN", "Infinity" and "-Infinity" too.
                numbers[str(name)] = float(number)
        except (TypeError, ValueError, OverflowError):
            continue
    return numbers


def _foreign(
    feature: Mapping[str, Any],
    properties: Mapping[str, Any],
    *,
    class_name: str | None,
    class_color: RGB | None,
    alpha: int | None,
    own_color: RGB | None,
) -> dict[str, Any]:
    """What comes back unchanged when the annotation is written again."""
    geometry = feature.get("geometry") or {}
    foreign: dict[str, Any] = {
        "feature": {k: v for k, v in feature.items() if k not in _OWN_FEATURE},
        "properties": {k: v for k, v in properties.items() if k not in _OWN_PROPERTIES},
        "geometry": {k: v for k, v in geometry.items() if k not in _OWN_GEOMETRY},
    }
    if class_name and (alpha is not None or (own_color is not None and class_color is not None)):
        foreign["classification"] = {"name": class_name}
        if own_color is not None and class_color is not None:
            foreign["classification"]["color"] = list(class_color)
        if alpha is not None:
            foreign["classification"]["alpha"] = alpha
    return {k: v for k, v in foreign.items() if v}
