"""GeoJSON files: plain, gzip or zip, read object by object so that a file of any size fits into memory."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from her2viewer.cases.atomic import atomic_file
from her2viewer.cases.geojson.features import GeoJsonContent, from_features, is_geometry, to_features
from her2viewer.domain.annotation import Annotation, AnnotationSet

CHUNK = 1 << 20
"""Characters read at a time."""
MAX_OBJECT = 1 << 28
"""Characters of one object beyond which a file is given up: no outline is that long."""

_SUFFIXES = (".json", ".geojson")
_WHITESPACE = " \t\r\n"


class GeoJsonError(Exception):
    """A file cannot be read as GeoJSON. ``str()`` is a sentence for the user: what is wrong, what to do."""


def read_geojson(path: Path) -> AnnotationSet:
    """The annotations of a GeoJSON file; ``load_geojson`` also says what was left out.

    Raises:
        GeoJsonError: the file cannot be read, or is no GeoJSON.
    """
    return load_geojson(path).annotations


def load_geojson(path: Path) -> GeoJsonContent:
    """The annotations of a GeoJSON file in any form that QuPath writes, with remarks on what was left out.

    Reads ``.json``, ``.geojson``, gzip and zip, told apart by content. Cells and detections are passed over one
    by one, so an export of a million cells needs little memory.

    Raises:
        GeoJsonError: the file cannot be read, or is no GeoJSON.
    """
    path = Path(path)
    try:
        with _open(path) as text:
            return from_features(iter_features(text))
    except GeoJsonError as error:
        raise GeoJsonError(f"{path.name} {error}") from error
    except FileNotFoundError as error:
        raise GeoJsonError(f"There is no file {path}. Check its name and folder.") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise GeoJsonError(
            f"{path.name} is no GeoJSON file, or it is damaged. Export it again (in QuPath: File, Export objects "
            "as GeoJSON)."
        ) from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise GeoJsonError(f"{path.name} is a damaged or encrypted archive. Export or copy it again.") from error
    except OSError as error:
        raise GeoJsonError(f"{path.name} cannot be read: {error.strerror or error}.") from error


def write_geojson(
    path: Path,
    annotations: Iterable[Annotation],
    *,
    measurements: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Write annotations so that QuPath and this program read them, whole or not at all.

    Args:
        path: ends in ``.geojson`` or ``.json``, or in ``.gz`` or ``.zip`` for a compressed file.
        annotations: geometry in level-0 px, written with two decimals.
        measurements: further measurements by annotation id, for example ``{"HER2: 3+ %": 12.5}``.

    Raises:
        StorageError: the file cannot be written.
    """
    lines = (json.dumps(f, ensure_ascii=False, allow_nan=False) for f in to_features(annotations, measurements))
    write_feature_lines(Path(path), lines)


def write_feature_lines(path: Path, lines: Iterable[str]) -> None:
    """Write features that are already JSON text, as one FeatureCollection with a feature on each line.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_file(path) as file, _compressed(file, path) as out:
        out.write(b'{"type": "FeatureCollection", "features": [')
        separator = b"\n"
        for line in lines:
            # JSON may hold half a character ("\\ud800"), which UTF-8 cannot.
            out.write(separator + line.encode("utf-8", errors="replace"))
            separator = b",\n"
        out.write(b"\n]}\n")


@contextmanager
def _compressed(file: BinaryIO, path: Path) -> Iterator[Any]:
    name = path.name.lower()
    if name.endswith(".gz"):
        # No time stamp: the same annotations give the same bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as out:
            yield out
    elif name.endswith(".zip"):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            inner = path.stem if path.stem.lower().endswith(_SUFFIXES) else f"{path.stem}.geojson"
            with archive.open(zipfile.ZipInfo(inner), "w", force_zip64=True) as out:
                yield out
    else:
        yield file


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    """Decoded text of a plain, gzip or zip file."""
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start[:2] == b"\x1f\x8b":
            with gzip.open(file) as inner:
                yield _text(inner)
        elif start == b"PK\x03\x04":
            with zipfile.ZipFile(file) as archive:
                members = [m for m in archive.infolist() if m.filename.lower().endswith(_SUFFIXES)]
                if not members:
                    raise GeoJsonError("is an archive without a .json or .geojson file in it.")
                with archive.open(members[0]) as inner:
                    yield _text(inner)
        else:
            yield _text(file)


def _text(file: Any) -> TextIO:
    buffered = io.BufferedReader(file)
    start = buffered.peek(2)[:2]
    encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return io.TextIOWrapper(buffered, encoding=encoding)


def iter_features(text: TextIO) -> Iterator[Any]:
    """Features of a FeatureCollection, an array, a single feature or a bare geometry, one at a time.

    Raises:
        GeoJsonError: it is JSON, but no GeoJSON.
        json.JSONDecodeError: it is no JSON.
    """
    scanner = _Scanner(text)
    first = scanner.peek()
    if first == "[":
        yield from scanner.elements()
        return
    if first != "{":
        raise GeoJsonError(
            "is no GeoJSON file. Export the annotations again (in QuPath: File, Export objects as GeoJSON)."
        )
    members: dict[str, Any] = {}
    found = False
    scanner.skip("{")
    while scanner.peek() != "}":
        key = scanner.value()
        scanner.skip(":")
        if key == "features" and scanner.peek() == "[":
            found = True
            yield from scanner.elements()
        else:
            members[str(key)] = scanner.value()
        if scanner.peek() == ",":
            scanner.skip(",")
    if found:
        return
    if members.get("type") == "Feature" or "geometry" in members or is_geometry(members):
        yield members
        return
    raise GeoJsonError(
        "holds JSON, but no GeoJSON: neither features nor a geometry. Export the annotations again "
        "(in QuPath: File, Export objects as GeoJSON)."
    )


class _Scanner:
    """Reads JSON values one after the other from text that is not in memory as a whole."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._buffer = ""
        self._at = 0
        self._ended = False
        self._decoder = json.JSONDecoder(object_pairs_hook=_merged)

    def peek(self) -> str:
        """Next character that is no white space; "" at the end."""
        while True:
            while self._at < len(self._buffer):
                character = self._buffer[self._at]
                if character not in _WHITESPACE:
                    return character
                self._at += 1
            if not self._fill(CHUNK):
                return ""

    def skip(self, expected: str) -> None:
        """Pass over one punctuation mark."""
        if self.peek() != expected:
            raise json.JSONDecodeError(f"expected {expected}", self._buffer, self._at)
        self._at += 1

    def value(self) -> Any:
        """The next value."""
        self.peek()
        size = CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
                # A number that touches the end of the buffer may go on.
                if end < len(self._buffer) or self._ended:
                    self._at = end
                    return value
            except json.JSONDecodeError:
                if self._ended or len(self._buffer) - self._at > MAX_OBJECT:
                    raise
            self._fill(size)
            size *= 2

    def elements(self) -> Iterator[Any]:
        """The elements of an array, which the scanner stands before."""
        self.skip("[")
        while self.peek() != "]":
            yield self.value()
            if self.peek() == ",":
                self.skip(",")
            elif self.peek() != "]":
                raise json.JSONDecodeError("expected , or ]", self._buffer, self._at)
        self.skip("]")

    def _fill(self, size: int) -> bool:
        more = self._text.read(size)
        self._ended = not more
        self._buffer = self._buffer[self._at :] + more
        self._at = 0
        return bool(more)


def _merged(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which a key that stands twice (QuPath's ``metadata``) is joined instead of lost."""
    data = dict(pairs)
    if len(data) == len(pairs):
        return data
    joined: dict[str, Any] = {}
    for key, value in pairs:
        before = joined.get(key)
        joined[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return joined
