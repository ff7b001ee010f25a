"""Sharing slides out over train, validation and test, so that no patient and no file is in two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from her2viewer.training.dataset import SPLITS, SlideEntry, SplitName, SplitRule

UNKNOWN_SCORE = -1


def groups_of(slides: Sequence[SlideEntry], rule: SplitRule) -> list[list[int]]:
    """Indices of the slides that must stay together: same file, and same patient unless split by slide.

    A patient is told by lab and name, because labs number their patients from 1 each.
    """
    parent = list(range(len(slides)))

    def root(k: int) -> int:
        while parent[k] != k:
            k = parent[k]
        return k

    first: dict[tuple[str, str, str] | Path, int] = {}
    for index, slide in enumerate(slides):
        keys: list[tuple[str, str, str] | Path] = [slide.slide]
        if rule.by == "patient" and slide.patient:
            keys.append(("patient", slide.lab or "", slide.patient))
        for key in keys:
            other = root(first.setdefault(key, index))
            parent[max(other, root(index))] = min(other, root(index))
    found: dict[int, list[int]] = {}
    for index in range(len(slides)):
        found.setdefault(root(index), []).append(index)
    return list(found.values())


def split_problems(slides: Sequence[SlideEntry], rule: SplitRule) -> list[str]:
    """A sentence for every patient or file that the manifest puts into two splits."""
    problems = []
    for group in groups_of(slides, rule):
        given = {slides[k].split for k in group if slides[k].split is not None}
        if len(given) < 2:
            continue
        members = [slides[k] for k in group if slides[k].split is not None]
        where = ", ".join(f"{s.id} in {s.split}" for s in members)
        same = [s for s in members if s.slide == members[0].slide]
        if len({s.split for s in same}) > 1:
            problems.append(f"The slide file {same[0].slide.name} is in two splits ({where}); put it into one.")
        else:
            patients = " and ".join(sorted({s.patient for s in members if s.patient}))
            problems.append(
                f"Patient {patients} is in two splits ({where}); put all slides of a patient into one, or write "
                'by = "slide" in [split].'
            )
    return problems


def assign_splits(slides: Sequence[SlideEntry], rule: SplitRule) -> list[SlideEntry]:
    """The slides with a split each.

    Slides with a split keep it and take their group along; the other groups are shared out score by score in an
    order drawn by ``rule.seed``, the first of each score to train. The draw depends on ids and seed alone.
    """
    chosen: dict[int, SplitName] = {}
    open_groups = []
    for group in groups_of(slides, rule):
        given = next((slides[k].split for k in group if slides[k].split is not None), None)
        if given is None:
            open_groups.append(group)
        else:
            chosen.update(dict.fromkeys(group, given))
    open_groups.sort(key=lambda group: (_score(slides, group), _draw(slides, group, rule.seed)))
    wanted = {"train": 1 - rule.validation - rule.test, "validation": rule.validation, "test": rule.test}
    credit = dict.fromkeys(SPLITS, 0.0)
    fed = {_score(slides, [k]) for k, split in chosen.items() if split == "train"}
    for group in open_groups:
        for name in SPLITS:
            credit[name] += wanted[name] * len(group)
        score = _score(slides, group)
        pick = max(SPLITS, key=lambda name: credit[name]) if score in fed else "train"
        fed.add(score)
        credit[pick] -= len(group)
        chosen.update(dict.fromkeys(group, pick))
    return [replace(slide, split=chosen[index]) for index, slide in enumerate(slides)]


def _score(slides: Sequence[SlideEntry], group: Sequence[int]) -> int:
    known = [slides[k].score_index for k in group]
    return max((score for score in known if score is not None), default=UNKNOWN_SCORE)


def _draw(slides: Sequence[SlideEntry], group: Sequence[int], seed: int) -> str:
    name = min(slides[k].id for k in group)
    return hashlib.sha256(f"{seed}|{name}".encode()).hexdigest()
