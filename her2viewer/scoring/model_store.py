"""Installed models: the user's own in the data folder, bundled ones in the program's resources."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from her2viewer import userdirs
from her2viewer.resources import resource_path
from her2viewer.scoring.model_folder import (
    CARD_FILE,
    GRAPH_FILE,
    MODEL_FILE,
    WEIGHTS_FILE,
    ModelError,
    ModelFolder,
    read_model,
    verify_model,
)

WANTED = (MODEL_FILE, WEIGHTS_FILE, CARD_FILE, GRAPH_FILE)
PLOTS = (".png", ".svg", ".csv", ".toml", ".md", ".txt")
"""What else a model folder may hold; other files are left behind at installation."""
LARGEST_ZIP = 8 << 30
"""Bytes of a zip when unpacked."""


@dataclass(frozen=True)
class InstalledModel:
    """One folder in a place of models."""

    folder: Path
    plugin: str
    """By the folder that it lies in."""
    bundled: bool
    model: ModelFolder | None
    problem: str | None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.model.name if self.model else self.folder.name


def user_models() -> Path:
    """Where installed models go: ``<plugin>/<name>/`` in the user's data folder."""
    return userdirs.data_dir() / "models"


def installed_models(plugin: str | None = None) -> list[InstalledModel]:
    """All models, or those of one plugin, the user's own first, by name; weights are not read.

    A bundled model that the user has installed anew under its name is left out. A broken one is an entry with its
    problem, never an exception.
    """
    found: dict[tuple[str, str], InstalledModel] = {}
    for root, bundled in _roots():
        for of_plugin in _folders(root):
            if plugin is not None and of_plugin.name != plugin:
                continue
            for folder in _folders(of_plugin):
                entry = _installed(folder, of_plugin.name, bundled)
                found.setdefault((entry.plugin, entry.name), entry)
    return sorted(found.values(), key=lambda m: (m.plugin, m.bundled, m.name))


def models_stamp() -> tuple[tuple[str, int], ...]:
    """What changes when a model is installed, replaced or removed; costs some looks at folders, no file is read."""
    found = []
    for root, _ in _roots():
        for of_plugin in _folders(root):
            for folder in _folders(of_plugin):
                with suppress(OSError):
                    found.append((str(folder), (folder / MODEL_FILE).stat().st_mtime_ns))
    return tuple(found)


def usable_models(plugin: str) -> list[ModelFolder]:
    """The models that a plugin can be run with."""
    return [m.model for m in installed_models(plugin) if m.model is not None and m.problem is None]


def find_model(plugin: str, name: str) -> ModelFolder:
    """A model of a plugin, weights verified.

    Raises:
        ModelError: there is none of that name, or it is damaged.
    """
    of_plugin = installed_models(plugin)
    entry = next((m for m in of_plugin if m.name == name), None)
    if entry is None:
        there = ", ".join(m.name for m in of_plugin) or "none"
        raise ModelError(f"There is no model {name!r} for {plugin}; installed: {there}.")
    if entry.model is None or entry.problem is not None:
        raise ModelError(entry.problem or f"The model {name} cannot be read.")
    verify_model(entry.model)
    return entry.model


def install_model(source: Path, known_plugins: Iterable[str]) -> ModelFolder:
    """Copy a model folder, or unpack a zip of one, into the user's models, verified before and after.

    A model of the same plugin and name is replaced, whole or not at all.

    Raises:
        ModelError: what is wrong with it, or why it cannot be written.
    """
    source = Path(source)
    if not source.exists():
        raise ModelError(f"There is no {source}; give a model folder or a zip of one.")
    with tempfile.TemporaryDirectory(prefix="her2viewer-model-") as scratch:
        folder = source
        if source.is_file():
            folder = _unpacked(source, Path(scratch))
        model = read_model(folder)
        known = sorted(known_plugins)
        if model.plugin not in known:
            raise ModelError(
                f"{model.name} is a model for {model.plugin!r}, which is not installed; models can be used by "
                f"{', '.join(known) or 'no installed scorer'}."
            )
        verify_model(model)
        return _put(model)


def remove_model(plugin: str | None, name: str) -> Path:
    """Delete one of the user's models; returns the folder that is gone.

    Raises:
        ModelError: there is none, it is bundled, the name is not unique, or it cannot be deleted.
    """
    named = [m for m in installed_models(plugin) if m.name == name]
    if not named:
        there = ", ".join(f"{m.plugin}/{m.name}" for m in installed_models(plugin)) or "none"
        raise ModelError(f"There is no model {name!r}; installed: {there}.")
    if len(named) > 1:
        raise ModelError(f"{name} is a model of {' and '.join(m.plugin for m in named)}; write PLUGIN/{name}.")
    entry = named[0]
    if entry.bundled:
        raise ModelError(f"{name} ships with the program and stays.")
    try:
        shutil.rmtree(entry.folder)
    except OSError as error:
        raise ModelError(f"{entry.folder} cannot be deleted: {error.strerror or error}.") from error
    return entry.folder


def _roots() -> list[tuple[Path, bool]]:
    roots = [(user_models(), False)]
    with suppress(FileNotFoundError):
        roots.append((resource_path("models"), True))
    return roots


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []


def _installed(folder: Path, plugin: str, bundled: bool) -> InstalledModel:
    try:
        model = read_model(folder)
    except ModelError as error:
        return InstalledModel(folder, plugin, bundled, None, str(error))
    problem = None
    if model.plugin != plugin:
        problem = f"{model.name} is a model for {model.plugin!r}, but lies among those of {plugin!r}."
    elif not model.weights.is_file():
        problem = f"{model.name} lacks its {WEIGHTS_FILE}; get the model again."
    return InstalledModel(folder, plugin, bundled, model, problem)


def _put(model: ModelFolder) -> ModelFolder:
    target = user_models() / model.plugin / model.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{model.name}.", dir=target.parent))
    except OSError as error:
        raise ModelError(f"{target.parent} cannot be written to: {error.strerror or error}.") from error
    old = fresh.with_name(fresh.name + ".old")
    try:
        for path in sorted(model.folder.iterdir()):
            if path.is_file() and (path.name in WANTED or path.suffix.lower() in PLOTS):
                shutil.copyfile(path, fresh / path.name)
        fresh.chmod(0o755)
        verify_model(read_model(fresh))
        if target.exists():
            os.replace(target, old)
        os.replace(fresh, target)
    except OSError as error:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise ModelError(f"{model.name} could not be installed: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
    return read_model(target)


def _unpacked(source: Path, scratch: Path) -> Path:
    try:
        with zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
            for info in infos:
                _check_member(source, info)
            if sum(info.file_size for info in infos) > LARGEST_ZIP:
                raise ModelError(f"{source.name} unpacks to more than {LARGEST_ZIP >> 30} GB; that is no model.")
            archive.extractall(scratch)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(f"{source.name} is no zip or a damaged one; get the model again.") from error
    except OSError as error:
        raise ModelError(f"{source.name} cannot be unpacked: {error.strerror or error}.") from error
    found = sorted(scratch.rglob(MODEL_FILE), key=lambda p: len(p.parts))
    if not found:
        return scratch
    if len(found) > 1 and len(found[0].parts) == len(found[1].parts):
        raise ModelError(f"{source.name} holds {len(found)} models; install them one by one.")
    return found[0].parent


def _check_member(source: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or ":" in name or "\x00" in name:
        raise ModelError(f"{source.name} would write outside its folder ({info.filename}); it was not unpacked.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ModelError(f"{source.name} holds a link ({info.filename}), which no model needs; it was not unpacked.")
