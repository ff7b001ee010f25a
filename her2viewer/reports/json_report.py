"""The report as JSON: all that the PDF says, with raw numbers, in a versioned form."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from her2viewer import RESEARCH_USE
from her2viewer.cases.atomic import StorageError, atomic_text
from her2viewer.cases.cell_corrections_file import cell_corrections_json
from her2viewer.cases.corrections_file import corrections_json
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.evidence import CellTable, ClassMap, Evidence, FieldVotes, Heatmap, TissueMask
from her2viewer.domain.result import Result
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.decision import Decision
from her2viewer.reports.model import ReportData, ReportError

SCHEMA = "her2viewer.report"
SCHEMA_VERSION = 1


def report_json(data: ReportData) -> dict[str, Any]:
    """The report as JSON values; numbers are unrounded, what is not a finite number is null."""
    size = data.pixel_size
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "research_use": RESEARCH_USE,
        "image_analysis_used": data.result is not None,
        "created": data.created,
        "versions": dict(data.versions),
        "case": dict(data.case),
        "slide": {
            "name": data.slide_name,
            "format": data.slide_format,
            "identity": data.slide_identity,
            "width_px": data.slide_size_px[0],
            "height_px": data.slide_size_px[1],
        },
        "pixel_size": {
            "x_um": size.x_um,
            "y_um": size.y_um,
            "source": size.source.value,
            "detail": size.detail,
            "plausible": size.plausible,
        },
        "areas_mm2": plain(data.areas),
        "result": None if data.result is None else _result(data.result, data.scorer_title),
        "corrections": {
            "added_mm2": data.change.added,
            "removed_mm2": data.change.removed,
            "outlines_px": corrections_json(data.corrections),
            "cells": {**plain(data.cell_change), "said": cell_corrections_json(data.cell_corrections)},
        },
        "decision": None if data.decision is None else _decision(data.decision),
        "reviewed": None
        if data.reviewed is None
        else {"percent": 100 * data.reviewed.share, "at_least_magnification": data.reviewed.magnification},
        "regions": [
            {
                "id": region.id,
                "name": region.name,
                "area_mm2": region.area_mm2,
                "shares": None if region.shares is None else _shares(region.shares),
                "reviewed_percent": None if region.reviewed is None else 100 * region.reviewed,
            }
            for region in data.regions
        ],
        "other_profiles": [_decision(d) for d in data.others],
        "pathologist": plain(data.own),
        "classes": [plain(entry) for entry in data.legend],
        "fields": [
            {
                "title": f.title,
                "caption": f.caption,
                "x_px": f.x,
                "y_px": f.y,
                "side_px": f.side,
                "um_per_px": f.um_per_px,
            }
            for f in data.fields
        ],
    }


def write_json(data: ReportData, path: Path) -> None:
    """Write the report; an existing file is replaced only by a complete one.

    Raises:
        ReportError: it cannot be written; the sentence says why and what to do.
    """
    text = json.dumps(report_json(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        atomic_text(path, text)
    except StorageError as error:
        raise ReportError(str(error)) from error


def plain(value: Any) -> Any:
    """A value as JSON has it: dataclasses and mappings as objects, arrays as lists, NaN and infinity as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def _shares(shares: Shares) -> dict[str, Any]:
    return {
        "unit": shares.unit.value,
        "classes": list(HER2_LABELS),
        "amounts": plain(shares.amounts),
        "total": shares.total,
        "percent": plain(shares.percent),
        "excluded": shares.excluded,
        "excluded_by_class": dict(shares.left_out),
        "entropy": shares.entropy,
        "unclassified": shares.unclassified,
        "unclassified_percent_of_tumour": 100 * shares.unclassified_fraction,
        "interval": None
        if shares.interval is None
        else {
            "low_percent": [100 * v for v in shares.interval.low],
            "high_percent": [100 * v for v in shares.interval.high],
            "level_percent": 95,
            "over": "blocks of tissue",
            "block_um": shares.interval.block_um,
        },
        "half_width_percent": None if shares.half_width is None else [100 * h for h in shares.half_width],
    }


def _decision(decision: Decision) -> dict[str, Any]:
    out: dict[str, Any] = {f.name: plain(getattr(decision, f.name)) for f in fields(decision) if f.name != "shares"}
    out["shares"] = None if decision.shares is None else _shares(decision.shares)
    return out


def _result(result: Result, title: str) -> dict[str, Any]:
    return {
        "scorer_title": title,
        "provenance": plain(result.provenance),
        "shares_of_scored_region": None if result.shares is None else _shares(result.shares),
        "score": result.score,
        "score_probabilities": plain(result.score_probabilities),
        "status": None if result.status is None else result.status.value,
        "status_probability": result.status_probability,
        "not_assessable": plain(result.not_assessable),
        "warnings": plain(result.warnings),
        "evidence": [_evidence(item) for item in result.evidence],
    }


def _evidence(item: Evidence) -> dict[str, Any]:
    """What there is, not the arrays: those lie in the case and in the tables."""
    out: dict[str, Any] = {"kind": item.kind, "name": item.name}
    if isinstance(item, CellTable):
        counts = np.bincount(item.classes, minlength=len(item.scheme.names))
        out |= {"cells": len(item), "by_class": dict(zip(item.scheme.names, counts.tolist(), strict=True))}
        out["features"] = {name: item.feature_units.get(name, "") for name in item.features}
    elif isinstance(item, ClassMap | Heatmap | TissueMask):
        out["grid"] = plain(item.grid)
        if isinstance(item, Heatmap):
            out |= {"unit": item.unit, "low": plain(item.low), "high": plain(item.high), "scale": item.scale}
        elif isinstance(item, ClassMap):
            out["least_weight"] = item.least_weight
        else:
            out["cells_of_tumour"] = int((item.values == 1).sum())
    elif isinstance(item, FieldVotes):
        out["fields"] = plain(item.fields)
    return out
