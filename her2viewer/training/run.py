"""A training run from data set to model folder. Imports torch; ``commands.train`` checks that it is there."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from her2viewer.cases.atomic import StorageError, atomic_text
from her2viewer.scoring.model_folder import ModelFolder, read_model, weights_digest
from her2viewer.training.card import Outcome, write_model_folder
from her2viewer.training.checkpoint import RunState, load_state
from her2viewer.training.dataset import DataSet, SplitName
from her2viewer.training.fit import STATE_FILE, Means, make_fabric, make_network, quiet, run_stages
from her2viewer.training.held_out import held_out_metrics
from her2viewer.training.input_ranges import seen_ranges
from her2viewer.training.measured import measure
from her2viewer.training.recipe import Recipe, TrainingError
from her2viewer.training.stores import stores_of, table_of
from her2viewer.training.tiles import SlideTiles, TileStore, extract

RUN_FILE = "run.json"
LOG_FILE = "log.csv"

Say = Callable[[str, int, int, dict[str, Any] | None], None]


@dataclass(frozen=True)
class RunRequest:
    """What is to be trained."""

    plugin: str
    recipe: Recipe
    data_set: DataSet
    out: Path
    name: str
    device: str = "auto"
    seed: int = 1
    resume: bool = False
    threads: int | None = None
    """Processor threads of the network; None lets torch choose."""
    start: Path | None = None
    """Weights to begin with: safetensors, or a state dictionary of torch."""
    half: bool = False
    """Whether the model's weights are stored in half precision."""


@dataclass(frozen=True)
class RunResult:
    """What came out."""

    model: ModelFolder
    metrics: Mapping[str, Any]
    stopped: str
    epochs: int
    samples: Mapping[str, int]
    unread: int
    leads: bool = True
    """Whether this is the first of several processes, which speaks for all of them."""


def run_training(request: RunRequest, *, stop: Callable[[], str], say: Say) -> RunResult:
    """Cut, train, measure, write.

    Args:
        request: what.
        stop: why to stop now, "" to go on; the best so far is kept.
        say: told what is going on, see ``fit.Means``.

    Raises:
        TrainingError: it cannot go on; what was done is kept.
    """
    state = _state(request)
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    fabric = make_fabric(request.device, request.recipe.bf16)
    with quiet():
        fabric.launch()
        say = say if fabric.is_global_zero else _silent
        tiles = _tiles(request, fabric, stop, say)
        stores = _stores(request, tiles)
        means = Means(
            fabric=fabric,
            recipe=request.recipe,
            train=stores["train"],
            validation=stores["validation"],
            folder=request.out,
            seed=request.seed,
            stop=_together(fabric, stop),
            say=_logging(request.out, state, say) if fabric.is_global_zero else _silent,
            start=request.start,
        )
        state = run_stages(means, state)
        say("Measuring on the held-out slides", 0, 1, None)
        network = make_network(request.recipe)
        # What is measured is what is stored: half precision rounds.
        weights = _halved(state.best or {}) if request.half else state.best or {}
        network.load_state_dict(weights)
        network.to(fabric.device)
        finished = _finish(means, network)
        ranges = {}
        if request.recipe.bf16 and fabric.is_global_zero:
            ranges = seen_ranges(network, request.recipe, stores["train"], fabric.device, request.seed)
        held_out = None
        if len(stores["test"]):
            of_slides = request.recipe.labels == "slide"
            held_out = measure(fabric, request.recipe, network, stores["test"], logits=of_slides)
    metrics = {} if held_out is None else held_out_metrics(request.recipe, held_out, stores["test"], finished)
    samples: dict[str, int] = {split: len(store) for split, store in stores.items()}
    outcome = Outcome(
        plugin=request.plugin,
        name=request.name,
        recipe=request.recipe,
        data_set=request.data_set,
        samples=samples,
        weights=weights,
        history=state.history,
        confusion=None if held_out is None else held_out.confusion,
        metrics=metrics,
        finished=finished,
        ranges=ranges,
        stopped=state.stopped,
        device=_device_name(fabric.device),
        seconds=state.seconds,
        commit=revision(),
        seed=request.seed,
    )
    folder = request.out / request.name
    if fabric.is_global_zero:
        write_model_folder(folder, outcome)
    fabric.barrier()
    return RunResult(
        read_model(folder),
        metrics,
        state.stopped,
        len(state.history),
        samples,
        sum(t.unread for t in tiles),
        leads=fabric.is_global_zero,
    )


def _together(fabric: Any, stop: Callable[[], str]) -> Callable[[], str]:
    """``stop`` as the first process sees it: processes that end at different batches would wait for each other."""
    if fabric.world_size == 1:
        return stop

    def reason() -> str:
        return str(fabric.broadcast(stop() if fabric.is_global_zero else ""))

    return reason


def run_key(request: RunRequest) -> str:
    """Changes when an unfinished run must not be gone on with: other data, recipe, seed, weights to begin with.

    Raises:
        TrainingError: the weights cannot be read.
    """
    recipe = request.recipe
    what = {
        "data": request.data_set.hash,
        "plugin": request.plugin,
        "recipe": [recipe.name, recipe.version, recipe.architecture, list(recipe.classes)],
        "stages": [[s.name, s.batch, s.monitor, s.samples, s.balance] for s in recipe.stages],
        "cut": [recipe.cut.mpp, recipe.cut.pixels, recipe.cut.margin, dict(recipe.cut.sampler.key())],
        "seed": request.seed,
        **({} if request.start is None else {"start": _digest(request.start)}),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        return weights_digest(path)[0]
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}.") from error


def _halved(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}


def model_name(recipe: Recipe, data_set: DataSet) -> str:
    """A name for the model folder, from recipe and set."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{recipe.name}-{data_set.name}").strip("-.")
    return name[:80] or recipe.name


def revision() -> str:
    """Revision of the checkout that runs, "" for an installed program."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _state(request: RunRequest) -> RunState:
    """The state to begin with.

    Raises:
        TrainingError: the folder holds another run, or one that was not asked to be gone on with.
    """
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{request.out} cannot be made: {error.strerror or error}.") from error
    key = run_key(request)
    path, note = request.out / STATE_FILE, request.out / RUN_FILE
    before = None
    if note.exists():
        try:
            before = str(json.loads(note.read_text(encoding="utf-8"))["key"])
        except (OSError, ValueError, KeyError, TypeError):
            before = ""
    if before is not None and before != key:
        raise TrainingError(
            f"{request.out} holds a run with other data, recipe or seed; choose another --out or delete it."
        )
    if path.exists() and not request.resume:
        raise TrainingError(
            f"{request.out} holds a run of the same kind: --resume goes on with it, another --out starts anew."
        )
    try:
        data = request.data_set
        what = {"key": key, "plugin": request.plugin, "recipe": request.recipe.name, "seed": request.seed}
        atomic_text(note, json.dumps({**what, "data": str(data.path), "data_set": data.hash}, indent=2))
    except StorageError as error:
        raise TrainingError(str(error)) from error
    if not path.exists():
        return RunState(key)
    state = load_state(path)
    if state.key != key:
        raise TrainingError(f"{path} is of another run; choose another --out or delete it.")
    state.stopped = ""
    return state


def _tiles(request: RunRequest, fabric: Any, stop: Callable[[], str], say: Say) -> list[SlideTiles]:
    def check() -> None:
        reason = stop()
        if reason:
            raise TrainingError(f"{reason} Slides that were cut are kept; go on with --resume.")

    order = {entry.id: number for number, entry in enumerate(request.data_set.slides, start=1)}

    def told(slide: str, done: int, total: int) -> None:
        say(f"Cutting slide {order[slide]} of {len(order)}, {slide}", done, total, None)

    folder = request.out / "samples"
    if fabric.is_global_zero:
        extract(request.data_set, request.recipe, folder, say=told, check=check)
    fabric.barrier()
    return extract(request.data_set, request.recipe, folder, check=check)


def _stores(request: RunRequest, tiles: list[SlideTiles]) -> dict[SplitName, TileStore]:
    stores = stores_of(request.recipe, tiles)
    if not len(stores["train"]):
        raise TrainingError("The slides of the split train gave no samples; check their cells, regions and scores.")
    if request.data_set.of("validation") and not len(stores["validation"]):
        raise TrainingError("The slides of the split validation gave no samples, so nothing tells when to stop.")
    return stores


def _finish(means: Means, network: torch.nn.Module) -> Mapping[str, Any]:
    if means.recipe.finish is None:
        return {}
    return means.recipe.finish(_Outputs(means, network))


class _Outputs:
    """See ``recipe.Outputs``."""

    def __init__(self, means: Means, network: torch.nn.Module) -> None:
        self._means, self._network = means, network

    def _store(self, split: str) -> TileStore:
        return self._means.train if split == "train" else self._means.validation

    def logits(self, split: str) -> NDArray[np.float32]:
        """(n, classes)."""
        means = self._means
        found = measure(means.fabric, means.recipe, self._network, self._store(split), logits=True).logits
        return np.zeros((0, len(self._means.recipe.classes)), np.float32) if found is None else found

    def table(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Columns by name."""
        return table_of(self._store(split))


def _logging(folder: Path, state: RunState, say: Say) -> Say:
    """``say`` that also keeps the log."""

    def said(stage: str, done: int, total: int, entry: dict[str, Any] | None) -> None:
        if entry is not None:
            text = io.StringIO()
            columns = list(dict.fromkeys(key for line in state.history for key in line))
            writer = csv.DictWriter(text, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(state.history)
            try:
                atomic_text(folder / LOG_FILE, text.getvalue())
            except StorageError as error:
                raise TrainingError(f"{error} The epochs so far are kept; go on with --resume.") from error
        say(stage, done, total, entry)

    return said


def _silent(stage: str, done: int, total: int, entry: dict[str, Any] | None) -> None:
    pass


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
