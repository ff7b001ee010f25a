"""From a model folder to a network that runs: device, precision, conversion, and what of it is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer import userdirs
from her2viewer.scoring.contract import Network, ScorerError
from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.scoring.runtime.devices import Device, openvino_core
from her2viewer.scoring.runtime.openvino_network import OpenVinoNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIAL_S = 0.15
"""How long each precision is tried on a processor that knows bf16."""
GAIN = 1.1
"""bf16 is taken where it is faster by this factor."""


def load_network(model: ModelFolder, device: Device, threads: int, check: Callable[[], None]) -> Network:
    """A network ready to run.

    Raises:
        ScorerError: it cannot run there.
    """
    if device.by_torch:
        from her2viewer.scoring.runtime.torch_network import TorchNetwork

        return TorchNetwork(model, device.kind, check)
    core = openvino_core()
    if core is None:
        raise ScorerError("OpenVINO is missing from this installation. Install her2viewer again.")
    cache = _cache_folder()
    source = _source(core, model, cache)

    def made(precision: str) -> OpenVinoNetwork:
        arguments: Mapping[str, Any] = {"device": device.kind.upper(), "threads": threads, "check": check}
        try:
            return OpenVinoNetwork(core, source, model, precision=precision, cache=cache, **arguments)
        except ScorerError:
            # A damaged cache must not keep a network from running.
            return OpenVinoNetwork(core, source, model, precision=precision, cache=None, **arguments)

    if device.kind != "cpu":
        return made("fp16")
    if not model.more.get("bf16") or "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return made("fp32")
    return _faster(made, model, cache, f"{threads} threads")


def _faster(made: Callable[[str], OpenVinoNetwork], model: ModelFolder, cache: Path | None, where: str) -> Network:
    """bf16 or fp32, measured once on this machine."""
    note = None if cache is None else cache / f"{_key(model)}.json"
    known: Any = None
    if note is not None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(note.read_text(encoding="utf-8"))[where]
    if known in ("fp32", "bf16"):
        return made(known)
    half, full = made("bf16"), made("fp32")
    faster = half.images_per_second(TRIAL_S) > GAIN * full.images_per_second(TRIAL_S)
    chosen = half if faster else full
    if note is not None:
        with suppress(OSError):
            note.write_text(json.dumps({where: chosen.precision}), encoding="utf-8")
    return chosen


def _source(core: Any, model: ModelFolder, cache: Path | None) -> Path | Any:
    """What OpenVINO reads: the model's own graph, else a conversion, kept in the cache.

    Raises:
        ScorerError: there is no graph, and torch to make one is missing.
    """
    if model.graph is not None:
        return model.graph
    kept = None if cache is None else cache / f"{_key(model)}.xml"
    if kept is not None and kept.is_file():
        with suppress(RuntimeError):
            return core.read_model(str(kept))
    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if missing:
        raise ScorerError(
            f"The model {model.name} has to be converted once, which needs {' and '.join(missing)}: "
            "pip install 'her2viewer[train]'. Models that come with the program need no conversion."
        )
    import openvino
    import torch

    from her2viewer.scoring.runtime.torch_network import build_module

    side, channels = int(model.more.get("input_px", 0)) or 256, len(model.normalisation.get("offset", ()))
    converted = openvino.convert_model(
        build_module(model), example_input=torch.zeros(1, channels, side, side), input=[-1, channels, side, side]
    )
    if kept is not None:
        with suppress(OSError, RuntimeError):
            openvino.save_model(converted, str(kept), compress_to_fp16=False)
    return converted


def _key(model: ModelFolder) -> str:
    import openvino

    version = "".join(c for c in str(openvino.__version__).partition("-")[0] if c.isalnum() or c == ".")
    return f"{model.sha256[:32]}-{version}"


def _cache_folder() -> Path | None:
    folder = userdirs.cache_dir() / "networks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return folder
