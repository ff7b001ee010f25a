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
from her2viewer.scoring.ahead import in_order, wait
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
from her2viewer.scoring.manifest import WITHOUT_MODEL
from her2viewer.scoring.model_folder import ModelError, ModelFolder
from her2viewer.scoring.model_store import find_model
from her2viewer.scoring.preparation import Prepared, prepared, tables_of
from her2viewer.scoring.tile_quality import flaws_within, tile_quality, under_flaw
from her2viewer.scoring.tiles import PATCHES_PER_TILE, Tile, TilePlan
from her2viewer.slides.slide import RGBImage, Slide, SlideError, TileError
from her2viewer.stains.artefacts import GOOD, QUALITY_SCHEME, ArtefactMap, Quality, find_artefacts
from her2viewer.stains.background import Background, brightest_colour, glass_colour, on_white_glass
from her2viewer.stains.compiled import use_writable_cache
from her2viewer.stains.deconvolution import Deconvolution, deconvolution, deconvolve
from her2viewer.stains.density import density_table, optical_density
from her2viewer.stains.estimate import Entered, StainEstimate, estimate_stains
from her2viewer.stains.kind import CompactDab, KindEvidence, StainKind, compact_dab, stain_kind
from her2viewer.stains.membranes import (
    OUTLINE_POINTS,
    SECTORS,
    CellReach,
    Rings,
    membrane_of,
    outlines_of,
    parts_of,
    rings_of,
    stained_part,
    stands_out,
)
from her2viewer.stains.nuclei import Nuclei, watershed
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
    "OUTLINE_POINTS",
    "PATCHES_PER_TILE",
    "QUALITY_SCHEME",
    "SECTORS",
    "TUMOUR_SCHEME",
    "WITHOUT_MODEL",
    "ArtefactMap",
    "Background",
    "Cancelled",
    "CellReach",
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
    "Nuclei",
    "Partial",
    "PixelSize",
    "PixelSizeSource",
    "Prepared",
    "Progress",
    "Quality",
    "RGBImage",
    "Region",
    "ResultWarning",
    "Rings",
    "Runtime",
    "Scorer",
    "ScorerError",
    "ScoringInput",
    "Slide",
    "SlideError",
    "StainEstimate",
    "StainKind",
    "Status",
    "Tile",
    "TileError",
    "TilePlan",
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
    "flaws_within",
    "glass_colour",
    "in_order",
    "membrane_of",
    "nuclear_stain",
    "on_white_glass",
    "optical_density",
    "outlines_of",
    "parts_of",
    "prepared",
    "rings_of",
    "sharpness",
    "stain_kind",
    "stained_part",
    "stands_out",
    "tables_of",
    "tile_quality",
    "tissue_mask",
    "too_coarse",
    "under_flaw",
    "unit",
    "use_writable_cache",
    "wait",
    "watershed",
    "wrong_section",
]
