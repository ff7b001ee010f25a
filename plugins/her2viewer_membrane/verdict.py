"""When the scorer gives no answer, and what the reader is told beside an answer."""

from __future__ import annotations

from her2viewer.api import NotAssessable, ResultWarning, StainEstimate, StainKind
from her2viewer_membrane.rules import Rules
from her2viewer_membrane.survey import Survey

COARSE_UM = 0.6
NUCLEAR_SPOTS = 15
"""Brown nuclei in the survey below which a nuclear stain is not claimed."""
NUCLEAR_AREA = 0.002
"""Share of brown pixels below which it is not claimed either."""


def before_cells(estimate: StainEstimate, rules: Rules) -> NotAssessable | None:
    """Reasons that an overview and sample patches show."""
    limits = rules.verdict
    if estimate.tissue_mm2 < limits.tissue_mm2:
        return NotAssessable(
            "no_tissue",
            f"There is hardly any tissue in the outlined region: {1e6 * estimate.tissue_mm2:.0f} um2, and at least "
            f"{1e6 * limits.tissue_mm2:.0f} um2 is needed. It may be empty glass or an unstained section.",
            "Outline an area with stained tissue, or enter the glass colour if it was measured wrongly "
            f"({_rgb(estimate)}, {estimate.background_source}).",
        )
    if estimate.kind is StainKind.UNSTAINED:
        return NotAssessable(
            "unstained",
            "The tissue in the outlined region is not stained: no nuclei in blue and no DAB in brown.",
            "Check that this is the stained section; outline another area or scan the slide again.",
        )
    if estimate.kind is StainKind.HE:
        return NotAssessable(
            "not_ihc_he",
            "This looks like haematoxylin and eosin, not a HER2 immunohistochemistry: "
            f"{100 * estimate.eosin_share:.0f} % of the stained pixels have the hue of eosin.",
            "Open the HER2 slide of this case. If this is one, switch on 'Score even if the stain looks wrong'.",
        )
    if estimate.sharpness < limits.sharpness:
        return NotAssessable(
            "out_of_focus",
            "The outlined region is out of focus: membranes cannot be told from cytoplasm.",
            "Scan the slide again, or outline a sharp area.",
        )
    return None


def after_survey(survey: Survey, rules: Rules) -> NotAssessable | None:
    """Reasons that some fields show."""
    dab = survey.dab
    if (
        dab.compact_share >= rules.verdict.nuclear_share
        and dab.spots >= NUCLEAR_SPOTS
        and dab.stained_share >= NUCLEAR_AREA
    ):
        return NotAssessable(
            "nuclear_stain",
            "The brown stain lies in the nuclei, not on the membranes: this looks like a nuclear marker such as "
            f"Ki-67 or a hormone receptor "
            f"({100 * dab.compact_share:.0f} % of the brown area has the shape of nuclei).",
            "Open the HER2 slide of this case. If this is one, switch on 'Score even if the stain looks wrong'.",
        )
    return None


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
    estimate: StainEstimate, native_um: float, tumour_cells: int | None, faint_cells: float | None, rules: Rules
) -> tuple[ResultWarning, ...]:
    """What the reader must know beside the answer.

    Args:
        estimate: of the slide.
        native_um: um/px of level 0.
        tumour_cells: in the whole region; None where only a part was scored now.
        faint_cells: share 0 to 1 of tumour cells whose membrane lies within 0.03 OD of the faint limit, or None.
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
    if not estimate.background_measured:
        found.append(
            ResultWarning(
                "no_glass",
                f"No empty glass was found; the glass colour is a guess ({_rgb(estimate)}) and all densities may be "
                "too low. Enter the glass colour if you know it.",
            )
        )
    elif min(estimate.background) < 200 or max(estimate.background) - min(estimate.background) > 25:
        found.append(
            ResultWarning("unusual_glass", f"The glass is unusually dark or tinted ({_rgb(estimate)}): check it.")
        )
    if 0 < estimate.sharpness < rules.verdict.soft:
        found.append(
            ResultWarning(
                "soft_focus",
                f"The region is not quite in focus (sharpness {estimate.sharpness:.2f}; sharp slides have "
                "0.35 to 0.9): "
                "thin membranes come out paler and less complete than they are.",
            )
        )
    for name, source in (("haematoxylin", estimate.haematoxylin_source), ("DAB", estimate.dab_source)):
        # Too little DAB is what HER2 0 looks like, and no reason to worry.
        if source.startswith("usual vector") and "too little" not in source:
            found.append(ResultWarning("usual_vector", f"Stain vector of {name}: {source}."))
    if tumour_cells is not None and tumour_cells < rules.verdict.few_cells:
        found.append(
            ResultWarning("few_cells", f"Only {tumour_cells} tumour cells were counted: shares are uncertain.")
        )
    if faint_cells is not None and faint_cells > 0.2:
        found.append(
            ResultWarning(
                "near_faint_limit",
                f"{100 * faint_cells:.0f} % of the tumour cells lie within 0.03 OD of the limit between no and faint "
                "staining: 0 against 1+ is close to what the scanner can tell.",
            )
        )
    return tuple(found)


def _rgb(estimate: StainEstimate) -> str:
    return "RGB " + " ".join(f"{v:.0f}" for v in estimate.background)
