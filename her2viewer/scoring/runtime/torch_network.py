"""A network run by torch, on CUDA or MPS. Imports torch."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from her2viewer.scoring.contract import ScorerError
from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.scoring.runtime.inputs import as_images, input_side, scaling

START_PIXELS = 1 << 22
"""Of the first batch that is tried; halved until it fits."""
MOST = 1024
TOLERANCE = 1e-3
"""Largest difference of a converted network's answers from those of torch, in units of their spread."""


def build_module(model: ModelFolder) -> torch.nn.Module:
    """The network of a model folder with its weights, for inference, float32.

    Raises:
        ScorerError: its plugin is missing, or the weights are of another network.
    """
    from safetensors.torch import load_file

    try:
        network = network_of(model.architecture)
        network.load_state_dict({key: _wide(value) for key, value in load_file(model.weights).items()})
    except (ImportError, AttributeError) as error:
        raise ScorerError(
            f"The network {model.architecture} of the model {model.name} cannot be made ({error}). "
            "Install the plugin that the model belongs to."
        ) from error
    except (RuntimeError, OSError) as error:
        raise ScorerError(
            f"The weights of {model.name} do not fit the network {model.architecture}: they are of another version. "
            f"Get the model again. ({str(error).splitlines()[0]})"
        ) from error
    return network.eval()


def network_of(architecture: str) -> torch.nn.Module:
    """A network with fresh weights, from ``module:Class``.

    Raises:
        ImportError: there is no such module, or what it has under that name makes no network.
        AttributeError: the module has no such name.
    """
    module, _, name = architecture.partition(":")
    network = getattr(importlib.import_module(module), name)()
    if not isinstance(network, torch.nn.Module):
        raise ImportError(f"it makes a {type(network).__name__}, which is no network")
    return network


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads of the processor meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def apart(core: Any, converted: Any, module: torch.nn.Module, shape: tuple[int, ...]) -> float:
    """Largest difference of OpenVINO's answers from torch's on noise of (n, c, h, w), in units of their spread.

    Args:
        core: OpenVINO's core.
        converted: a model of OpenVINO, or the path of a file that it reads.
        module: the network, on the processor.
        shape: of the noise.
    """
    x = np.random.default_rng(7).random(shape, dtype=np.float32)
    with torch.inference_mode():
        expected = module.eval()(torch.from_numpy(x)).numpy()
    compiled = core.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return float(np.abs(compiled(x)[0] - expected).max()) / max(float(expected.std()), 1e-6)


class TorchNetwork:
    """See ``contract.Network``."""

    def __init__(self, model: ModelFolder, device: str, precision: str = "fp32") -> None:
        """Put the network on ``device`` ("cuda", "mps", "cpu"), at "fp32" or "bf16".

        Raises:
            ScorerError: it cannot be made.
        """
        self._device, self._name = torch.device(device), model.name
        offset, scale = scaling(model)
        shape = (1, -1, 1, 1)
        self._side, self._channels = input_side(model), len(offset)
        self._network = build_module(model).to(self._device)
        for parameter in self._network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._offset = torch.tensor(offset, device=self._device).reshape(shape)
        self._scale = torch.tensor(scale, device=self._device).reshape(shape)
        self._busy = threading.Lock()
        self.batch = max(1, min(MOST, START_PIXELS // self._side**2))
        self.precision = precision

    def run(self, batch: NDArray[Any], check: Callable[[], None]) -> NDArray[np.float32]:
        """As ``contract.Network``; ``check`` is called between batches and may raise.

        Batches that do not fit the device's memory are halved.
        """
        images = as_images(batch, self._side, self._channels)
        parts: list[NDArray[np.float32]] = []
        start = 0
        with self._busy:
            while start < len(images) or not parts:
                check()
                part = images[start : start + self.batch]
                try:
                    parts.append(self._run(part))
                except RuntimeError as error:
                    self._smaller(error)
                    continue
                start += len(part) or 1
        return np.concatenate(parts)

    def _smaller(self, error: RuntimeError) -> None:
        """Halve the batch where memory was too small.

        Raises:
            ScorerError: it was not that, or one image is too much.
        """
        if not isinstance(error, torch.cuda.OutOfMemoryError) and "out of memory" not in str(error).lower():
            raise ScorerError(
                f"The network {self._name} failed on the GPU ({str(error).splitlines()[0][:200]}). Choose the device "
                "cpu in the settings of the scorer."
            ) from error
        if self.batch == 1:
            raise ScorerError(
                f"The memory of the GPU is too small for the network {self._name}. Close other programs that use the "
                "GPU, or choose the device cpu in the settings of the scorer."
            ) from error
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self.batch //= 2

    def _run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            x = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2)
            x = x.float() / 255 if images.dtype == np.uint8 else x
            x = ((x - self._offset) * self._scale).contiguous(memory_format=torch.channels_last)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                answer: torch.Tensor = self._network(x)
            return np.asarray(answer.float().cpu().numpy(), np.float32)


def _wide(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value
