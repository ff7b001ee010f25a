"""One result of a scorer as an HDF5 file, whole: shares, evidence, region, provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from her2viewer.cases.atomic import atomic_file
from her2viewer.cases.case import NewerFormatError
from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, FieldVote, FieldVotes, Grid, Heatmap, TissueMask
from her2viewer.domain.region import Region, polygonal
from her2viewer.domain.result import NotAssessable, Provenance, Result, ResultWarning, Status
from her2viewer.domain.shares import CountedUnit, Interval, Shares

FORMAT = "her2viewer result"
VERSION = 1

_COMPRESS_FROM = 1024
"""Bytes below which an array is stored as it is: compression would only make it larger."""

_DAMAGE = (OSError, KeyError, TypeError, IndexError, RuntimeError, AttributeError, shapely.errors.ShapelyError)
"""What h5py, json and the constructors raise over a file that is cut off or changed."""


def write_result(path: Path, result: Result) -> None:
    """Write a result whole or not at all.

    Raises:
        StorageError: the file cannot be written.
    """
    import h5py

    # The file is made in memory and written by Python: HDF5 ends the whole program when a disk is full.
    # From format v110 on, HDF5 keeps check sums of its own structures; the arrays get theirs in ``_store``.
    with h5py.File(path.name, "w", driver="core", backing_store=False, libver=("v110", "v110")) as file:
        _write(file, result)
        file.flush()
        image = file.id.get_file_image()
    with atomic_file(path) as out:
        out.write(image)


def _write(file: Any, result: Result) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    _put_json(file, "result", _result_to_json(result))
    _store(file, "region_wkb", np.frombuffer(shapely.to_wkb(result.scored.geometry), dtype=np.uint8))
    for index, evidence in enumerate(result.evidence):
        _write_evidence(file.create_group(f"evidence/{index}"), evidence)


def read_result(path: Path) -> Result:
    """Read what ``write_result`` wrote; evidence arrays are in memory, the file is closed.

    Raises:
        FileNotFoundError: there is none.
        PermissionError: it may not be read.
        NewerFormatError: a later version of the program wrote it.
        ValueError: the file is damaged or is no result.
    """
    import h5py

    if not path.exists():
        raise FileNotFoundError(path)
    try:
        # HDF5's own file lock fails on some network drives; the case has a lock of its own.
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs.get("format") != FORMAT:
                raise ValueError("it is no result of her2viewer")
            version = int(file.attrs["version"])
            if version > VERSION:
                raise NewerFormatError("This result", version, VERSION)
            data = _get_json(file, "result")
            scored = Region(polygonal(shapely.from_wkb(file["region_wkb"][()].tobytes())))
            groups = file.get("evidence", {})
            evidence = tuple(_read_evidence(groups[str(i)]) for i in range(len(groups)))
        return _result_from_json(data, scored, evidence)
    except _DAMAGE as error:
        raise ValueError("it is damaged") from error


def _result_to_json(result: Result) -> dict[str, Any]:
    from dataclasses import asdict

    shares = result.shares
    return {
        "provenance": {k: _plain(v) for k, v in asdict(result.provenance).items()},
        "shares": None
        if shares is None
        else {
            "amounts": list(shares.amounts),
            "unit": shares.unit.value,
            "excluded": shares.excluded,
            "half_width": None if shares.half_width is None else list(shares.half_width),
            "unclassified": shares.unclassified,
            "interval": None if shares.interval is None else asdict(shares.interval),
            "left_out": [list(pair) for pair in shares.left_out],
        },
        "score": result.score,
        "score_probabilities": None if result.score_probabilities is None else list(result.score_probabilities),
        "status": None if result.status is None else result.status.value,
        "status_probability": result.status_probability,
        "not_assessable": None if result.not_assessable is None else asdict(result.not_assessable),
        "warnings": [asdict(w) for w in result.warnings],
    }


def _result_from_json(data: Mapping[str, Any], scored: Region, evidence: tuple[Evidence, ...]) -> Result:
    shares, probabilities = data["shares"], data["score_probabilities"]
    return Result(
        provenance=Provenance(**data["provenance"]),
        scored=scored,
        evidence=evidence,
        shares=None
        if shares is None
        else Shares(
            amounts=_four(shares["amounts"]),
            unit=CountedUnit(shares["unit"]),
            excluded=shares["excluded"],
            half_width=None if shares["half_width"] is None else _four(shares["half_width"]),
            # Files of before these were known have none of them.
            unclassified=float(shares.get("unclassified", 0.0)),
            interval=_interval(shares.get("interval")),
            left_out=tuple((str(name), float(amount)) for name, amount in shares.get("left_out", ())),
        ),
        score=data["score"],
        score_probabilities=None if probabilities is None else _four(probabilities),
        status=None if data["status"] is None else Status(data["status"]),
        status_probability=data["status_probability"],
        not_assessable=None if data["not_assessable"] is None else NotAssessable(**data["not_assessable"]),
        warnings=tuple(ResultWarning(**w) for w in data["warnings"]),
    )


def _interval(data: Any) -> Interval | None:
    return None if data is None else Interval(_four(data["low"]), _four(data["high"]), float(data["block_um"]))


def _four(values: Any) -> tuple[float, float, float, float]:
    a, b, c, d = values
    return (a, b, c, d)


def _plain(value: Any) -> Any:
    """JSON values of what scorers put into settings and estimates, numpy numbers and arrays among them."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    return value.item() if isinstance(value, np.generic) else value


def _write_evidence(group: Any, evidence: Evidence) -> None:
    group.attrs["kind"] = evidence.kind
    group.attrs["name"] = evidence.name
    match evidence:
        case ClassMap():
            _put_grid(group, evidence.grid)
            _put_scheme(group, evidence.scheme)
            _put(group, "classes", evidence.classes)
            _put(group, "weight", evidence.weight)
            group.attrs["least_weight"] = evidence.least_weight
            _put(group, "probabilities", evidence.probabilities)
        case Heatmap():
            _put_grid(group, evidence.grid)
            _put(group, "values", evidence.values)
            _put_json(
                group,
                "legend",
                {"unit": evidence.unit, "low": evidence.low, "high": evidence.high, "scale": evidence.scale},
            )
        case TissueMask():
            _put_grid(group, evidence.grid)
            _put(group, "values", evidence.values)
        case CellTable():
            _put_scheme(group, evidence.scheme)
            for name in ("x", "y", "classes", "contours", "contour_starts", "probabilities"):
                _put(group, name, getattr(evidence, name))
            # Columns by number: a name may hold a slash, which HDF5 takes for a folder.
            _put_json(group, "columns", {"names": list(evidence.features), "units": dict(evidence.feature_units)})
            for index, column in enumerate(evidence.features.values()):
                _put(group, f"column_{index}", column)
        case FieldVotes():
            _put_json(
                group,
                "fields",
                [
                    {
                        "x": f.x,
                        "y": f.y,
                        "size": f.size,
                        "score": f.score,
                        "votes": list(f.votes),
                        "confidences": list(f.confidences),
                    }
                    for f in evidence.fields
                ],
            )


def _read_evidence(group: Any) -> Evidence:
    kind, name = group.attrs["kind"], group.attrs["name"]
    match kind:
        case "class_map":
            return ClassMap(
                name=name,
                grid=_grid(group),
                scheme=_scheme(group),
                classes=group["classes"][()],
                weight=group["weight"][()],
                probabilities=_get(group, "probabilities"),
                least_weight=float(group.attrs.get("least_weight", 0.0)),
            )
        case "mask":
            return TissueMask(name=name, grid=_grid(group), values=group["values"][()])
        case "heatmap":
            return Heatmap(name=name, grid=_grid(group), values=group["values"][()], **_get_json(group, "legend"))
        case "cells":
            columns = _get_json(group, "columns")
            return CellTable(
                name=name,
                scheme=_scheme(group),
                x=group["x"][()],
                y=group["y"][()],
                classes=group["classes"][()],
                features={key: group[f"column_{i}"][()] for i, key in enumerate(columns["names"])},
                feature_units=columns["units"],
                contours=_get(group, "contours"),
                contour_starts=_get(group, "contour_starts"),
                probabilities=_get(group, "probabilities"),
            )
        case "fields":
            fields = [
                FieldVote(**{**f, "votes": tuple(f["votes"]), "confidences": tuple(f["confidences"])})
                for f in _get_json(group, "fields")
            ]
            return FieldVotes(name=name, fields=tuple(fields))
        case _:
            raise ValueError(f"its evidence {kind!r} is unknown")


def _put(group: Any, name: str, array: np.ndarray[Any, Any] | None) -> None:
    if array is not None:
        _store(group, name, array)


def _store(group: Any, name: str, array: np.ndarray[Any, Any]) -> None:
    """With a check sum, so that a byte that a disk has changed is an error and not another number."""
    packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if array.nbytes > _COMPRESS_FROM else {}
    group.create_dataset(name, data=array, fletcher32=True if array.size else None, **packing)


def _get(group: Any, name: str) -> Any:
    return group[name][()] if name in group else None


def _put_json(group: Any, name: str, value: Any) -> None:
    # As bytes: an HDF5 string cannot hold every character, an attribute not every length.
    text = json.dumps(value, ensure_ascii=True)
    _store(group, name, np.frombuffer(text.encode("ascii"), dtype=np.uint8))


def _get_json(group: Any, name: str) -> Any:
    return json.loads(group[name][()].tobytes())


def _put_grid(group: Any, grid: Grid) -> None:
    _put_json(group, "grid", [grid.x, grid.y, grid.step, grid.columns, grid.rows])


def _grid(group: Any) -> Grid:
    return Grid(*_get_json(group, "grid"))


def _put_scheme(group: Any, scheme: ClassScheme) -> None:
    _put_json(group, "scheme", {"names": list(scheme.names), "her2": list(scheme.her2)})


def _scheme(group: Any) -> ClassScheme:
    data = _get_json(group, "scheme")
    return ClassScheme(tuple(data["names"]), tuple(data["her2"]))
