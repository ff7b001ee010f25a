"""Where the case of a slide lies: beside the slide, or in the user's own data folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from her2viewer.cases.case import CaseError
from her2viewer.userdirs import data_dir

SUFFIX = ".her2case"
OWN_CASES = "HER2VIEWER_CASES"
"""Environment: ``own`` keeps all cases in the user's data folder, whatever lies beside the slides."""


@dataclass(frozen=True)
class CasePlace:
    """Where a case lies or is to be made."""

    folder: Path
    copy_of: Path | None = None
    """A case in a folder that may not be written to, which ``folder`` does not hold yet."""
    otherwise: Path | None = None
    """Where to go if ``folder`` turns out not to be writable after all."""


def place_of_case(slide_path: Path, identity: str) -> CasePlace:
    """Look where the case of a slide lies or belongs; changes nothing.

    ``<slide name>.her2case`` beside the slide comes first, then the user's data folder. A folder beside the slide
    that belongs to another slide of the same name is left alone. With ``OWN_CASES`` the data folder it is.

    Args:
        slide_path: the file.
        identity: ``Slide.identity``.
    """
    slide_path = Path(slide_path).absolute()
    own = data_dir() / "cases" / (re.sub(r"[^0-9A-Za-z_-]", "_", identity)[:80] or "unknown")
    short = re.sub(r"[^0-9A-Za-z]", "", identity)[:12]
    if os.environ.get(OWN_CASES) == "own":
        return CasePlace(own)
    # Most file systems allow 255 bytes a name.
    name = os.fsencode(slide_path.name)[:200].decode("utf-8", errors="ignore")
    beside = [slide_path.with_name(f"{name}{SUFFIX}"), slide_path.with_name(f"{name}.{short}{SUFFIX}")]
    read_only: Path | None = None
    for folder in beside:
        if folder.is_dir() and owner_of(folder) in ("", identity):
            if may_write(folder):
                return CasePlace(folder)
            read_only = read_only or folder
    if (own / "case.json").exists():
        return CasePlace(own)
    if read_only is not None and (read_only / "case.json").exists():
        return CasePlace(own, copy_of=read_only)
    free = next((folder for folder in beside if not folder.exists()), None)
    if free is None or not may_write(slide_path.parent):
        return CasePlace(own)
    return CasePlace(free, otherwise=own)


def existing_case(slide_path: Path, identity: str) -> Path | None:
    """Folder of the case that a slide has, or None; changes nothing."""
    place = place_of_case(slide_path, identity)
    folder = place.copy_of or place.folder
    return folder if (folder / "case.json").exists() else None


def copy_case(source: Path, target: Path) -> None:
    """Copy a case that may not be changed to where it may.

    Raises:
        CaseError: it cannot be copied.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        ignore = shutil.ignore_patterns("lock", ".*.part")
        shutil.copytree(source, target, ignore=ignore, copy_function=shutil.copy)
        for path in (target, *target.rglob("*")):
            # The copy has the mode of its source, which is read-only.
            path.chmod(path.stat().st_mode | 0o200)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise CaseError(f"The case in {source} may not be changed, and it cannot be copied: {error}.") from error


def owner_of(folder: Path) -> str:
    """Identity of the slide that a case folder belongs to; "" where it does not say."""
    try:
        return str(json.loads((folder / "case.json").read_bytes())["slide"]["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def may_write(folder: Path) -> bool:
    """False for a folder that is read-only by its mode, even where the administrator could still write."""
    try:
        return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)
    except OSError:
        return False
