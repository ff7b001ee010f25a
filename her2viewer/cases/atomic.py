"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_umask_lock = threading.Lock()


class StorageError(Exception):
    """Something cannot be written. ``str()`` is a sentence for the user: what is wrong, what to do."""


def write_problem(error: OSError, path: Path) -> str:
    """Why ``path`` could not be written, and what to do, as one or two sentences."""
    where = path.parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"The disk that holds {where} is full, so {path.name} was not saved. Free some space and save again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where} may not be written to, so {path.name} was not saved. Choose another folder."
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"The folder {where} is not there, so {path.name} was not saved. Choose another folder."
    if error.errno == errno.ENAMETOOLONG:
        return f"The name {path.name} is too long for this disk. Choose a shorter one."
    return f"{path} was not saved: {error.strerror or error}."


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise StorageError(f"{folder} is a file, where a folder is needed. Choose another folder.") from error
    except OSError as error:
        raise StorageError(write_problem(error, folder)) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file beside ``path`` that takes its place at the end, once it is on the disk.

    After an error, or when the program is killed, ``path`` is what it was before.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise StorageError(write_problem(error, path)) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # A temporary file is private to its owner; a case belongs to whoever may read the folder.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(write_problem(error, path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def atomic_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all.

    Bytes of a file name that are no UTF-8 (half characters to Python) are written as ``\\udc80`` and the like, which
    JSON reads back as they were.

    Raises:
        StorageError: it cannot be written.
    """
    with atomic_file(path) as file:
        file.write(text.encode("utf-8", errors="backslashreplace"))


def _sync_folder(folder: Path) -> None:
    # Without this a new name may be lost with the power; not every system can open a folder.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    # It can only be read by setting it; two threads at once would leave the wrong one behind.
    with _umask_lock:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask
