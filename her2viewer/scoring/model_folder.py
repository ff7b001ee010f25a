"""A model folder: weights in safetensors, ``model.toml`` that says what they are, a card for people.

Read, checked and written here without torch; networks are built by the plugin that the model belongs to.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from her2viewer.scoring.model_graph import outside_tensors

FORMAT = "her2viewer-model"
VERSION = 1
MODEL_FILE = "model.toml"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.md"
GRAPH_FILE = "network.onnx"
"""The network's graph for runtimes other than torch; its weights are those of ``weights.safetensors``."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""Names of models are folder names on every system."""
PICKLED = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib", ".npy")
"""Files that may carry code and are never read."""
LARGEST_HEADER = 100_000_000
"""Bytes; the safetensors format's own limit."""


class ModelError(Exception):
    """A model cannot be used. ``str()`` is one sentence: what is wrong, what to do."""


@dataclass(frozen=True)
class ModelFolder:
    """What a ``model.toml`` says."""

    folder: Path
    plugin: str
    """Id of the scorer that it belongs to."""
    name: str
    architecture: str
    """``module:Class`` of the network in the plugin."""
    mpp: float
    """um/px of the network's input."""
    classes: tuple[str, ...]
    sha256: str
    """Of the weights file, hex."""
    size: int
    """Of the weights file, bytes."""
    normalisation: Mapping[str, Any] = field(default_factory=dict)
    """How pixels become the network's input; the plugin's own terms."""
    data_set: str = ""
    """Hash of the data set, see ``training.dataset``."""
    commit: str = ""
    """Revision of the program that trained it."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Measured on slides held out from training; empty where there were none."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the recipe keeps, for example ``input_px``."""

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / WEIGHTS_FILE

    @property
    def graph(self) -> Path | None:
        """The graph, where the model has one."""
        path = self.folder / GRAPH_FILE
        return path if path.is_file() else None

    @property
    def card(self) -> Path:
        """The model card."""
        return self.folder / CARD_FILE

    def as_toml(self) -> dict[str, Any]:
        """The content of ``model.toml``."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "plugin": self.plugin,
            "name": self.name,
            "architecture": self.architecture,
            "mpp": self.mpp,
            "classes": list(self.classes),
            "data_set": self.data_set,
            "commit": self.commit,
            **{k: v for k, v in self.more.items() if not isinstance(v, Mapping)},
            "weights": {"file": WEIGHTS_FILE, "sha256": self.sha256, "size": self.size},
            "normalisation": dict(self.normalisation),
            "metrics": dict(self.metrics),
            **{k: v for k, v in self.more.items() if isinstance(v, Mapping)},
        }


_KNOWN = {"format", "version", "plugin", "name", "architecture", "mpp", "classes", "data_set", "commit"}
_KNOWN |= {"weights", "normalisation", "metrics"}


def read_model(folder: Path) -> ModelFolder:
    """What the ``model.toml`` of a folder says; the weights are not read.

    Raises:
        ModelError: the folder is no model, is of another version, or lacks something.
    """
    path = folder / MODEL_FILE
    if not folder.is_dir():
        raise ModelError(f"There is no model folder {folder}; give the folder that holds {MODEL_FILE}.")
    if not path.is_file():
        pickled = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in PICKLED)
        if pickled:
            raise _pickled(folder.name, pickled[0])
        raise ModelError(f"{folder.name} is no model folder: it has no {MODEL_FILE}.")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(
            f"The {MODEL_FILE} of {folder.name} cannot be read ({error}); get the model again."
        ) from error
    if data.get("format") != FORMAT:
        raise ModelError(f'{folder.name} is no model of her2viewer: its {MODEL_FILE} lacks format = "{FORMAT}".')
    if data.get("version") != VERSION:
        raise ModelError(
            f"{folder.name} is a model of format version {data.get('version')}; this program reads version {VERSION}."
            " Update the program or get the model in that version."
        )
    try:
        model = _model(data, folder)
    except KeyError as error:
        raise ModelError(
            f"The {MODEL_FILE} of {folder.name} lacks the entry {error.args[0]}; get the model again."
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"The {MODEL_FILE} of {folder.name} is wrong ({error}); get the model again.") from error
    if not NAME.fullmatch(model.name):
        raise ModelError(
            f"{model.name!r} cannot be a model's name; use letters, digits, dots, dashes and underscores, 80 at most."
        )
    return model


def verify_model(model: ModelFolder) -> None:
    """Check the weights: there, of the stated size and sha256, safetensors with a sound header, nothing pickled.

    A graph is looked through: it may point into these weights only.

    Raises:
        ModelError: what is wrong.
    """
    pickled = sorted(p.name for p in model.folder.rglob("*") if p.suffix.lower() in PICKLED)
    if pickled:
        raise _pickled(model.name, pickled[0])
    try:
        size = model.weights.stat().st_size
        if size != model.size:
            raise ModelError(
                f"The weights of {model.name} are damaged: {size:,} bytes instead of {model.size:,}. "
                "Get the model again."
            )
        with model.weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise ModelError(f"{model.name} lacks its {WEIGHTS_FILE}; get the model again.") from error
    except OSError as error:
        raise ModelError(f"The weights of {model.name} cannot be read: {error.strerror or error}.") from error
    if found != model.sha256:
        raise ModelError(
            f"The weights of {model.name} are damaged or not its own: their sha256 differs from {MODEL_FILE}. "
            "Get the model again."
        )
    header = _check_header(model)
    if model.graph is not None:
        _check_graph(model, model.graph, header)


def weights_digest(path: Path) -> tuple[str, int]:
    """sha256 (hex) and size in bytes of a weights file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _check_header(model: ModelFolder) -> int:
    """A safetensors file is a length, a JSON header and bytes; anything else may be a pickle in disguise.

    Returns the place of the first tensor, bytes from the start of the file.
    """
    with model.weights.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        sound = 2 <= length <= min(LARGEST_HEADER, model.size - 8)
        try:
            header = json.loads(file.read(length)) if sound else None
        except ValueError:
            header = None
    if not isinstance(header, dict):
        raise ModelError(
            f"The weights of {model.name} are no safetensors file; only that format is read, because others can "
            "carry code."
        )
    return 8 + length


def _check_graph(model: ModelFolder, path: Path, first: int) -> None:
    """The graph may take weights from the weights file alone, and only from where its tensors are."""
    damaged = f"The {GRAPH_FILE} of {model.name} is damaged"
    try:
        tensors = outside_tensors(path.read_bytes())
    except OSError as error:
        raise ModelError(f"The {GRAPH_FILE} of {model.name} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise ModelError(f"{damaged} ({error}); get the model again.") from error
    for tensor in tensors:
        if tensor.location != WEIGHTS_FILE:
            raise ModelError(
                f"The {GRAPH_FILE} of {model.name} takes weights from {tensor.location!r}; only its own "
                f"{WEIGHTS_FILE} is read. Do not use this model."
            )
        end = model.size if tensor.length is None else tensor.offset + tensor.length
        if tensor.offset < first or not tensor.offset <= end <= model.size:
            raise ModelError(f"{damaged}: it takes weights from where there are none. Get the model again.")


def _pickled(name: str, file: str) -> ModelError:
    return ModelError(
        f"{name} holds {file}, a kind of file that can carry code; this program reads safetensors only. "
        "Ask for the model as a model folder."
    )


def _model(data: Mapping[str, Any], folder: Path) -> ModelFolder:
    weights = data["weights"]
    file = weights.get("file", WEIGHTS_FILE)
    if file != WEIGHTS_FILE:
        raise ValueError(f"weights.file must be {WEIGHTS_FILE}, not {file!r}")
    mpp = float(data["mpp"])
    if not 0.05 <= mpp <= 50:
        raise ValueError(f"mpp is {mpp}")
    sha256 = str(weights["sha256"]).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("weights.sha256 is no sha256")
    return ModelFolder(
        folder=folder,
        plugin=str(data["plugin"]),
        name=str(data["name"]),
        architecture=str(data["architecture"]),
        mpp=mpp,
        classes=tuple(str(c) for c in data["classes"]),
        sha256=sha256,
        size=int(weights["size"]),
        normalisation=dict(data.get("normalisation", {})),
        data_set=str(data.get("data_set", "")),
        commit=str(data.get("commit", "")),
        metrics=dict(data.get("metrics", {})),
        more={k: v for k, v in data.items() if k not in _KNOWN},
    )
