"""The truth of a phantom slide as HDF5, and the score that follows from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from her2viewer.domain.shares import Shares
from her2viewer.phantom.flaws import BITS
from her2viewer.phantom.slide_plan import SlidePlan
from her2viewer.phantom.survey import KINDS, LEGEND, NUCLEI, Survey

FORMAT = "her2viewer-truth"
VERSION = 1
GUIDELINES = {"breast": "asco_cap_2018_2023", "gastric": "gastric_2016_resection"}


def score_of(survey: Survey, organ: str) -> str:
    """Score of the default guideline for the shares by cell, "0" to "3+" ("" where none follows)."""
    from her2viewer.guidelines.engine import decide
    from her2viewer.guidelines.profiles import load_profiles

    profile = load_profiles()[GUIDELINES[organ]]
    shares = Shares.from_percent(survey.shares_by_cell)
    score = decide(profile, shares, by_program=False).score
    return score[:-1] if score.startswith("0") and score.endswith("+") else score


def write_truth(path: Path, plan: SlidePlan, survey: Survey, stain: str) -> None:
    """Write what is true of a slide.

    Root attributes: format, version, seed, recipe (TOML), organ, stain, lab, scanner, mpp, width, height,
    background, stain_vectors (rows haematoxylin and DAB, or haematoxylin and eosin), shares_by_cell and
    shares_by_surface (% of 0, 1+, 2+, 3+ in the ROI), score. ``/cells``: x, y (level-0 px), kind, her2 (255: no
    tumour cell), dab (mean OD on the whole outline), completeness, radius (nucleus, px), nucleus_x, nucleus_y (its
    centre, level-0 px; NaN where the section has missed it), nucleus (names in the attribute ``nuclei``), counted.
    ``/masks``: tissue, her2, quality, every ``step`` px.
    """
    import h5py

    lab, scanner = plan.lab, plan.scanner
    her2 = np.where(np.isin(survey.kind, (1, 2)), survey.her2, 255).astype(np.uint8)
    packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "track_times": False}
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        file.attrs["seed"], file.attrs["recipe"] = plan.seed, plan.recipe.to_toml()
        file.attrs["organ"], file.attrs["stain"] = plan.recipe.tissue.organ, stain
        file.attrs["lab"], file.attrs["scanner"] = lab.name, scanner.name
        file.attrs["mpp"], file.attrs["width"], file.attrs["height"] = plan.mpp, plan.width, plan.height
        file.attrs["background"] = np.array(scanner.glass)
        file.attrs["stain_vectors"] = np.array([lab.haematoxylin, lab.eosin if stain == "he" else lab.dab])
        file.attrs["shares_by_cell"] = np.array(survey.shares_by_cell)
        file.attrs["shares_by_surface"] = np.array(survey.shares_by_surface)
        file.attrs["score"] = score_of(survey, plan.recipe.tissue.organ)
        cells = file.create_group("cells")
        cells.attrs["kinds"], cells.attrs["nuclei"] = json.dumps(KINDS), json.dumps(NUCLEI)
        columns: dict[str, Any] = {
            "x": survey.x, "y": survey.y, "kind": survey.kind, "her2": her2, "dab": survey.dab,
            "completeness": survey.completeness, "radius": survey.radius, "nucleus_x": survey.nucleus_x,
            "nucleus_y": survey.nucleus_y, "nucleus": survey.nucleus,
            "counted": survey.counted.astype(np.uint8),
        }  # fmt: skip
        for name, values in columns.items():
            cells.create_dataset(name, data=values, **(packed if len(values) else {}))
        masks = file.create_group("masks")
        legends = {
            "tissue": (survey.tissue, {str(code): name for code, name in enumerate(LEGEND)}),
            "her2": (survey.her2_mask, {"0": "0", "1": "1+", "2": "2+", "3": "3+", "255": "none"}),
            "quality": (survey.quality, {str(bit): name for name, bit in BITS.items()}),
        }
        for name, (mask, legend) in legends.items():
            data = masks.create_dataset(name, data=mask, chunks=True, **packed)
            data.attrs["step"], data.attrs["legend"] = survey.step, json.dumps(legend)
