"""A network run by torch, on CUDA or MPS. Imports torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from her2viewer.scoring.contract import ScorerError
from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.scoring.runtime.openvino_network import as_images, scaling

START_PIXELS = 1 << 24
"""Of the first batch that is tried; halved until it fits."""
MOST = 1024


def build_module(model: ModelFolder) -> torch.nn.Module:
    """The network of a model folder with its weights, for inference, float32.

    Raises:
        ScorerError: its plugin is missing, or the weights are of another network.
    """
    from safetensors.torch import load_file

    module, _, name = model.architecture.partition(":")
    try:
        network = getattr(importlib.import_module(module), name)()
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
    if not isinstance(network, torch.nn.Module):
        raise ScorerError(f"{model.architecture} makes a {type(network).__name__}, which is no network.")
    return network.eval()


class TorchNetwork:
    """See ``contract.Network``."""

    def __init__(self, model: ModelFolder, device: str, check: Callable[[], None] = lambda: None) -> None:
        """Put the network on ``device`` ("cuda", "mps").

        Raises:
            ScorerError: it cannot be made.
        """
        self._check, self._device, self._name = check, torch.device(device), model.name
        offset, scale = scaling(model)
        shape = (1, -1, 1, 1)
        self._network = build_module(model).to(self._device)
        self._offset = torch.tensor(offset, device=self._device).reshape(shape)
        self._scale = torch.tensor(scale, device=self._device).reshape(shape)
        self._side, self._channels = int(model.more.get("input_px", 0)) or 256, len(offset)
        self.batch = max(1, min(MOST, START_PIXELS // self._side**2))
        half = bool(model.more.get("bf16")) and device == "cuda" and torch.cuda.is_bf16_supported()
        self.precision = "bf16" if half else "fp32"

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """As ``contract.Network``; batches that do not fit the device's memory are halved."""
        images = as_images(batch, self._side, self._channels)
        parts: list[NDArray[np.float32]] = []
        start = 0
        while start < len(images) or not parts:
            self._check()
            try:
                parts.append(self._run(images[start : start + self.batch]))
            except torch.cuda.OutOfMemoryError as error:
                torch.cuda.empty_cache()
                if self.batch == 1:
                    raise ScorerError(
                        f"The memory of the GPU is too small for the network {self._name}. Close other programs that "
                        "use the GPU, or choose CPU in the settings."
                    ) from error
                self.batch //= 2
                continue
            start += self.batch
        return np.concatenate(parts)

    def _run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            x = torch.from_numpy(images).to(self._device, non_blocking=True).permute(0, 3, 1, 2)
            x = x.float() / 255 if images.dtype == np.uint8 else x
            x = ((x - self._offset) * self._scale).contiguous(memory_format=torch.channels_last)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                answer: torch.Tensor = self._network(x)
            return np.asarray(answer.float().cpu().numpy(), np.float32)


def _wide(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value
