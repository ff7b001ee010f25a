"""``scorer.toml``: what a scorer is, read without importing its code."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from her2viewer.scoring.contract import API_VERSION

SettingType = Literal["float", "int", "bool", "choice", "text"]


class ManifestError(Exception):
    """A manifest is damaged or of another api version; the sentence says which entry."""


@dataclass(frozen=True)
class Setting:
    """One setting of a scorer; the window draws its form from these."""

    id: str
    title: str
    type: SettingType
    default: Any
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    help: str = ""
    group: str = ""

    def checked(self, value: Any) -> Any:
        """The value in its type.

        Raises:
            ValueError: with a sentence that names the setting and its limits.
        """
        label = f"{self.title} ({self.id})"
        if self.type == "bool":
            if not isinstance(value, bool):
                raise ValueError(f"{label} must be true or false, not {value!r}.")
            return value
        if self.type == "choice":
            if value not in self.choices:
                raise ValueError(f"{label} must be one of {', '.join(self.choices)}, not {value!r}.")
            return value
        if self.type == "text":
            return str(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{label} must be a number, not {value!r}.")
        if self.type == "int" and int(value) != value:
            raise ValueError(f"{label} must be a whole number, not {value!r}.")
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(
                f"{label} must lie between {low} and {high} {self.unit}, not {value}.".replace(" ,", ",")
            )
        return int(value) if self.type == "int" else float(value)


@dataclass(frozen=True)
class CalibrationSpec:
    """What a lab may fit on its own slides."""

    method: str
    """``cutoffs`` (limits by which cells are classed), ``logits`` (factors of a network's logits), or ``temperature``
    (of the probabilities of the slide's score: the core applies it, the plugin needs no more than a setting for it).
    """
    entry: str
    """Module of the plugin, imported only to calibrate; ``training.calibration_methods`` says what it holds."""
    settings: tuple[str, ...]
    """Ids of the settings that are fitted."""


WITHOUT_MODEL = "without"
"""Value of the setting of an optional network for a run that does not use one."""


@dataclass(frozen=True)
class ModelRole:
    """One trained network that a scorer runs with."""

    setting: str
    """Id of the setting that chooses it."""
    title: str
    architecture: str = ""
    """``module:Class`` that a model for it has; "" takes every model of the plugin."""
    optional: bool = False
    """The scorer can do without; its setting then has ``WITHOUT_MODEL`` among its choices."""


@dataclass(frozen=True)
class Manifest:
    """The content of a ``scorer.toml``."""

    id: str
    title: str
    version: str
    summary: str
    stain: str
    """Stain it expects: "HER2 IHC" or "H&E"."""
    organs: tuple[str, ...]
    mpp: float
    """Working resolution, um/px."""
    counts: Literal["cells", "surface", "nothing"]
    entry: str
    """``module:Class`` imported on first use."""
    paper: str
    doi: str
    needs: tuple[str, ...]
    """Modules that must be importable ("torch")."""
    settings: tuple[Setting, ...]
    folder: Path
    models: tuple[ModelRole, ...] = ()
    """The networks that it runs with; the registry adds a setting for each."""
    calibration: CalibrationSpec | None = None

    def chosen_models(self, settings: Mapping[str, Any]) -> list[str]:
        """Names of the networks that a run with these complete settings uses, role by role."""
        chosen = [str(settings[role.setting]) for role in self.models]
        return [
            name for role, name in zip(self.models, chosen, strict=True) if not role.optional or name != WITHOUT_MODEL
        ]

    def complete(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All settings: defaults overlaid with ``settings``, each checked.

        Raises:
            ValueError: an unknown setting or one out of its range.
        """
        known = {s.id: s for s in self.settings}
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise ValueError(f"{self.title} has no setting named {', '.join(unknown)}; it has {', '.join(known)}.")
        return {key: s.checked(settings.get(key, s.default)) for key, s in known.items()}


def read_manifest(path: Path) -> Manifest:
    """Read and check one ``scorer.toml``.

    Raises:
        ManifestError: with the reason.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path.name} cannot be read: {error}") from error
    api = data.get("api")
    if api != API_VERSION:
        raise ManifestError(
            f"It was made for scorer API {api}; this program speaks {API_VERSION}. Update one of them."
        )
    try:
        counts = data["counts"]
        if counts not in ("cells", "surface", "nothing"):
            raise ManifestError(f"counts is {counts!r}; it must be cells, surface or nothing.")
        settings = tuple(
            Setting(
                id=s["id"],
                title=s["title"],
                type=s["type"],
                default=s["default"],
                minimum=s.get("min"),
                maximum=s.get("max"),
                choices=tuple(s.get("choices", ())),
                unit=s.get("unit", ""),
                help=s.get("help", ""),
                group=s.get("group", ""),
            )
            for s in data.get("settings", ())
        )
        for s in settings:
            s.checked(s.default)
        return Manifest(
            id=data["id"],
            title=data["title"],
            version=data["version"],
            summary=data["summary"],
            stain=data["stain"],
            organs=tuple(data["organs"]),
            mpp=float(data["mpp"]),
            counts=counts,
            entry=data["entry"],
            paper=data.get("paper", ""),
            doi=data.get("doi", ""),
            needs=tuple(data.get("needs", ())),
            settings=settings,
            folder=path.parent,
            calibration=_calibration(data.get("calibration"), {s.id for s in settings}),
            models=_models(data.get("models")),
        )
    except KeyError as error:
        raise ManifestError(f"{path.name} lacks the entry {error.args[0]}.") from error
    except (TypeError, ValueError) as error:
        raise ManifestError(f"{path.name}: {error}") from error


def _models(entry: Any) -> tuple[ModelRole, ...]:
    """``models = true`` is one network, ``[[models]]`` names several."""
    if not entry:
        return ()
    if entry is True:
        return (ModelRole("model", "Model"),)
    return tuple(
        ModelRole(role["setting"], role["title"], role.get("architecture", ""), bool(role.get("optional", False)))
        for role in entry
    )


def _calibration(table: Mapping[str, Any] | None, known: set[str]) -> CalibrationSpec | None:
    if table is None:
        return None
    fitted = tuple(table["settings"])
    if unknown := [s for s in fitted if s not in known]:
        raise ManifestError(f"[calibration] names settings that do not exist: {', '.join(unknown)}.")
    if table["method"] == "temperature" and len(fitted) != 1:
        raise ManifestError("[calibration] with the method temperature must name one setting.")
    return CalibrationSpec(table["method"], table.get("entry", ""), fitted)
