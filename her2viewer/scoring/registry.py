"""Which scorers are installed, found by entry point and read from their manifests without importing their code."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.scoring.contract import DEVICES, Scorer, ScorerError
from her2viewer.scoring.manifest import WITHOUT_MODEL, Manifest, ManifestError, Setting, read_manifest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "her2viewer.scorers"
RECIPES_GROUP = "her2viewer.recipes"
"""Modules of plugins that say how their networks are trained."""
DEVICE_SETTING = "device"
"""Where the networks of a scorer run; every scorer with networks has it."""


@dataclass(frozen=True)
class ScorerEntry:
    """One installed scorer, usable or with the reason why not."""

    id: str
    package: str
    manifest: Manifest | None
    problem: str | None

    @property
    def usable(self) -> bool:
        """True where it can be run."""
        return self.manifest is not None and self.problem is None

    @property
    def title(self) -> str:
        """What the list shows."""
        return self.manifest.title if self.manifest else self.id


def available_scorers() -> list[ScorerEntry]:
    """All installed scorers by id. A broken one is an entry with its reason, never an exception."""
    # Slow to import, and not needed before the first paint of the window.
    from importlib.metadata import entry_points

    found: dict[str, ScorerEntry] = {}
    for point in entry_points(group=GROUP):
        # The first on the path wins, as for imports.
        if point.name not in found:
            found[point.name] = _entry(point)
    return [found[key] for key in sorted(found)]


def find_scorer(scorer_id: str) -> Manifest:
    """Manifest of a usable scorer.

    Raises:
        ScorerError: it is not installed, or cannot be used; the sentence says why and what there is.
    """
    entries = {e.id: e for e in available_scorers()}
    entry = entries.get(scorer_id)
    if entry is None:
        there = ", ".join(entries) or "none"
        raise ScorerError(f"There is no scorer named {scorer_id!r}. Installed: {there}.")
    if entry.manifest is None or entry.problem is not None:
        raise ScorerError(f"The scorer {scorer_id!r} cannot be used: {entry.problem}")
    return entry.manifest


def load_scorer(manifest: Manifest) -> Scorer:
    """Import the scorer's class and make one for one run.

    Raises:
        ScorerError: the code cannot be imported; the sentence carries the reason.
    """
    module_name, _, class_name = manifest.entry.partition(":")
    try:
        module = importlib.import_module(module_name)
        scorer: Scorer = getattr(module, class_name)()
    except Exception as error:
        raise ScorerError(
            f"The scorer {manifest.title!r} cannot be loaded ({type(error).__name__}: {error}). Install it again."
        ) from error
    return scorer


def _entry(point: EntryPoint) -> ScorerEntry:
    package = point.value.partition(":")[0]
    try:
        manifest = read_manifest(_package_folder(package) / "scorer.toml")
    except (ManifestError, ModuleNotFoundError) as error:
        return ScorerEntry(point.name, package, None, str(error))
    problem = None
    if manifest.id != point.name:
        problem = f"Its manifest calls it {manifest.id!r}, its entry point {point.name!r}."
    missing = [name for name in manifest.needs if importlib.util.find_spec(name) is None]
    if missing:
        problem = f"It needs {', '.join(missing)}: pip install {' '.join(missing)}"
    if manifest.models:
        manifest, lacking = _with_models(manifest)
        problem = problem or lacking
    return ScorerEntry(point.name, package, manifest, problem)


def _with_models(manifest: Manifest) -> tuple[Manifest, str | None]:
    """The manifest with a choice of the models that fit each role and of the device, and what keeps it from use."""
    from her2viewer.scoring.model_store import usable_models

    installed = usable_models(manifest.id)
    choices, lacking = [], []
    for role in manifest.models:
        fitting = [m.name for m in installed if role.architecture in ("", m.architecture)]
        names = tuple(dict.fromkeys(fitting))
        if role.optional:
            names = (*names, WITHOUT_MODEL)
        if not names:
            lacking.append(role.title)
            continue
        choices.append(
            Setting(
                id=role.setting,
                title=role.title,
                type="choice",
                default=names[0],
                choices=names,
                help="Trained network to score with; her2viewer models lists them.",
                group="Networks",
            )
        )
    choices.append(
        Setting(
            id=DEVICE_SETTING,
            title="Device",
            type="choice",
            default="auto",
            choices=DEVICES,
            help="Where the networks run. auto takes the first that is there: cuda (NVIDIA), mps (Apple), gpu (Intel "
            "graphics), cpu. npu is Intel's. her2viewer doctor says what is there.",
            group="Networks",
        )
    )
    problem = None
    if lacking:
        which = f" ({', '.join(lacking)})" if len(manifest.models) > 1 else ""
        how = f"her2viewer train {manifest.id}, or her2viewer models install FOLDER"
        problem = f"It has no trained model yet{which}: {how}."
    return replace(manifest, settings=(*choices, *manifest.settings)), problem


def plugins_with_models() -> list[str]:
    """Ids of what models can be installed for: scorers that run with models, and plugins with training recipes."""
    from importlib.metadata import entry_points

    scorers = {e.id for e in available_scorers() if e.manifest is not None and e.manifest.models}
    return sorted(scorers | {point.name for point in entry_points(group=RECIPES_GROUP)})


def _package_folder(package: str) -> Path:
    """Folder of a package, found without running any of its code."""
    top, *rest = package.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"The package {top} of this scorer is not installed.")
    return Path(next(iter(spec.submodule_search_locations))).joinpath(*rest)
