"""A data set: slides with what is known of them, described in one TOML file; see docs/training.md for its entries.

Standard library only, so that every command can read a set.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from her2viewer.domain.classes import HER2_LABELS

FORMAT = "her2viewer-set"
VERSION = 1

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
Shares = tuple[float, float, float, float]


class DataSetError(Exception):
    """A data set cannot be used. ``problems`` holds one sentence per mistake, ``str()`` all of them, one a line."""

    def __init__(self, problems: list[str] | tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class SlideEntry:
    """One slide of a set. Paths are absolute; None is "not given"."""

    id: str
    slide: Path
    roi: Path | None = None
    """GeoJSON with the outlines of the invasive tumour; None: the whole tissue."""
    score: str | None = None
    """"0", "1+", "2+" or "3+"."""
    shares: Shares | None = None
    """% of tumour in 0, 1+, 2+, 3+."""
    truth: Path | None = None
    """HDF5 of a phantom slide."""
    cells: Path | None = None
    """CSV or GeoJSON of labelled cells."""
    mpp: float | None = None
    """um/px, where the file does not say or is wrong."""
    lab: str | None = None
    scanner: str | None = None
    patient: str | None = None
    split: SplitName | None = None
    """After reading never None."""

    @property
    def score_index(self) -> int | None:
        """The score as 0 to 3."""
        return None if self.score is None else HER2_LABELS.index(self.score)

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """Entry name and path of every file that is given."""
        pairs = (("slide", self.slide), ("roi", self.roi), ("truth", self.truth), ("cells", self.cells))
        return tuple((key, path) for key, path in pairs if path is not None)


@dataclass(frozen=True)
class SplitRule:
    """How slides without a split of their own are shared out."""

    by: Literal["patient", "slide"] = "patient"
    validation: float = 0.2
    """Share of the slides, 0 to 1."""
    test: float = 0.2
    seed: int = 1


@dataclass(frozen=True)
class DataSet:
    """A set that was read and found right."""

    name: str
    path: Path
    """The manifest."""
    slides: tuple[SlideEntry, ...]
    rule: SplitRule
    description: str = ""

    def of(self, split: SplitName) -> tuple[SlideEntry, ...]:
        """The slides of one split, in the order of the manifest."""
        return tuple(s for s in self.slides if s.split == split)

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) over what is known of every slide and over the content of its files, whatever they are called.

        Slides are told by ``slides.identity`` (reads little), the other files by all of their bytes.

        Raises:
            OSError: a file is gone since the manifest was read.
        """
        from her2viewer.slides.identity import slide_identity

        digest = hashlib.sha256(b"her2viewer data set 1")
        for entry in sorted(self.slides, key=lambda s: s.id):
            known = {
                "id": entry.id,
                "score": entry.score,
                "shares": entry.shares,
                "mpp": entry.mpp,
                "lab": entry.lab,
                "scanner": entry.scanner,
                "patient": entry.patient,
                "split": entry.split,
                "files": {
                    key: slide_identity(path) if key == "slide" else _sha256(path) for key, path in entry.files
                },
            }
            digest.update(json.dumps(known, sort_keys=True).encode())
        return digest.hexdigest()


def read_data_set(path: Path | str, *, for_training: bool = False) -> DataSet:
    """Read a manifest, check all of it and draw the splits that it leaves open.

    Args:
        path: the manifest; paths in it are relative to its folder.
        for_training: also ask for what training needs: slides in train and validation, and in train every score
            that occurs at all.

    Raises:
        DataSetError: with one sentence for every mistake found.
    """
    from her2viewer.training.manifest_checks import checked_entries, training_problems
    from her2viewer.training.splits import assign_splits, split_problems

    path = Path(path)
    data = _toml(path)
    problems: list[str] = []
    slides, rule = checked_entries(data, path.parent.resolve(), problems)
    problems.extend(split_problems(slides, rule))
    if problems:
        raise DataSetError(problems)
    named = assign_splits(slides, rule)
    if for_training:
        problems.extend(training_problems(named, rule))
    if problems:
        raise DataSetError(problems)
    name = str(data.get("name", path.stem)).strip() or path.stem
    return DataSet(name, path.resolve(), tuple(named), rule, str(data.get("description", "")))


def with_splits(data_set: DataSet, splits: Mapping[str, SplitName]) -> DataSet:
    """The same set with other splits, for cross-validation: ``splits`` by slide id, the others keep theirs."""
    slides = tuple(replace(s, split=splits.get(s.id, s.split)) for s in data_set.slides)
    return replace(data_set, slides=slides)


def _toml(path: Path) -> dict[str, object]:
    if path.is_dir():
        raise DataSetError([f"{path} is a folder; name the data-set file (SET.toml) in it."])
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise DataSetError([f"There is no data set {path}; give the path of its SET.toml."]) from error
    except OSError as error:
        raise DataSetError([f"{path} cannot be read: {error.strerror or error}."]) from error
    except UnicodeDecodeError as error:
        raise DataSetError([f"{path.name} is no UTF-8 text, so it is no data set; save it as UTF-8."]) from error
    except tomllib.TOMLDecodeError as error:
        raise DataSetError([f"{path.name} is not valid TOML: {error}."]) from error
    if data.get("format") != FORMAT:
        raise DataSetError([f'{path.name} is no data set of her2viewer: it must begin with format = "{FORMAT}".'])
    version = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise DataSetError([f"{path.name} lacks its version; write version = {VERSION}."])
    if version != VERSION:
        advice = "Install a newer her2viewer." if version > VERSION else f"Write version = {VERSION}."
        raise DataSetError([f"{path.name} has version {version}; this program reads version {VERSION}. {advice}"])
    return data


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
