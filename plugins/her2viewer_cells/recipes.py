"""How ``CellNet`` is trained; torch is imported only when a stage begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from her2viewer.api import HER2_LABELS
from her2viewer.training_api import Cut, Recipe, Stage, StainJitter
from her2viewer_cells.classes import CLASSES, MPP, PIXELS
from her2viewer_cells.samples import FoundCells

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
            jitter=StainJitter(haematoxylin=0.2, dab=0.05),
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
)

RECIPES = (CELLNET,)
