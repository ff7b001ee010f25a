"""How the networks of ``surface`` are trained; torch is imported only when a stage begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from her2viewer.training_api import Cut, PatchSampler, Recipe, Stage, StainJitter
from her2viewer_surface.inputs import IMAGENET_MEAN, MPP, SCALE
from her2viewer_surface.recipes_classifier import CLASSIFIER, CLASSIFIER_IMAGENET

if TYPE_CHECKING:
    import torch

PIXELS = 256
RUNS_AT = 512
"""Side of the windows in use, px: a larger one has less edge for the same overlap."""
MARGIN = 24
TUMOUR_WEIGHT = 2.0
"""Of a tumour pixel in the focal loss against another pixel."""
FOCUS = 2.0
"""Exponent of the focal loss (Lin et al. 2017)."""


def _sgd(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    import torch

    return torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, nesterov=True)


def _adamw(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    import torch

    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4)


def _adamw_further(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    import torch

    return torch.optim.AdamW(parameters, lr=3e-4, weight_decay=1e-4)


def _focal(logits: torch.Tensor, target: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    from monai.losses import FocalLoss

    loss = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=FOCUS, weight=(1.0, TUMOUR_WEIGHT))
    found: torch.Tensor = loss(logits, target[:, None])
    return found


_CUT = Cut(PatchSampler(least_tumour=0.0, masks="tumour", background=0.4, step=0.75), MPP, PIXELS, MARGIN)
_NOTES = (
    "The paper gives weighted focal loss without its numbers: exponent 2 and weight 2 of tumour are ours.",
    "Patches are cut every 192 px, every one that holds invasive tumour and 40 % of those of other tissue, so that "
    "benign glands and carcinoma in situ outside the region are seen as what they are: not invasive tumour.",
    "Epochs draw scanners and slide scores equally often, as in the paper, and vary the stains in stain space "
    "where the paper varies hue, saturation, brightness and contrast.",
    "Pixels are given relative to the slide's own glass, so that grey or lilac glass makes no difference.",
)

SEGMENTER = Recipe(
    name="segmenter",
    title="Invasive carcinoma",
    summary="Finds invasive carcinoma at 1 um/px, U-Net on DenseNet-121 after Pham et al. 2022, from fresh weights.",
    architecture="her2viewer_surface.network:Segmenter",
    classes=("other", "invasive tumour"),
    cut=_CUT,
    stages=(
        Stage(
            name="segmentation",
            epochs=100,
            batch=8,
            optimiser=_adamw,
            loss=_focal,
            patience=12,
            monitor="loss",
            samples=1200,
            balance="scanner and slide score",
            jitter=StainJitter(haematoxylin=0.35, dab=0.3, haze=0.015, vectors=0.05, noise=3.0, blur=1.2),
            settle=40,
            plateau=(0.4, 1),
        ),
    ),
    inputs="rgb_on_glass",
    scale=SCALE,
    offset=IMAGENET_MEAN,
    runs_at=RUNS_AT,
    labels="mask",
    notes=(
        *_NOTES,
        "Weights start fresh, so AdamW with a learning rate of 0.001 stands in for the paper's SGD with 0.0001, "
        "which is meant to fine-tune ImageNet weights; the recipe segmenter-imagenet is the paper's.",
    ),
)

SEGMENTER_IMAGENET = replace(
    SEGMENTER,
    name="segmenter-imagenet",
    summary="The same network as the paper trains it: SGD from ImageNet weights, given with --start.",
    stages=(replace(SEGMENTER.stages[0], optimiser=_sgd, patience=20, samples=None, plateau=None),),
    notes=(*_NOTES, "Begins with the file given with --start: the state of torchvision's densenet121."),
)

SEGMENTER_FURTHER = replace(
    SEGMENTER,
    name="segmenter-further",
    summary="The same network, going on from weights of a segmenter that was trained before, given with --start.",
    stages=(replace(SEGMENTER.stages[0], optimiser=_adamw_further),),
    notes=(
        *_NOTES,
        "Begins with the weights of an earlier segmenter, given with --start, so the learning rate is 0.0003.",
    ),
)

RECIPES = (SEGMENTER, CLASSIFIER, SEGMENTER_IMAGENET, CLASSIFIER_IMAGENET, SEGMENTER_FURTHER)
