"""Convolutions in 8-bit integers: rounded as stated, only where a range is known, the labels of full precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from her2viewer.resources import resource_path
from her2viewer.scoring.contract import ScorerError
from her2viewer.scoring.model_folder import ModelFolder, read_model
from her2viewer.scoring.runtime.devices import Device
from her2viewer.scoring.runtime.eight_bit import _with_zero, input_ranges, with_eight_bits
from her2viewer.scoring.runtime.kept import Kept
from her2viewer.scoring.runtime.networks import make_network
from her2viewer.scoring.runtime.openvino_network import OpenVinoNetwork
from her2viewer.scoring.runtime.trial import LEAST_AGREEMENT, better, trial_images
from her2viewer.scoring.runtime.upsampling import without_upsampling

openvino = pytest.importorskip("openvino", reason="openvino is not installed: networks are not tested")


def named(values: np.ndarray, name: str) -> Any:
    from openvino import opset13 as op

    constant = op.constant(values.astype(np.float32))
    constant.set_friendly_name(name)
    return constant


def two_layers(first: np.ndarray, second: np.ndarray, side: int) -> Any:
    """A picture, a convolution, a ReLU, and the convolution that it is about."""
    from openvino import opset13 as op

    x = op.parameter([1, first.shape[1], side, side], np.float32)
    inner = op.relu(op.convolution(x, named(first, "first.weight"), [1, 1], [0, 0], [0, 0], [1, 1]))
    return openvino.Model(
        [op.convolution(inner, named(second, "second.weight"), [1, 1], [1, 1], [1, 1], [1, 1])], [x]
    )


def answers(model: Any, image: np.ndarray) -> np.ndarray:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(image)[0])


def rounded(values: np.ndarray, low: float, high: float, levels: int) -> np.ndarray:
    step = (high - low) / (levels - 1)
    return np.round((np.clip(values, low, high) - low) / step) * step + low


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), high=st.floats(0.5, 6.0))
def test_inputs_are_rounded_to_256_levels_and_weights_to_255_of_each_channel(seed: int, high: float) -> None:
    rng = np.random.default_rng(seed)
    # Nothing lies so near the border of two levels that the last digit decides.
    image = off_the_borders(rng, (1, 3, 12, 12), -40, 300) * high / 255
    first = np.eye(3, dtype=np.float32)[:, :, None, None]
    second = off_the_borders(rng, (4, 3, 3, 3), -126, 126)
    second[:, 0, 0, 0] = 127
    second *= rng.uniform(0.005, 0.03, (4, 1, 1, 1))
    model = two_layers(first, second, 12)
    assert with_eight_bits(model, {"second.weight": (0.0, high)}) == 1
    inner = rounded(np.maximum(image[0], 0), 0.0, high, 256)
    weights = np.stack([rounded(w, -np.abs(w).max(), np.abs(w).max(), 255) for w in second])
    padded = np.pad(inner, ((0, 0), (1, 1), (1, 1)))
    expected = np.stack([correlate(padded, w, "valid")[0] for w in weights])
    assert np.allclose(answers(model, image.astype(np.float32))[0], expected, rtol=1e-4, atol=1e-3)


def off_the_borders(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Whole numbers, and up to 0.4 beside them."""
    return rng.integers(low, high, shape) + rng.uniform(-0.4, 0.4, shape)


@given(low=st.floats(-1e3, 1e3), width=st.floats(1e-3, 1e3))
def test_nothing_stays_nothing_and_the_levels_reach_from_end_to_end(low: float, width: float) -> None:
    bottom, top = _with_zero(low, low + width)
    step = (top - bottom) / 255
    assert abs(-bottom / step - round(-bottom / step)) < 1e-6
    assert bottom <= min(low, 0) + step
    assert top >= max(low + width, 0) - step
    assert bottom <= 0 <= top + 1e-9


def test_the_picture_itself_and_convolutions_without_a_range_keep_their_precision() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(4, 3, 1, 1)), rng.normal(size=(2, 4, 3, 3))
    image = rng.normal(size=(1, 3, 9, 9)).astype(np.float32)
    plain = answers(two_layers(first, second, 9), image)
    model = two_layers(first, second, 9)
    assert with_eight_bits(model, {"first.weight": (-3.0, 3.0), "another.weight": (0.0, 1.0)}) == 0
    np.testing.assert_array_equal(answers(model, image), plain)


def test_both_parts_of_a_convolution_of_an_enlarged_map_are_computed_in_integers() -> None:
    from openvino import opset13 as op

    rng = np.random.default_rng(5)
    x = op.parameter([1, 4, 8, 8], np.float32)
    small = op.relu(x)
    large = op.interpolate(
        small, op.constant(np.array([16, 16], np.int64)), "nearest", "sizes",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        axes=op.constant(np.array([2, 3], np.int64)),
    )  # fmt: skip
    skip = op.convolution_backprop_data(small, op.constant(rng.normal(size=(4, 4, 2, 2)).astype(np.float32)), [2, 2])
    weights = named(rng.normal(size=(8, 8, 3, 3)), "decoder.weight")
    joined = op.concat([large, op.relu(skip)], 1)
    model = openvino.Model([op.convolution(joined, weights, [1, 1], [1, 1], [1, 1], [1, 1])], [x])
    image = rng.random((1, 4, 8, 8)).astype(np.float32)
    plain = answers(model.clone(), image)
    assert without_upsampling(model) == 1
    assert with_eight_bits(model, {"decoder.weight": (0.0, 8.0)}) == 2
    found = answers(model, image)
    assert np.corrcoef(found.ravel(), plain.ravel())[0, 1] > 0.999
    assert not np.array_equal(found, plain)


@pytest.mark.parametrize(
    "table", ["none", {"a": 3}, {"a": [1.0]}, {"a": [2.0, 1.0]}, {"a": ["x", 1]}, {"a": [0, 1e400]}]
)
def test_ranges_that_make_no_sense_are_no_ranges(tmp_path: Path, table: object) -> None:
    model = ModelFolder(tmp_path, "p", "n", "m:C", 1.0, (), "0" * 64, 1, more={"input_ranges": table})
    assert input_ranges(model) == {}


def _may_saturate() -> bool:
    """Whether sums of two products may be cut off at 16 bits, as on x86 without VNNI: there a trial decides."""
    flags = Path("/proc/cpuinfo")
    return not flags.is_file() or "vnni" not in flags.read_text(encoding="utf-8", errors="replace")


@pytest.mark.skipif(
    _may_saturate(), reason="this processor has no VNNI: whether integers do is for the trial to find"
)
@pytest.mark.parametrize("name", ["segmenter", "classifier"])
def test_the_networks_of_surface_give_the_labels_of_full_precision_in_integers(name: str, tmp_path: Path) -> None:
    model = read_model(resource_path("models", "surface", name))
    assert len(input_ranges(model)) >= 19
    kept = Kept(tmp_path)
    core = openvino.Core()

    def at(precision: str) -> OpenVinoNetwork:
        return OpenVinoNetwork(
            core, lambda: core.read_model(str(model.graph)), model,
            device="CPU", precision=precision, threads=2, kept=kept,
        )  # fmt: skip

    _, found = better(at("fp32"), at("int8"), trial_images(model))
    assert found["agreement"] >= LEAST_AGREEMENT


def test_what_a_trial_has_found_holds_until_another_precision_can_be_tried(tmp_path: Path) -> None:
    model = read_model(resource_path("models", "surface", "classifier"))
    kept, device = Kept(tmp_path), Device("cpu", "CPU")
    chosen = make_network(model, device, 2, kept).precision
    (path,) = tmp_path.glob("*-precision.json")
    ((where, found),) = kept.note(path.name).items()
    assert found["precision"] == chosen
    assert found["tried"][:2] == ["fp32", "int8"]
    kept.keep_note(path.name, {where: {**found, "precision": "fp32"}})
    assert make_network(model, device, 2, kept).precision == "fp32"
    kept.keep_note(path.name, {where: {"precision": "fp32", "tried": ["fp32", "bf16"]}})
    make_network(model, device, 2, kept)
    assert kept.note(path.name)[where]["tried"] == found["tried"]


def test_a_precision_that_was_asked_for_is_taken_without_a_trial_or_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_model(resource_path("models", "surface", "classifier"))
    kept, device = Kept(tmp_path), Device("cpu", "CPU")
    for wish in ("fp32", " INT8"):
        monkeypatch.setenv("HER2VIEWER_PRECISION", wish)
        assert make_network(model, device, 2, kept).precision == wish.strip().lower()
    assert not list(tmp_path.glob("*-precision.json"))
    monkeypatch.setenv("HER2VIEWER_PRECISION", "int4")
    with pytest.raises(ScorerError, match="asks for int4; the network classifier runs at fp32 or int8"):
        make_network(model, device, 2, kept)
