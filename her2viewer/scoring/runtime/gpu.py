"""Why no GPU is used: what the system shows of graphics cards, of their drivers and of PyTorch."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from her2viewer.scoring.runtime.devices import TITLES
from her2viewer.scoring.working_on import NoGpu

Torch = Literal["missing", "without GPU", "works", "driver too old", "fails"]

_VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
_HOW = "docs/training.md says how"


@dataclass(frozen=True)
class Signs:
    """What was found on this computer."""

    apple: bool = False
    """A processor of Apple's own, whose GPU PyTorch can use."""
    cards: frozenset[str] = frozenset()
    """Vendors of graphics cards: nvidia, amd, intel."""
    drivers: frozenset[str] = frozenset()
    """Those of ``nvidia`` and ``amd`` whose driver is loaded."""
    torch: Torch = "missing"
    said: str = ""
    """First line of PyTorch's complaint."""


def why_no_gpu(wish: str, asked_by: str = "the setting Device") -> NoGpu:
    """Why the processor was taken.

    Args:
        wish: what was asked for, one of ``contract.DEVICES``.
        asked_by: where it was asked for, to go on with "asks for".
    """
    if wish != "auto":
        asked = f"{asked_by[:1].upper()}{asked_by[1:]} asks for {TITLES.get(wish, wish)}."
        return NoGpu("as chosen", f"No GPU is used: {asked[:1].lower()}{asked[1:]}")
    return explained(signs())


def explained(found: Signs) -> NoGpu:
    """What follows from the signs, the likeliest card first."""
    cards = found.cards | found.drivers
    if "nvidia" in cards:
        if "nvidia" not in found.drivers:
            return NoGpu(
                "no NVIDIA driver",
                "No GPU is used: there is an NVIDIA card, but its driver is not installed.",
                f"Install NVIDIA's driver, and PyTorch for CUDA ({_HOW}).",
            )
        return _by_torch(found, "NVIDIA card", "CUDA")
    if found.apple:
        return _by_torch(found, "GPU of Apple's", "macOS")
    if "amd" in found.drivers:
        return _by_torch(found, "AMD card", "ROCm")
    if "intel" in cards:
        return NoGpu(
            "no Intel driver",
            "No GPU is used: there are Intel graphics, but OpenVINO finds no driver for computing on them.",
            "Install Intel's compute runtime for OpenCL and Level Zero; networks then run on the graphics.",
        )
    if cards:
        return NoGpu("no GPU driver", "No GPU is used: the graphics card has no driver for computing.")
    return NoGpu("no GPU found", "No GPU is used: none was found on this computer.")


def _by_torch(found: Signs, card: str, build: str) -> NoGpu:
    there = f"there is an {card}" if card[0] in "AN" else f"there is a {card}"
    install = f"Install PyTorch for {build} ({_HOW}); networks then run on the GPU."
    if found.torch == "missing":
        return NoGpu("PyTorch not installed", f"No GPU is used: {there}, but PyTorch is not installed.", install)
    if found.torch == "without GPU":
        return NoGpu(
            f"PyTorch without {build}",
            f"No GPU is used: {there}, but the PyTorch that is installed is the one for processors.",
            install,
        )
    if found.torch == "driver too old":
        return NoGpu(
            "GPU driver too old",
            f"No GPU is used: {there}, but its driver is too old for the PyTorch that is installed.",
            f"Update the driver, or install a PyTorch for an older {build} ({_HOW}).",
        )
    words = f" ({found.said})" if found.said else ""
    return NoGpu(
        "PyTorch finds no GPU",
        f"No GPU is used: {there}, but PyTorch cannot use it{words}.",
        "Update the driver and restart the computer; nvidia-smi and PyTorch's own words say more.",
    )


def signs() -> Signs:
    """Look at this computer. Imports torch only where a driver is there for it."""
    system = platform.system()
    apple = system == "Darwin" and platform.machine() == "arm64"
    drivers = frozenset(_drivers(system))
    torch, said = _torch() if apple or drivers else ("missing", "")
    return Signs(apple, frozenset(_cards()), drivers, torch, said)


def _drivers(system: str) -> list[str]:
    if system == "Windows":
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        return ["nvidia"] if os.path.exists(os.path.join(root, "System32", "nvcuda.dll")) else []
    places = {"nvidia": ("/dev/nvidiactl", "/proc/driver/nvidia/version"), "amd": ("/dev/kfd",)}
    return [name for name, paths in places.items() if any(os.path.exists(path) for path in paths)]


def _cards(root: Path = Path("/sys/bus/pci/devices")) -> list[str]:
    """Vendors of what Linux lists as display controllers; nothing elsewhere."""
    found = []
    with suppress(OSError):
        for device in root.iterdir():
            with suppress(OSError):
                if (device / "class").read_text(encoding="ascii").startswith("0x03"):
                    vendor = _VENDORS.get((device / "vendor").read_text(encoding="ascii").strip())
                    found += [] if vendor is None else [vendor]
    return found


def _torch() -> tuple[Torch, str]:
    """What PyTorch makes of the card, and the first line of what it complains of."""
    if find_spec("torch") is None:
        return "missing", ""
    try:
        import torch
    except (ImportError, OSError) as error:
        return "fails", _first_line(error)
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return "works", ""
    if torch.version.cuda is None and torch.version.hip is None and not torch.backends.mps.is_built():
        return "without GPU", ""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return ("driver too old", "") if "too old" in str(error) else ("fails", _first_line(error))
    return "fails", ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
