"""The folder of a case: its lock, its audit trail, and what is written into it whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from her2viewer import __version__
from her2viewer.cases.atomic import StorageError, atomic_text, make_folder
from her2viewer.cases.case import FORMAT, VERSION, Case, CaseError, NewerFormatError, case_from_json, case_to_json
from her2viewer.cases.journal import Journal, JournalCheck, now, user_name, verify_journal
from her2viewer.cases.lock import CaseLock

T = TypeVar("T")


class CaseFolder:
    """What ``CaseStore`` stands on. Safe to use from several threads.

    Looking at a slide leaves nothing on the disk: the folder is made with the first thing that is saved, and
    what was logged before goes into its journal then.
    """

    def __init__(self, folder: Path, slide_path: Path | str = "", identity: str = "") -> None:
        self._use(Path(folder))
        self.slide_path = str(slide_path)
        self.identity = identity
        self._otherwise: Path | None = None
        self._mutex = threading.RLock()
        self._waiting: list[tuple[str, Mapping[str, Any], str, str]] = []
        self._checked = False
        self._newer: set[str] = set()
        """Names of small files that a newer program wrote: they stay as they are."""

    def _use(self, folder: Path) -> None:
        self.folder = folder
        self._lock = CaseLock(folder / "lock")
        self._journal = Journal(folder / "journal.jsonl")

    @property
    def exists(self) -> bool:
        """True where something was saved before."""
        return (self.folder / "case.json").exists()

    # The audit trail -------------------------------------------------------------------------------------

    def log(self, event: str, **details: Any) -> None:
        """Add one line to the audit trail; kept in memory until the case has a folder.

        Args:
            event: what happened: "opened", "roi edited", "scored", "report exported".
            details: JSON values.

        Raises:
            CaseError: as ``save``.
        """
        with self._mutex:
            self._waiting.append((event, details, now(), user_name()))
            if self.exists:
                self._flush_log()

    def _flush_log(self) -> None:
        with self._writing():
            pass

    def verify(self) -> JournalCheck:
        """Whether the audit trail is whole, up to the last save at least."""
        expected = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads((self.folder / "case.json").read_text(encoding="utf-8"))["journal"]
            expected = (int(kept["entries"]), str(kept["hash"]))
        return verify_journal(self._journal.path, expected=expected)

    # The lock --------------------------------------------------------------------------------------------

    def acquire(self) -> None:
        """Take the case for writing before the first save; does nothing where it has no folder yet.

        Raises:
            CaseLockedError: another window has it.
        """
        with self._mutex:
            if self.folder.is_dir():
                self._lock.acquire()

    def close(self) -> None:
        """Give the case back to other windows."""
        with self._mutex:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # For what is kept in it ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Folder, lock and journal are there, and nothing of a newer program is overwritten."""
        with self._mutex:
            try:
                self._make_folder()
                self._lock.acquire()
                self._lock.touch()
                self._refuse_newer()
                while self._waiting:
                    event, details, time, who = self._waiting[0]
                    self._journal.append(event, details, time=time, who=who)
                    self._waiting.pop(0)
                yield
            except CaseError:
                raise
            except StorageError as error:
                raise CaseError(str(error)) from error

    def _make_folder(self) -> None:
        try:
            make_folder(self.folder)
        except StorageError:
            # A network drive may say only now that nothing can be written beside the slide.
            if self._otherwise is None or self.folder.exists():
                raise
            self._use(self._otherwise)
            make_folder(self.folder)
        self._otherwise = None

    def _of_this_slide(self, case: Case) -> Case:
        return replace(case, slide_path=self.slide_path or case.slide_path, identity=self.identity or case.identity)

    def _write_case(self, case: Case) -> None:
        lines, last = self._journal.end()
        data = {
            "format": FORMAT,
            "version": VERSION,
            "program": __version__,
            "saved": now(),
            **case_to_json(self._of_this_slide(case)),
            "journal": {"entries": lines, "hash": last},
        }
        atomic_text(self.folder / "case.json", json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def _make_known(self) -> None:
        """A folder with annotations or results says whose they are, even before the case itself is saved."""
        if not self.exists:
            self._write_case(Case(slide_path=self.slide_path, identity=self.identity))

    def _refuse_newer(self) -> None:
        if self._checked:
            return
        path = self.folder / "case.json"
        text = self._text(path)
        if text is not None:
            try:
                case_from_json(json.loads(text))
            except NewerFormatError:
                raise
            except (ValueError, RecursionError):
                _keep_aside(path)
        self._checked = True

    def _load_small(self, name: str, read: Callable[[Path], T]) -> T:
        """A file that names its own format; a newer program's is remembered and never overwritten."""
        path = self.folder / name
        with self._mutex:
            try:
                return read(path)
            except NewerFormatError:
                self._newer.add(name)
                raise
            except OSError as error:
                raise CaseError(f"{path} cannot be read: {error.strerror or error}.") from error
            except (ValueError, RecursionError) as error:
                raise self._damaged(path, error) from error

    def _save_small(self, name: str, write: Callable[[Path], None]) -> bool:
        """Write what is no edit; False, and nothing written, before anything else was saved."""
        if not self.exists:
            return False
        with self._writing():
            if name not in self._newer:
                write(self.folder / name)
        return True

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CaseError(f"{path} cannot be read: {error.strerror or error}.") from error

    def _damaged(self, path: Path, error: Exception) -> CaseError:
        aside = _keep_aside(path)
        kept = f"It was kept as {aside.name} in {path.parent}" if aside else f"It is {path}"
        reason = str(error) if type(error) is ValueError else "its text is damaged"
        return CaseError(
            f"The file {path.name} of this case cannot be read: {reason}. {kept}; "
            "the rest of the case is not affected. Restore the file from a backup, or go on without it."
        )


def _keep_aside(path: Path) -> Path | None:
    """Rename a damaged file so that nothing overwrites it; None where that is not possible."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    try:
        os.rename(path, aside)
    except OSError:
        return None
    return aside
