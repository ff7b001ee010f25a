"""The runtime of this machine: threads, cancel, networks, and how long what took."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.scoring.contract import Cancelled, Network
from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.scoring.runtime.inputs import input_side
from her2viewer.scoring.working_on import NoGpu

if TYPE_CHECKING:
    from her2viewer.scoring.runtime.devices import Device
    from her2viewer.scoring.runtime.networks import Loaded

DEVICE_VARIABLE = "HER2VIEWER_DEVICE"
"""Environment variable that stands for the setting where that says "auto"."""


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


@dataclass
class Spent:
    """Time spent on a part of the work, summed over threads."""

    items: float = 0.0
    seconds: float = 0.0


class LocalRuntime:
    """Cancel flag, number of threads, networks; see ``contract.Runtime``."""

    def __init__(self, threads: int | None = None, cancel: threading.Event | None = None) -> None:
        """``threads``: None takes all cores."""
        self.threads = usable_cores() if threads is None else max(1, threads)
        self.device = "CPU"
        self.no_gpu: NoGpu | None = None
        """Why the networks that were asked for run on no GPU."""
        self.spent: dict[str, Spent] = {}
        """What took how long, by stage; networks under their model's name."""
        self.models: dict[str, ModelFolder] = {}
        """The models whose networks were asked for, by name."""
        self._wish = "auto"
        self._cancel = threading.Event() if cancel is None else cancel
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Ask the scorer to stop; callable from any thread."""
        self._cancel.set()

    def check(self) -> None:
        """Raise ``Cancelled`` once ``cancel`` was called."""
        if self._cancel.is_set():
            raise Cancelled

    @property
    def wish(self) -> str:
        """Where networks are to run, one of ``contract.DEVICES``."""
        if self._wish != "auto":
            return self._wish
        return os.environ.get(DEVICE_VARIABLE, "").strip().lower() or "auto"

    def prefer(self, wish: str) -> None:
        """Say where networks are to run from now on, one of ``contract.DEVICES``.

        ``device`` follows when the next network is asked for; until then the processor works.
        """
        self._wish, self.device, self.no_gpu = wish, "CPU", None

    def network(self, model: ModelFolder) -> Network:
        """As ``contract.Runtime``."""
        from her2viewer.scoring.runtime.devices import pick_device
        from her2viewer.scoring.runtime.networks import load_network

        self.check()
        device = pick_device(self.wish)
        loaded = load_network(model, device, self.threads)
        self.device = device.title if loaded.precision == "fp32" else f"{device.title}, {loaded.precision}"
        self.no_gpu = self.explain(device)
        self.models[model.name] = model
        return _OfRun(loaded, model, device.title, self)

    def explain(self, device: Device) -> NoGpu | None:
        """Why networks run on this device and on no GPU; None where it is one."""
        from her2viewer.scoring.runtime.gpu import why_no_gpu

        if device.kind not in ("cpu", "npu"):
            return None
        asked_by = "the setting Device" if self._wish != "auto" else f"the environment variable {DEVICE_VARIABLE}"
        return why_no_gpu(self.wish, asked_by)

    @contextmanager
    def timed(self, stage: str, items: float = 0.0) -> Iterator[None]:
        """As ``contract.Runtime``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            with self._lock:
                spent = self.spent.setdefault(stage, Spent())
                spent.items, spent.seconds = spent.items + items, spent.seconds + seconds


class _OfRun:
    """A network within one run: it can be cancelled, its images and its time are counted."""

    def __init__(self, loaded: Loaded, model: ModelFolder, device: str, runtime: LocalRuntime) -> None:
        self._loaded, self._name, self._runtime = loaded, model.name, runtime
        self._device, self._side = device, input_side(model)

    @property
    def side(self) -> int:
        """As ``contract.Network``."""
        return self._side

    @property
    def device(self) -> str:
        """As ``contract.Network``."""
        return self._device

    @property
    def batch(self) -> int:
        """As ``contract.Network``."""
        return self._loaded.batch

    @property
    def precision(self) -> str:
        """As ``contract.Network``."""
        return self._loaded.precision

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """As ``contract.Network``."""
        with self._runtime.timed(self._name, len(batch)):
            return self._loaded.run(batch, self._runtime.check)
