"""Where numba keeps compiled code, so that a second start does not compile again."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path


def use_writable_cache(source: str) -> None:
    """Make numba's cache of the module ``source`` (its ``__file__``) writable. Call before the first ``njit``.

    Beside the source, as for ``.pyc`` files, where that folder exists and is writable; otherwise (a frozen or
    system-wide installation) the program's cache folder, and a folder for this run alone where that cannot be
    written to either: numba refuses to compile at all without one. ``NUMBA_CACHE_DIR`` overrules the first two.
    """
    from numba.core import config

    from her2viewer.userdirs import cache_dir

    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        if not _writable(Path(chosen)):
            config.CACHE_DIR = _for_this_run()
        return
    folder = Path(source).parent
    if not (folder.is_dir() and os.access(folder, os.W_OK) and Path(source).is_file()):
        kept = cache_dir() / "numba"
        config.CACHE_DIR = str(kept) if _writable(kept) else _for_this_run()


def _writable(folder: Path) -> bool:
    """Whether files can be made in the folder, which is made where it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@cache
def _for_this_run() -> str:
    folder = tempfile.mkdtemp(prefix="her2viewer-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
