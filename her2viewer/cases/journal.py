"""The audit trail of a case: who did what and when, one JSON line each, chained by hash.

Each line holds the sha256 of the line before it, so a line that is changed, taken out or put in shows. The chain
alone cannot show that its end was cut off; the case keeps how many lines there were at its last save.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from her2viewer.cases.atomic import write_problem
from her2viewer.cases.case import CaseError

START = "0" * 64
"""What stands for the line before the first."""


@dataclass(frozen=True)
class JournalCheck:
    """Whether a journal is whole."""

    entries: int
    """Lines that are whole and follow on one another from the start."""
    last_hash: str
    problem: str = ""
    """A sentence on the first thing that is wrong; "" where all is well."""

    @property
    def ok(self) -> bool:
        """True where nothing was changed, taken out or cut off."""
        return not self.problem


def user_name() -> str:
    """Who is at the machine, for the journal; a container may not know."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def now() -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def entry_hash(entry: Mapping[str, Any]) -> str:
    """sha256 of an entry without its own ``hash``, in a form that does not depend on spaces and order."""
    content = {k: v for k, v in entry.items() if k != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class Journal:
    """Appends to ``journal.jsonl``; one writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: tuple[int, str] | None = None
        self._size = -1

    def append(self, event: str, details: Mapping[str, Any], *, time: str = "", who: str = "") -> None:
        """Add one line and bring it to the disk.

        Raises:
            CaseError: it cannot be written.
        """
        try:
            number, previous = self._end()
            entry: dict[str, Any] = {
                "n": number + 1,
                "time": time or now(),
                "who": who or user_name(),
                "event": event,
                "details": json.loads(json.dumps(details, default=str)),
                "previous": previous,
            }
            entry["hash"] = entry_hash(entry)
            with self.path.open("ab") as file:
                # A file name may hold half a character; as an escape it comes back as it was, and so does its hash.
                line = json.dumps(entry, ensure_ascii=False).encode("utf-8", errors="backslashreplace")
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
                self._size = file.tell()
            self._last = (entry["n"], entry["hash"])
        except OSError as error:
            raise CaseError(write_problem(error, self.path)) from error

    def end(self) -> tuple[int, str]:
        """Number and hash of the last line; (0, START) where there is none.

        Raises:
            CaseError: the journal cannot be read.
        """
        try:
            return self._end()
        except OSError as error:
            raise CaseError(f"{self.path.name} of this case cannot be read: {error.strerror or error}.") from error

    def _end(self) -> tuple[int, str]:
        size = self.path.stat().st_size if self.path.exists() else 0
        if self._last is not None and size == self._size:
            return self._last
        if size == 0:
            return 0, START
        raw = self.path.read_bytes()
        whole, _, tail = raw.rpartition(b"\n")
        if tail:
            # The program was killed within a line. The rest is kept aside; the chain goes on before it.
            aside = self.path.with_name(f"{self.path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
            aside.write_bytes(tail)
            with self.path.open("rb+") as file:
                file.truncate(len(raw) - len(tail))
        last = whole.rpartition(b"\n")[2]
        if not last:
            return 0, START
        try:
            entry = json.loads(last)
            return int(entry["n"]), str(entry["hash"])
        except (ValueError, KeyError, TypeError):
            # A damaged last line stays where it is: the check names it. The chain goes on from its bytes.
            return whole.count(b"\n") + 1, hashlib.sha256(last).hexdigest()


def verify_journal(path: Path, *, expected: tuple[int, str] | None = None) -> JournalCheck:
    """Read a journal through and say whether anything in it was changed.

    Args:
        path: ``journal.jsonl`` of a case.
        expected: number and hash of a line that must be there (kept by the case at its last save).
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        lines = [b""]
    except OSError as error:
        return JournalCheck(0, START, f"The journal cannot be read: {error.strerror or error}.")
    previous, seen = START, expected is None or expected[0] == 0
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError
        except ValueError:
            return JournalCheck(number - 1, previous, f"Line {number} of the journal is damaged.")
        if entry.get("previous") != previous or entry.get("n") != number:
            return JournalCheck(
                number - 1, previous, f"Before line {number} of the journal, lines were taken out or put in."
            )
        if entry.get("hash") != entry_hash(entry):
            return JournalCheck(number - 1, previous, f"Line {number} of the journal was changed.")
        previous = str(entry["hash"])
        if expected is not None and number == expected[0]:
            seen = previous == expected[1]
            if not seen:
                return JournalCheck(number, previous, f"The journal up to line {number} is not the one of this case.")
    count = len(lines) - 1
    if lines[-1]:
        return JournalCheck(count, previous, "The last line of the journal is cut off.")
    if not seen and expected is not None:
        return JournalCheck(
            count, previous, f"The end of the journal is missing: it has {count} lines of at least {expected[0]}."
        )
    return JournalCheck(count, previous)
