"""Where the program keeps what belongs to the user and not to a slide."""

from __future__ import annotations

import os
from pathlib import Path


def data_dir() -> Path:
    """Cases of slides in read-only folders, entered pixel sizes, settings. ``HER2VIEWER_HOME`` moves it."""
    return _folder("data")


def cache_dir() -> Path:
    """What can be made again: compiled code, converted networks."""
    return _folder("cache")


def _folder(kind: str) -> Path:
    home = os.environ.get("HER2VIEWER_HOME")
    if home:
        return Path(home) / kind
    import platformdirs

    base = platformdirs.user_data_path if kind == "data" else platformdirs.user_cache_path
    return base("her2viewer", appauthor=False)
