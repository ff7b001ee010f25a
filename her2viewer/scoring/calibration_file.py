"""Calibration of a scorer for a laboratory: a TOML file with the settings that were fitted, and how well they do."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from her2viewer.domain.result import ResultWarning
from her2viewer.scoring.manifest import Manifest

FORMAT = "her2viewer-calibration"
VERSION = 1
SETTING = "calibration"
"""Id of the setting that names the file."""
FIGURES = {
    "accuracy": ("Right score", "%"),
    "kappa_quadratic": ("Kappa, quadratic", ""),
    "score_distance": ("Mean distance from the score", ""),
    "log_loss": ("Surprise at the true score (log loss)", ""),
    "limits_broken": ("Guideline limits broken by", "%."),
    "share_mae": ("Mean error of the shares, points", ""),
}
"""What is shown of ``before``, ``after`` and ``cross_validated`` by key: title, and how a part of 1 is printed."""


def figure_text(key: str, value: float | None) -> str:
    """A figure as printed: "94 %", "0.3 %", "0.97", "-" where there is none."""
    if value is None or math.isnan(value):
        return "-"
    form = FIGURES[key][1]
    return f"{100 * value:.{len(form) - 1}f} %" if form else f"{value:.2f}"


class CalibrationError(Exception):
    """A calibration cannot be used; ``str()`` is a sentence."""


@dataclass(frozen=True)
class CalibrationFile:
    """What a calibration file holds."""

    name: str
    scorer: str
    scorer_version: str
    method: str
    settings: Mapping[str, float]
    """The fitted settings."""
    fixed: Mapping[str, Any]
    """The scorer's other settings while it was fitted."""
    data_set: str
    data_set_hash: str
    profile: str
    made: str
    """ISO 8601 with time zone."""
    made_by: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    cross_validated: Mapping[str, float]
    """Measures over slides that were not fitted on."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """sha256 by name of the networks that it was fitted with; {} for a scorer without any."""
    slides: tuple[Mapping[str, Any], ...] = ()
    """id, truth, before, after, held_out of each."""
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    """Of the file; "" before it was written."""


def calibration_text(calibration: CalibrationFile) -> str:
    """The file's content."""
    c = calibration
    lines = [
        f"format = {_value(FORMAT)}",
        f"version = {VERSION}",
        *(
            f"{key} = {_value(getattr(c, key))}"
            for key in ("name", "scorer", "scorer_version", "method", "data_set", "data_set_hash", "profile")
        ),
        f"made = {_value(c.made)}",
        f"made_by = {_value(c.made_by)}",
        f"notes = {_value(list(c.notes))}",
    ]
    for table in ("settings", "fixed", "weights", "before", "after", "cross_validated", "extra"):
        lines += [
            "",
            f"[{table}]",
            *(f"{_key(key)} = {_value(v)}" for key, v in getattr(c, table).items() if v is not None),
        ]
    for slide in c.slides:
        lines += ["", "[[slides]]", *(f"{key} = {_value(v)}" for key, v in slide.items() if v is not None)]
    return "\n".join(lines) + "\n"


def read_calibration(path: Path) -> CalibrationFile:
    """Read a calibration file.

    Raises:
        CalibrationError: it is missing, damaged, or of a later version.
    """
    try:
        content = path.read_bytes()
        data = tomllib.loads(content.decode("utf-8"))
    except FileNotFoundError as error:
        raise CalibrationError(
            f"There is no calibration file {path}. Choose another, or empty the setting."
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CalibrationError(f"The calibration file {path.name} cannot be read ({error}).") from error
    if data.get("format") != FORMAT:
        raise CalibrationError(f"{path.name} is no calibration file of her2viewer.")
    if data.get("version") != VERSION:
        raise CalibrationError(
            f"{path.name} is of version {data.get('version')}; this program reads version {VERSION}. Calibrate again."
        )
    try:
        return CalibrationFile(
            name=str(data["name"]),
            scorer=str(data["scorer"]),
            scorer_version=str(data["scorer_version"]),
            method=str(data["method"]),
            settings={str(k): float(v) for k, v in data["settings"].items()},
            fixed=dict(data["fixed"]),
            data_set=str(data["data_set"]),
            data_set_hash=str(data["data_set_hash"]),
            profile=str(data["profile"]),
            made=str(data["made"]),
            made_by=str(data["made_by"]),
            before=dict(data["before"]),
            after=dict(data["after"]),
            cross_validated=dict(data["cross_validated"]),
            weights={str(k): str(v) for k, v in data.get("weights", {}).items()},
            slides=tuple(data.get("slides", ())),
            notes=tuple(data.get("notes", ())),
            extra=dict(data.get("extra", {})),
            sha256=hashlib.sha256(content).hexdigest(),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CalibrationError(f"The calibration file {path.name} is damaged ({error}). Calibrate again.") from error


def check_fits(calibration: CalibrationFile, manifest: Manifest) -> None:
    """Whether a calibration was made for this scorer.

    Raises:
        CalibrationError: another scorer, another version, or settings that it does not have.
    """
    if calibration.scorer != manifest.id or manifest.calibration is None:
        raise CalibrationError(
            f"This calibration was made for the scorer {calibration.scorer!r}, not for {manifest.id!r}. "
            "Choose another."
        )
    if calibration.scorer_version != manifest.version:
        raise CalibrationError(
            f"This calibration was made with version {calibration.scorer_version} of {manifest.title!r}; "
            f"installed is {manifest.version}. Calibrate again."
        )
    unknown = sorted(set(calibration.settings) - set(manifest.calibration.settings))
    if unknown:
        raise CalibrationError(f"This calibration sets {', '.join(unknown)}, which cannot be calibrated.")


def with_calibration(manifest: Manifest, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with those of the calibration that they name, where they do not say otherwise themselves.

    Args:
        manifest: of the scorer.
        given: settings as they were asked for, not yet completed.

    Raises:
        ValueError: the calibration cannot be used, or does not fit the scorer.
    """
    named = str(given.get(SETTING, "") or "")
    if not named or manifest.calibration is None:
        return dict(given)
    try:
        calibration = read_calibration(Path(named).expanduser())
        check_fits(calibration, manifest)
    except CalibrationError as error:
        raise ValueError(str(error)) from error
    return {**calibration.settings, **given, SETTING: str(Path(named).expanduser().absolute())}


def applied(
    manifest: Manifest, settings: Mapping[str, Any], weights: Mapping[str, str]
) -> tuple[dict[str, str], tuple[ResultWarning, ...]]:
    """What the provenance says of the calibration that a run names: its sha256 by name, and warnings.

    The settings of a run hold what was fitted, so a file that is gone or was changed alters no answer; but then the
    answer may not go by its name.

    Args:
        manifest: of the scorer.
        settings: of the run.
        weights: sha256 by name of the networks of the run; {} where it ended before they were loaded.
    """
    named = str(settings.get(SETTING, "") or "")
    if not named or manifest.calibration is None:
        return {}, ()
    try:
        calibration = read_calibration(Path(named))
        check_fits(calibration, manifest)
    except CalibrationError as error:
        text = f"{error} The settings of the run were used; the answer does not go by this calibration."
        return {}, (ResultWarning("calibration_unusable", text),)
    # The window shows limits with few decimals.
    differ = [
        key for key, value in calibration.settings.items() if not math.isclose(value, settings[key], abs_tol=5e-4)
    ]
    if differ:
        text = (
            f"The calibration {calibration.name!r} is named, but {', '.join(differ)} was set otherwise: the answer "
            "does not go by this calibration."
        )
        return {}, (ResultWarning("calibration_overruled", text),)
    if weights and (others := set(calibration.weights.values()) - set(weights.values())):
        names = ", ".join(sorted(name for name, sha in calibration.weights.items() if sha in others))
        text = (
            f"The calibration {calibration.name!r} was made with another network ({names}): the answer does not go "
            "by it. Calibrate again, or choose the network that it was made with."
        )
        return {}, (ResultWarning("calibration_of_other_network", text),)
    return {f"calibration {Path(named).name}": calibration.sha256}, ()


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(v) for v in value)}]"
    # A TOML basic string and a JSON string escape alike, but for the delete character, which JSON leaves as it is.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
