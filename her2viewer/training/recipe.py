"""What a recipe is: where samples are cut, what they are told apart by, and the stages a network is trained in.

Values only; nothing here imports torch, so recipes can be listed without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS

if TYPE_CHECKING:
    import torch

    from her2viewer.training.augment import Stained
    from her2viewer.training.sources import SlideSource

UNLABELLED = -1


@dataclass(frozen=True)
class Spots:
    """Where a slide is cut, n samples."""

    x: NDArray[np.float64]
    """(n,) centre, level-0 px."""
    y: NDArray[np.float64]
    label: NDArray[np.int16]
    """(n,) class, ``UNLABELLED`` where the label comes with the slide or with a mask."""
    weight: NDArray[np.float32]
    """(n,) for example the share of the sample that is tumour."""

    def __len__(self) -> int:
        return len(self.x)


class Sampler(Protocol):
    """Chooses the samples of a slide; see ``samplers`` for the ready ones."""

    def key(self) -> Mapping[str, Any]:
        """JSON values that change whenever the same slide would give other samples."""

    def spots(self, source: SlideSource, extent: float) -> Spots:
        """The samples of a slide; ``extent`` is the side of one in level-0 px. Must be deterministic.

        Raises:
            TrainingError: the slide lacks what is needed.
        """

    def mask(self, source: SlideSource, box: tuple[float, float, float], pixels: int) -> NDArray[np.uint8] | None:
        """Classes of the pixels of one sample, (pixels, pixels), or None where samples have one label each.

        ``box`` is left, top and side in level-0 px.
        """


@dataclass(frozen=True)
class Cut:
    """How samples are cut from a slide."""

    sampler: Sampler
    mpp: float
    """um/px."""
    pixels: int
    """Side of the network's input."""
    margin: int = 0
    """Pixels more on each side, so that training can shift the samples."""

    @property
    def stored(self) -> int:
        """Side of a stored sample, px."""
        return self.pixels + 2 * self.margin


@dataclass(frozen=True)
class StainJitter:
    """How much samples are varied in stain space; each a standard deviation unless it says otherwise.

    DAB is what HER2 classes are read by: ``dab`` must stay well below the step from one class to the next.
    """

    haematoxylin: float = 0.2
    """Of the factor on the amount of haematoxylin (log normal)."""
    dab: float = 0.06
    """Of the factor on the amount of DAB (log normal)."""
    haze: float = 0.01
    """OD added to both stains everywhere."""
    vectors: float = 0.03
    """Of each number of the stain vectors."""
    background: float = 6.0
    """Grey levels of each channel of the glass."""
    estimate: float = 0.01
    """Of each number of the vectors, and a tenth of it of the glass, as the scorer's own estimate errs."""
    noise: float = 1.5
    """Grey levels of sensor noise, upper limit."""
    blur: float = 0.6
    """px, upper limit of the additional blur."""
    turns: bool = True
    """Flips and quarter turns."""


@dataclass(frozen=True)
class Choice:
    """The samples of one epoch, m of them, where a stage chooses them itself."""

    indices: NDArray[np.int64]
    targets: NDArray[np.int64]
    """(m,) class to be learnt."""
    groups: NDArray[np.int64]
    """(m,) handed on to the loss, for stages with more than one."""


class Chooser(Protocol):
    """Gives a stage what it chooses by."""

    epoch: int
    label: NDArray[np.int64]
    """(n,) class of each training sample, its slide's where it has none of its own."""
    slide: NDArray[np.int64]
    """(n,) number of its slide."""
    weight: NDArray[np.float32]

    def probabilities(self) -> NDArray[np.float32]:
        """(n, classes) of the network as it is now."""


Loss = Callable[["torch.Tensor", "torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""(logits, targets, groups) -> scalar."""


@dataclass(frozen=True)
class Stage:
    """One stage of training. It begins with the best network of the stage before."""

    name: str
    epochs: int
    batch: int
    optimiser: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]
    loss: Loss
    patience: int = 10
    """Epochs without a better ``monitor`` on the validation split after which the stage ends."""
    monitor: Literal["loss", "accuracy", "macro_f1", "slide_macro_f1", "limits"] = "macro_f1"
    """What tells the best epoch on the validation split: of samples, or of the scores of whole slides, or by how much
    less the guideline's limits on the class fractions of slides are broken (see ``limits``)."""
    samples: int | None = None
    """Samples of an epoch at most, so that an epoch stays short on large sets."""
    balance: Literal["none", "class", "slide score", "scanner and slide score"] = "none"
    """Draw all classes, all scores of slides, or all scores of all scanners, equally often."""
    jitter: StainJitter | None = field(default_factory=StainJitter)
    choose: Callable[[Chooser], Choice] | None = None
    """Chooses the samples of each epoch and their targets, for weak supervision."""
    keep_statistics: bool = False
    """Leave the statistics of batch normalisation as the stage before left them: for stages whose chosen samples are
    few and unlike the others, which would drag the answers on all others along."""
    settle: int = 0
    """Batches over which the statistics of batch normalisation are averaged anew after each epoch. The running ones
    remember the last few batches only, which shows as figures of validation that jump from epoch to epoch."""
    plateau: tuple[float, int] | None = None
    """Lower the learning rate by this factor after so many epochs without a better ``monitor``."""


class Outputs(Protocol):
    """What a recipe's ``finish`` works on: the trained network's answers."""

    def logits(self, split: Literal["train", "validation"]) -> NDArray[np.float32]:
        """(n, classes)."""

    def table(self, split: Literal["train", "validation"]) -> Mapping[str, NDArray[Any]]:
        """``label``, ``slide``, ``weight`` and ``score`` (of the slide, -1 unknown), each (n,)."""


@dataclass(frozen=True)
class Feature:
    """One number that is measured on a sample."""

    name: str
    unit: str
    """"" for a number without one."""
    group: str
    """What it tells: colour, texture, shape."""
    what: str
    """How it is measured, in a few words."""


@dataclass(frozen=True)
class HandMade:
    """Features made by hand, for the classical classifiers that a network is compared with."""

    features: tuple[Feature, ...]
    measure: Callable[[Stained, float], NDArray[np.float32]]
    """(b samples with their margin, um per px) -> (b, features) without NaN."""


@dataclass(frozen=True)
class Recipe:
    """How one network of a plugin is trained."""

    name: str
    title: str
    summary: str
    architecture: str
    """``module:Class`` of the network; called without arguments."""
    classes: tuple[str, ...]
    cut: Cut
    stages: tuple[Stage, ...]
    inputs: Literal["stains", "rgb", "rgb_on_glass"] = "stains"
    """``stains``: haematoxylin and DAB as optical density, in the slide's own vectors. ``rgb``: three channels, 0
    to 1. ``rgb_on_glass``: the same after the slide's glass was made white."""
    scale: tuple[float, ...] = (1.0, 1.0)
    """Factor on each input channel."""
    offset: tuple[float, ...] = (0.0, 0.0)
    """Taken off each input channel before the factor."""
    labels: Literal["sample", "slide", "mask"] = "sample"
    """Where the target of a sample comes from: its own label, its slide's score, its mask."""
    runs_at: int | None = None
    """Side of the input in use, px, of a network that takes any; None: that of the samples."""
    bf16: bool = True
    """Whether less than full precision (bf16, 8-bit integers) may be tried where it is faster."""
    version: int = 1
    """To be raised when a change makes a half-finished run impossible to go on with."""
    notes: tuple[str, ...] = ()
    """Sentences for the model card: what the paper leaves open and how it was decided."""
    finish: Callable[[Outputs], Mapping[str, Any]] | None = None
    """After the stages: whatever is fitted on outputs (logit calibration), kept in ``model.toml``."""
    hand_made: HandMade | None = None
    """For ``her2viewer crossval``, which compares the network with classical classifiers."""

    @property
    def input_px(self) -> int:
        """Side of the input in use, px."""
        return self.cut.pixels if self.runs_at is None else self.runs_at

    def target_of_score(self, score: str | None) -> int:
        """Class of a slide's score; ``UNLABELLED`` where it has none or the recipe no such class."""
        return self.classes.index(score) if score in self.classes and score in HER2_LABELS else UNLABELLED


class TrainingError(Exception):
    """Training cannot go on. ``str()`` is a sentence: what is wrong, what to do."""
