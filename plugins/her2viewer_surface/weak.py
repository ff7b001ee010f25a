"""Weak supervision of the classifier by the guideline's limits (paper 001, section 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from her2viewer.training_api import UNLABELLED, Choice, Chooser, Outputs
from her2viewer_surface.constraints import select

if TYPE_CHECKING:
    import torch

CLASSES = 4
UNDER, OVER = 0, 1
"""Groups of a choice: patches to be pushed to their target, and away from it."""


def partial_label_loss(logits: torch.Tensor, admissible: torch.Tensor) -> torch.Tensor:
    """Partial-label cross-entropy, Eq. 1 and 2, of each sample, (b,).

    The pseudo-label is the prediction on the admissible classes plus an equal part each of what lies outside, and is
    held constant: the gradient then pushes every admissible logit alike.

    Args:
        logits: (b, classes).
        admissible: (b, classes) bool, at least one true in each row.
    """
    import torch

    log_p = torch.log_softmax(logits, dim=1)
    with torch.no_grad():
        p = log_p.exp()
        outside = (p * ~admissible).sum(dim=1, keepdim=True)
        label = torch.where(admissible, p + outside / admissible.sum(dim=1, keepdim=True), 0.0)
    return -(label * log_p).sum(dim=1)


def neighbours(grade: torch.Tensor) -> torch.Tensor:
    """(b, 4) bool: the classes beside each class of (b,)."""
    import torch

    every = torch.arange(CLASSES, device=grade.device)
    return (every[None] - grade[:, None]).abs() == 1


def weak_loss(logits: torch.Tensor, target: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Eq. 15, its two losses the right way round: cross-entropy towards the score, partial labels away from a class.

    The paper prints them swapped; the text of section 3.5.3 says it so.
    """
    import torch

    towards = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    away = partial_label_loss(logits, neighbours(target))
    return torch.where(group == OVER, away, towards).mean()


def choose(chooser: Chooser) -> Choice:
    """The patches of all slides that break limits under the network as it is now; none where all limits hold."""
    probabilities = chooser.probabilities()
    indices, targets, groups = [], [], []
    for slide in np.unique(chooser.slide):
        members = np.flatnonzero(chooser.slide == slide)
        score = int(chooser.label[members[0]])
        if score == UNLABELLED:
            continue
        found = select(probabilities[members], chooser.weight[members], score)
        indices += [members[found.under], members[found.over]]
        targets += [np.full(len(found.under), score, np.int64), found.over_class]
        groups += [np.full(len(found.under), UNDER, np.int64), np.full(len(found.over), OVER, np.int64)]
    nothing = np.zeros(0, np.int64)
    return Choice(*(np.concatenate([nothing, *parts]) for parts in (indices, targets, groups)))


def calibrated(outputs: Outputs) -> Mapping[str, Any]:
    """Stage 3: factors of the logits by the known scores of the training slides, and what they change.

    Returns ``alphas`` (four factors) and the sum of what limits are broken by, before and after, on both splits.
    """
    from her2viewer.training_api import SlideLogits, broken_limits, fit_alphas

    def slides(split: Any) -> list[SlideLogits]:
        logits, table = outputs.logits(split), outputs.table(split)
        found = []
        for slide in np.unique(table["slide"]):
            mine = table["slide"] == slide
            score = int(table["score"][mine][0])
            if score >= 0:
                found.append(SlideLogits(logits[mine].astype(np.float64), table["weight"][mine], score))
        return found

    train, validation = slides("train"), slides("validation")
    fit = fit_alphas(train)
    alphas, plain = np.array(fit.alphas), np.ones(CLASSES)
    return {
        "alphas": [round(a, 5) for a in fit.alphas],
        "limits": {
            "train_before": round(fit.before, 4),
            "train_after": round(fit.after, 4),
            "validation_before": round(broken_limits(validation, plain), 4),
            "validation_after": round(broken_limits(validation, alphas), 4),
        },
    }
