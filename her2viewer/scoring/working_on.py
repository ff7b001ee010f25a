"""Where networks run and why on no GPU: the words of the window and of ``her2viewer doctor``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NoGpu:
    """Why networks run on the processor."""

    short: str
    """A few words: "no GPU found", "GPU driver too old"."""
    sentence: str
    """What was found."""
    fix: str = ""
    """What to do; "" where there is nothing to mend."""


@dataclass(frozen=True)
class WorkingOn:
    """The device of a scorer, and where that is no GPU the reason."""

    device: str
    """As ``Runtime.device``: "CPU, bf16", "CUDA: RTX 4070"."""
    no_gpu: NoGpu | None = None
    """None where a GPU works."""

    @property
    def chip(self) -> str:
        """For a narrow place: "CPU, bf16 (no GPU found)"."""
        return self.device if self.no_gpu is None else f"{self.device} ({self.no_gpu.short})"

    @property
    def sentence(self) -> str:
        """Device and reason: "CPU, bf16. No GPU is used: none was found on this computer."."""
        return self.device if self.no_gpu is None else f"{self.device}. {self.no_gpu.sentence}"


NO_NETWORK = NoGpu("no network", "This scorer has no network that a GPU could run: it works on the processor.")
