"""The model folder at the end of a run: weights, ``model.toml``, a card for people with plots. Imports torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from her2viewer import RESEARCH_USE, __version__
from her2viewer.scoring.model_folder import (
    CARD_FILE,
    MODEL_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    read_model,
    verify_model,
    weights_digest,
)
from her2viewer.scoring.runtime.eight_bit import RANGES
from her2viewer.scoring.toml_text import toml_text
from her2viewer.training.confusion import f1
from her2viewer.training.dataset import SPLITS, DataSet
from her2viewer.training.graph import write_graph
from her2viewer.training.held_out import held_out_lines
from her2viewer.training.recipe import Recipe, TrainingError

NOT_MEASURED = (
    "Not measured: the data set holds no slides in the split test. Figures on slides that were trained on, or "
    "that told when to stop, say nothing of new slides and are not given."
)


@dataclass(frozen=True)
class Outcome:
    """What a run ends with."""

    plugin: str
    name: str
    recipe: Recipe
    data_set: DataSet
    samples: Mapping[str, int]
    """Of each split."""
    weights: Mapping[str, torch.Tensor]
    """As they are to be stored."""
    history: Sequence[Mapping[str, Any]]
    confusion: NDArray[np.int64] | None
    """On the split test; None where it is empty."""
    metrics: Mapping[str, Any]
    finished: Mapping[str, Any]
    """What the recipe fitted at the end."""
    ranges: Mapping[str, tuple[float, float]]
    """Of the input of each convolution, see ``runtime.eight_bit``; empty where full precision is needed."""
    stopped: str
    """Why the run ended before its stages did; ""."""
    device: str
    seconds: float
    commit: str
    seed: int


def write_model_folder(folder: Path, outcome: Outcome) -> ModelFolder:
    """Write the folder beside its place, then put it there whole; one that was there is replaced.

    Raises:
        TrainingError: it cannot be written.
    """
    from safetensors.torch import save_file

    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_file({name: value.contiguous() for name, value in outcome.weights.items()}, str(part / WEIGHTS_FILE))
        _write_graph(part, outcome)
        (part / WEIGHTS_FILE).chmod(0o644)
        sha256, size = weights_digest(part / WEIGHTS_FILE)
        model = _model(part, outcome, sha256, size)
        (part / MODEL_FILE).write_text(toml_text(model.as_toml()), encoding="utf-8")
        plots = _plots(part, outcome)
        (part / CARD_FILE).write_text(_card(model, outcome, plots), encoding="utf-8")
        verify_model(read_model(part))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    except OSError as error:
        raise TrainingError(
            f"The model cannot be written to {folder}: {error.strerror or error}. Mend it, then use --resume."
        ) from error
    return read_model(folder)


def _write_graph(folder: Path, outcome: Outcome) -> None:
    from her2viewer.training.fit import make_network

    recipe = outcome.recipe
    network = make_network(recipe)
    network.load_state_dict(outcome.weights)
    write_graph(network, folder, len(recipe.offset), recipe.input_px)


def _model(folder: Path, outcome: Outcome, sha256: str, size: int) -> ModelFolder:
    recipe = outcome.recipe
    return ModelFolder(
        folder=folder,
        plugin=outcome.plugin,
        name=outcome.name,
        architecture=recipe.architecture,
        mpp=recipe.cut.mpp,
        classes=recipe.classes,
        sha256=sha256,
        size=size,
        normalisation={
            "input": recipe.inputs,
            "offset": list(recipe.offset),
            "scale": list(recipe.scale),
            "formula": "(x - offset) * scale",
        },
        data_set=outcome.data_set.hash,
        commit=outcome.commit,
        metrics=outcome.metrics,
        more={
            "recipe": recipe.name,
            "input_px": recipe.input_px,
            "seed": outcome.seed,
            "bf16": recipe.bf16,
            "program": __version__,
            "data_set_name": outcome.data_set.name,
            **({"finished": dict(outcome.finished)} if outcome.finished else {}),
            **({RANGES: {k: list(v) for k, v in outcome.ranges.items()}} if outcome.ranges else {}),
        },
    )


def _plots(folder: Path, outcome: Outcome) -> list[str]:
    """Names of the pictures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = []
    if outcome.history:
        figure = Figure(figsize=(7, 4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        epochs = np.arange(1, len(outcome.history) + 1)
        for key, label in (("train_loss", "training"), ("validation_loss", "validation")):
            values = [entry.get(key, np.nan) for entry in outcome.history]
            if np.isfinite(values).any():
                axes.plot(epochs, values, label=f"loss, {label}", marker=".", linewidth=1.2)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        scores = [entry.get("macro_f1", np.nan) for entry in outcome.history]
        if np.isfinite(scores).any():
            right = axes.twinx()
            right.plot(epochs, scores, color="0.45", linestyle="--", linewidth=1.2, label="macro F1, validation")
            right.set_ylim(0, 1)
            right.set_ylabel("macro F1")
            lines = axes.get_lines() + right.get_lines()
            figure.legend(lines, [str(line.get_label()) for line in lines], loc="outside upper center", ncols=3)
        else:
            axes.legend()
        figure.savefig(folder / "loss.png", dpi=120, metadata={"Software": None})
        names.append("loss.png")
    if outcome.confusion is not None and outcome.confusion.sum():
        _confusion_plot(folder / "confusion.png", outcome.confusion, outcome.recipe.classes)
        names.append("confusion.png")
    return names


def _confusion_plot(path: Path, matrix: NDArray[np.int64], classes: Sequence[str]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    side = 2.2 + 0.7 * len(classes)
    figure = Figure(figsize=(side, side * 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(classes)):
        for column in range(len(classes)):
            dark = share[row, column] > 0.55
            text = f"{100 * share[row, column]:.0f} %\n{matrix[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("network")
    axes.set_ylabel("truth")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _card(model: ModelFolder, outcome: Outcome, plots: Sequence[str]) -> str:
    recipe, data = outcome.recipe, outcome.data_set
    lines = [
        f"# {model.name}",
        "",
        f"{recipe.title} for the scorer `{model.plugin}`, trained with her2viewer {__version__}. {RESEARCH_USE}",
        "",
        recipe.summary,
        "",
        "| | |",
        "|---|---|",
        f"| network | `{model.architecture}`, {_parameters(outcome):,} parameters |",
        f"| input | {recipe.input_px} x {recipe.input_px} px at {model.mpp:g} um/px, {_inputs(recipe)} |",
        f"| classes | {', '.join(model.classes)} |",
        f"| weights | {model.size:,} bytes, sha256 `{model.sha256}` |",
        f"| data set | {data.name}, hash `{model.data_set}` |",
        f"| program | revision `{model.commit or 'unknown'}`, recipe `{recipe.name}`, seed {outcome.seed} |",
        f"| precision | {_precision(outcome)} |",
        f"| trained | {len(outcome.history)} epochs, {outcome.seconds / 60:.1f} minutes on {outcome.device} |",
        "",
        "## Held-out slides",
        "",
        *_measured(outcome),
        "",
        "## Data",
        "",
        *_data(outcome),
        "",
        "## Training",
        "",
        *_stages(outcome),
        *([f"Ended before its time: {outcome.stopped}", ""] if outcome.stopped else []),
        *(["![Loss](loss.png)", ""] if "loss.png" in plots else []),
    ]
    if recipe.notes:
        lines += ["## What was decided", "", *(f"* {note}" for note in recipe.notes), ""]
    return "\n".join(lines)


def _measured(outcome: Outcome) -> list[str]:
    matrix = outcome.confusion
    if matrix is None or not matrix.sum():
        return [NOT_MEASURED]
    metrics = outcome.metrics
    slides = len(outcome.data_set.of("test"))
    unit = "pixels" if outcome.recipe.labels == "mask" else "samples"
    lines = [
        f"All figures of this section are of the split test: {slides} slide{'s' * (slides != 1)} with "
        f"{matrix.sum():,} {unit}, neither trained on nor looked at to choose the epoch.",
        "",
        f"Accuracy {metrics['accuracy']:.3f}, balanced accuracy {metrics['balanced_accuracy']:.3f}, macro F1 "
        f"{metrics['macro_f1']:.3f}, Cohen's kappa {metrics['kappa']:.3f}.",
        "",
        f"| class | {unit} | F1 |",
        "|---|---|---|",
    ]
    each = f1(matrix)
    for k, name in enumerate(outcome.recipe.classes):
        count = int(matrix[k].sum())
        lines.append(f"| {name} | {count:,} | {f'{each[k]:.3f}' if count else 'none there'} |")
    more = held_out_lines(outcome.recipe, metrics)
    return [*lines, "", *more, "![Confusion matrix, held-out slides](confusion.png)"]


def _data(outcome: Outcome) -> list[str]:
    data = outcome.data_set
    lines = [data.description, ""] if data.description else []
    lines += ["| split | slides | patients | samples |", "|---|---|---|---|"]
    for split in SPLITS:
        slides = data.of(split)
        patients = len({(s.lab, s.patient) for s in slides if s.patient})
        lines.append(f"| {split} | {len(slides)} | {patients or 'not given'} | {outcome.samples.get(split, 0):,} |")
    phantoms = sum(s.truth is not None for s in data.slides)
    if phantoms:
        lines += ["", f"{phantoms} of {len(data.slides)} slides are phantoms: drawn by this program, not scanned."]
    labs, scanners = ({s.lab for s in data.slides if s.lab}, {s.scanner for s in data.slides if s.scanner})
    if labs or scanners:
        lines += ["", f"Laboratories: {', '.join(sorted(labs)) or 'not given'}. "
                      f"Scanners: {', '.join(sorted(scanners)) or 'not given'}."]  # fmt: skip
    return lines


def _stages(outcome: Outcome) -> list[str]:
    lines = []
    for stage in outcome.recipe.stages:
        done = [entry for entry in outcome.history if entry["stage"] == stage.name]
        best = next((e["epoch"] for e in reversed(done) if e.get("best")), None)
        lines.append(
            f"* {stage.name}: {len(done)} of at most {stage.epochs} epochs, batch {stage.batch}, best after epoch "
            f"{best or '-'} by {stage.monitor.replace('_', ' ')} on the validation slides"
        )
    return [*lines, ""]


def _parameters(outcome: Outcome) -> int:
    return sum(value.numel() for value in outcome.weights.values() if value.is_floating_point())


def _precision(outcome: Outcome) -> str:
    if not outcome.recipe.bf16:
        return "32 bit"
    eight = "8-bit integers (ranges in `model.toml`) or " if outcome.ranges else ""
    return f"32 bit; {eight}bf16 where a trial on the machine finds the same labels on 99.5 % and sooner"


def _inputs(recipe: Recipe) -> str:
    if recipe.inputs == "rgb":
        return "RGB"
    if recipe.inputs == "rgb_on_glass":
        return "RGB relative to the slide's own glass"
    return "optical density of haematoxylin and DAB in the slide's own stain vectors"
