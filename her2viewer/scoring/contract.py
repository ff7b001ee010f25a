"""The contract between the program and a scorer: what a scorer is given, and what it says while it works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.evidence import Evidence
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import NotAssessable, ResultWarning, Status
from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.slides.slide import Slide

API_VERSION = 1
DEVICES = ("auto", "cpu", "gpu", "npu", "cuda", "mps")
"""Where a user can want networks to run; ``gpu`` and ``npu`` are Intel's, by OpenVINO."""


class Cancelled(Exception):
    """The reader cancelled the run. A scorer lets it pass."""


class ScorerError(Exception):
    """A scorer cannot go on. ``str()`` is a sentence for the reader: what is wrong, what to do."""


class Network(Protocol):
    """A trained network on the device that the runtime chose. One thread at a time."""

    @property
    def side(self) -> int:
        """Of the images that it takes, px."""

    @property
    def batch(self) -> int:
        """How many images at once suit the device; any number may be handed over."""

    @property
    def device(self) -> str:
        """Where it runs, as ``Runtime.device`` without the precision."""

    @property
    def precision(self) -> str:
        """ "fp32", "bf16", "fp16" or "int8"."""

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Raw answers of the network, (n, ...) float32, mostly logits.

        ``batch`` is (n, side, side, channels): uint8, brought to 0..1 first, or float32. Each channel is then scaled
        as the model says.

        Raises:
            Cancelled: the reader cancelled.
            ScorerError: the device cannot go on.
        """


class Runtime(Protocol):
    """What the core gives a scorer besides pixels."""

    device: str
    """Where networks run and how, as shown to the user: "CPU", "CPU, bf16", "CUDA: RTX 4070"."""
    threads: int
    """How many threads a scorer may keep busy."""

    def check(self) -> None:
        """Call at least twice a second; raises ``Cancelled`` when the reader has cancelled."""

    def network(self, model: ModelFolder) -> Network:
        """A model ready to run, on the best device there is or the one that the user chose.

        Raises:
            ScorerError: it cannot run there; the sentence says what to do.
        """

    def timed(self, stage: str, items: float = 0.0) -> AbstractContextManager[None]:
        """Counts time and items (px, patches) of a stage for ``her2viewer bench score``."""


@dataclass(frozen=True)
class ScoringInput:
    """One request to a scorer."""

    slide: Slide
    pixel_size: PixelSize
    """Confirmed pixel size; the slide's own may be missing or implausible."""
    region: Region
    """What is to be scored now: a region edited later comes again as its new part only."""
    whole: Region
    """The whole region of the reader; estimates (background, stain vectors) are made on this."""
    control: Region
    """On-slide control tissue; may be empty."""
    settings: Mapping[str, Any]
    """Complete and checked against the manifest."""
    estimates: Mapping[str, Any] = field(default_factory=dict)
    """Estimates of an earlier run on this slide with these settings, to be used again; empty the first time."""
    focus: tuple[float, float] | None = None
    """Where the reader looks, level-0 px: what lies near is wanted first."""
    for_calibration: bool = False
    """Add to the evidence what the plugin's calibration needs to class it anew under other settings."""


@dataclass(frozen=True)
class Progress:
    """How far a scorer is; ``total`` 0 means that it cannot tell."""

    stage: str
    """A few words for the reader: "Estimating stain", "Cells"."""
    done: float
    total: float


@dataclass(frozen=True)
class Partial:
    """Evidence of a part of the region, complete for that part: drawn at once, kept at the end."""

    evidence: tuple[Evidence, ...]
    covered: Region
    """The part of the region that this evidence completes."""


@dataclass(frozen=True)
class Finished:
    """The end of a run. Evidence is what the partials carried; only what is not tied to a part stands here."""

    estimates: Mapping[str, Any] = field(default_factory=dict)
    """JSON values estimated on the slide; kept in the provenance and handed back to a later run."""
    evidence: tuple[Evidence, ...] = ()
    score: int | None = None
    score_probabilities: tuple[float, float, float, float] | None = None
    status: Status | None = None
    status_probability: float | None = None
    not_assessable: NotAssessable | None = None
    warnings: tuple[ResultWarning, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)


Event = Progress | Partial | Finished


class Scorer(Protocol):
    """A published method. One instance serves one run.

    A scorer may also have a method ``prepare(settings)``, given its default settings: what takes time on a new
    machine and needs no slide (compiling, loading a network). The scoring process calls it while the reader still
    looks and draws; ``score`` must not rely on it.
    """

    def score(self, request: ScoringInput, runtime: Runtime) -> Iterator[Event]:
        """Work through the region and say so; the last event is ``Finished``.

        Raises:
            Cancelled: from ``runtime.check()``.
            ScorerError: with a sentence for the reader.
        """
