"""Scored cells as QuPath detections, written in pieces: a million of them never stand in memory as text."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from her2viewer.cases.geojson.classes import HER2_CLASS_NAMES, INTENSITY_COLORS
from her2viewer.cases.geojson.features import number_to_json
from her2viewer.cases.geojson.files import write_feature_lines
from her2viewer.cases.geojson.geometry import DECIMALS
from her2viewer.domain.annotation import RGB
from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import NOT_SCORED, CellTable
from her2viewer.scoring.cell_clusters import ClusterSearch

BY_READER, SCORER_CLASS = "Class by the reader", "Class of the scorer"
CLUSTER, CLUSTER_OF = "Cluster", "Cluster of"
CHUNK = 4096
"""Cells turned into text at a time."""

_NOT_COUNTED: RGB = (160, 160, 160)


def cell_classification(scheme: ClassScheme, index: int) -> dict[str, Any]:
    """The QuPath class of class ``index`` of a scheme, with QuPath's own intensity names and colours.

    A HER2 class is "Tumor: 2+", a class that is not counted keeps its name.
    """
    code = scheme.her2[index]
    if code < 0:
        return {"name": scheme.names[index].replace(":", " "), "color": list(_NOT_COUNTED)}
    name = HER2_CLASS_NAMES[code]
    return {"names": ["Tumor", name], "color": list(INTENSITY_COLORS[name.lower()])}


def write_cells_geojson(path: Path, cells: CellTable, search: ClusterSearch | None = None) -> None:
    """Write cells as detections with class and measurements; with outlines where the table has them.

    Where the reader corrected cells, a measurement tells these (1) from the others (0), and their metadata name the
    class that the scorer had given. A cell of a cluster has its number as the measurement "Cluster" (1 for the
    largest), and its metadata say what was taken for one.

    Args:
        path: ``.geojson`` or ``.json``, or ``.gz`` or ``.zip`` for a compressed file.
        cells: coordinates in level-0 px; written with two decimals.
        search: which clusters are numbered; None writes none.

    Raises:
        StorageError: the file cannot be written.
    """
    write_feature_lines(Path(path), _lines(cells, search))


def _lines(cells: CellTable, search: ClusterSearch | None) -> Iterator[str]:
    classifications = [cell_classification(cells.scheme, k) for k in range(len(cells.scheme.names))]
    names = {key: _measurement_name(key, cells.feature_units.get(key, "")) for key in cells.features}
    numbers = None if search is None else search.numbers(cells)
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    for start in range(0, len(cells), CHUNK):
        stop = min(start + CHUNK, len(cells))
        centres = np.round(np.stack([cells.x[start:stop], cells.y[start:stop]], axis=1).astype(np.float64), DECIMALS)
        points = centres.tolist()
        rings = _rings(cells, start, stop)
        columns = [
            (names[k], np.round(v[start:stop].astype(np.float64), 4).tolist()) for k, v in cells.features.items()
        ]
        said = cells.scorer_classes
        scorers = [] if said is None else said[start:stop].tolist()
        if said is not None:
            columns.append((BY_READER, [float(code != NOT_SCORED) for code in scorers]))
        clustered = [] if numbers is None else numbers[start:stop].tolist()
        random = os.urandom(16 * (stop - start))
        for i, kind in enumerate(cells.classes[start:stop].tolist()):
            ring = rings[i]
            geometry = (
                {"type": "Polygon", "coordinates": [ring]}
                if len(ring) >= 4
                else {"type": "Point", "coordinates": points[i]}
            )
            properties: dict[str, Any] = {"objectType": "detection", "classification": classifications[kind]}
            measured = {name: number_to_json(column[i]) for name, column in columns}
            told = {}
            if scorers and scorers[i] != NOT_SCORED:
                told[SCORER_CLASS] = cells.scheme.names[scorers[i]]
            if search is not None and clustered[i]:
                measured[CLUSTER], told[CLUSTER_OF] = clustered[i], search.words
            if measured:
                properties["measurements"] = measured
            if told:
                properties["metadata"] = told
            yield encode(
                {
                    "type": "Feature",
                    "id": str(uuid.UUID(bytes=random[16 * i : 16 * i + 16], version=4)),
                    "geometry": geometry,
                    "properties": properties,
                }
            )


def _rings(cells: CellTable, start: int, stop: int) -> list[list[list[float]]]:
    """Closed outlines of some cells, level-0 px; an empty one where a cell has none."""
    if cells.contours is None or cells.contour_starts is None:
        return [[] for _ in range(start, stop)]
    begin = cells.contour_starts[start : stop + 1]
    points = np.round(cells.contours[begin[0] : begin[-1]].astype(np.float64), DECIMALS).tolist()
    rings = []
    for a, b in zip((begin[:-1] - begin[0]).tolist(), (begin[1:] - begin[0]).tolist(), strict=True):
        ring = points[a:b]
        if ring and ring[0] != ring[-1]:
            ring = [*ring, ring[0]]
        rings.append(ring)
    return rings


def _measurement_name(key: str, unit: str) -> str:
    name = key.replace("_", " ")
    name = name[:1].upper() + name[1:]
    if unit and name.lower().endswith(f" {unit.lower()}"):
        return name[: -len(unit)] + unit
    return f"{name} ({unit})" if unit else name
