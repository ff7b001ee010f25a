"""Where the files that ship with the program lie: installed beside the code, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CANDIDATES = (_PACKAGE / "_resources", _PACKAGE.parent / "resources")


def resource_path(*parts: str) -> Path:
    """Path of a shipped file or folder, for example ``resource_path("guidelines")``.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    for root in _CANDIDATES:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"This installation of her2viewer lacks {'/'.join(parts)}. Install it again.")
