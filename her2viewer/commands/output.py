"""What a command says: coloured text and progress for people, one JSON object for machines."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


class CommandError(Exception):
    """A command cannot go on. ``str()`` is a sentence for the user; ``code`` is the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Output:
    """Where a command writes: results on stdout, everything else on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def people(self) -> Console:
        """Rich console on stdout, for results; not to be used with ``--json``."""
        from rich.console import Console

        class Patient(Console):
            """Goes on in silence where the reader of a pipe ("| head") has seen enough: the exit code is the same."""

            def on_broken_pipe(self) -> None:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        # A pipe or a log has no width of its own; 80 columns would break sentences.
        return Patient(highlight=False, width=None if sys.stdout.isatty() else 120)

    def aside(self) -> Console:
        """Rich console on stderr, for progress; silent with ``--json``."""
        from rich.console import Console

        width = None if sys.stderr.isatty() else 120
        return Console(stderr=True, highlight=False, quiet=self.as_json, width=width)

    def machine(self, value: dict[str, Any]) -> None:
        """The one JSON object of ``--json``."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n")
        sys.stdout.flush()

    def fail(self, error: CommandError) -> int:
        """Say what went wrong; returns the exit code."""
        if self.as_json:
            self.machine({"ok": False, "exit_code": error.code, "error": str(error)})
        else:
            sys.stderr.write(f"{error}\n")
        return error.code
