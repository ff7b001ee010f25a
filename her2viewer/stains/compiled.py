"""Where numba keeps compiled code, so that a second start does not compile again."""

from __future__ import annotations

import os
from pathlib import Path


def use_writable_cache(source: str) -> None:
    """Make numba's cache of the module ``source`` (its ``__file__``) writable. Call before the first ``njit``.

    Beside the source, as for ``.pyc`` files, where that folder exists and is writable; otherwise (a frozen or
    system-wide installation) the program's cache folder. ``NUMBA_CACHE_DIR`` overrules both.
    """
    from numba.core import config

    from her2viewer.userdirs import cache_dir

    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    folder = Path(source).parent
    if not (folder.is_dir() and os.access(folder, os.W_OK) and Path(source).is_file()):
        config.CACHE_DIR = str(cache_dir() / "numba")
