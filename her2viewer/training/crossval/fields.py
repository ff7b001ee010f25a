"""Fields of slides, and the folds that whole fields are dealt out to: no cell is tested by its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from her2viewer.training.recipe import Cut, TrainingError
from her2viewer.training.sources import SlideSource

if TYPE_CHECKING:
    from her2viewer.training.tiles import SlideTiles

By = Literal["field", "slide", "patient"]
FIELD_UM = 980.0
"""Side of a field: 2000 px at 0.49 um/px."""
LEAST_FOLDS = 3
"""One to test, one that tells when the network is to stop, one to learn from."""


@dataclass(frozen=True)
class Fields:
    """The fields of some slides."""

    names: tuple[str, ...]
    """Slide, and number of the field where the slide has more than one."""
    groups: tuple[str, ...]
    """What each field is kept together with: itself, its slide or its patient."""
    scores: tuple[int, ...]
    """Of each field's slide, -1 unknown."""
    of: NDArray[np.int64]
    """(n,) field of each sample; -1 so close to another field that it shares pixels with it."""


def fields_of(tiles: Sequence[SlideTiles], cut: Cut, *, by: By, side_um: float = FIELD_UM) -> Fields:
    """The fields of slides whose samples are cut, in the order of the samples.

    A slide is parted into equal rectangles with sides as near to ``side_um`` as can be.

    Args:
        tiles: the samples of each slide.
        cut: how they were cut.
        by: what is kept together.
        side_um: about the side of a field.

    Raises:
        TrainingError: a slide cannot be opened.
    """
    names: list[str] = []
    groups: list[str] = []
    scores: list[int] = []
    parts = [np.zeros(0, np.int64)]
    for slide in tiles:
        entry = slide.entry
        with SlideSource(entry) as source:
            mpp = source.pixel_size.mpp
            size = (source.slide.width, source.slide.height)
        columns, rows = (max(1, round(side * mpp / side_um)) for side in size)
        x, y = _places(slide)
        column, near_column = _parted(x, size[0], columns, cut.stored * cut.mpp / mpp)
        row, near_row = _parted(y, size[1], rows, cut.stored * cut.mpp / mpp)
        found = np.where(near_column | near_row, -1, len(names) + row * columns + column)
        parts.append(found)
        many = columns * rows > 1
        own = [f"{entry.id}, field {k + 1}" if many else entry.id for k in range(columns * rows)]
        patient = f"patient {entry.lab or ''} {entry.patient}" if entry.patient else entry.id
        names += own
        groups += own if by == "field" else [entry.id if by == "slide" else patient] * len(own)
        scores += [-1 if entry.score_index is None else entry.score_index] * len(own)
    return Fields(tuple(names), tuple(groups), tuple(scores), np.concatenate(parts))


def folds_of(fields: Fields, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each field, 0 to ``folds`` - 1; -1 for a field without samples.

    Groups are dealt out one by one, score after score in a drawn order, so that folds are about equally large and
    hold all scores alike.

    Raises:
        TrainingError: there are fewer groups than folds, or too few folds.
    """
    if folds < LEAST_FOLDS:
        raise TrainingError(f"Cross-validation needs at least {LEAST_FOLDS} folds, not {folds}.")
    used = np.unique(fields.of[fields.of >= 0])
    members: dict[str, list[int]] = {}
    for k in used.tolist():
        members.setdefault(fields.groups[k], []).append(k)
    if len(members) < folds:
        raise TrainingError(
            f"The set has {len(members)} fields (or slides, or patients) with labelled cells, which cannot be dealt "
            f"out to {folds} folds. Add slides, or ask for fewer folds."
        )

    def order(name: str) -> tuple[int, str]:
        score = max(fields.scores[k] for k in members[name])
        return score, hashlib.sha256(f"{seed}|{name}".encode()).hexdigest()

    out = np.full(len(fields.names), -1, np.int64)
    for place, name in enumerate(sorted(members, key=order)):
        out[members[name]] = place % folds
    return out


def chosen(fields: Fields, label: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Samples that are compared: of each class in each field ``most``, spread evenly over the field.

    Args:
        fields: of the samples.
        label: (n,) class, below 0 unknown.
        most: of one class in one field.

    Returns:
        (m,) indices, in order.
    """
    picked = []
    for field in np.unique(fields.of[fields.of >= 0]).tolist():
        here = np.flatnonzero((fields.of == field) & (label >= 0))
        for code in np.unique(label[here]).tolist():
            mine = here[label[here] == code]
            if len(mine) > most:
                mine = mine[np.linspace(0, len(mine) - 1, most).round().astype(np.int64)]
            picked.append(mine)
    return np.sort(np.concatenate(picked)) if picked else np.zeros(0, np.int64)


def _places(slide: SlideTiles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import h5py

    with h5py.File(slide.path, "r") as file:
        found: tuple[Any, Any] = (file["x"][...], file["y"][...])
    return np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)


def _parted(
    places: NDArray[np.float64], length: float, parts: int, extent: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which of the equal parts of a length a place lies in, and whether its sample reaches into another one."""
    step = length / parts
    part = np.clip(np.floor(places / step).astype(np.int64), 0, parts - 1)
    inner = np.arange(1, parts) * step
    near = np.asarray((np.abs(places[:, None] - inner[None, :]) < extent / 2).any(axis=1), bool)
    return part, near
