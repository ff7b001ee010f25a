"""Graphs of models: they may point into the weights of their own model and nowhere else."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2viewer.scoring.model_folder import GRAPH_FILE, ModelError, ModelFolder, read_model, verify_model
from her2viewer.scoring.model_graph import Outside, outside_tensors
from her2viewer.scoring.model_store import find_model, install_model
from tests.helpers.made_models import made_model

for needed in ("torch", "safetensors", "onnx", "onnxscript"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: graphs are not tested")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model(tmp_path_factory.mktemp("models") / "cellnet", half=True).folder


@pytest.fixture
def model(original: Path, tmp_path: Path) -> ModelFolder:
    shutil.copytree(original, tmp_path / "model")
    return read_model(tmp_path / "model")


def onnx_graph(model: ModelFolder) -> Any:
    import onnx

    return onnx.load(str(model.folder / GRAPH_FILE), load_external_data=False)


def change(model: ModelFolder, graph: Any) -> None:
    (model.folder / GRAPH_FILE).write_bytes(graph.SerializeToString())


def point(tensor: Any, **entries: str) -> None:
    """Change entries of a tensor's place."""
    for entry in tensor.external_data:
        entry.value = entries.get(entry.key, entry.value)


def test_every_weight_is_found_where_the_library_for_onnx_finds_it(model: ModelFolder) -> None:
    expected = []
    for tensor in onnx_graph(model).graph.initializer:
        entries = {e.key: e.value for e in tensor.external_data}
        if entries:
            expected.append(Outside(entries["location"], int(entries["offset"]), int(entries["length"])))
    assert len(expected) == 10
    assert outside_tensors((model.folder / GRAPH_FILE).read_bytes()) == expected
    verify_model(model)


@pytest.mark.parametrize("place", ["../secrets", "/etc/passwd", "card.md", "", "./weights.safetensors"])
def test_a_graph_that_reads_another_file_is_refused(model: ModelFolder, place: str) -> None:
    graph = onnx_graph(model)
    point(graph.graph.initializer[2], location=place)
    change(model, graph)
    with pytest.raises(ModelError, match=r"takes weights from .* only its own weights\.safetensors is read"):
        verify_model(model)
    with pytest.raises(ModelError, match="Do not use this model"):
        install_model(model.folder, ["cells"])


@pytest.mark.parametrize("entries", [{"offset": "999999999"}, {"offset": "0"}, {"length": "999999999"}])
def test_a_graph_that_reads_past_its_weights_is_refused(model: ModelFolder, entries: dict[str, str]) -> None:
    graph = onnx_graph(model)
    point(graph.graph.initializer[0], **entries)
    change(model, graph)
    with pytest.raises(ModelError, match="takes weights from where there are none"):
        verify_model(model)


def test_tensors_in_attributes_and_inner_graphs_are_found_as_well(model: ModelFolder) -> None:
    from onnx import TensorProto, helper

    def stray() -> Any:
        tensor = TensorProto(name="stray", data_type=TensorProto.FLOAT, dims=[1])
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"
        return tensor

    inner = helper.make_graph([], "inner", [], [], initializer=[stray()])
    constant = helper.make_node("Constant", [], ["c"], value=stray())
    for node in (constant, helper.make_node("If", ["x"], ["y"], then_branch=inner)):
        graph = onnx_graph(model)
        graph.graph.node.append(node)
        change(model, graph)
        with pytest.raises(ModelError, match="/etc/passwd"):
            verify_model(model)


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x3a\xff\xff\xff\x7f", b"\x08\x01"])
def test_a_file_that_is_no_graph_is_called_damaged(model: ModelFolder, content: bytes) -> None:
    (model.folder / GRAPH_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"network\.onnx of fresh is damaged"):
        verify_model(model)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.booleans())
def test_a_graph_with_a_wrong_byte_is_read_or_called_damaged_and_nothing_else(
    original: Path, place: int, value: int, cut: bool
) -> None:
    data = bytearray((original / GRAPH_FILE).read_bytes())
    at = place % len(data)
    data[at] = value
    # Whatever it is read as, the whole of it was looked at, or it was refused.
    with contextlib.suppress(ValueError):
        assert all(isinstance(t.location, str) for t in outside_tensors(bytes(data[:at] if cut else data)))


def test_a_graph_is_installed_with_its_model(model: ModelFolder) -> None:
    installed = install_model(model.folder, ["cells"])
    assert installed.graph is not None
    assert find_model("cells", "fresh").graph == installed.graph
