"""How the classifier of ``surface`` is trained: three stages (paper 001, section 3.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from her2viewer.api import HER2_LABELS
from her2viewer.training_api import Cut, PatchSampler, Recipe, Stage, StainJitter
from her2viewer_surface.inputs import IMAGENET_MEAN, MPP, SCALE
from her2viewer_surface.weak import calibrated, choose, weak_loss

if TYPE_CHECKING:
    import torch

PIXELS = 64
MARGIN = 8
LEAST_TUMOUR = 0.1
_JITTER = StainJitter(haematoxylin=0.2, dab=0.06, noise=2.0, blur=0.7)


def _sgd(rate: float, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    import torch

    return torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True, weight_decay=1e-4)


def _paper(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    return _sgd(1e-3, parameters)


def _careful(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    return _sgd(1e-4, parameters)


def _fresh(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    return _sgd(0.02, parameters)


def _cross_entropy(logits: torch.Tensor, target: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.cross_entropy(logits, target)


_STAGE_1 = Stage(
    name="slide labels",
    epochs=100,
    batch=512,
    optimiser=_paper,
    loss=_cross_entropy,
    patience=20,
    monitor="accuracy",
    jitter=_JITTER,
)
_STAGE_2 = Stage(
    name="guideline limits",
    epochs=40,
    batch=128,
    optimiser=_careful,
    loss=weak_loss,
    patience=8,
    monitor="limits",
    jitter=_JITTER,
    choose=choose,
    keep_statistics=True,
    plateau=(0.5, 2),
)
_NOTES = (
    "Stage 2: Eq. 15 of the paper prints its two losses swapped; the text of section 3.5.3 is followed. Of an "
    "epoch's learning rate, batch and number the paper says nothing: 0.0001, 128 and at most 40 are ours. Batch "
    "normalisation keeps the statistics of stage 1: the chosen patches are a few hundred and unlike the others, and "
    "with statistics of their own, or with a rate of 0.001, the limits were broken more from epoch to epoch. The "
    "best epoch is the one whose class fractions break the guideline's limits least on the validation slides; stage "
    "1 counts as the first of them.",
    "Stage 3: the objective jumps, so a smooth one is minimised and only what lowers the hard one is taken; Eq. 20 "
    "is read with the known score of the slide.",
    "Tumour in a patch comes from the truth of phantoms, or from the outlines of the data set, not from the "
    "segmenter.",
    "DAB is varied by 6 % only: the classes differ by its amount.",
    "Pixels are given relative to the slide's own glass, so that grey or lilac glass makes no difference.",
)

CLASSIFIER = Recipe(
    name="classifier",
    title="HER2 class of a patch",
    summary="One of 0, 1+, 2+, 3+ for 64 um of tumour from slide scores alone, ResNet-18 after Pham et al. 2022, "
    "from fresh weights.",
    architecture="her2viewer_surface.network:Classifier",
    classes=HER2_LABELS,
    cut=Cut(PatchSampler(least_tumour=LEAST_TUMOUR), MPP, PIXELS, MARGIN),
    stages=(
        replace(
            _STAGE_1, epochs=12, batch=128, optimiser=_fresh, patience=8, samples=20_000, balance="slide score",
            settle=20, plateau=(0.3, 1),
        ),
        _STAGE_2,
    ),
    inputs="rgb_on_glass",
    scale=SCALE,
    offset=IMAGENET_MEAN,
    labels="slide",
    notes=(
        *_NOTES,
        "Stage 1: weights start fresh, so the learning rate is 0.02 (lowered on a plateau) with batches of 128, "
        "where the paper goes on from ImageNet with 0.001 and 512; an epoch draws 20,000 patches, all scores "
        "equally often. The recipe classifier-imagenet is the paper's.",
    ),
    finish=calibrated,
)  # fmt: skip

CLASSIFIER_IMAGENET = replace(
    CLASSIFIER,
    name="classifier-imagenet",
    summary="The same network as the paper trains it: from ImageNet weights, given with --start.",
    stages=(_STAGE_1, _STAGE_2),
    notes=(*_NOTES, "Begins with the file given with --start: the state of torchvision's resnet18."),
)
