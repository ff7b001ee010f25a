"""Convolutions of upsampled maps, as a U-Net's decoder has them, without the work on pixels that are alike.

A nearest-neighbour enlargement by two shows each pixel four times, and a 3 x 3 convolution of it multiplies nine
values of which at most four differ. One transposed convolution of the small map with 4 x 4 weights and stride 2
gives the same numbers with four multiplications where there were nine (the sub-pixel convolution of Shi et al. 2016,
read backwards). Where the enlarged map is joined to a skip connection, its part of the weights is split off and both
answers are added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.scoring.runtime.eight_bit import weights_of

Array = NDArray[np.float32]


def without_upsampling(network: Any) -> int:
    """Rewrite a model of OpenVINO whose sizes are fixed, in place; its answers stay the same but for rounding.

    Returns:
        How many convolutions were rewritten; what is not of this kind stays as it is.
    """
    count = 0
    for node in network.get_ordered_ops():
        count += _rewritten(node)
    if count:
        network.validate_nodes_and_infer_types()
    return count


def transposed(weights: Array) -> Array:
    """(in, out, 4, 4) weights of the transposed convolution for (out, in, 3, 3) ones of an enlarged map."""
    found = np.zeros((*weights.shape[:2], 4, 4), np.float32)
    # A small pixel lies below two places of the enlarged map in each direction; each tap reaches it from both.
    for down in range(3):
        for right in range(3):
            y, x = 2 - down, 2 - right
            found[:, :, y : y + 2, x : x + 2] += weights[:, :, down, right, None, None]
    return np.ascontiguousarray(found.swapaxes(0, 1))


def _rewritten(node: Any) -> bool:
    from openvino import opset13 as op

    weights, name = _plain_weights(node)
    if weights is None:
        return False
    source = node.input_value(0)
    joined = [source]
    if _type(source) == "Concat" and source.get_node().get_attributes()["axis"] == 1:
        joined = [value.get_source_output() for value in source.get_node().inputs()]
    enlarged = [at for at, value in enumerate(joined) if _twice(value)]
    if len(enlarged) != 1:
        return False
    widths = [int(value.get_shape()[1]) for value in joined]
    at = enlarged[0]
    start = sum(widths[:at])
    own = slice(start, start + widths[at])
    answer = op.convolution_backprop_data(
        joined[at].get_node().input_value(0),
        _named(op.constant(transposed(weights[:, own])), name),
        [2, 2],
        pads_begin=[1, 1],
        pads_end=[1, 1],
        dilations=[1, 1],
    )
    if len(joined) > 1:
        others = [value for k, value in enumerate(joined) if k != at]
        rest = others[0] if len(others) == 1 else op.concat(others, 1)
        left = _named(op.constant(np.ascontiguousarray(np.delete(weights, own, axis=1))), name)
        answer = op.add(op.convolution(rest, left, [1, 1], [1, 1], [1, 1], [1, 1]), answer)
    node.output(0).replace(answer.output(0))
    return True


def _type(value: Any) -> str:
    return str(value.get_node().get_type_name())


def _named(constant: Any, name: str) -> Any:
    """Both parts of the weights go by the name of the whole: what is known of its input holds for both."""
    constant.set_friendly_name(name)
    return constant


def _plain_weights(node: Any) -> tuple[Array | None, str]:
    """(out, in, 3, 3) of a convolution with stride 1 and a margin of 1, and their name; None for every other node."""
    if node.get_type_name() != "Convolution":
        return None, ""
    said = node.get_attributes()
    if [list(said[k]) for k in ("strides", "dilations", "pads_begin", "pads_end")] != [[1, 1]] * 4:
        return None, ""
    weights, name = weights_of(node)
    fits = weights is not None and weights.ndim == 4 and weights.shape[2:] == (3, 3)
    return (weights, name) if fits else (None, "")


def _twice(value: Any) -> bool:
    """Whether a map (n, c, 2h, 2w) shows each pixel of (n, c, h, w) as 2 x 2."""
    if _type(value) != "Interpolate":
        return False
    node = value.get_node()
    said = node.get_attributes()
    floor = said["coordinate_transformation_mode"] == "asymmetric" and said["nearest_mode"] == "floor"
    if said["mode"] != "nearest" or not floor or any(said["pads_begin"]) or any(said["pads_end"]):
        return False
    small, large = node.input_value(0).get_partial_shape(), node.get_output_partial_shape(0)
    if not (small.is_static and large.is_static and len(small) == 4):
        return False
    n, c, h, w = small.to_shape()
    return list(large.to_shape()) == [n, c, 2 * h, 2 * w]
