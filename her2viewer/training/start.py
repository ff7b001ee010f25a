"""Weights that a training begins with, read from a file of the user's; imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from her2viewer.training.recipe import TrainingError


def read_start(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file or of a state that torch saved; code in a file is never run.

    Raises:
        TrainingError: it is neither, or cannot be read.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(f"There is no {path}; give the file of the weights to begin with.") from error
    except Exception as error:
        # Damaged files make both libraries raise almost anything.
        raise TrainingError(
            f"{path.name} cannot be read as weights ({type(error).__name__}); give a safetensors file, or a state "
            "dictionary saved by torch without code in it."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise TrainingError(f"{path.name} is no state dictionary; save network.state_dict() and give that file.")
    return state


def start_from(network: torch.nn.Module, state: Mapping[str, torch.Tensor], name: str) -> int:
    """Put the weights into a network; returns how many tensors were taken.

    A network that knows other names for its parts (``start_from``) chooses itself; else names and shapes must fit.

    Raises:
        TrainingError: the weights are of another network.
    """
    own = getattr(network, "start_from", None)
    try:
        if own is not None:
            return int(own(state))
        network.load_state_dict(dict(state))
    except (ValueError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise TrainingError(f"The training cannot begin with {name}: {first}") from error
    return len(state)
