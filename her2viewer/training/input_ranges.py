"""Between which values the input of each convolution lies, for running a network in 8-bit integers. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from her2viewer.training.batches import SampleSet, loader
from her2viewer.training.recipe import Choice, Recipe
from her2viewer.training.tiles import TileStore

MOST_SAMPLES = 512
BATCH = 8
ROOM = 1.25
"""Real tissue goes beyond what was seen. With twice the range labels still agree as well as they must; with half of
it, what lies beyond is cut off and they do not."""


def seen_ranges(
    network: torch.nn.Module, recipe: Recipe, store: TileStore, device: torch.device, seed: int
) -> dict[str, tuple[float, float]]:
    """Ranges over samples of the training slides, drawn with a seed, as they are.

    Args:
        network: with its weights, on ``device``, float32.
        recipe: whose input the network sees.
        store: the samples.
        device: where it runs.
        seed: of the draw.

    Returns:
        For the name of each convolution's weights (``runtime.eight_bit.RANGES``) lowest and highest value of its
        input, with ``ROOM``; nothing for a convolution whose input never changes.
    """
    picked = np.random.default_rng([seed, 3]).permutation(len(store))[:MOST_SAMPLES]
    choice = Choice(np.sort(picked), store.table.label[np.sort(picked)], np.zeros(len(picked), np.int64))
    found: dict[str, tuple[float, float]] = {}

    def watch(name: str) -> Callable[[torch.nn.Module, Any], None]:
        def seen(_: torch.nn.Module, args: Any) -> None:
            low, high = (float(v) for v in torch.aminmax(args[0]))
            before = found.get(name, (low, high))
            found[name] = min(low, before[0]), max(high, before[1])

        return seen

    convolutions = [(n, m) for n, m in network.named_modules() if isinstance(m, torch.nn.Conv2d)]
    handles = [module.register_forward_pre_hook(watch(f"{name}.weight")) for name, module in convolutions]
    network.eval()
    try:
        with torch.inference_mode():
            for batch in loader(SampleSet(store, recipe, choice), BATCH):
                network(batch.x.to(device))
    finally:
        for handle in handles:
            handle.remove()
    # Four digits: the file is read by people too.
    rounded = {name: tuple(float(f"{ROOM * v:.4g}") for v in ends) for name, ends in found.items()}
    return {name: (low, high) for name, (low, high) in rounded.items() if low < high}
