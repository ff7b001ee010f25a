"""The bundled sample slide: a small synthetic HER2 slide with its outlines and its truth."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from her2viewer.domain.annotation import DEFAULT_CLASS, Annotation, AnnotationSet, Role
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.phantom.fields import Window
from her2viewer.phantom.pyramid import reduced, write_pyramid
from her2viewer.phantom.render import DAB, GLASS, HAEMATOXYLIN, Painter
from her2viewer.phantom.tissue import HEIGHT, MPP, WIDTH, Kind, Plan, plan_sample
from her2viewer.slides.slide import RGBImage

SEED = 7
MAGNIFICATION = 40
QUALITY = 72
LEVELS = (4, 16)
BLOCK = 1024
_NAMESPACE = uuid.UUID("6f1f5f0e-6a3a-5b0b-9f0c-0f6c3f5a7d11")


@dataclass(frozen=True)
class SampleFiles:
    """Where the parts of a sample were written."""

    slide: Path
    outlines: Path
    truth: Path


def make_sample(path: Path, seed: int = SEED) -> SampleFiles:
    """Write the sample slide to ``path`` (.tif), and beside it its outlines (.geojson) and truth (.truth.json).

    The same seed gives the same plan, outlines and truth everywhere; it gives the same bytes of the slide with the
    same versions of numpy, OpenCV and the JPEG library on the same kind of processor. Takes about half a minute.
    """
    plan = plan_sample(seed)
    write_pyramid(path, reduced(render_sample(plan), LEVELS), mpp=MPP, magnification=MAGNIFICATION, quality=QUALITY)
    files = SampleFiles(path, path.with_suffix(".geojson"), path.with_suffix(".truth.json"))
    files.outlines.write_text(json.dumps(sample_geojson(plan), indent=1) + "\n", encoding="utf-8")
    files.truth.write_text(json.dumps(sample_truth(plan), separators=(",", ":")) + "\n", encoding="utf-8")
    return files


def render_sample(plan: Plan) -> RGBImage:
    """All pixels of the slide at full resolution, (HEIGHT, WIDTH, 3) uint8 RGB."""
    painter = Painter(plan)
    image = np.empty((HEIGHT, WIDTH, 3), dtype=np.uint8)
    for y in range(0, HEIGHT, BLOCK):
        for x in range(0, WIDTH, BLOCK):
            window = Window(x, y, min(BLOCK, WIDTH - x), min(BLOCK, HEIGHT - y))
            image[y : y + window.height, x : x + window.width] = painter.render(window)
    return image


def sample_annotations(plan: Plan) -> AnnotationSet:
    """What a pathologist would outline on the sample: ROI, exclusions, control pellets."""
    items = []
    for name, polygon in plan.outlines.items():
        role, class_name = _meaning(name)
        annotation = Annotation(
            geometry=polygon,
            role=role,
            class_name=class_name,
            color=DEFAULT_CLASS[role][1],
            name=name,
            id=str(uuid.uuid5(_NAMESPACE, f"{plan.seed} {name}")),
        )
        items.append(annotation)
    return AnnotationSet(tuple(items))


def _meaning(name: str) -> tuple[Role, str]:
    if name.startswith("Control"):
        return Role.CONTROL, "Control"
    if name.startswith("In situ"):
        return Role.EXCLUDE, "In situ carcinoma"
    if name.startswith("Benign"):
        return Role.EXCLUDE, "Benign gland"
    return Role.ROI, "Tumor"


def sample_geojson(plan: Plan) -> Mapping[str, Any]:
    """The outlines as QuPath reads and writes them."""
    features = []
    for annotation in sample_annotations(plan):
        color = annotation.color or (0, 0, 0)
        features.append(
            {
                "type": "Feature",
                "id": annotation.id,
                "geometry": shapely.geometry.mapping(annotation.geometry),
                "properties": {
                    "objectType": "annotation",
                    "name": annotation.name,
                    "classification": {"name": annotation.class_name, "color": list(color)},
                    "metadata": {"her2viewer:role": str(annotation.role)},
                },
            }
        )
    return {"type": "FeatureCollection", "features": features}


def sample_truth(plan: Plan) -> Mapping[str, Any]:
    """What was drawn: counts and shares inside the ROI less the exclusions, and every epithelial cell."""
    cells = plan.cells
    region = sample_annotations(plan).region()
    inside = region.contains_points(cells.x, cells.y) & (cells.kind == Kind.INVASIVE)
    counts = np.bincount(cells.her2[inside], minlength=4)[:4]
    return {
        "version": 1,
        "seed": plan.seed,
        "mpp": MPP,
        "size_px": [WIDTH, HEIGHT],
        "roi": {
            "area_mm2": round(region.area_px * MPP * MPP * 1e-6, 4),
            "cells": int(counts.sum()),
            "counts": {label: int(n) for label, n in zip(HER2_LABELS, counts, strict=True)},
            "percent": {
                label: round(100 * float(n) / float(counts.sum()), 2)
                for label, n in zip(HER2_LABELS, counts, strict=True)
            },
        },
        "optics": {"glass": GLASS, "haematoxylin": HAEMATOXYLIN, "dab": DAB},
        "cells": {
            "x": np.round(cells.x).astype(int).tolist(),
            "y": np.round(cells.y).astype(int).tolist(),
            "her2": cells.her2.tolist(),
            "kind": cells.kind.tolist(),
            "in_roi": inside.astype(int).tolist(),
            "kinds": [kind.name.lower().replace("_", " ") for kind in Kind],
        },
    }
