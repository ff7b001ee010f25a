"""Convolutions of enlarged maps become transposed ones of the small maps, with the same answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.scoring.runtime.upsampling import transposed, without_upsampling

openvino = pytest.importorskip("openvino", reason="openvino is not installed: networks are not tested")


def answers(model: Any, image: np.ndarray) -> np.ndarray:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(image)[0])


def decoder_part(
    channels: int,
    skip: int,
    out: int,
    side: int,
    *,
    seed: int = 0,
    mode: str = "nearest",
    transformation: str = "asymmetric",
    kernel: int = 3,
    half: bool = False,
    first: bool = False,
) -> Any:
    """Input (1, channels, side, side): enlarged, joined to a skip connection made of it, convolved."""
    from openvino import opset13 as op

    rng = np.random.default_rng(seed)
    x = op.parameter([1, channels, side, side], np.float32)
    large = op.interpolate(
        x,
        op.constant(np.array([2 * side] * 2, np.int64)),
        mode,
        "sizes",
        coordinate_transformation_mode=transformation,
        nearest_mode="floor",
        axes=op.constant(np.array([2, 3], np.int64)),
    )
    joined, width = large, channels
    if skip:
        weights = rng.normal(size=(channels, skip, 2, 2)).astype(np.float32)
        beside = op.convolution_backprop_data(x, op.constant(weights), [2, 2])
        joined, width = op.concat([large, beside] if first else [beside, large], 1), channels + skip
    values = rng.normal(size=(out, width, kernel, kernel)).astype(np.float16 if half else np.float32)
    weights = op.convert(op.constant(values), "f32") if half else op.constant(values)
    margin = [kernel // 2] * 2
    return openvino.Model([op.convolution(joined, weights, [1, 1], margin, margin, [1, 1])], [x])


@settings(max_examples=30, deadline=None)
@given(
    channels=st.integers(1, 9),
    skip=st.integers(0, 5),
    out=st.integers(1, 6),
    side=st.integers(1, 9),
    seed=st.integers(0, 1000),
    half=st.booleans(),
    first=st.booleans(),
)
def test_the_rewritten_decoder_gives_the_same_answers(
    channels: int, skip: int, out: int, side: int, seed: int, half: bool, first: bool
) -> None:
    model = decoder_part(channels, skip, out, side, seed=seed, half=half, first=first)
    image = np.random.default_rng(seed + 1).normal(size=(1, channels, side, side)).astype(np.float32)
    expected = answers(model.clone(), image)
    assert without_upsampling(model) == 1
    assert not any(node.get_type_name() == "Interpolate" for node in model.get_ordered_ops())
    np.testing.assert_allclose(answers(model, image), expected, atol=1e-4)


@pytest.mark.parametrize(
    "other",
    [{"mode": "linear"}, {"transformation": "half_pixel"}, {"kernel": 1}, {"kernel": 5}],
    ids=["linear", "half pixel", "1 x 1", "5 x 5"],
)
def test_what_is_of_another_kind_stays_as_it_is(other: dict[str, Any]) -> None:
    model = decoder_part(4, 2, 3, 6, **other)
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    assert without_upsampling(model) == 0
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before


def test_a_map_whose_size_is_open_stays_as_it_is() -> None:
    model = decoder_part(4, 2, 3, 6)
    model.reshape([-1, 4, 6, 6])
    assert without_upsampling(model) == 0


def test_weights_of_the_small_map_hold_the_sum_of_the_large_ones() -> None:
    weights = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    small = transposed(weights)
    assert small.shape == (1, 1, 4, 4)
    # Each tap reaches a small pixel from two places in each direction.
    assert small.sum() == 4 * weights.sum()
    # The last place of the enlarged map that still sees a pixel sees it through the first tap.
    assert small[0, 0, 3, 3] == weights[0, 0, 0, 0]
    assert small[0, 0, 0, 0] == weights[0, 0, 2, 2]
