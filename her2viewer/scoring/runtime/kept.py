"""What the runtime keeps between runs in the user's cache folder: compiled networks, and what was measured of them.

Everything here can be made again, so nothing here may keep a network from running: what is damaged, of another
version or cannot be written is passed over in silence.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from her2viewer import userdirs

MOST_BYTES = 2 << 30
"""What the folder may hold; the oldest files go first."""


def kept_folder() -> Path:
    """Where it is kept; the folder need not be there."""
    return userdirs.cache_dir() / "networks"


class Kept:
    """A folder of files with their own checksums."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder``: the user's where None."""
        self.folder = kept_folder() if folder is None else folder

    def data(self, name: str) -> bytes | None:
        """What was kept under a name; None where nothing was, or what is there is damaged."""
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            return None
        digest, data = content[:32], content[32:]
        return data if hashlib.sha256(data).digest() == digest else None

    def keep(self, name: str, data: bytes) -> None:
        """Keep bytes under a name, whole or not at all."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(len(data))
            handle, part = tempfile.mkstemp(prefix=".part-", dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(data).digest())
                    file.write(data)
                os.replace(part, self.folder / name)
            except OSError:
                Path(part).unlink(missing_ok=True)
                raise

    def note(self, name: str) -> dict[str, Any]:
        """What was noted under a name; empty where nothing was."""
        data = self.data(name)
        if data is not None:
            with suppress(ValueError):
                found = json.loads(data)
                if isinstance(found, dict):
                    return found
        return {}

    def keep_note(self, name: str, value: dict[str, Any]) -> None:
        """Keep JSON values under a name."""
        self.keep(name, json.dumps(value, sort_keys=True).encode())

    def _make_room(self, size: int) -> None:
        files = sorted((p.stat().st_mtime, p.stat().st_size, p) for p in self.folder.iterdir() if p.is_file())
        total = size + sum(s for _, s, _ in files)
        for _, length, path in files:
            if total <= MOST_BYTES:
                return
            path.unlink(missing_ok=True)
            total -= length
