"""Batches for torch: which samples an epoch takes, and what the network gets of them. Imports torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, DataLoader, Dataset

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.training.augment import Stained, augmented, centred, network_input
from her2viewer.training.recipe import UNLABELLED, Choice, Recipe, Stage, StainJitter
from her2viewer.training.tiles import TileStore

MANY_CORES = 4
MOST_WORKERS = 8


@dataclass(frozen=True)
class Batch:
    """What comes out of a loader."""

    x: torch.Tensor
    """(b, channels, side, side) float32."""
    target: torch.Tensor
    """(b,) or (b, side, side) int64."""
    group: torch.Tensor
    """(b,) int64."""
    index: torch.Tensor
    """(b,) int64."""

    def pin_memory(self) -> Batch:
        """As torch's loader asks for it."""
        return Batch(*(getattr(self, n).pin_memory() for n in ("x", "target", "group", "index")))

    def to(self, device: torch.device) -> Batch:
        """On that device."""
        return Batch(*(getattr(self, n).to(device, non_blocking=True) for n in ("x", "target", "group", "index")))


class SampleSet(Dataset[Any]):
    """Some samples of a store with their targets; ``varied`` is how much, the seed of the run, and the epoch."""

    def __init__(
        self, store: TileStore, recipe: Recipe, choice: Choice, varied: tuple[StainJitter, int, int] | None = None
    ) -> None:
        self._store, self._recipe, self._choice, self._varied = store, recipe, choice, varied

    def __len__(self) -> int:
        return len(self._choice.indices)

    def __getitems__(self, places: list[int]) -> Batch:
        """A whole batch at once."""
        store, recipe = self._store, self._recipe
        picked = np.asarray(places, np.int64)
        indices = self._choice.indices[picked]
        slide = store.table.slide[indices]
        samples = Stained(store.pixels(indices), store.background[slide], store.vectors[slide])
        masks = store.masks(indices) if store.masked else None
        pixels = recipe.cut.pixels
        if self._varied is None:
            samples = centred(samples, pixels)
            if masks is not None:
                margin = recipe.cut.margin
                masks = masks[:, margin : margin + pixels, margin : margin + pixels]
        else:
            jitter, seed, epoch = self._varied
            # By the place in the epoch as well: a sample that is drawn twice comes in two forms.
            seeds = [(seed, epoch, int(p)) for p in picked]
            samples, masks = augmented(samples, jitter, seeds, pixels=pixels, masks=masks)
        target = self._choice.targets[picked] if masks is None else masks.astype(np.int64)
        return Batch(
            torch.from_numpy(np.ascontiguousarray(network_input(samples, recipe))),
            torch.from_numpy(target),
            torch.from_numpy(self._choice.groups[picked]),
            torch.from_numpy(indices),
        )


class _Blocks(BatchSampler):
    """Batches of consecutive places; ``SampleSet`` is already in the order of the epoch."""

    def __init__(self, count: int, batch: int, rank: int, world: int) -> None:
        # Every process gets equally many batches, or they would wait for one another for ever.
        self._starts = list(range(0, count, batch * world))
        self._count, self._batch, self._rank, self._world = count, batch, rank, world

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[int]]:
        for start in self._starts:
            places = [(start + k) % self._count for k in range(self._rank, self._batch * self._world, self._world)]
            yield places if self._world > 1 else list(range(start, min(start + self._batch, self._count)))


def loader(samples: SampleSet, batch: int, *, rank: int = 0, world: int = 1) -> DataLoader[Any]:
    """Batches in the order of ``samples``; more processes where there are cores for them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(MOST_WORKERS, cores - 2) if cores > MANY_CORES else 0
    return DataLoader(
        samples,
        batch_sampler=_Blocks(len(samples), batch, rank, world),
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=torch.cuda.is_available(),
        multiprocessing_context="forkserver" if workers and hasattr(os, "fork") else None,
    )


def _as_it_is(batch: Any) -> Any:
    return batch


def all_of(store: TileStore) -> Choice:
    """Every sample once, in order, with its own target."""
    indices = np.arange(len(store), dtype=np.int64)
    return Choice(indices, store.table.label.copy(), np.zeros(len(store), np.int64))


def drawn(store: TileStore, recipe: Recipe, stage: Stage, seed: int, epoch: int) -> Choice:
    """The samples of one epoch: all of them in an order of its own, or as many of each kind as of the others."""
    rng = np.random.default_rng([seed, epoch, 1])
    table = store.table
    usable = np.arange(len(store)) if recipe.labels == "mask" else np.flatnonzero(table.label != UNLABELLED)
    size = min(len(usable), stage.samples or len(usable))
    if stage.balance == "none":
        picked = rng.permutation(usable)[:size]
    else:
        kind = {
            "class": table.label,
            "slide score": table.score,
            "scanner and slide score": table.scanner * len(HER2_LABELS) + table.score,
        }[stage.balance]
        groups = [usable[kind[usable] == code] for code in np.unique(kind[usable])]
        each = -(-size // len(groups))
        picked = rng.permutation(np.concatenate([_repeated(g, each, rng) for g in groups]))[:size]
    return Choice(picked, table.label[picked], np.zeros(len(picked), np.int64))


def shuffled(choice: Choice, stage: Stage, seed: int, epoch: int) -> Choice:
    """A stage's own choice in a drawn order, cut to the length of an epoch."""
    order = np.random.default_rng([seed, epoch, 2]).permutation(len(choice.indices))[: stage.samples]
    return Choice(choice.indices[order], choice.targets[order], choice.groups[order])


def _repeated(group: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``count`` of a group, each as often as any other but for one."""
    rounds = [rng.permutation(group) for _ in range(-(-count // len(group)))]
    return np.concatenate(rounds)[:count]
