"""Whether a network may run at less than full precision here: the same labels, and sooner."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from her2viewer.resources import resource_path
from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.scoring.runtime.inputs import input_side
from her2viewer.slides.slide import SlideError

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_AGREEMENT = 0.995
"""Share of labels that must be those of full precision."""
GAIN = 1.1
"""Less precision is taken where it is faster by this factor."""
LEAST_IMAGES, MOST_IMAGES = 4, 256
"""Few of large images, each of which has many labels as a rule; many of small ones."""


class Runs(Protocol):
    """A network at one precision."""

    precision: str

    def run(self, batch: NDArray[Any], check: Callable[[], None]) -> NDArray[np.float32]:
        """As ``contract.Network``."""


def trial_images(model: ModelFolder) -> NDArray[Any]:
    """Images for a trial, (n, side, side, channels), the same ones on every machine.

    Tissue of the bundled sample slide, uint8 RGB, at the resolution of the network where it takes RGB; else, and
    where the sample is missing, drawn stains: smooth blots as optical density, float32, or as RGB.
    """
    side, channels = input_side(model), len(model.normalisation.get("offset", ()))
    count = max(LEAST_IMAGES, min(MOST_IMAGES, (1 << 26) // side**3))
    rgb = channels == 3
    if rgb:
        tissue = _tissue(count, side, model.mpp)
        if tissue is not None:
            return tissue
    blots = _blots(count, side, channels)
    return (255 * 10.0**-blots).astype(np.uint8) if rgb else blots


def better(full: Runs, low: Runs, images: NDArray[Any]) -> tuple[bool, dict[str, float]]:
    """Whether ``low`` is to be taken instead of ``full``, and why.

    Returns:
        The answer, and ``agreement`` (share of labels) and ``gain`` (factor of speed).
    """
    (expected, slow), (found, fast) = (_timed(network, images) for network in (full, low))
    agreement = float(np.mean(expected.argmax(axis=1) == found.argmax(axis=1)))
    sound = bool(np.isfinite(found).all())
    gain = slow / max(fast, 1e-9)
    return sound and agreement >= LEAST_AGREEMENT and gain > GAIN, {"agreement": agreement, "gain": gain}


def _timed(network: Runs, images: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
    # The first images also pay for memory and for code that is made on first use.
    network.run(images[: max(1, len(images) // 16)], _go_on)
    began = time.perf_counter()
    answer = network.run(images, _go_on)
    return answer, time.perf_counter() - began


def _go_on() -> None:
    pass


def _tissue(count: int, side: int, mpp: float) -> NDArray[np.uint8] | None:
    from her2viewer.slides.open import open_slide

    try:
        with open_slide(resource_path("sample", "sample_her2.tif")) as slide:
            if slide.pixel_size is None:
                return None
            downsample = mpp / slide.pixel_size.mpp
            width, height = (int(n / downsample) for n in (slide.width, slide.height))
            if min(width, height) < side or width * height > 1 << 26:
                return None
            picture = slide.read_at(downsample, 0, 0, width, height)
    except (OSError, SlideError):
        return None
    rng = np.random.default_rng(7)
    xs, ys = rng.integers(0, width - side + 1, count), rng.integers(0, height - side + 1, count)
    return np.stack([picture[y : y + side, x : x + side] for x, y in zip(xs, ys, strict=True)])


def _blots(count: int, side: int, channels: int) -> NDArray[np.float32]:
    """Smooth random fields from 0 to about 1."""
    import cv2

    rng = np.random.default_rng(7)
    grains = [max(2, side // step) for step in (16, 4)]
    out = np.empty((count, side, side, channels), np.float32)
    for image in out:
        fields = [
            cv2.resize(rng.random((grain, grain, channels), dtype=np.float32), (side, side)).reshape(image.shape)
            for grain in grains
        ]
        image[:] = rng.random(channels, dtype=np.float32) * (fields[0] + 0.5 * fields[1])
    return out
