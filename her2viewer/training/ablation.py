"""What each stage of a finished run adds: slides scored with the weights at its end. Imports torch.

The comparison of Pham et al. 2022, figures 7 and 8, for recipes that learn from the scores of slides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.training.checkpoint import load_state
from her2viewer.training.dataset import SPLITS, DataSet, SplitName
from her2viewer.training.fit import STATE_FILE, make_fabric, make_network, quiet, stage_file
from her2viewer.training.measured import measure
from her2viewer.training.recipe import Recipe, TrainingError
from her2viewer.training.run import RUN_FILE
from her2viewer.training.slide_level import SlideLevel, slides_of
from her2viewer.training.start import read_start
from her2viewer.training.stores import stores_of, table_of
from her2viewer.training.tiles import TileStore, extract

CALIBRATION = "logit calibration"
Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RunNote:
    """What a run folder says of itself."""

    plugin: str
    recipe: str
    data: Path | None
    """The manifest, where the folder names it."""
    data_set: str
    """Hash of the set, "" where the folder does not name it."""


@dataclass(frozen=True)
class StageOutcome:
    """The slides after one stage."""

    name: str
    slides: Mapping[SplitName, SlideLevel]
    changed: bool
    """Whether the answers differ from those after the stage before."""


@dataclass(frozen=True)
class Ablation:
    """All stages of a run, in their order; the last one is the calibration of the logits where the recipe has it."""

    plugin: str
    recipe: str
    data_set: str
    stages: tuple[StageOutcome, ...]
    finished: Mapping[str, Any]
    """What the recipe fitted after the stages."""
    missing: tuple[str, ...]
    """Stages that the run has not come to, or whose weights were not kept."""


def read_run(folder: Path) -> RunNote:
    """What a folder of ``her2viewer train`` holds.

    Raises:
        TrainingError: it is none.
    """
    try:
        note = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        data = Path(note["data"]) if "data" in note else None
        return RunNote(str(note["plugin"]), str(note["recipe"]), data, str(note.get("data_set", "")))
    except FileNotFoundError as error:
        raise TrainingError(
            f"{folder} is no folder of a training run: it has no {RUN_FILE}. Give what her2viewer train --out named."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{folder / RUN_FILE} cannot be read; train again into another folder.") from error


def ablation(
    folder: Path,
    note: RunNote,
    recipe: Recipe,
    data_set: DataSet,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    say: Say = lambda *_: None,
    check: Callable[[], None] = lambda: None,
) -> Ablation:
    """Score the slides of all splits with the network of every stage.

    Args:
        folder: of the run.
        note: what the folder says.
        recipe: of the run.
        data_set: the one that was trained on; samples are taken from the run's folder where they are cut.
        device: where the networks run.
        threads: of the processor, None lets torch choose.
        say: told what is going on.
        check: may raise to stop.

    Raises:
        TrainingError: not such a run, or not its data set.
    """
    if recipe.labels != "slide" or recipe.classes != HER2_LABELS:
        raise TrainingError(
            f"The recipe {recipe.name} of {note.plugin} does not learn from the scores of slides, so there are no "
            "scores to compare its stages by."
        )
    if note.data_set and note.data_set != data_set.hash:
        raise TrainingError(
            f"{data_set.path} is not the data set of this run, or was changed since: its hash differs. Give the one "
            "that was trained on."
        )
    weights, missing = _weights(folder, recipe)
    if threads is not None:
        torch.set_num_threads(threads)
    tiles = extract(data_set, recipe, folder / "samples", say=lambda *a: say(f"Cutting {a[0]}", *a[1:]), check=check)
    stores = stores_of(recipe, tiles)
    fabric = make_fabric(device, recipe.bf16)
    outcomes: list[StageOutcome] = []
    answers: dict[SplitName, NDArray[np.float32]] = {}
    with quiet():
        fabric.launch()
        for number, (name, state) in enumerate(weights.items()):
            say(f"Scoring slides after stage {number + 1}, {name}", number, len(weights))
            check()
            network = make_network(recipe)
            network.load_state_dict(state)
            network.to(fabric.device)
            before, answers = answers, {}
            for split in SPLITS:
                if len(stores[split]):
                    found = measure(fabric, recipe, network, stores[split], logits=True).logits
                    assert found is not None
                    answers[split] = found
            changed = not before or any(not np.array_equal(before[s], answers[s]) for s in answers)
            outcomes.append(StageOutcome(name, _slides(stores, answers), changed))
    finished: Mapping[str, Any] = {}
    if recipe.finish is not None and not missing:
        say("Fitting the factors of the logits", 0, 1)
        finished = recipe.finish(_Answers(answers, stores))
        if "alphas" in finished:
            alphas = np.asarray(finished["alphas"], np.float64)
            moved = bool((alphas != 1).any())
            outcomes.append(StageOutcome(CALIBRATION, _slides(stores, answers, alphas), moved))
    return Ablation(note.plugin, recipe.name, data_set.name, tuple(outcomes), finished, tuple(missing))


@dataclass(frozen=True)
class _Answers:
    """See ``recipe.Outputs``; of answers that are there already."""

    answers: Mapping[SplitName, NDArray[np.float32]]
    stores: Mapping[SplitName, TileStore]

    def logits(self, split: Literal["train", "validation"]) -> NDArray[np.float32]:
        return self.answers.get(split, np.zeros((0, len(HER2_LABELS)), np.float32))

    def table(self, split: Literal["train", "validation"]) -> Mapping[str, NDArray[Any]]:
        return table_of(self.stores[split])


def _slides(
    stores: Mapping[SplitName, TileStore],
    answers: Mapping[SplitName, NDArray[np.float32]],
    alphas: NDArray[np.float64] | None = None,
) -> dict[SplitName, SlideLevel]:
    return {split: slides_of(logits, stores[split], alphas) for split, logits in answers.items()}


def _weights(folder: Path, recipe: Recipe) -> tuple[dict[str, dict[str, torch.Tensor]], list[str]]:
    """Weights at the end of each stage by its name, and the stages that have none."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    missing = []
    last = len(recipe.stages)
    for number, stage in enumerate(recipe.stages, start=1):
        path = stage_file(folder, number)
        if path.exists():
            found[stage.name] = read_start(path)
        elif number == last and (folder / STATE_FILE).exists():
            state = load_state(folder / STATE_FILE)
            # Time was up within the last stage: its best epoch is what the run ended with.
            if state.stage >= last - 1 and state.best is not None:
                found[stage.name] = state.best
            else:
                missing.append(stage.name)
        else:
            missing.append(stage.name)
    if not found:
        raise TrainingError(
            f"{folder} keeps no weights of its stages: none is finished yet, or the run is of an earlier version. "
            "Train on with --resume, or anew."
        )
    return found, missing
