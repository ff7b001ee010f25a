"""What goes into a network: images of the right size and type, and how each channel is scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.scoring.contract import ScorerError
from her2viewer.scoring.model_folder import ModelFolder

LARGEST_SIDE = 8192


def input_side(model: ModelFolder) -> int:
    """Side of a network's input, px.

    Raises:
        ScorerError: the model does not say it.
    """
    side = model.more.get("input_px")
    if not isinstance(side, int) or not 1 <= side <= LARGEST_SIDE:
        raise ScorerError(f"The model {model.name} does not say the size of its input (input_px); get it again.")
    return side


def scaling(model: ModelFolder) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Offset and scale of each channel.

    Raises:
        ScorerError: the model does not say them.
    """
    try:
        offset = tuple(float(v) for v in model.normalisation["offset"])
        scale = tuple(float(v) for v in model.normalisation["scale"])
        if not offset or len(offset) != len(scale) or any(s == 0 for s in scale):
            raise ValueError("lengths differ")
    except (KeyError, TypeError, ValueError) as error:
        raise ScorerError(f"The model {model.name} does not say how its input is scaled; get it again.") from error
    return offset, scale


def as_images(batch: NDArray[Any], side: int, channels: int) -> NDArray[Any]:
    """(n, side, side, channels), uint8 or float32, contiguous.

    Raises:
        ValueError: another shape or type.
    """
    expected: Sequence[int] = (side, side, channels)
    if batch.ndim != 4 or tuple(batch.shape[1:]) != tuple(expected):
        raise ValueError(f"A batch must be (n, {side}, {side}, {channels}), not {batch.shape}.")
    if batch.dtype not in (np.uint8, np.float32):
        raise ValueError(f"A batch must be uint8 or float32, not {batch.dtype}.")
    return np.ascontiguousarray(batch)
