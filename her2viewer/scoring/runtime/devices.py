"""What networks can run on here: OpenVINO for processors, Intel graphics and NPUs, torch for CUDA and MPS."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

from her2viewer.scoring.contract import DEVICES, ScorerError

Kind = Literal["cpu", "gpu", "npu", "cuda", "mps"]
TITLES = {"cpu": "CPU", "gpu": "Intel GPU", "npu": "NPU", "cuda": "CUDA", "mps": "Apple GPU"}
_ORDER: tuple[Kind, ...] = ("cuda", "mps", "gpu", "cpu")
"""``auto`` takes the first that is there. An NPU has to be asked for: it refuses some networks."""


@dataclass(frozen=True)
class Device:
    """One place that networks can run on."""

    kind: Kind
    title: str
    """As shown: "CPU", "CUDA: RTX 4070"."""

    @property
    def by_torch(self) -> bool:
        """Whether torch runs it, else OpenVINO."""
        return self.kind in ("cuda", "mps")


def devices() -> tuple[Device, ...]:
    """Everything that is there, the best first. Imports torch only where it may find a GPU of its own."""
    found = [*_of_torch(), *_of_openvino()]
    return tuple(sorted(found, key=lambda d: _ORDER.index(d.kind) if d.kind in _ORDER else len(_ORDER)))


def pick_device(wish: str = "auto") -> Device:
    """The device of a wish.

    Raises:
        ScorerError: it is not there, or nothing is.
    """
    if wish not in DEVICES:
        raise ScorerError(f"There is no device {wish!r}; choose one of {', '.join(DEVICES)}.")
    there = devices()
    for device in there:
        if wish in ("auto", device.kind):
            return device
    titles = ", ".join(d.title for d in there)
    if not there:
        raise ScorerError(
            "Networks cannot run: OpenVINO is missing from this installation. Install her2viewer again, or choose "
            "the scorer membrane, which needs no network."
        )
    raise ScorerError(
        f"{TITLES[wish]} was asked for and is not there; networks can run on {titles}. Choose one of them or auto."
    )


def precisions(device: Device) -> tuple[str, ...]:
    """The precisions that a network may run at on a device: the full one, then those that a trial tries, in turn."""
    if not device.by_torch:
        full, *low = precisions_of(device.kind.upper())
        return (full, *(("int8",) if device.kind == "cpu" else ()), *low)
    if device.kind != "cuda":
        return ("fp32",)
    import torch

    return ("fp32", "bf16") if torch.cuda.is_bf16_supported() else ("fp32",)


def precisions_of(name: str) -> tuple[str, ...]:
    """Those of floating point, of a device of OpenVINO: "CPU", "GPU" or "NPU"."""
    if name == "NPU":
        # It knows nothing else.
        return ("fp16",)
    low = "bf16" if name == "CPU" else "fp16"
    able = openvino_core().get_property(name, "OPTIMIZATION_CAPABILITIES")
    return ("fp32", low) if low.upper() in able else ("fp32",)


def openvino_version() -> str:
    """OpenVINO's version, "2026.4.1"; "" where it is missing."""
    if openvino_core() is None:
        return ""
    import openvino

    return str(openvino.__version__).partition("-")[0]


def openvino_core() -> Any:
    """OpenVINO's core, made once; None where it cannot be imported."""
    return _core()


@cache
def _core() -> Any:
    os.environ.setdefault("OPENVINO_TELEMETRY_DISABLED", "1")
    try:
        import openvino
    except ImportError:
        return None
    return openvino.Core()


def _of_openvino() -> list[Device]:
    core = openvino_core()
    if core is None:
        return []
    found: list[Device] = []
    kinds: dict[str, Kind] = {"CPU": "cpu", "GPU": "gpu", "NPU": "npu"}
    for name in core.available_devices:
        kind = kinds.get(str(name).partition(".")[0])
        if kind is None or any(d.kind == kind for d in found):
            continue
        # The processor's own name says nothing that a reader chooses by.
        title = TITLES[kind] if kind == "cpu" else f"{TITLES[kind]}: {core.get_property(name, 'FULL_DEVICE_NAME')}"
        found.append(Device(kind, title))
    return found


def _of_torch() -> list[Device]:
    if not _torch_may_find_one() or find_spec("torch") is None:
        return []
    import torch

    if torch.cuda.is_available():
        return [Device("cuda", f"CUDA: {torch.cuda.get_device_name(0)}")]
    if torch.backends.mps.is_available():
        return [Device("mps", TITLES["mps"])]
    return []


def _torch_may_find_one() -> bool:
    """Importing torch takes seconds: only where there are signs of an NVIDIA driver or of Apple's processors."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    if platform.system() == "Windows":
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        return os.path.exists(os.path.join(root, "System32", "nvcuda.dll"))
    return os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/kfd")
