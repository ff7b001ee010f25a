"""How ``CellNet`` and the finder of nuclei are trained; torch is imported only when a stage begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from her2viewer.api import HER2_LABELS
from her2viewer.training_api import Cut, Recipe, Stage, StainJitter
from her2viewer_cells.classes import CLASSES, MPP, PIXELS
from her2viewer_cells.features import HAND_MADE
from her2viewer_cells.finder import PIXELS as SQUARE
from her2viewer_cells.finder import WINDOW
from her2viewer_cells.samples import FoundCells, NucleusSquares

if TYPE_CHECKING:
    import torch

MARGIN = 4
"""Pixels: training shifts a cell by so much at most, as a detector misses its centre."""

_OTHER_NAMES = {
    "artefact": ("artefact", "artifact", "debris", "ignore*"),
    "stroma": ("stroma", "stromal", "fibroblast", "endothelium", "endothelial"),
    "immune": ("immune", "immune cells", "lymphocyte", "lymphocytes", "plasma cell", "macrophage"),
}


def _names() -> dict[str, int]:
    """Class of every name that cells come with: from phantoms, from this program's tables, from QuPath."""
    names = {name: CLASSES.index(kind) for kind, others in _OTHER_NAMES.items() for name in others}
    for grade, label in enumerate(HER2_LABELS):
        for name in (f"tumour {label}", f"tumor {label}", f"tumor: {label}", f"tumour: {label}", label):
            names[name] = 3 + grade
    names["tumor: negative"] = 3
    return names


def _adam(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    import torch

    return torch.optim.Adam(parameters, lr=1e-3, weight_decay=1e-5)


def _log_loss(logits: torch.Tensor, target: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.cross_entropy(logits, target)


CELLNET = Recipe(
    name="cellnet",
    title="CellNet",
    summary="One of seven classes for the cell in the middle of a small image, after Vandenberghe et al. 2017.",
    architecture="her2viewer_cells.network:CellNet",
    classes=CLASSES,
    cut=Cut(FoundCells(_names(), debris=CLASSES.index("artefact"), debris_share=0.08, mpp=MPP), MPP, PIXELS, MARGIN),
    stages=(
        Stage(
            name="cells",
            epochs=70,
            batch=128,
            optimiser=_adam,
            loss=_log_loss,
            patience=12,
            monitor="macro_f1",
            samples=40_000,
            balance="class",
            jitter=StainJitter(haematoxylin=0.4, dab=0.05),
            plateau=(0.5, 4),
        ),
    ),
    inputs="stains",
    scale=(4.0, 2.0),
    notes=(
        "The paper gives log loss, dropout of one half and 70 epochs. It does not give the optimiser: Adam with a "
        "learning rate of 0.001, halved after 4 epochs without a better validation figure, is our choice.",
        "An epoch draws the seven classes equally often, 40,000 cells at most, with repetition of rare ones.",
        "Input channels are optical densities times 4 (haematoxylin) and 2 (DAB), so that both lie near 1.",
        "DAB is varied by 5 % only: the classes 1+ and 2+ differ by its amount.",
        "Where cells come from phantoms, artefacts are what the detection finds where no cell is, and some places "
        "without a cell nearby, half of them on flaws of the section; cells are shown where the detection finds "
        "them. Benign and in-situ epithelium is left out, because the paper has no class for it.",
    ),
    hand_made=HAND_MADE,
)

NUCLEUS_WEIGHT = 10.0
"""Of a pixel in the middle of a nucleus against any other."""
SURE = 0.02
"""Least weight of a pixel that the finder is sure of."""


def _adamw(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    import torch

    return torch.optim.AdamW(parameters, lr=3e-3, weight_decay=1e-4)


def _focal(logits: torch.Tensor, target: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of pixels; those that the network errs on weigh more."""
    import torch

    lost = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    middle = target.to(lost.dtype)
    with torch.no_grad():
        off = (logits.softmax(dim=1)[:, 1] - middle).abs().clamp(min=SURE)
        weight = off * (1 + (NUCLEUS_WEIGHT - 1) * middle)
    return (weight * lost).mean()


FINDER = Recipe(
    name="finder",
    title="Nuclei",
    summary="Finds the middles of nuclei, a small U-Net; for slides whose every cell is known, such as phantoms.",
    architecture="her2viewer_cells.network:Finder",
    classes=("other", "nucleus"),
    cut=Cut(NucleusSquares(), MPP, SQUARE),
    stages=(
        Stage(
            name="nuclei",
            epochs=60,
            batch=8,
            optimiser=_adamw,
            loss=_focal,
            patience=12,
            monitor="loss",
            samples=1200,
            balance="scanner and slide score",
            jitter=StainJitter(haematoxylin=0.25, dab=0.2, haze=0.015, vectors=0.04, noise=2.5, blur=0.8),
            settle=20,
            plateau=(0.4, 1),
        ),
    ),
    inputs="stains",
    scale=(4.0, 2.0),
    labels="mask",
    runs_at=WINDOW,
    version=2,
    notes=(
        "Not in the paper, which finds cells by watershed: a network finds more of them, and nearer to their middle.",
        "Input channels are optical densities times 4 (haematoxylin) and 2 (DAB), as for CellNet.",
        "A nucleus is a disc of 1.5 um around its middle; where the section has missed the nucleus, around the "
        "middle of the cell.",
    ),
)

RECIPES = (CELLNET, FINDER)
