"""Small real recipes for tests of the training kit, installed as a package with an entry point."""

from __future__ import annotations

import textwrap
from pathlib import Path

PACKAGE = "her2viewer_trial_recipes"

_NETWORKS = """
import torch
from torch import nn

class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 8, 5, 2), nn.ReLU(), nn.Dropout(0.2), nn.AdaptiveAvgPool2d(2),
                                  nn.Flatten(), nn.Linear(32, 3))
    def forward(self, x):
        return self.body(x)

class Heavy(Cells):
    # So large that writing it takes a while.
    def __init__(self):
        super().__init__()
        self.register_buffer("ballast", torch.zeros(4_000_000))

class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                                  nn.Linear(32, 4))
    def forward(self, x):
        return self.body(x)

class Masks(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 2, 5, padding=2))
    def forward(self, x):
        return self.body(x)
"""

_RECIPES = """
import numpy as np
from her2viewer_surface.weak import calibrated, choose, weak_loss
from her2viewer.training_api import CellSampler, Choice, Cut, PatchSampler, Recipe, Stage, StainJitter

def adam(parameters):
    import torch
    return torch.optim.Adam(parameters, lr=3e-3)

def fast_adam(parameters):
    import torch
    return torch.optim.Adam(parameters, lr=2e-2)

def log_loss(logits, target, group):
    import torch
    return torch.nn.functional.cross_entropy(logits, target)

def strongest(chooser):
    # The patches of which the network is surest, to be learnt as what it says.
    p = chooser.probabilities()
    picked = np.argsort(-p.max(axis=1), kind="stable")[: max(4, len(p) // 2)]
    return Choice(picked, p[picked].argmax(axis=1), np.ones(len(picked), np.int64))

def fitted(outputs):
    table = outputs.table("train")
    assert len(outputs.logits("train")) == len(table["label"]) == len(table["score"])
    return {"alpha": [1.0, 1.0, 1.0, 1.0], "samples": len(table["label"])}

NAMES = {"fibroblast": 0, "lymphocyte": 1, "tumour 0": 2, "tumour 1+": 2, "tumour 2+": 2, "tumour 3+": 2}
CELLS = dict(title="Trial", summary="For tests.", classes=("stroma", "immune", "tumour"),
             cut=Cut(CellSampler(NAMES, inside_region=False), 0.8, 20, 2))
STAGE = dict(batch=32, optimiser=adam, loss=log_loss, balance="class", samples=96, patience=50)
RECIPES = (
    Recipe(name="tiny", architecture="her2viewer_trial_recipes.networks:Cells",
           stages=(Stage("first", 2, **STAGE), Stage("second", 2, **STAGE, plateau=(0.5, 0))), **CELLS),
    Recipe(name="heavy", architecture="her2viewer_trial_recipes.networks:Heavy",
           stages=(Stage("first", 5, **STAGE), Stage("second", 4, **STAGE)), **CELLS),
    Recipe(name="learns", architecture="her2viewer_trial_recipes.networks:Cells", scale=(8.0, 4.0),
           stages=(Stage("only", 25, 32, fast_adam, log_loss, balance="class", samples=192, patience=50),), **CELLS),
    Recipe(name="patches", title="Trial", summary="For tests.", classes=("0", "1+", "2+", "3+"),
           architecture="her2viewer_trial_recipes.networks:Patches", labels="slide", inputs="rgb",
           scale=(1., 1., 1.), offset=(.5, .5, .5), cut=Cut(PatchSampler(), 2.0, 24), finish=fitted,
           stages=(Stage("every label", 2, 16, adam, log_loss, balance="slide score", monitor="loss"),
                   Stage("surest", 2, 16, adam, log_loss, choose=strongest, monitor="accuracy"))),
    Recipe(name="weak", title="Trial", summary="For tests.", classes=("0", "1+", "2+", "3+"),
           architecture="her2viewer_trial_recipes.networks:Patches", labels="slide", inputs="rgb",
           scale=(1., 1., 1.), offset=(.5, .5, .5), cut=Cut(PatchSampler(), 2.0, 24), finish=calibrated,
           stages=(Stage("slide labels", 3, 16, fast_adam, log_loss, balance="slide score", monitor="accuracy"),
                   Stage("guideline limits", 3, 16, adam, weak_loss, choose=choose, monitor="limits"))),
    Recipe(name="masks", title="Trial", summary="For tests.", classes=("other", "tumour"),
           architecture="her2viewer_trial_recipes.networks:Masks", labels="mask", inputs="rgb",
           scale=(1., 1., 1.), offset=(.5, .5, .5),
           cut=Cut(PatchSampler(masks="tumour", background=0.5), 2.0, 32, 4),
           stages=(Stage("pixels", 2, 8, adam, log_loss),)),
)
"""


def install(folder: Path) -> None:
    """Write the package and its metadata into ``folder``, to be put on ``sys.path`` and ``PYTHONPATH``."""
    package = folder / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "networks.py").write_text(textwrap.dedent(_NETWORKS))
    (package / "recipes.py").write_text(textwrap.dedent(_RECIPES))
    info = folder / f"{PACKAGE}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE.replace('_', '-')}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[her2viewer.recipes]\ntrial = {PACKAGE}.recipes\n")
