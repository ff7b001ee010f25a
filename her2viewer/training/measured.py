"""What a network says of all samples of a store: loss, confusion matrix of every slide, logits. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from her2viewer.training.batches import SampleSet, all_of, loader
from her2viewer.training.confusion import counted_by
from her2viewer.training.recipe import Recipe, Stage

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from her2viewer.training.tiles import TileStore


@dataclass(frozen=True)
class Measured:
    """Answers of a network on a store."""

    loss: float
    by_slide: NDArray[np.int64]
    """(slides, classes, classes) samples or pixels of each slide of the store, rows are the truth."""
    logits: NDArray[np.float32] | None
    """(n, classes), where they were asked for."""

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) of all slides together."""
        return np.asarray(self.by_slide.sum(axis=0), np.int64)


def measure(
    fabric: Fabric,
    recipe: Recipe,
    network: torch.nn.Module,
    store: TileStore,
    *,
    stage: Stage | None = None,
    logits: bool = False,
) -> Measured:
    """Answers of a network on all samples of a store, as they are; the loss is that of a stage, else of the last.

    Each process of a run on several GPUs measures all of it, so that all decide alike.
    """
    stage = stage or recipe.stages[-1]
    classes, slides = len(recipe.classes), len(store.tiles)
    total, samples, kept = 0.0, 0, []
    by_slide = np.zeros((slides, classes, classes), np.int64)
    network.eval()
    with torch.inference_mode(), fabric.autocast():
        for batch in loader(SampleSet(store, recipe, all_of(store)), stage.batch):
            there = batch.to(fabric.device)
            answer = network(ordered(there.x))
            if logits:
                kept.append(answer.float().cpu().numpy())
            known = there.target >= 0 if there.target.ndim == 1 else torch.ones_like(there.index, dtype=torch.bool)
            if not known.any():
                continue
            target = there.target[known]
            loss = stage.loss(answer[known].float(), target, torch.zeros_like(there.group[known]))
            total += float(loss) * int(known.sum())
            samples += int(known.sum())
            said = answer[known, :classes].argmax(dim=1).cpu().numpy()
            slide = store.table.slide[batch.index[known.cpu()].numpy()]
            by_slide += counted_by(slide, target.cpu().numpy(), said, slides, classes)
    network.train()
    return Measured(total / max(samples, 1), by_slide, np.concatenate(kept) if kept else None)


def ordered(x: torch.Tensor) -> torch.Tensor:
    """Pictures in the order of channels that is convolved fastest; anything else as it is."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
