"""Whether a slide can be assessed at all, and what a reader must know of stain, glass, focus and artefacts.

The same sentences for every scorer of HER2 immunohistochemistry. A scorer calls them in the order in which it learns
things: pixel size, overview, fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from her2viewer.domain.result import NotAssessable, ResultWarning
from her2viewer.scoring.contract import ScorerError
from her2viewer.stains.artefacts import QUALITY_SCHEME, Quality
from her2viewer.stains.estimate import Entered, StainEstimate
from her2viewer.stains.kind import CompactDab, StainKind

DARK_LEVEL = 60.0
"""Grey level below which even the brightest spots are no glass seen through tissue."""
ARTEFACT_MM2 = 0.005
"""Area of artefacts from which the reader is told."""
NUCLEAR_SPOTS = 15
"""Brown nuclei below which a nuclear stain is not claimed."""
NUCLEAR_AREA = 0.002
"""Share of brown pixels below which it is not claimed either."""


def too_coarse(native_um: float, limit_um: float, why: str) -> NotAssessable | None:
    """The reason that the pixel size alone gives; ``why``: "membranes cannot be seen"."""
    if native_um <= limit_um:
        return None
    return NotAssessable(
        "too_coarse",
        f"The slide has {native_um:.3g} um/px; {why} beyond {limit_um:g} um/px.",
        "Check the pixel size, or scan with a 20x or 40x objective.",
    )


def wrong_section(estimate: StainEstimate, least_mm2: float) -> NotAssessable | None:
    """Reasons that an overview shows: black, empty, unstained, H&E."""
    if not estimate.background_measured and max(estimate.background) < DARK_LEVEL:
        return NotAssessable(
            "too_dark",
            f"The picture is nearly black: its brightest spots have {grey_levels(estimate)}, where glass has 150 to "
            "255.",
            "Scan the slide again, or outline a part that was scanned.",
        )
    if estimate.tissue_mm2 < least_mm2:
        return NotAssessable(
            "no_tissue",
            f"There is hardly any tissue in the outlined region: {1e6 * estimate.tissue_mm2:.0f} µm², and at least "
            f"{1e6 * least_mm2:.0f} µm² is needed. It may be empty glass or an unstained section.",
            "Outline an area with stained tissue, or enter the glass colour if it was measured wrongly "
            f"({grey_levels(estimate)}, {estimate.background_source}).",
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
    return None


def nuclear_stain(dab: CompactDab, share: float) -> NotAssessable | None:
    """The reason that fields show: DAB in nuclei. ``share`` of the brown area from which it is claimed."""
    if dab.compact_share < share or dab.spots < NUCLEAR_SPOTS or dab.stained_share < NUCLEAR_AREA:
        return None
    return NotAssessable(
        "nuclear_stain",
        "The brown stain lies in the nuclei, not on the membranes: this looks like a nuclear marker such as "
        f"Ki-67 or a hormone receptor ({100 * dab.compact_share:.0f} % of the brown area has the shape of nuclei).",
        "Open the HER2 slide of this case. If this is one, switch on 'Score even if the stain looks wrong'.",
    )


def averaged(found: list[CompactDab]) -> CompactDab:
    """Of several fields, weighted by their brown area."""
    stained = sum(f.stained_share for f in found)
    compact = sum(f.compact_share * f.stained_share for f in found) / stained if stained else 0.0
    return CompactDab(stained / max(len(found), 1), compact, sum(f.spots for f in found))


def about_glass(estimate: StainEstimate) -> list[ResultWarning]:
    """Glass that was not found, or is unusual."""
    if not estimate.background_measured:
        return [
            ResultWarning(
                "no_glass",
                f"No empty glass was found; the glass colour is a guess ({grey_levels(estimate)}) and all densities "
                "may be too low. Enter the glass colour if you know it.",
            )
        ]
    if min(estimate.background) < 200 or max(estimate.background) - min(estimate.background) > 25:
        text = f"The glass is unusually dark or tinted ({grey_levels(estimate)}): check it."
        return [ResultWarning("unusual_glass", text)]
    return []


def about_vectors(estimate: StainEstimate) -> list[ResultWarning]:
    """Stain vectors that could not be estimated."""
    found = []
    for name, source in (("haematoxylin", estimate.haematoxylin_source), ("DAB", estimate.dab_source)):
        # Too little DAB is what HER2 0 looks like, and no reason to worry.
        if source.startswith("usual vector") and "too little" not in source:
            found.append(ResultWarning("usual_vector", f"Stain vector of {name}: {source}."))
    return found


def about_artefacts(areas_mm2: Mapping[int, float], what_counts: str) -> list[ResultWarning]:
    """What was left out, by code of ``Quality``, and folds, which are not; ``what_counts``: "their cells count"."""
    found = []
    out = {code: area for code, area in areas_mm2.items() if code != Quality.FOLD}
    if sum(out.values()) >= ARTEFACT_MM2:
        parts = ", ".join(f"{QUALITY_SCHEME.names[code]} {area:.2g} mm²" for code, area in sorted(out.items()))
        text = f"Left out as not assessable: {parts}. Layer 'Image quality' shows where."
        found.append(ResultWarning("artefacts", text))
    fold = areas_mm2.get(Quality.FOLD, 0.0)
    if fold >= ARTEFACT_MM2:
        found.append(
            ResultWarning(
                "folds",
                f"There may be folds ({fold:.2g} mm², layer 'Image quality'): staining looks stronger in them, and "
                f"{what_counts}. Exclude them by an outline.",
            )
        )
    return found


def entered_stains(settings: Mapping[str, Any]) -> Entered:
    """Glass colour and stain vectors that the reader entered in the settings of these names.

    Raises:
        ScorerError: one of them is not three numbers in range.
    """
    return Entered(
        background=_triple(settings["background"], "Glass colour", 1.0, 255.0),
        haematoxylin=_triple(settings["haematoxylin"], "Haematoxylin vector", 0.0, 2.0),
        dab=_triple(settings["dab"], "DAB vector", 0.0, 2.0),
    )


def grey_levels(estimate: StainEstimate) -> str:
    """The glass as printed."""
    return "RGB " + " ".join(f"{v:.0f}" for v in estimate.background)


def _triple(text: str, name: str, low: float, high: float) -> tuple[float, float, float] | None:
    parts = text.replace(",", " ").replace(";", " ").split()
    if not parts:
        return None
    try:
        values = [float(p) for p in parts]
    except ValueError:
        values = []
    if len(values) != 3 or not all(low <= v <= high for v in values) or max(values) <= 0:
        raise ScorerError(
            f"{name} must be three numbers from {low:g} to {high:g}, not {text!r}. "
            "Leave it empty to have it estimated."
        )
    return (values[0], values[1], values[2])
