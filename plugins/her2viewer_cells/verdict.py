"""When the scorer gives no answer, and what the reader is told beside an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import (
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
    too_coarse,
    wrong_section,
)
from her2viewer_cells.classes import ARTEFACT, SCHEME

TOO_COARSE_UM = 0.75
"""um/px beyond which the network, made for 0.49 um/px, would see an enlarged picture."""
TISSUE_MM2 = 0.002
SHARPNESS = 0.17
"""Median over samples at 0.5 um/px below which all is out of focus (blurred by 1.5 um)."""
NUCLEAR_SHARE = 0.40
TUMOUR_CELLS = 20
FEW_CELLS = 200
"""A warning below."""
ARTEFACTS = 0.30
"""Share of artefacts among all that was found from which the reader is told."""
UNSURE = 0.5
"""Probability of a cell's class below which the network is unsure of it."""
UNSURE_SHARE = 0.25
"""Share of such tumour cells from which the reader is told."""
CONCORDANT, DISCORDANT = 0.71, 1.04
"""Median entropy of slides on which program and pathologist agreed, and on which they did not (paper, figure 6)."""


@dataclass
class Tally:
    """What comes together over the tiles."""

    pixel_size: PixelSize
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(SCHEME.names), np.int64))
    """Cells by class."""
    unsure: int = 0
    """Tumour cells whose class is likelier wrong than right."""
    artefacts_mm2: dict[int, float] = field(default_factory=dict)
    """Area by code of ``Quality``."""
    unread: int = 0
    """Tiles that cannot be read."""

    def add(self, table: CellTable, quality: ClassMap | None) -> None:
        """Count one tile."""
        self.counts += np.bincount(table.classes, minlength=len(self.counts))
        if table.probabilities is not None:
            tumour = np.asarray(SCHEME.her2)[table.classes] >= 0
            self.unsure += int((table.probabilities[tumour].max(axis=1, initial=0) < UNSURE).sum())
        if quality is not None:
            for code in Quality:
                area = self.pixel_size.mm2(int((quality.classes == code).sum()) * quality.grid.step**2)
                if area:
                    self.artefacts_mm2[code] = self.artefacts_mm2.get(code, 0.0) + area

    @property
    def tumour(self) -> NDArray[np.int64]:
        """Tumour cells in 0, 1+, 2+, 3+."""
        return self.counts[np.asarray(SCHEME.her2) >= 0]

    @property
    def entropy(self) -> float:
        """Shannon entropy (natural logarithm) of the four shares; 0 where there are no tumour cells."""
        part = self.tumour[self.tumour > 0] / max(int(self.tumour.sum()), 1)
        return float(-(part * np.log(part)).sum())


def before_anything(native_um: float) -> NotAssessable | None:
    """The reason that the pixel size alone gives."""
    return too_coarse(native_um, TOO_COARSE_UM, "the network has not seen cells")


def before_cells(estimate: StainEstimate) -> NotAssessable | None:
    """Reasons that an overview and sample patches show."""
    reason = wrong_section(estimate, TISSUE_MM2)
    if reason is None and estimate.sharpness < SHARPNESS:
        reason = NotAssessable(
            "out_of_focus",
            "The outlined region is out of focus: membranes cannot be told from cytoplasm.",
            "Scan the slide again, or outline a sharp area.",
        )
    return reason


def after_cells(tally: Tally) -> NotAssessable | None:
    """Reasons that only the cells show; for a region that was scored as a whole."""
    found = int(tally.tumour.sum())
    if found >= TUMOUR_CELLS:
        return None
    return NotAssessable(
        "few_cells",
        f"Only {found} tumour cells were found in the outlined region; at least {TUMOUR_CELLS} are needed.",
        "Outline a larger area of invasive carcinoma. If nuclei are pale, lower 'Nucleus contrast'.",
    )


def warnings_for(estimate: StainEstimate, tally: Tally, tiles: int, *, entire: bool) -> list[ResultWarning]:
    """What the reader must know beside the answer.

    Args:
        estimate: of the slide.
        tally: of the cells that were scored now.
        tiles: how many there were.
        entire: whether these are all cells of the reader's region.
    """
    found = [*about_glass(estimate), *about_vectors(estimate)]
    found += about_artefacts(tally.artefacts_mm2, "their cells count")
    tumour, everything = int(tally.tumour.sum()), int(tally.counts.sum())
    if entire and TUMOUR_CELLS <= tumour < FEW_CELLS:
        text = f"Only {tumour} tumour cells were counted: shares are uncertain."
        found.append(ResultWarning("few_cells", text, of_region=True))
    if tally.counts[ARTEFACT] > ARTEFACTS * max(everything, 1):
        text = (
            f"{100 * tally.counts[ARTEFACT] / everything:.0f} % of what was found are artefacts to the network. "
            "Compare the cells with the tissue."
        )
        found.append(ResultWarning("many_artefacts", text))
    if tally.unsure > UNSURE_SHARE * max(tumour, 1):
        text = (
            f"The network is unsure of the class of {100 * tally.unsure / tumour:.0f} % of the tumour cells: this "
            "slide may be unlike those that it was trained on."
        )
        found.append(ResultWarning("unsure", text))
    if entire and tumour >= TUMOUR_CELLS and tally.entropy >= DISCORDANT:
        text = (
            f"Staining is heterogeneous: the Shannon entropy of the four shares is {tally.entropy:.2f}. On slides on "
            f"which program and pathologist disagreed it was {DISCORDANT:.2f} in the middle, on others "
            f"{CONCORDANT:.2f}: a second opinion may help."
        )
        found.append(ResultWarning("heterogeneous", text, of_region=True))
    if tally.unread:
        text = f"{tally.unread} of {tiles} areas of the slide could not be read and were left out."
        found.append(ResultWarning("unread", text))
    return found
