"""What a report says, as values: made once by ``build``, then written as PDF, JSON or tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from her2viewer.domain.cell_corrections import NO_CELL_CHANGE, NO_CELL_CORRECTIONS, CellChange, CellCorrections
from her2viewer.domain.corrections import NO_CHANGE, NO_CORRECTIONS, Corrections, MaskChange
from her2viewer.domain.palette import DEFAULT_PALETTE
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.result import Result
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.decision import Decision
from her2viewer.slides.slide import RGBImage


class ReportError(Exception):
    """A report cannot be made or written. ``str()`` is a sentence for the reader: what is wrong, what to do."""


@dataclass(frozen=True)
class OwnAnswer:
    """What the pathologist says; every part may still be empty, and then has room on the paper."""

    score: str = ""
    """"0", "1+", "2+", "3+" or other words."""
    comment: str = ""
    name: str = ""
    signed_at: str = ""
    """As printed; ISO 8601 or a date."""
    reason: str = ""
    """Why the own score differs from the computed answer."""


@dataclass(frozen=True)
class Areas:
    """Areas in mm2."""

    roi: float
    """What is to be scored: the outlines less the exclusions."""
    excluded: float
    control: float
    scored: float
    """The part of the ROI that the result covers."""


@dataclass(frozen=True)
class Overview:
    """A picture with outlines: the whole slide, or the region with what the scorer saw."""

    image: RGBImage
    um_per_px: float


@dataclass(frozen=True)
class FieldPicture:
    """One field at working magnification."""

    title: str
    """Why this field: "Where 2+ is densest"."""
    caption: str
    """What it shows, with numbers."""
    x: float
    """Upper left corner, level-0 px."""
    y: float
    side: float
    """Level-0 px."""
    um_per_px: float
    plain: RGBImage
    overlay: RGBImage | None
    """None where the evidence shows nothing to draw."""


@dataclass(frozen=True)
class LegendEntry:
    """One class of the evidence with its colour and how much of it the region holds."""

    name: str
    color: tuple[int, int, int]
    amount: float
    unit: str
    """"cells" or "mm2"."""
    her2: int
    """HER2 class 0 to 3, or -1 where it is not counted."""


@dataclass(frozen=True)
class RegionShares:
    """One outline that counts as tumour, by itself."""

    id: str
    """Of the annotation."""
    name: str
    area_mm2: float
    """Less the exclusions."""
    shares: Shares | None
    reviewed: float | None = None
    """Share 0 to 1 that was looked at closely; None where nobody knows."""


@dataclass(frozen=True)
class Reviewed:
    """How much of the ROI was looked at."""

    share: float
    """0 to 1."""
    magnification: float
    """From which on a look counts, as an objective power."""


@dataclass(frozen=True)
class ReportData:
    """Everything that a report says."""

    case: Mapping[str, str]
    """Label and value in the order of printing: "Case", "Patient (pseudonym)", "Block", "Laboratory"."""
    slide_name: str
    slide_format: str
    slide_identity: str
    """Content hash, hex."""
    slide_size_px: tuple[int, int]
    """Width and height of level 0."""
    pixel_size: PixelSize
    areas: Areas
    result: Result | None
    """None where nothing has been scored."""
    decision: Decision | None
    others: tuple[Decision, ...] = ()
    own: OwnAnswer = OwnAnswer()
    scorer_title: str = ""
    overview: Overview | None = None
    """The whole slide with the places of the fields."""
    region: Overview | None = None
    """The region alone, with the evidence over all of it."""
    fields: tuple[FieldPicture, ...] = ()
    regions: tuple[RegionShares, ...] = ()
    """Each outline by itself; of interest where there is more than one."""
    reviewed: Reviewed | None = None
    """None where nobody knows: no window was used, or the case is from before it was kept."""
    corrections: Corrections = NO_CORRECTIONS
    """Of the tumour mask by the reader."""
    change: MaskChange = NO_CHANGE
    """How much of the tumour mask they changed in the ROI."""
    cell_corrections: CellCorrections = NO_CELL_CORRECTIONS
    """Of single cells by the reader; the cells of ``result`` follow them already."""
    cell_change: CellChange = NO_CELL_CHANGE
    """How many cells of the ROI they changed."""
    legend: tuple[LegendEntry, ...] = ()
    palette: str = DEFAULT_PALETTE
    created: str = ""
    """ISO 8601 with time zone."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Program and library versions by name."""
