"""Identity of a slide: a hash of its content that reads little of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

_EDGE = 64 * 1024
_SAMPLE = 4096
_SAMPLES = 16


def slide_identity(path: Path) -> str:
    """sha256 (hex) of size, header, tail and sixteen samples spread over the file; reads about 200 KiB.

    Copies of a file share it, whatever they are called. A format that keeps its pixels in a folder beside a
    small index file (MIRAX) is told apart by that folder's index and by its data files in the same way.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256(b"her2viewer slide identity 1")
    for part in (path, *_companions(path)):
        _add(digest, part)
    return digest.hexdigest()


def _companions(path: Path) -> list[Path]:
    folder = path.with_suffix("")
    if path.suffix.lower() != ".mrxs" or not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in {".ini", ".dat"}), key=lambda p: p.name)


def _add(digest: hashlib._Hash, path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"|{size}|".encode())
    with path.open("rb") as file:
        digest.update(file.read(_EDGE))
        if size <= _EDGE:
            return
        for k in range(1, _SAMPLES + 1):
            file.seek(_EDGE + (size - _EDGE) * k // (_SAMPLES + 1))
            digest.update(file.read(_SAMPLE))
        file.seek(max(_EDGE, size - _EDGE))
        digest.update(file.read(_EDGE))
