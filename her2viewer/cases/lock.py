"""One writer for one case: a lock file that says which program holds it."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from her2viewer.cases.atomic import write_problem
from her2viewer.cases.case import CaseError
from her2viewer.cases.journal import user_name

FOREIGN_HOURS = 24.0
"""After so long without a sign, a lock of another computer is taken for left behind."""

_ENDED = "ended"


class CaseLockedError(CaseError):
    """Another window has the case open for writing."""


class CaseLock:
    """``lock`` in the folder of a case. A program that ended without removing it does not block the next one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = False
        self._token = uuid.uuid4().hex

    def acquire(self) -> None:
        """Take the lock, or keep it.

        Raises:
            CaseLockedError: another running program holds it.
            CaseError: the lock file cannot be written.
        """
        if self.held:
            return
        content = json.dumps({**_ourselves(), "token": self._token}).encode("utf-8")
        for _ in range(3):
            try:
                handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                holder = self.holder()
                if holder is not None:
                    raise CaseLockedError(
                        "This case is open in another window of her2viewer (process "
                        f"{holder.get('pid')} of {holder.get('user')} on {holder.get('host')}). "
                        "Close it there, then save again."
                    ) from None
                with suppress(OSError):
                    self.path.unlink()
                continue
            except OSError as error:
                raise CaseError(write_problem(error, self.path)) from error
            try:
                os.write(handle, content)
            except OSError as error:
                raise CaseError(write_problem(error, self.path)) from error
            finally:
                os.close(handle)
            self.held = True
            return
        raise CaseLockedError("This case is being opened by several windows of her2viewer at once. Try again.")

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        if self.held:
            self.held = False
            # Another window of this same program may have taken it over since.
            with suppress(OSError, ValueError, KeyError, TypeError):
                if json.loads(self.path.read_bytes())["token"] == self._token:
                    self.path.unlink()

    def touch(self) -> None:
        """A sign of life, for other computers."""
        if self.held:
            with suppress(OSError):
                os.utime(self.path)

    def holder(self) -> dict[str, Any] | None:
        """Who else holds the lock and is still running, or None."""
        try:
            data = json.loads(self.path.read_bytes())
            age_h = (time.time() - self.path.stat().st_mtime) / 3600
            pid, host = int(data["pid"]), str(data["host"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            # Half written: by a program that is writing it right now, or that was killed over it.
            with suppress(OSError):
                if time.time() - self.path.stat().st_mtime < 5:
                    return {"pid": "?", "user": "?", "host": "this computer"}
            return None
        if host != socket.gethostname():
            return data if age_h < FOREIGN_HOURS else None
        if pid == os.getpid() or not _running(pid, data.get("started")):
            return None
        return dict(data)


def _ourselves() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "host": socket.gethostname(),
        "user": user_name(),
    }


def _running(pid: int, started: Any) -> bool:
    if sys.platform == "win32":
        return _running_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # It runs, as somebody else.
    now_there = _started(pid)
    # Process numbers are used again: another start time is another program.
    return not (started and now_there and started != now_there)


def _running_on_windows(pid: int) -> bool:
    import ctypes

    still_active, query = 259, 0x1000
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - only there on Windows
    handle = kernel.OpenProcess(query, False, pid)
    if not handle:
        return False
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == still_active


def _started(pid: int) -> str:
    """When a process began, in the clock ticks of this boot; "" where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        # The name in brackets may hold spaces; start time is field 22 of all, 20th after the bracket.
        fields = stat.rpartition(")")[2].split()
        # A zombie has ended; only its parent has not asked yet. Equal to no start time that a lock holds.
        return _ENDED if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return ""
