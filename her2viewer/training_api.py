"""What a plugin needs besides ``her2viewer.api`` to say how its network is trained.

Values and helpers without torch: a recipe's module must be importable where torch is not installed, so that recipes
can be listed. Optimisers and losses are functions that import torch when they are called.
"""

from __future__ import annotations

from her2viewer.training.augment import Stained, network_input, stain_channels
from her2viewer.training.calibration_logits import AlphaFit, SlideLogits, fit_alphas
from her2viewer.training.calibration_logits import broken as broken_limits
from her2viewer.training.limits import LOWER, UPPER, excess, fractions, score_of
from her2viewer.training.limits import ROUNDING as LIMIT_ROUNDING
from her2viewer.training.recipe import (
    UNLABELLED,
    Choice,
    Chooser,
    Cut,
    Feature,
    HandMade,
    Outputs,
    Recipe,
    Sampler,
    Spots,
    Stage,
    StainJitter,
    TrainingError,
)
from her2viewer.training.samplers import CellSampler, PatchSampler
from her2viewer.training.sources import SlideSource, TruthMask
from her2viewer.training.truth import LabelledCells, read_cells

__all__ = [
    "LIMIT_ROUNDING",
    "LOWER",
    "UNLABELLED",
    "UPPER",
    "AlphaFit",
    "CellSampler",
    "Choice",
    "Chooser",
    "Cut",
    "Feature",
    "HandMade",
    "LabelledCells",
    "Outputs",
    "PatchSampler",
    "Recipe",
    "Sampler",
    "SlideLogits",
    "SlideSource",
    "Spots",
    "Stage",
    "StainJitter",
    "Stained",
    "TrainingError",
    "TruthMask",
    "broken_limits",
    "excess",
    "fit_alphas",
    "fractions",
    "network_input",
    "read_cells",
    "score_of",
    "stain_channels",
]
