"""Model folders with real networks and fresh weights, for tests of the runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from her2viewer.scoring.model_folder import MODEL_FILE, WEIGHTS_FILE, ModelFolder, read_model, weights_digest
from her2viewer.scoring.toml_text import toml_text

CELLNET = "her2viewer_cells.network:CellNet"


def made_model(
    folder: Path,
    *,
    architecture: str = CELLNET,
    name: str = "fresh",
    plugin: str = "cells",
    side: int = 44,
    offset: tuple[float, ...] = (0.1, 0.2),
    scale: tuple[float, ...] = (4.0, 2.0),
    seed: int = 1,
    half: bool = False,
    graph: bool = True,
    bf16: bool = True,
    **more: Any,
) -> ModelFolder:
    """A folder with weights drawn from a seed, and a graph where one is wanted."""
    import torch
    from safetensors.torch import save_file

    from her2viewer.scoring.runtime.torch_network import network_of
    from her2viewer.training.graph import write_graph

    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    network = network_of(architecture)
    state = {k: v.half() if half and v.is_floating_point() else v for k, v in network.state_dict().items()}
    save_file({k: v.contiguous() for k, v in state.items()}, str(folder / WEIGHTS_FILE))
    network.load_state_dict(state)
    if graph:
        assert write_graph(network, folder, len(offset), side)
    digest, size = weights_digest(folder / WEIGHTS_FILE)
    model = ModelFolder(
        folder, plugin, name, architecture, 0.5, tuple("abcdefgh"), digest, size,
        normalisation={"input": "stains", "offset": list(offset), "scale": list(scale)},
        more={"input_px": side, "bf16": bf16, **more},
    )  # fmt: skip
    (folder / MODEL_FILE).write_text(toml_text(model.as_toml()), encoding="utf-8")
    (folder / "card.md").write_text("# Card\n", encoding="utf-8")
    return read_model(folder)
