"""All that a scorer plugin may import: values of the domain, the scoring contract, slides, stains, its cache.

Kept light: names that need OpenCV or numba are functions that import them when called.
"""

from __future__ import annotations

from her2viewer.domain.classes import CELL_SCHEME, HER2_LABELS, TUMOUR_SCHEME, ClassScheme, Her2Class
from her2viewer.domain.evidence import (
    NOT_SCORED,
    CellTable,
    ClassMap,
    Evidence,
    FieldVote,
    FieldVotes,
    Grid,
    Heatmap,
    TissueMask,
    concatenated,
)
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import NotAssessable, ResultWarning, Status
from her2viewer.scoring.assessable import (
    about_artefacts,
    about_glass,
    about_vectors,
    averaged,
    entered_stains,
    nuclear_stain,
    too_coarse,
    wrong_section,
)
from her2viewer.scoring.contract import (
    API_VERSION,
    Cancelled,
    Event,
    Finished,
    Network,
    Partial,
    Progress,
    Runtime,
    Scorer,
    ScorerError,
    ScoringInput,
)
from her2viewer.scoring.model_folder import ModelError, ModelFolder
from her2viewer.scoring.model_store import find_model
from her2viewer.slides.slide import RGBImage, Slide, SlideError, TileError
from her2viewer.stains.artefacts import GOOD, QUALITY_SCHEME, ArtefactMap, Quality, find_artefacts
from her2viewer.stains.background import Background, brightest_colour, glass_colour, on_white_glass
from her2viewer.stains.compiled import use_writable_cache
from her2viewer.stains.deconvolution import Deconvolution, deconvolution, deconvolve
from her2viewer.stains.density import density_table, optical_density
from her2viewer.stains.estimate import Entered, StainEstimate, estimate_stains
from her2viewer.stains.kind import CompactDab, KindEvidence, StainKind, compact_dab, stain_kind
from her2viewer.stains.quality import blurred, sharpness
from her2viewer.stains.tissue import tissue_mask
from her2viewer.stains.vectors import DAB, HAEMATOXYLIN, VectorEstimate, angle, estimate_vectors, unit

__all__ = [
    "API_VERSION",
    "CELL_SCHEME",
    "DAB",
    "GOOD",
    "HAEMATOXYLIN",
    "HER2_LABELS",
    "NOT_SCORED",
    "QUALITY_SCHEME",
    "TUMOUR_SCHEME",
    "ArtefactMap",
    "Background",
    "Cancelled",
    "CellTable",
    "ClassMap",
    "ClassScheme",
    "CompactDab",
    "Deconvolution",
    "Entered",
    "Event",
    "Evidence",
    "FieldVote",
    "FieldVotes",
    "Finished",
    "Grid",
    "Heatmap",
    "Her2Class",
    "KindEvidence",
    "ModelError",
    "ModelFolder",
    "Network",
    "NotAssessable",
    "Partial",
    "PixelSize",
    "PixelSizeSource",
    "Progress",
    "Quality",
    "RGBImage",
    "Region",
    "ResultWarning",
    "Runtime",
    "Scorer",
    "ScorerError",
    "ScoringInput",
    "Slide",
    "SlideError",
    "StainEstimate",
    "StainKind",
    "Status",
    "TileError",
    "TissueMask",
    "VectorEstimate",
    "about_artefacts",
    "about_glass",
    "about_vectors",
    "angle",
    "averaged",
    "blurred",
    "brightest_colour",
    "compact_dab",
    "concatenated",
    "deconvolution",
    "deconvolve",
    "density_table",
    "entered_stains",
    "estimate_stains",
    "estimate_vectors",
    "find_artefacts",
    "find_model",
    "glass_colour",
    "nuclear_stain",
    "on_white_glass",
    "optical_density",
    "sharpness",
    "stain_kind",
    "tissue_mask",
    "too_coarse",
    "unit",
    "use_writable_cache",
    "wrong_section",
]
