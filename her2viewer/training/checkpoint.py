"""The state of a run on disk: replaced whole after every epoch, so that a kill at any moment loses one at most.

Imports torch. Checkpoints are a run's own scratch and are read with ``weights_only``; models leave as safetensors.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from her2viewer.cases.atomic import StorageError, atomic_file
from her2viewer.training.recipe import TrainingError

FORMAT = "her2viewer-checkpoint 1"


@dataclass
class RunState:
    """Where a run is."""

    key: str
    """Of data, recipe and seed; another run's state is not gone on with."""
    stage: int = 0
    """Number of the stage that it is in; that of the stages when all are done."""
    epoch: int = 0
    """Epochs of this stage that are done."""
    seconds: float = 0.0
    """Spent on training so far."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One entry an epoch."""
    best_value: float | None = None
    """Of the stage's ``monitor``."""
    best_epoch: int = 0
    best: dict[str, torch.Tensor] | None = None
    """Weights of the best epoch so far."""
    network: dict[str, torch.Tensor] | None = None
    optimiser: dict[str, Any] | None = None
    schedule: dict[str, Any] | None = None
    stopped: str = ""
    """Why the stages ended."""


def save_state(path: Path, state: RunState) -> None:
    """Write the state whole or not at all.

    Raises:
        TrainingError: the disk is full or the folder gone; the state before it stays.
    """
    content = {name: getattr(state, name) for name in asdict(RunState("")) if name != "format"}
    try:
        with atomic_file(path) as file:
            torch.save({"format": FORMAT, **content}, file)
    except (StorageError, RuntimeError) as error:
        raise TrainingError(f"{error} The epochs before it are kept; go on with --resume.") from error


def load_state(path: Path) -> RunState:
    """The state that ``save_state`` wrote.

    Raises:
        TrainingError: the file is damaged or of another version.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content.pop("format") != FORMAT:
            raise ValueError("another version")
        return RunState(**content)
    except Exception as error:
        # A damaged file makes torch raise almost anything.
        raise TrainingError(
            f"{path} cannot be gone on with ({type(error).__name__}); delete it to train from the start."
        ) from error
