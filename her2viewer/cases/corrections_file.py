"""The file of a case that holds the reader's corrections of the tumour mask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shapely import MultiPolygon, Polygon

from her2viewer.cases.atomic import atomic_text
from her2viewer.cases.geojson.geometry import geometry_from_json, geometry_to_json
from her2viewer.cases.versioned import read_versioned
from her2viewer.domain.annotation import RGB, Annotation, Role
from her2viewer.domain.corrections import NO_CORRECTIONS, Corrections
from her2viewer.domain.region import polygonal

FORMAT = "her2viewer corrections"
VERSION = 1
ADDED, REMOVED = "tumour added", "tumour removed"


def read_corrections(path: Path) -> Corrections:
    """The corrections in a file; none where there is no file.

    Raises:
        NewerFormatError: a later version of the program wrote it.
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    data = read_versioned(path, FORMAT, VERSION, "The list of corrections of the tumour mask")
    if data is None:
        return NO_CORRECTIONS
    return Corrections(_area(data, ADDED), _area(data, REMOVED))


def write_corrections(path: Path, corrections: Corrections) -> None:
    """Write the corrections, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    data = {"format": FORMAT, "version": VERSION, **corrections_json(corrections)}
    atomic_text(path, json.dumps(data, ensure_ascii=False) + "\n")


def corrections_json(corrections: Corrections) -> dict[str, Any]:
    """Both areas as GeoJSON geometries in level-0 px, None where there is none."""
    return {ADDED: _geometry(corrections.added), REMOVED: _geometry(corrections.removed)}


def corrections_as_outlines(corrections: Corrections) -> tuple[Annotation, ...]:
    """Both areas as notes for a GeoJSON file: whoever reads it sees them, and nobody takes them for a region."""
    kinds: tuple[tuple[str, Polygon | MultiPolygon, RGB], ...] = (
        ("Tumour added", corrections.added, (0, 150, 120)),
        ("Tumour removed", corrections.removed, (200, 60, 60)),
    )
    return tuple(
        Annotation(area, Role.NOTE, name, color, text="Correction of the tumour mask by the reader")
        for name, area, color in kinds
        if not area.is_empty
    )


def _geometry(area: Polygon | MultiPolygon) -> dict[str, Any] | None:
    return None if area.is_empty else geometry_to_json(area)


def _area(data: dict[str, Any], key: str) -> Polygon | MultiPolygon:
    if data.get(key) is None:
        return Polygon()
    return polygonal(geometry_from_json(data[key]))
