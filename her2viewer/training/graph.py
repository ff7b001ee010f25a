"""The graph of a trained network beside its weights, so that it runs where torch is not installed.

The graph is ONNX. Its weights stay in ``weights.safetensors``: that format keeps tensors as plain little-endian
arrays one after the other, and ONNX can point into any such file.
"""

from __future__ import annotations

import json
import logging
import struct
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from her2viewer.scoring.model_folder import GRAPH_FILE, WEIGHTS_FILE

NEEDED = ("onnx", "onnxscript")
LARGEST_PART = 1 << 20
"""Bytes of constants that are no weights; more means that the graph does not point to the weights."""


def write_graph(network: torch.nn.Module, folder: Path, channels: int, pixels: int) -> bool:
    """Write ``network.onnx`` into a folder that holds the network's weights.

    Args:
        network: on the processor, float32.
        folder: with ``weights.safetensors``, float32 or float16.
        channels: of the input.
        pixels: side of the input.

    Returns:
        False where the libraries for it are missing, the network cannot be written so, or what was written gives
        other answers than torch; there is no file then, and the network runs by torch or is converted by it.
    """
    if any(find_spec(name) is None for name in NEEDED):
        return False
    try:
        model = _exported(network.eval(), channels, pixels)
        _point_to(model, folder / WEIGHTS_FILE)
        _bare(model)
        data = model.SerializeToString()
    except Exception:
        # Exporters fail in many ways on networks that they do not know.
        return False
    if len(data) > LARGEST_PART:
        return False
    (folder / GRAPH_FILE).write_bytes(data)
    if not _same_answers(network, folder / GRAPH_FILE, (2, channels, pixels, pixels)):
        (folder / GRAPH_FILE).unlink()
        return False
    return True


def _same_answers(network: torch.nn.Module, graph: Path, shape: tuple[int, ...]) -> bool:
    """Whether OpenVINO reads the graph and answers as torch does."""
    from her2viewer.scoring.runtime.devices import openvino_core
    from her2viewer.scoring.runtime.torch_network import TOLERANCE, apart

    core = openvino_core()
    try:
        return core is not None and apart(core, str(graph), network, shape) <= TOLERANCE
    except RuntimeError:
        return False


def _exported(network: torch.nn.Module, channels: int, pixels: int) -> Any:
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (torch.zeros(2, channels, pixels, pixels),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("images", min=1, max=65536)},),
                optimize=False,
                verbose=False,
            )
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    if program is None:
        raise ValueError("nothing was exported")
    return program.model_proto


def _bare(model: Any) -> None:
    """Without the exporter's notes on where in the source each step stands."""
    model.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")


def _point_to(model: Any, weights: Path) -> None:
    """Let the graph's weights be those of the file; what is stored in half is made float again in the graph."""
    import onnx
    from onnx.external_data_helper import set_external_data

    with weights.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
    casts = []
    for tensor in model.graph.initializer:
        entry = header.get(tensor.name)
        if entry is None:
            continue
        start, stop = entry["data_offsets"]
        half = entry["dtype"] == "F16"
        if not half and entry["dtype"] != "F32":
            raise ValueError(f"weights of type {entry['dtype']}")
        if half:
            name = f"{tensor.name}.half"
            casts.append(onnx.helper.make_node("Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT))
            tensor.name, tensor.data_type = name, onnx.TensorProto.FLOAT16
        if not tensor.HasField("raw_data"):
            raise ValueError("weights that are not stored as they are")
        set_external_data(tensor, WEIGHTS_FILE, offset=8 + length + start, length=stop - start)
        tensor.ClearField("raw_data")
    for place, node in enumerate(casts):
        model.graph.node.insert(place, node)
