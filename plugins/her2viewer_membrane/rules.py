"""Limits and tables of the scorer: read from ``cutoffs.toml``, overruled by the settings of a run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from her2viewer.api import HER2_LABELS, CellReach, Entered, ScorerError, entered_stains
from her2viewer_membrane.nuclei import NucleusRules

PATTERNS = ("none", "incomplete", "basolateral", "complete")
"""Codes of the feature ``pattern``, in this order."""
INTENSITIES = ("none", "faint", "moderate", "intense")


@dataclass(frozen=True)
class MembraneRules:
    """Densities in OD, the rest shares of the ring."""

    faint: float
    moderate: float
    intense: float
    contrast: float
    incomplete: float
    basolateral: float
    complete: float


@dataclass(frozen=True)
class NotTumourRules:
    """Which cells are left out; see ``cutoffs.toml``."""

    lymphocyte_area_max: float
    lymphocyte_roundness: float
    dark: float
    stroma_roundness: float
    stroma_dark_roundness: float
    debris_area_max: float
    grey_hue: float
    stained: float
    lymphocytes: bool = True
    stroma: bool = True


@dataclass(frozen=True)
class VerdictRules:
    """When there is no answer."""

    tissue_mm2: float
    sharpness: float
    soft: float
    blurred: float
    tumour_cells: int
    nuclear_share: float
    few_cells: int
    anyway: bool = False
    artefacts: bool = True


@dataclass(frozen=True)
class Rules:
    """Everything that one run goes by."""

    nuclei: NucleusRules
    cells: CellReach
    membrane: MembraneRules
    table: tuple[tuple[int, ...], ...]
    """HER2 class 0 to 3 by intensity (row) and pattern (column)."""
    not_tumour: NotTumourRules
    verdict: VerdictRules
    entered: Entered
    for_calibration: bool = False
    """Keep the membrane sector by sector, so that cells can be classed anew under other limits."""


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "cutoffs.toml").read_text(encoding="utf-8"))


def _table(name: str) -> tuple[tuple[int, ...], ...]:
    rows = _file()["tables"][name]
    unstained = (0,) * len(PATTERNS)
    stained = ((0, *(HER2_LABELS.index(rows[i][p]) for p in PATTERNS[1:])) for i in INTENSITIES[1:])
    return (unstained, *stained)


def rules_for(settings: Mapping[str, Any]) -> Rules:
    """The shipped limits with the settings of a run over them.

    Raises:
        ScorerError: settings contradict one another, or a stain setting is not three numbers.
    """
    data = _file()
    membrane = replace(
        MembraneRules(**data["membrane"]),
        faint=float(settings["faint"]),
        moderate=float(settings["moderate"]),
        intense=float(settings["intense"]),
        complete=float(settings["complete"]) / 100,
    )
    if not membrane.faint < membrane.moderate < membrane.intense:
        raise ScorerError(
            f"The limits must rise from faint ({membrane.faint:g} OD) over weak to moderate ({membrane.moderate:g} "
            f"OD) to intense ({membrane.intense:g} OD). Change them in the settings of the scorer."
        )
    return Rules(
        nuclei=replace(NucleusRules(**data["nuclei"]), contrast=float(settings["nucleus_contrast"])),
        cells=replace(CellReach(**data["cells"]), expansion=float(settings["expansion"])),
        membrane=membrane,
        table=_table(settings["table"]),
        not_tumour=NotTumourRules(
            **data["not_tumour"],
            lymphocytes=bool(settings["leave_out_lymphocytes"]),
            stroma=bool(settings["leave_out_stroma"]),
        ),
        verdict=VerdictRules(
            **data["verdict"], anyway=bool(settings["score_anyway"]), artefacts=bool(settings["leave_out_artefacts"])
        ),
        entered=entered_stains(settings),
    )
