"""The runtime of this machine: threads, cancel, networks, and how long what took."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.scoring.contract import Cancelled, Network
from her2viewer.scoring.model_folder import ModelFolder


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

    def __init__(
        self, threads: int | None = None, cancel: threading.Event | None = None, device: str | None = None
    ) -> None:
        """``device``: one of ``devices.WISHES``; None takes ``HER2VIEWER_DEVICE``, else auto."""
        self.threads = usable_cores() if threads is None else max(1, threads)
        self.device = "CPU"
        self.spent: dict[str, Spent] = {}
        """What took how long, by stage; networks under their model's name."""
        self._wish = device or os.environ.get("HER2VIEWER_DEVICE") or "auto"
        self._cancel = threading.Event() if cancel is None else cancel
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Ask the scorer to stop; callable from any thread."""
        self._cancel.set()

    def check(self) -> None:
        """Raise ``Cancelled`` once ``cancel`` was called."""
        if self._cancel.is_set():
            raise Cancelled

    def network(self, model: ModelFolder) -> Network:
        """As ``contract.Runtime``."""
        from her2viewer.scoring.runtime.devices import pick_device
        from her2viewer.scoring.runtime.networks import load_network

        device = pick_device(self._wish)
        network = load_network(model, device, self.threads, self.check)
        self.device = device.title if network.precision == "fp32" else f"{device.title}, {network.precision}"
        return _Counted(network, model.name, self)

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


class _Counted:
    """A network whose images and time are counted."""

    def __init__(self, network: Network, name: str, runtime: LocalRuntime) -> None:
        self._network, self._name, self._runtime = network, name, runtime

    @property
    def batch(self) -> int:
        """As ``contract.Network``."""
        return self._network.batch

    @property
    def precision(self) -> str:
        """As ``contract.Network``."""
        return self._network.precision

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """As ``contract.Network``."""
        with self._runtime.timed(self._name, len(batch)):
            return self._network(batch)
