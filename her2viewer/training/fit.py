"""Training a network through the stages of a recipe. Imports torch and Lightning Fabric.

Fabric knows the device, the precision and, on several GPUs, the processes. Every epoch draws from generators of its
own seed, so that a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import importlib
import itertools
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from her2viewer.training.batches import SampleSet, drawn, loader, shuffled
from her2viewer.training.checkpoint import RunState, save_state
from her2viewer.training.confusion import figures
from her2viewer.training.measured import measure, ordered
from her2viewer.training.recipe import Choice, Recipe, Stage, TrainingError
from her2viewer.training.slide_level import slides_of
from her2viewer.training.start import read_start, start_from

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightning.fabric import Fabric

    from her2viewer.training.tiles import TileStore

STATE_FILE = "state.pt"
OF_SLIDES = ("slide_macro_f1", "limits")
"""Monitors that look at slides as a whole."""


class Stopped(Exception):
    """The time is up or somebody pressed Ctrl+C; what is best so far is kept."""


@dataclass
class Means:
    """What the stages are run with."""

    fabric: Fabric
    recipe: Recipe
    train: TileStore
    validation: TileStore
    folder: Path
    seed: int
    stop: Callable[[], str]
    """Why to stop now; "" to go on."""
    say: Callable[[str, int, int, dict[str, Any] | None], None]
    """(stage and epoch, batches done, batches, the figures of the epoch once it is done)."""
    start: Path | None = None
    """Weights to begin with."""


def make_network(recipe: Recipe) -> torch.nn.Module:
    """The network of a recipe with fresh weights.

    Raises:
        TrainingError: it cannot be imported.
    """
    module, _, name = recipe.architecture.partition(":")
    try:
        network = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise TrainingError(f"The network {recipe.architecture} cannot be made: {error}.") from error
    if not isinstance(network, torch.nn.Module):
        raise TrainingError(f"{recipe.architecture} makes a {type(network).__name__}, which is no network.")
    # The order of the channels that processors and GPUs convolve fastest in: half the time on two cores.
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def make_fabric(device: str, bf16: bool) -> Fabric:
    """Fabric for "auto", "cpu" or "cuda"; all GPUs that there are.

    Raises:
        TrainingError: CUDA is wanted and there is none.
    """
    from lightning.fabric import Fabric

    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise TrainingError(
            "No CUDA device can be used: either there is none, or the installed torch is a CPU build "
            f"({torch.__version__}); docs/training.md says how to change it."
        )
    on_gpu = device != "cpu" and cuda
    half = bf16 and (torch.cuda.is_bf16_supported() if on_gpu else _fast_bf16())
    devices = torch.cuda.device_count() if on_gpu else 1
    with quiet():
        return Fabric(
            accelerator="cuda" if on_gpu else "cpu",
            devices=devices,
            strategy="ddp" if devices > 1 else "auto",
            precision="bf16-mixed" if half else "32-true",
        )


def _fast_bf16() -> bool:
    """Whether this processor multiplies bf16 in hardware: a U-Net then trains two to three times as fast."""
    known = getattr(torch.cpu, "get_capabilities", None)
    able = known() if known is not None else {}
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def run_stages(means: Means, state: RunState) -> RunState:
    """All stages from where the state is; ends with ``state.best`` set.

    Stops early without an error when ``means.stop`` says so: what is best so far stays in the state, and the file of
    the state is that of the last whole epoch.
    """
    network = make_network(means.recipe)
    try:
        while state.stage < len(means.recipe.stages):
            _run_stage(means, state, network)
            _keep_stage(means, state)
            state.stage, state.epoch = state.stage + 1, 0
            state.network = state.optimiser = state.schedule = None
            state.best_value = None
            _save(means, state)
    except Stopped as reason:
        state.stopped = str(reason)
        if state.best is None:
            # Not one epoch is whole: what there is, is better than nothing.
            state.best = _weights(network)
        _keep_stage(means, state)
    return state


@contextmanager
def quiet() -> Iterator[None]:
    """Without the advice that libraries give to programmers."""
    import logging

    loggers = [logging.getLogger(name) for name in ("lightning.fabric", "lightning.pytorch.utilities.rank_zero")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _run_stage(means: Means, state: RunState, network: torch.nn.Module) -> None:
    stage = means.recipe.stages[state.stage]
    torch.manual_seed(_seed(means.seed, state.stage, 0))
    if state.network is not None:
        network.load_state_dict(state.network)
    elif state.best is not None:
        network.load_state_dict(state.best)
    else:
        # The weights of a fresh network follow from the seed, too.
        network.load_state_dict(make_network(means.recipe).state_dict())
        if means.start is not None:
            start_from(network, read_start(means.start), means.start.name)
    optimiser = stage.optimiser(network.parameters())
    schedule = _schedule(stage, optimiser)
    wrapped, wrapped_optimiser = means.fabric.setup(network, optimiser)
    # Only now: it puts what it loads where the weights are.
    if state.optimiser is not None:
        optimiser.load_state_dict(state.optimiser)
    if schedule is not None and state.schedule is not None:
        schedule.load_state_dict(state.schedule)
    if stage.choose is not None or means.recipe.labels == "mask":
        known = np.arange(len(means.train))
    else:
        known = np.flatnonzero(means.train.table.label >= 0)
    if len(known) == 0:
        raise TrainingError(
            "No training sample has a label; give cells or truth, or scores of the slides, in the data set."
        )
    if stage.choose is not None and state.best is not None and state.best_value is None and len(means.validation):
        # Weak supervision is to mend the stage before it, so that is what its epochs are measured against.
        state.best_value = _value(_validated(means, wrapped, stage), stage)
    while state.epoch < stage.epochs and state.epoch - state.best_epoch < stage.patience:
        began = time.monotonic()
        entry = _run_epoch(means, stage, state, wrapped, wrapped_optimiser)
        if entry is None:
            break
        value = _value(entry, stage)
        if schedule is not None:
            schedule.step(value)
        state.epoch += 1
        if state.best_value is None or value > state.best_value:
            state.best_value, state.best_epoch, state.best = value, state.epoch, _weights(network)
        state.seconds += time.monotonic() - began
        entry["best"] = state.best_epoch == state.epoch
        entry["seconds"] = round(time.monotonic() - began, 3)
        state.history.append(entry)
        state.network, state.optimiser = _weights(network), optimiser.state_dict()
        state.schedule = None if schedule is None else schedule.state_dict()
        _save(means, state)
        means.say(f"{stage.name}, epoch {state.epoch}", 1, 1, entry)
    if state.best is None:
        # The very first stage found nothing to train on.
        state.best = _weights(network)
    state.best_epoch = 0


def _run_epoch(means: Means, stage: Stage, state: RunState, network: Any, optimiser: Any) -> dict[str, Any] | None:
    """The figures of the epoch; None where the stage finds nothing more to train on."""
    epoch = state.epoch
    seed = _seed(means.seed, state.stage, epoch + 1)
    torch.manual_seed(seed)
    if stage.choose is None:
        choice = drawn(means.train, means.recipe, stage, means.seed + 1000 * state.stage, epoch)
    else:
        choice = shuffled(_checked(stage.choose(_Chooser(means, network, epoch))), stage, means.seed, epoch)
        if not len(choice.indices):
            return None
    varied = None if stage.jitter is None else (stage.jitter, seed, epoch)
    samples = SampleSet(means.train, means.recipe, choice, varied)
    batches = loader(samples, stage.batch, rank=means.fabric.global_rank, world=means.fabric.world_size)
    title = f"{stage.name}, epoch {epoch + 1} of at most {stage.epochs}"
    total, count = 0.0, 0
    to_train(network, stage)
    for done, batch in enumerate(batches):
        reason = means.stop()
        if reason:
            raise Stopped(reason)
        means.say(title, done, len(batches), None)
        there = batch.to(means.fabric.device)
        optimiser.zero_grad(set_to_none=True)
        loss = stage.loss(network(ordered(there.x)).float(), there.target, there.group)
        means.fabric.backward(loss)
        optimiser.step()
        total, count = total + float(loss.detach()) * len(there.index), count + len(there.index)
    if stage.settle and not stage.keep_statistics:
        means.say(f"{title}, settling", 0, 1, None)
        settle(means, network, samples, stage)
    mean = total / max(count, 1)
    if not np.isfinite(mean):
        raise TrainingError(
            f"The loss of {stage.name} is no number any more (epoch {epoch + 1}); lower the learning rate."
        )
    more = _validated(means, network, stage) if len(means.validation) else {}
    rate = optimiser.param_groups[0]["lr"]
    return {"stage": stage.name, "epoch": epoch + 1, "train_loss": mean, **more, "learning_rate": rate}


def to_train(network: torch.nn.Module, stage: Stage) -> None:
    """Put a network into the mode of training, its batch normalisation as the stage wants it."""
    network.train()
    if stage.keep_statistics:
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()


def settle(means: Means, network: Any, samples: SampleSet, stage: Stage) -> None:
    """Average the statistics of batch normalisation over ``stage.settle`` batches of an epoch."""
    layers = [m for m in network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        # None is the plain mean over all that comes.
        layer.momentum = None
    network.train()
    with torch.no_grad():
        for batch in itertools.islice(loader(samples, stage.batch), stage.settle):
            reason = means.stop()
            if reason:
                raise Stopped(reason)
            network(ordered(batch.to(means.fabric.device).x))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _validated(means: Means, network: Any, stage: Stage) -> dict[str, Any]:
    of_slides = stage.monitor in OF_SLIDES
    seen = measure(means.fabric, means.recipe, network, means.validation, stage=stage, logits=of_slides)
    found: dict[str, Any] = {"validation_loss": seen.loss, **figures(seen.confusion)}
    if of_slides and seen.logits is not None:
        slides = slides_of(seen.logits, means.validation)
        found |= {"slide_macro_f1": slides.macro_f1, "limits_broken": slides.broken / max(len(slides), 1)}
    return found


def _value(entry: dict[str, Any], stage: Stage) -> float:
    """What is to become larger; without validation the latest epoch counts as the best."""
    if "validation_loss" not in entry:
        return float(entry["epoch"])
    if stage.monitor in ("loss", "limits"):
        return float(-entry["validation_loss" if stage.monitor == "loss" else "limits_broken"])
    return float(entry[stage.monitor])


def stage_file(folder: Path, number: int) -> Path:
    """Where the weights of a finished stage are kept, numbered from 1."""
    return folder / f"stage-{number}.safetensors"


def _keep_stage(means: Means, state: RunState) -> None:
    """The best weights at the end of a stage, for comparing stages; a recipe of one stage has nothing to compare."""
    if len(means.recipe.stages) > 1 and means.fabric.is_global_zero and state.best is not None:
        from safetensors.torch import save_file

        contiguous = {name: value.contiguous() for name, value in state.best.items()}
        save_file(contiguous, stage_file(means.folder, state.stage + 1))


class _Chooser:
    """See ``recipe.Chooser``."""

    def __init__(self, means: Means, network: torch.nn.Module, epoch: int) -> None:
        self._means, self._network = means, network
        self.epoch = epoch
        table = means.train.table
        self.label, self.slide, self.weight = table.label, table.slide, table.weight

    def probabilities(self) -> NDArray[np.float32]:
        """(n, classes)."""
        logits = measure(self._means.fabric, self._means.recipe, self._network, self._means.train, logits=True).logits
        if logits is None:
            raise TrainingError("There are no training samples to choose from.")
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def _checked(choice: Choice) -> Choice:
    if not len(choice.indices) == len(choice.targets) == len(choice.groups):
        raise TrainingError("A choice needs an index, a target and a group for each sample.")
    return choice


def _schedule(stage: Stage, optimiser: torch.optim.Optimizer) -> Any:
    if stage.plateau is None:
        return None
    factor, patience = stage.plateau
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode="max", factor=factor, patience=patience)


def _weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _save(means: Means, state: RunState) -> None:
    if means.fabric.is_global_zero:
        save_state(means.folder / STATE_FILE, replace(state))
    means.fabric.barrier()


def _seed(run: int, stage: int, epoch: int) -> int:
    return int(np.random.SeedSequence([run, stage, epoch]).generate_state(1)[0])
