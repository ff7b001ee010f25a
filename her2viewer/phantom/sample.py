"""The bundled sample slide: a small phantom with its outlines and its truth."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.cases.geojson import write_geojson
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.phantom.looks import lab, scanner
from her2viewer.phantom.make import write_slide
from her2viewer.phantom.recipe import read_recipe
from her2viewer.phantom.slide_plan import SlidePlan
from her2viewer.phantom.survey import KINDS, Survey, survey
from her2viewer.resources import resource_path

SEED = 133
SIZE = (8192, 4864)
"""Width and height, px."""
SCANNER, LAB = "white", "E"
QUALITY = 72
"""Of the JPEG tiles: the slide travels with the program."""
FACTORS = (4, 16)
EPITHELIAL = ("invasive", "in_situ", "benign", "control")


@dataclass(frozen=True)
class SampleFiles:
    """Where the parts of a sample were written."""

    slide: Path
    outlines: Path
    truth: Path


def sample_plan(seed: int = SEED) -> SlidePlan:
    """The plan of the sample slide; ``survey`` sets its thresholds, without which all tumour is 0."""
    recipe = read_recipe(str(resource_path("phantom", "sample.toml")))
    own = replace(scanner(SCANNER), quality=QUALITY, subsampling="444", factors=FACTORS)
    return SlidePlan(recipe, seed, SIZE, scanner=own, lab=lab(LAB))


def make_sample(path: Path, seed: int = SEED) -> SampleFiles:
    """Write the sample slide to ``path`` (.tif), and beside it its outlines (.geojson) and truth (.truth.json).

    The same seed gives the same bytes with the same versions of the libraries on the same kind of processor. Takes
    about half a minute.

    Raises:
        StorageError, OSError: a file cannot be written.
    """
    workers = min(8, os.cpu_count() or 1)
    plan = sample_plan(seed)
    truth = survey(plan, workers)
    files = SampleFiles(path, path.with_suffix(".geojson"), path.with_suffix(".truth.json"))
    write_slide(files.slide, plan, "ihc", workers)
    write_geojson(files.outlines, truth.outlines)
    files.truth.write_text(json.dumps(sample_truth(plan, truth), separators=(",", ":")) + "\n", encoding="utf-8")
    return files


def sample_truth(plan: SlidePlan, truth: Survey) -> Mapping[str, Any]:
    """What was drawn: counts and shares inside the ROI less the exclusions, and every epithelial cell.

    Of a cell: ``x``, ``y``, ``nucleus_x``, ``nucleus_y`` (level-0 px; the nucleus null where the section has missed
    it), ``her2`` (0 to 3), ``kind`` (index into ``kinds``) and ``in_roi`` (1 for what is counted).
    """
    counts = np.bincount(truth.her2[truth.counted], minlength=4)[:4]
    codes = [KINDS.index(name) for name in EPITHELIAL]
    chosen = np.isin(truth.kind, codes)
    places = {name: getattr(truth, name)[chosen] for name in ("x", "y", "nucleus_x", "nucleus_y")}
    return {
        "version": 2,
        "seed": plan.seed,
        "mpp": plan.mpp,
        "size_px": [plan.width, plan.height],
        "roi": {
            "area_mm2": round(truth.outlines.region().area_px * plan.mpp**2 * 1e-6, 4),
            "cells": int(counts.sum()),
            "counts": {label: int(n) for label, n in zip(HER2_LABELS, counts, strict=True)},
            "percent": {
                label: round(share, 2) for label, share in zip(HER2_LABELS, truth.shares_by_cell, strict=True)
            },
        },
        "optics": {
            "glass": list(plan.scanner.glass),
            "haematoxylin": list(plan.lab.haematoxylin),
            "dab": list(plan.lab.dab),
        },
        "cells": {
            **{name: _whole(values) for name, values in places.items()},
            "her2": truth.her2[chosen].tolist(),
            "kind": [codes.index(kind) for kind in truth.kind[chosen].tolist()],
            "in_roi": truth.counted[chosen].astype(int).tolist(),
            "kinds": list(EPITHELIAL),
        },
    }


def _whole(values: NDArray[np.float32]) -> list[int | None]:
    return [None if np.isnan(value) else round(float(value)) for value in values]
