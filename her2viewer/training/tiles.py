"""Samples of a data set cut once to HDF5, one file a slide: a kill loses no more than the slide it was at.

A file is named by what it was cut from and how, so other splits, scores or stages use it again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.identity import slide_identity
from her2viewer.slides.slide import SlideError, TileError
from her2viewer.training.dataset import DataSet, SlideEntry
from her2viewer.training.recipe import Cut, Recipe, Spots, TrainingError
from her2viewer.training.sources import SlideSource

EXTRACTION = "her2viewer-samples 1"
"""Changes when the same slide would be cut differently."""
BLOCK_UM = 500.0
"""Side of what is read at a time."""
WRITTEN = 512
"""Samples written at a time: what extraction holds in memory."""

Say = Callable[[str, int, int], None]
"""(slide, samples done, samples of the slide)."""


@dataclass(frozen=True)
class SlideTiles:
    """The samples of one slide."""

    entry: SlideEntry
    path: Path
    count: int
    unread: int
    """Samples left out because the slide could not be decoded there."""


def extract(
    data_set: DataSet, recipe: Recipe, folder: Path, *, say: Say = lambda *_: None, check: Callable[[], None]
) -> list[SlideTiles]:
    """Cut all slides of a set that are not cut yet.

    Args:
        data_set: the set.
        recipe: says how.
        folder: where the files go.
        say: told how far it is.
        check: called between reads; may raise to stop, what is cut stays.

    Raises:
        TrainingError: a slide lacks what the recipe needs, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.part"):
        stale.unlink()
    done = []
    for entry in data_set.slides:
        path = folder / f"{tile_key(entry, recipe.cut)}.h5"
        if not path.exists():
            try:
                _extract_slide(entry, recipe.cut, path, say, check)
            except OSError as error:
                raise TrainingError(
                    f"The samples of {entry.id} cannot be written to {folder}: {error.strerror or error}. "
                    "Free some space or choose another --out, then go on with --resume."
                ) from error
        done.append(_opened(entry, path))
    if not any(tiles.count for tiles in done):
        raise TrainingError("No slide of the set gave a sample; check its regions, cells and pixel sizes.")
    return done


def tile_key(entry: SlideEntry, cut: Cut) -> str:
    """Name of a slide's samples: 32 hex digits over its files and how it is cut."""
    digest = hashlib.sha256(EXTRACTION.encode())
    files: dict[str, str] = {}
    for kind, path in entry.files:
        if kind == "slide":
            files[kind] = slide_identity(path)
        else:
            with path.open("rb") as file:
                files[kind] = hashlib.file_digest(file, "sha256").hexdigest()
    how: Mapping[str, Any] = {
        "files": files,
        "mpp": entry.mpp,
        "cut": [cut.mpp, cut.stored, dict(cut.sampler.key())],
    }
    digest.update(json.dumps(how, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def _opened(entry: SlideEntry, path: Path) -> SlideTiles:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return SlideTiles(entry, path, len(file["rgb"]), int(file.attrs["unread"]))
    except (OSError, KeyError) as error:
        raise TrainingError(f"{path} is damaged; delete it and go on with --resume.") from error


def _extract_slide(entry: SlideEntry, cut: Cut, path: Path, say: Say, check: Callable[[], None]) -> None:
    import h5py

    part = path.with_suffix(".part")
    with SlideSource(entry, check) as source:
        try:
            stains = source.stains
            downsample = cut.mpp / source.pixel_size.mpp
            spots = cut.sampler.spots(source, cut.pixels * downsample)
            with h5py.File(part, "w") as file:
                file.attrs["format"], file.attrs["slide"] = EXTRACTION, entry.id
                file.attrs["background"] = np.asarray(stains.background)
                file.attrs["vectors"] = np.asarray([stains.haematoxylin, stains.dab])
                writer = _Writer(file, cut.stored)
                total, unread = len(spots), 0
                for index, rgb, mask in _cut(source, spots, cut, downsample, check):
                    if rgb is None:
                        unread += 1
                    else:
                        writer.add(rgb, mask, spots, index)
                    if index is not None and (writer.count + unread) % 256 == 0:
                        say(entry.id, writer.count + unread, total)
                writer.flush()
                file.attrs["unread"] = unread
        except SlideError as error:
            raise TrainingError(f'Slide "{entry.id}": {error}') from error
    with part.open("rb+") as done:
        os.fsync(done.fileno())
    os.replace(part, path)


class _Writer:
    """Appends samples to the datasets of a file."""

    def __init__(self, file: Any, side: int) -> None:
        self._file = file
        self._side = side
        self._rows: list[tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float, float, int, float]] = []
        self.count = 0
        # One sample a chunk: training reads them in any order.
        file.create_dataset(
            "rgb", (0, side, side, 3), np.uint8, maxshape=(None, side, side, 3), chunks=(1, side, side, 3)
        )
        for name, kind in (("x", "f8"), ("y", "f8"), ("label", "i2"), ("weight", "f4")):
            file.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(4096,))

    def add(self, rgb: NDArray[np.uint8], mask: NDArray[np.uint8] | None, spots: Spots, index: int) -> None:
        """One sample."""
        self._rows.append(
            (rgb, mask, spots.x[index], spots.y[index], int(spots.label[index]), float(spots.weight[index]))
        )
        self.count += 1
        if len(self._rows) >= WRITTEN:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._rows:
            return
        rgb, masks, *columns = zip(*self._rows, strict=True)
        self._append("rgb", np.stack(rgb))
        if masks[0] is not None:
            side = self._side
            if "mask" not in self._file:
                self._file.create_dataset(
                    "mask", (0, side, side), np.uint8, maxshape=(None, side, side), chunks=(1, side, side),
                    compression="lzf",
                )  # fmt: skip
            self._append("mask", np.stack(masks))
        for name, values in zip(("x", "y", "label", "weight"), columns, strict=True):
            self._append(name, np.asarray(values))
        self._rows = []

    def _append(self, name: str, values: NDArray[Any]) -> None:
        data = self._file[name]
        start = len(data)
        data.resize(start + len(values), axis=0)
        data[start:] = values


def _cut(
    source: SlideSource, spots: Spots, cut: Cut, downsample: float, check: Callable[[], None]
) -> Iterator[tuple[int, NDArray[np.uint8] | None, NDArray[np.uint8] | None]]:
    """Index, pixels and mask of every sample, block after block; None where the slide cannot be decoded."""
    side = cut.stored
    extent = side * downsample
    block = max(BLOCK_UM / cut.mpp, 2.0 * side) * downsample
    columns = np.floor((spots.x - extent / 2) / block).astype(np.int64)
    rows = np.floor((spots.y - extent / 2) / block).astype(np.int64)
    order = np.lexsort((spots.x, spots.y, columns, rows))
    edges = np.flatnonzero(np.diff(rows[order]) | np.diff(columns[order])) + 1
    for members in np.split(order, edges):
        if len(members) == 0:
            continue
        check()
        lefts, tops = spots.x[members] - extent / 2, spots.y[members] - extent / 2
        x0, y0 = float(lefts.min()), float(tops.min())
        width = int(np.ceil((lefts.max() - x0) / downsample)) + side + 1
        height = int(np.ceil((tops.max() - y0) / downsample)) + side + 1
        try:
            pixels = source.slide.read_at(downsample, x0, y0, width, height)
        except TileError:
            for index in members:
                yield int(index), None, None
            continue
        for index, left, top in zip(members, lefts, tops, strict=True):
            column, row = round((left - x0) / downsample), round((top - y0) / downsample)
            mask = cut.sampler.mask(source, (float(left), float(top), extent), side)
            yield int(index), pixels[row : row + side, column : column + side].copy(), mask


@dataclass(frozen=True)
class Table:
    """What is known of n samples besides their pixels."""

    label: NDArray[np.int64]
    slide: NDArray[np.int64]
    """Number of the slide among the store's."""
    weight: NDArray[np.float32]
    score: NDArray[np.int64]
    """0 to 3 of the slide, -1 unknown."""
    scanner: NDArray[np.int64]
    """Number of the slide's scanner among the store's."""


class TileStore:
    """The samples of some slides, in memory where they fit, else read as they are wanted."""

    def __init__(self, tiles: list[SlideTiles], recipe: Recipe, memory: int = 0) -> None:
        """``memory``: bytes that the pixels may take."""
        self.tiles = [t for t in tiles if t.count]
        self.starts = np.concatenate([[0], np.cumsum([t.count for t in self.tiles])]).astype(np.int64)
        self._files: dict[int, Any] = {}
        self._process = os.getpid()
        side = recipe.cut.stored
        self.side = side
        self.masked = recipe.labels == "mask"
        self._scanners = sorted({t.entry.scanner or "" for t in self.tiles})
        columns = [self._columns(k, recipe) for k in range(len(self.tiles))]
        self.table = Table(
            np.concatenate([np.zeros(0, np.int64), *(c.label for c in columns)]),
            np.concatenate([np.zeros(0, np.int64), *(c.slide for c in columns)]),
            np.concatenate([np.zeros(0, np.float32), *(c.weight for c in columns)]),
            np.concatenate([np.zeros(0, np.int64), *(c.score for c in columns)]),
            np.concatenate([np.zeros(0, np.int64), *(c.scanner for c in columns)]),
        )
        self.background = np.zeros((len(self.tiles), 3), np.float32)
        self.vectors = np.zeros((len(self.tiles), 2, 3), np.float32)
        for k in range(len(self.tiles)):
            attributes = self._file(k).attrs
            self.background[k], self.vectors[k] = attributes["background"], attributes["vectors"]
        self._rgb: NDArray[np.uint8] | None = None
        if self.bytes <= memory:
            parts = [self._file(k)["rgb"][...] for k in range(len(self.tiles))]
            self._rgb = np.concatenate(parts) if parts else np.zeros((0, side, side, 3), np.uint8)
        self.close()

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def bytes(self) -> int:
        """Of all pixels."""
        return len(self) * self.side * self.side * 3

    @property
    def reads_files(self) -> bool:
        """Whether the pixels are read as they are wanted."""
        return self._rgb is None

    def pixels(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(b, side, side, 3) uint8 RGB."""
        if self._rgb is not None:
            return np.asarray(self._rgb[indices])
        return self._read("rgb", indices, (self.side, self.side, 3))

    def masks(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(b, side, side) uint8 classes."""
        return self._read("mask", indices, (self.side, self.side))

    def close(self) -> None:
        """Close the files; they are opened again when needed."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def _columns(self, k: int, recipe: Recipe) -> Table:
        file, tiles = self._file(k), self.tiles[k]
        label = np.asarray(file["label"][...], np.int64)
        if recipe.labels == "slide":
            label = np.full(tiles.count, recipe.target_of_score(tiles.entry.score), np.int64)
        score = tiles.entry.score_index
        return Table(
            label,
            np.full(tiles.count, k, np.int64),
            np.asarray(file["weight"][...], np.float32),
            np.full(tiles.count, -1 if score is None else score, np.int64),
            np.full(tiles.count, self._scanners.index(tiles.entry.scanner or ""), np.int64),
        )

    def _read(self, name: str, indices: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        out = np.empty((len(indices), *shape), np.uint8)
        files = np.searchsorted(self.starts, indices, side="right") - 1
        for place, (k, index) in enumerate(zip(files, indices, strict=True)):
            out[place] = self._file(int(k))[name][int(index - self.starts[k])]
        return out

    def _file(self, k: int) -> Any:
        import h5py

        if self._process != os.getpid():
            # Handles of HDF5 do not survive a fork.
            self._files, self._process = {}, os.getpid()
        if k not in self._files:
            self._files[k] = h5py.File(self.tiles[k].path, "r")
        return self._files[k]
