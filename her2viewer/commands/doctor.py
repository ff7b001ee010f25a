"""``her2viewer doctor``: what works on this machine, with a line to mend what does not."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

from her2viewer.commands import exit_codes
from her2viewer.commands.checks import Check, run_checks
from her2viewer.commands.output import Output

_COLORS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code: 0 where nothing fails, 1 where something does."""
    parser = argparse.ArgumentParser(
        prog="her2viewer doctor", description="What works on this machine, and how to mend what does not."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    options = parser.parse_args(argv)
    output = Output(options.json)
    checks = run_checks()
    failed = any(check.state == "FAIL" for check in checks)
    if options.json:
        output.machine({"ok": not failed, "checks": [check.as_json() for check in checks]})
    else:
        _show(output, checks)
    return exit_codes.PROBLEM if failed else exit_codes.OK


def _show(output: Output, checks: list[Check]) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = output.people()
    table = Table.grid(padding=(0, 2))
    for check in checks:
        color = _COLORS[check.state]
        fix = f"\n[bold]fix:[/bold] {escape(check.fix)}" if check.fix else ""
        table.add_row(f"[{color}]{check.state}[/{color}]", escape(check.name), escape(check.detail) + fix)
    console.print(table)
    counts = Counter(check.state for check in checks)
    console.print(f"\n{counts['PASS']} passed, {counts['WARN']} warnings, {counts['FAIL']} failed")
