"""From a model folder to a network that runs: by what, at which precision, and what of it is kept."""

from __future__ import annotations

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Protocol

from her2viewer.scoring.contract import ScorerError
from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.scoring.runtime.devices import Device, openvino_core, openvino_version, precisions
from her2viewer.scoring.runtime.eight_bit import input_ranges
from her2viewer.scoring.runtime.inputs import input_side, scaling
from her2viewer.scoring.runtime.kept import Kept
from her2viewer.scoring.runtime.openvino_network import OpenVinoNetwork
from her2viewer.scoring.runtime.trial import Runs, better, trial_images

PRECISION_VARIABLE = "HER2VIEWER_PRECISION"
"""Environment variable that says at which precision networks run, in place of a trial: to compare, to repeat."""
MOST_LOADED = 4
"""Networks that stay in memory from one run to the next."""


class Loaded(Runs, Protocol):
    """A network on a device, for any number of runs."""

    batch: int


_loaded: OrderedDict[tuple[Any, ...], Loaded] = OrderedDict()
_loading = threading.Lock()


def load_network(model: ModelFolder, device: Device, threads: int, kept: Kept | None = None) -> Loaded:
    """A network ready to run, the same one for the same model, device and threads.

    Raises:
        ScorerError: it cannot run there.
    """
    key = (str(model.weights), model.sha256, device, threads, _wish())
    with _loading:
        network = _loaded.pop(key, None)
        if network is None:
            network = make_network(model, device, threads, Kept() if kept is None else kept)
        _loaded[key] = network
        while len(_loaded) > MOST_LOADED:
            _loaded.popitem(last=False)
        return network


def make_network(model: ModelFolder, device: Device, threads: int, kept: Kept) -> Loaded:
    """A network of its own, as ``load_network``."""
    made: Callable[[str], Loaded]
    if device.by_torch:
        from her2viewer.scoring.runtime.torch_network import TorchNetwork

        where = device.title

        def made(precision: str) -> Loaded:
            return TorchNetwork(model, device.kind, precision)

    else:
        core = openvino_core()
        if core is None:
            raise ScorerError("OpenVINO is missing from this installation. Install her2viewer again.")
        source, name = _Source(core, model, kept), device.kind.upper()
        where = f"{core.get_property(name, 'FULL_DEVICE_NAME')}, {threads} threads"

        def made(precision: str) -> Loaded:
            return OpenVinoNetwork(core, source, model, device=name, precision=precision, threads=threads, kept=kept)

    tried = _worth_a_trial(model, device)
    if wish := _wish():
        if wish not in tried:
            raise ScorerError(
                f"The environment variable {PRECISION_VARIABLE} asks for {wish}; the network {model.name} runs at "
                f"{' or '.join(tried)} on {device.title}. Change the variable or remove it."
            )
        return made(wish)
    return made(tried[0]) if len(tried) == 1 else _chosen(made, tried, model, kept, where)


def _wish() -> str:
    return os.environ.get(PRECISION_VARIABLE, "").strip().lower()


def _worth_a_trial(model: ModelFolder, device: Device) -> list[str]:
    """Full precision, then what may be faster with this model, the fastest first."""
    full, *low = precisions(device)
    if not model.more.get("bf16"):
        low = []
    return [full, *(p for p in low if p != "int8" or input_ranges(model))]


def _chosen(made: Callable[[str], Loaded], tried: list[str], model: ModelFolder, kept: Kept, where: str) -> Loaded:
    """The first precision that a trial on this machine finds sound and fast; the trial is made once."""
    full, *low = tried
    name = f"{_key(model)}-precision.json"
    note = kept.note(name)
    known = note.get(where)
    if isinstance(known, dict) and known.get("precision") in tried and known.get("tried") == tried:
        return made(known["precision"])
    slow, images = made(full), trial_images(model)
    chosen: Loaded = slow
    found: dict[str, dict[str, float]] = {}
    for precision in low:
        fast = made(precision)
        faster, found[precision] = better(slow, fast, images)
        if faster:
            chosen = fast
            break
    kept.keep_note(name, {**note, where: {"precision": chosen.precision, "tried": tried, "found": found}})
    return chosen


class _Source:
    """What OpenVINO compiles: the model's own graph, else a conversion by torch, which is kept."""

    def __init__(self, core: Any, model: ModelFolder, kept: Kept) -> None:
        self._core, self._model, self._kept = core, model, kept

    def __call__(self) -> Any:
        model = self._model
        if model.graph is not None:
            try:
                return self._core.read_model(str(model.graph))
            except RuntimeError as error:
                raise ScorerError(
                    f"The graph of the model {model.name} cannot be read by OpenVINO; get the model again. "
                    f"({' '.join(str(error).split())[-200:]})"
                ) from error
        text, weights = (self._kept.data(f"{_key(model)}.{part}") for part in ("xml", "bin"))
        if text is not None and weights is not None:
            with suppress(RuntimeError):
                return self._core.read_model(text, weights)
        return self._converted()

    def _converted(self) -> Any:
        model = self._model
        missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
        if missing:
            raise ScorerError(
                f"The model {model.name} has to be converted once, which needs {' and '.join(missing)}: "
                "pip install 'her2viewer[train]'. Models that come with the program need no conversion."
            )
        import openvino
        import torch

        from her2viewer.scoring.runtime.torch_network import TOLERANCE, apart, build_module

        side, channels = input_side(model), len(scaling(model)[0])
        module = build_module(model)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program = torch.export.export(
                    module,
                    (torch.zeros(2, channels, side, side),),
                    dynamic_shapes=({0: torch.export.Dim("images", min=1, max=65536)},),
                )
                converted = openvino.convert_model(program)
        except Exception as error:
            # It runs code of the plugin and fails in as many ways as there are networks.
            raise ScorerError(
                f"The network {model.architecture} cannot be converted for OpenVINO "
                f"({type(error).__name__}: {' '.join(str(error).split())[:200]}). Report this to its authors."
            ) from error
        difference = apart(self._core, converted, module, (2, channels, side, side))
        if not difference <= TOLERANCE:
            raise ScorerError(
                f"The network {model.architecture} gives other answers by OpenVINO than by torch (difference "
                f"{difference:.2g} of their spread). Report this to its authors."
            )
        self._keep(converted)
        return converted

    def _keep(self, converted: Any) -> None:
        import tempfile
        from pathlib import Path

        import openvino

        with suppress(OSError, RuntimeError), tempfile.TemporaryDirectory(prefix="her2viewer-") as folder:
            path = Path(folder) / "network.xml"
            openvino.save_model(converted, str(path), compress_to_fp16=False)
            for part in ("xml", "bin"):
                self._kept.keep(f"{_key(self._model)}.{part}", path.with_suffix(f".{part}").read_bytes())


def _key(model: ModelFolder) -> str:
    return f"{model.sha256[:32]}-{openvino_version()}"
