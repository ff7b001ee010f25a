"""Convolutions in 8-bit integers, with the ranges that a model brings for what flows into each of them.

A processor multiplies four times as many 8-bit integers as float32 numbers. Weights are rounded for each output
channel on its own, between plus and minus their largest; what flows into a convolution is rounded as a whole, between
the limits that were seen in training (Jacob et al. 2018, section 2). Only these two are rounded: sums, normalisation
and joined maps keep their precision, without which labels differ in four of a hundred pixels in place of three of a
thousand. The convolution that sees the picture itself is left as it is, for the same reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.scoring.model_folder import ModelFolder

RANGES = "input_ranges"
"""Table of a ``model.toml``: for the name of a convolution's weights, lowest and highest value of its input."""
KINDS = {"Convolution": 0, "ConvolutionBackpropData": 1}
"""Nodes of OpenVINO, and which axis of their weights counts output channels."""


def input_ranges(model: ModelFolder) -> dict[str, tuple[float, float]]:
    """What a model says of the input of its convolutions; empty where it says nothing that can be used."""
    table = model.more.get(RANGES)
    if not isinstance(table, Mapping):
        return {}
    try:
        found = {str(name): (float(low), float(high)) for name, (low, high) in table.items()}
    except (TypeError, ValueError):
        return {}
    sound = all(math.isfinite(low) and math.isfinite(high) and low < high for low, high in found.values())
    return found if sound else {}


def with_eight_bits(network: Any, ranges: Mapping[str, tuple[float, float]]) -> int:
    """Tell a model of OpenVINO which convolutions to compute in 8-bit integers; in place.

    Returns:
        How many; one without a range, and one that sees the picture itself, stays as it is.
    """
    count = 0
    for node in network.get_ordered_ops():
        axis = KINDS.get(node.get_type_name())
        if axis is None or node.input_value(0).get_node().get_type_name() == "Parameter":
            continue
        weights, name = weights_of(node)
        if weights is None or name not in ranges:
            continue
        for at, value in enumerate((_rounded_input(node, ranges[name]), _rounded_weights(weights, axis))):
            node.input(at).replace_source_output(value)
        count += 1
    if count:
        network.validate_nodes_and_infer_types()
    return count


def weights_of(node: Any) -> tuple[NDArray[np.float32] | None, str]:
    """Weights of a convolution and their name; (None, "") where they are no constants."""
    source = node.input_value(1).get_node()
    name = str(source.get_friendly_name())
    # Weights of half precision stand behind a conversion, which bears the name.
    if source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant":
        return None, ""
    return np.asarray(source.data, np.float32), name


def _rounded_weights(weights: NDArray[np.float32], axis: int) -> Any:
    from openvino import opset13 as op

    others = tuple(k for k in range(weights.ndim) if k != axis)
    # Of a channel without weights any limit will do.
    most = np.maximum(np.abs(weights).max(axis=others, keepdims=True), np.float32(1e-8))
    low, high = op.constant(-most), op.constant(most)
    return op.fake_quantize(op.constant(weights), low, high, low, high, 255).output(0)


def _rounded_input(node: Any, limits: tuple[float, float]) -> Any:
    from openvino import opset13 as op

    low, high = _with_zero(*limits)
    ends = op.constant(np.float32(low)), op.constant(np.float32(high))
    return op.fake_quantize(node.input_value(0), *ends, *ends, 256).output(0)


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """Limits of 256 levels of which one is zero: what a ReLU left out and what pads the edge must stay nothing."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / 255
    low = -round(-low / step) * step
    return low, low + 255 * step
