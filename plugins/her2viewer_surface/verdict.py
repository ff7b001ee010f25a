"""When the scorer gives no answer, and what the reader is told beside an answer."""

from __future__ import annotations

from her2viewer.api import (
    NotAssessable,
    ResultWarning,
    StainEstimate,
    about_artefacts,
    about_glass,
    too_coarse,
    wrong_section,
)
from her2viewer_surface.blocks import Tally

TOO_COARSE_UM = 1.2
"""um/px beyond which the networks, made for 1 um/px, would see an enlarged picture."""
TISSUE_MM2 = 0.01
SHARPNESS = 0.17
"""Median over samples at 0.5 um/px below which all is out of focus (blurred by 1.5 um)."""
NUCLEAR_SHARE = 0.40
TUMOUR_MM2 = 0.02
"""Five patches: less tumour has no shares."""
LITTLE_MM2 = 0.25
"""Tumour below which shares are uncertain."""
NOT_CLASSED = 0.15
"""Share of the tumour in patches of 10 % and less from which the reader is told (paper: 4 % on average)."""


def before_anything(native_um: float) -> NotAssessable | None:
    """The reason that the pixel size alone gives."""
    return too_coarse(native_um, TOO_COARSE_UM, "the networks have not seen tissue")


def before_networks(estimate: StainEstimate) -> NotAssessable | None:
    """Reasons that an overview and sample patches show."""
    reason = wrong_section(estimate, TISSUE_MM2)
    if reason is None and estimate.sharpness < SHARPNESS:
        reason = NotAssessable(
            "out_of_focus",
            "The outlined region is out of focus: tumour cannot be told from stroma.",
            "Scan the slide again, or outline a sharp area.",
        )
    return reason


def after_all(tally: Tally) -> NotAssessable | None:
    """Reasons that only the tumour shows; for a region that was scored as a whole."""
    if tally.counted_mm2 >= TUMOUR_MM2:
        return None
    return NotAssessable(
        "little_tumour",
        f"Only {tally.counted_mm2:.3f} mm² of invasive tumour was found in the outlined region; at least "
        f"{TUMOUR_MM2:g} mm² is needed.",
        "Outline the invasive carcinoma. If the network misses it, lower 'Tumour from', or score with membrane.",
    )


def warnings_for(estimate: StainEstimate, tally: Tally, blocks: int, *, entire: bool) -> list[ResultWarning]:
    """What the reader must know beside the answer.

    Args:
        estimate: of the slide.
        tally: of what was scored now.
        blocks: how many there were.
        entire: whether that is the reader's whole region.
    """
    found = [*about_glass(estimate), *about_artefacts(tally.artefacts_mm2, "their surface counts")]
    if entire and TUMOUR_MM2 <= tally.counted_mm2 < LITTLE_MM2:
        found.append(
            ResultWarning(
                "little_tumour",
                f"Only {tally.counted_mm2:.2f} mm² of tumour was classed: shares are uncertain.",
                of_region=True,
            )
        )
    left = tally.tumour_mm2 - tally.counted_mm2
    # Of the whole region or not at all: of a part that was added it would gainsay the share beside the answer.
    if entire and left > NOT_CLASSED * tally.tumour_mm2:
        found.append(
            ResultWarning(
                "not_classed",
                f"{100 * left / tally.tumour_mm2:.0f} % of the tumour lies in patches that hold hardly any (10 % or "
                "less) and is not classed: tumour that grows in single cells is read less well.",
                of_region=True,
            )
        )
    if tally.unread:
        text = f"{tally.unread} of {blocks} areas of the slide could not be read in full; patches there are left out."
        found.append(ResultWarning("unread", text))
    return found
