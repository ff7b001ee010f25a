"""Two small networks in the place of those of ``surface``: model folders like any other, whose answers are known."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from her2viewer.scoring.model_folder import GRAPH_FILE, MODEL_FILE, WEIGHTS_FILE, ModelFolder, weights_digest
from her2viewer.scoring.model_store import user_models
from her2viewer.scoring.toml_text import toml_text

COARSE, AROUND = 8, 5
"""The small segmenter averages over squares of 8 px, and over 5 x 5 of these."""
DARK = 0.03
"""Mean darkness (1 - grey) from which it says tumour."""
BROWN = (0.002, 0.04, 0.09)
"""Mean red less blue of a patch from which the small classifier says 1+, 2+, 3+."""
STEEP = 200.0

Arrays = Mapping[str, np.ndarray]


def install(alphas: tuple[float, ...] | None = None) -> Path:
    """Put both among the user's models; returns the folder that holds them."""
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node
    root = user_models() / "surface"
    # Tumour where the surroundings are dark.
    darkness = {"w": np.full((1, 3, 1, 1), -STEEP / 3), "b": np.array([STEEP * (1 - DARK)]), "zero": np.zeros(1)}
    darkness["scales"] = np.array([1.0, 1.0, COARSE, COARSE])
    segmenter = [
        node("Conv", ["x", "w", "b"], ["dark"]),
        node("AveragePool", ["dark"], ["coarse"], kernel_shape=[COARSE] * 2, strides=[COARSE] * 2),
        node("AveragePool", ["coarse"], ["around"], kernel_shape=[AROUND] * 2, pads=[AROUND // 2] * 4),
        node("Resize", ["around", "", "scales"], ["mean"], mode="nearest"),
        node("Mul", ["mean", "zero"], ["other"]),
        node("Concat", ["other", "mean"], ["y"], axis=1),
    ]
    _write(root / "segmenter", segmenter, darkness, 256, ("other", "invasive tumour"), {})
    # Each class is likeliest between its limits of mean red less blue.
    slope = STEEP * np.arange(4)[:, None] * np.array([1.0, 0.0, -1.0])
    steps = {"w": slope[:, :, None, None], "b": 1 - STEEP * np.array([0.0, *np.cumsum(BROWN)])}
    classifier = [
        node("GlobalAveragePool", ["x"], ["mean"]),
        node("Conv", ["mean", "w", "b"], ["steps"]),
        node("Flatten", ["steps"], ["y"]),
    ]
    finished = {} if alphas is None else {"finished": {"alphas": list(alphas)}}
    _write(root / "classifier", classifier, steps, 64, ("0", "1+", "2+", "3+"), finished)
    return root


def _write(
    folder: Path, nodes: list[object], weights: Arrays, pixels: int, classes: tuple[str, ...], more: dict[str, object]
) -> None:
    shapes = {"x": ["n", 3, pixels, pixels], "y": ["n", 2, pixels, pixels] if pixels == 256 else ["n", 4]}
    model = ModelFolder(
        folder,
        "surface",
        folder.name,
        f"her2viewer_surface.network:{folder.name.capitalize()}",
        1.0,
        classes,
        "",
        0,
        normalisation={"input": "rgb_on_glass", "offset": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0]},
        more={"recipe": folder.name, "input_px": pixels, "bf16": False, **more},
    )
    write_network(model, nodes, weights, shapes)


def write_network(
    model: ModelFolder, nodes: list[object], weights: Arrays, shapes: Mapping[str, list[object]]
) -> None:
    """Write a model folder with a graph of these nodes from ``x`` to ``y``, whose shapes are given."""
    import onnx

    folder = model.folder
    folder.mkdir(parents=True, exist_ok=True)
    header, data = {}, b""
    for name, values in weights.items():
        raw = values.astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(text)) + text + data)
    tensors = []
    for name, values in weights.items():
        tensor = onnx.numpy_helper.from_array(values.astype(np.float32), name)
        start, stop = header[name]["data_offsets"]
        onnx.external_data_helper.set_external_data(
            tensor, WEIGHTS_FILE, offset=8 + len(text) + start, length=stop - start
        )
        tensor.ClearField("raw_data")
        tensors.append(tensor)
    ends = {name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, s) for name, s in shapes.items()}
    graph = onnx.helper.make_graph(nodes, folder.name, [ends["x"]], [ends["y"]], tensors)
    network = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    (folder / GRAPH_FILE).write_bytes(network.SerializeToString())
    digest, size = weights_digest(folder / WEIGHTS_FILE)
    said = replace(model, sha256=digest, size=size)
    (folder / MODEL_FILE).write_text(toml_text(said.as_toml()), encoding="utf-8")
