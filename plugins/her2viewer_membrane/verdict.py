"""When the scorer gives no answer, and what the reader is told beside an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from her2viewer.api import (
    HER2_LABELS,
    CellTable,
    ClassMap,
    NotAssessable,
    PixelSize,
    Quality,
    ResultWarning,
    StainEstimate,
    about_artefacts,
    about_glass,
    about_vectors,
    nuclear_stain,
    too_coarse,
    wrong_section,
)
from her2viewer_membrane.cells import NOT_TUMOUR
from her2viewer_membrane.rules import Rules
from her2viewer_membrane.survey import Survey

COARSE_UM = 0.6
"""um/px beyond which a warning is due."""
TOO_COARSE_UM = 1.2
"""um/px beyond which a membrane is less than a pixel wide."""
CYTOPLASM_OD = 0.15
CYTOPLASM_RATIO = 0.6
"""Cytoplasm this dense, and this dense against its membrane, hides the membrane."""
CYTOPLASM_SHARE = 0.1
NEAR_OD = 0.03
PALE_OD = 0.10
CONTROL_CELLS = 50
CONTROL_INTENSE = 5.0
"""Percent of 3+ cells that a control region with a 3+ part has at least."""


@dataclass
class Tally:
    """What is counted while the cells come in."""

    nucleus_od: float
    """Median haematoxylin OD of the larger nuclei."""
    tumour: int = 0
    near_faint: int = 0
    """Tumour cells whose membrane lies within ``NEAR_OD`` of the faint limit."""
    cytoplasmic: int = 0
    """Tumour cells whose cytoplasm is brown enough to hide the membrane."""
    artefacts_mm2: dict[int, float] = field(default_factory=dict)
    """Area by code of ``Quality``."""

    def add(self, table: CellTable, rules: Rules) -> None:
        """Count the cells of one tile."""
        counted = table.classes != NOT_TUMOUR
        membrane, cytoplasm = table.features["membrane_od"][counted], table.features["cytoplasm_od"][counted]
        self.tumour += int(counted.sum())
        self.near_faint += int((np.abs(membrane - rules.membrane.faint) < NEAR_OD).sum())
        self.cytoplasmic += int(((cytoplasm > CYTOPLASM_OD) & (cytoplasm > CYTOPLASM_RATIO * membrane)).sum())

    def add_quality(self, quality: ClassMap | None, pixel_size: PixelSize) -> None:
        """Add up the artefacts of one tile."""
        if quality is None:
            return
        for code in Quality:
            area = pixel_size.mm2(int((quality.classes == code).sum()) * quality.grid.step**2)
            if area:
                self.artefacts_mm2[code] = self.artefacts_mm2.get(code, 0.0) + area


def before_anything(native_um: float) -> NotAssessable | None:
    """The reason that the pixel size alone gives."""
    return too_coarse(native_um, TOO_COARSE_UM, "membranes cannot be seen")


def before_cells(estimate: StainEstimate, rules: Rules) -> NotAssessable | None:
    """Reasons that an overview and sample patches show."""
    reason = wrong_section(estimate, rules.verdict.tissue_mm2)
    if reason is None and estimate.sharpness < rules.verdict.sharpness:
        reason = NotAssessable(
            "out_of_focus",
            "The outlined region is out of focus: membranes cannot be told from cytoplasm.",
            "Scan the slide again, or outline a sharp area.",
        )
    return reason


def after_survey(survey: Survey, rules: Rules) -> NotAssessable | None:
    """Reasons that some fields show."""
    return nuclear_stain(survey.dab, rules.verdict.nuclear_share)


def after_cells(tumour_cells: int, rules: Rules) -> NotAssessable | None:
    """Reasons that only the cells show; for a region that was scored as a whole."""
    least = rules.verdict.tumour_cells
    if tumour_cells < least:
        return NotAssessable(
            "few_cells",
            f"Only {tumour_cells} tumour cells were found in the outlined region; at least {least} are needed.",
            "Outline a larger area of invasive carcinoma. If nuclei are pale, lower 'Nucleus contrast'.",
        )
    return None


def warnings_for(
    estimate: StainEstimate, native_um: float, tally: Tally | None, *, entire: bool, rules: Rules
) -> tuple[ResultWarning, ...]:
    """What the reader must know beside the answer.

    Args:
        estimate: of the slide.
        native_um: um/px of level 0.
        tally: of the cells scored now; None where there are none.
        entire: whether these are all cells of the reader's region.
        rules: limits.
    """
    found = []
    if native_um > COARSE_UM:
        found.append(
            ResultWarning(
                "coarse_pixels",
                f"The slide has {native_um:.2f} um/px; membranes need 0.5 um/px (20x) or finer. "
                "Completeness is less reliable.",
            )
        )
    found += about_glass(estimate)
    if 0 < estimate.sharpness < rules.verdict.soft:
        found.append(
            ResultWarning(
                "soft_focus",
                f"The region is not quite in focus (sharpness {estimate.sharpness:.2f}; sharp slides have "
                "0.4 to 0.9): "
                "thin membranes come out paler and less complete than they are.",
            )
        )
    if tally is None:
        return tuple(found)
    found += about_vectors(estimate)
    return (*found, *_about_cells(tally, entire, rules))


def about_control(cells: int, percent: list[float]) -> list[ResultWarning]:
    """What the on-slide control tissue says about the staining; ``percent`` by class 0, 1+, 2+, 3+."""
    shares = ", ".join(f"{label} {p:.0f} %" for label, p in zip(HER2_LABELS, percent, strict=True))
    if cells < CONTROL_CELLS:
        text = f"Only {cells} cells were found in the control tissue: too few to judge the staining by."
        return [ResultWarning("control_few_cells", text)]
    if percent[3] < CONTROL_INTENSE:
        return [
            ResultWarning(
                "control_weak",
                f"The control tissue has hardly any 3+ cells ({shares}). If it holds a 3+ control, the staining is "
                "too weak or the limits do not fit this slide.",
            )
        ]
    return []


def _about_cells(tally: Tally, entire: bool, rules: Rules) -> list[ResultWarning]:
    found = about_artefacts(tally.artefacts_mm2, "their cells count")
    if entire and tally.tumour < rules.verdict.few_cells:
        found.append(
            ResultWarning(
                "few_cells",
                f"Only {tally.tumour} tumour cells were counted: shares are uncertain.",
                of_region=True,
            )
        )
    if tally.nucleus_od < PALE_OD:
        found.append(
            ResultWarning(
                "pale_nuclei",
                f"Nuclei are pale (haematoxylin {tally.nucleus_od:.2f} OD, usual 0.11 to 0.2): many may be missed. "
                "Compare the cells with the tissue; a lower 'Nucleus contrast' finds more.",
            )
        )
    number = max(tally.tumour, 1)
    if tally.near_faint > 0.2 * number:
        found.append(
            ResultWarning(
                "near_faint_limit",
                f"{100 * tally.near_faint / number:.0f} % of the tumour cells lie within {NEAR_OD} OD of the limit "
                "between no and faint staining: 0 against 1+ is close to what a scanner can tell.",
            )
        )
    if tally.cytoplasmic > CYTOPLASM_SHARE * number:
        found.append(
            ResultWarning(
                "cytoplasmic",
                f"In {100 * tally.cytoplasmic / number:.0f} % of the tumour cells the cytoplasm is brown too and may "
                "hide the membrane: judge the pattern by eye.",
            )
        )
    return found
