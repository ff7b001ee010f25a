"""``her2viewer scorers``: which scorers and guideline profiles there are."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from her2viewer.commands import exit_codes
from her2viewer.commands.output import Output
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles
from her2viewer.scoring.registry import available_scorers


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="her2viewer scorers", description="Which scorers and guideline profiles are installed."
    )
    parser.add_argument("--settings", action="store_true", help="list the settings of each scorer, too")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, with all settings")
    options = parser.parse_args(argv)
    output = Output(options.json)
    entries = [_entry(e) for e in available_scorers()]
    profiles = [
        {"id": p.id, "title": p.title, "organ": p.organ, "default": p.id == DEFAULT_PROFILE}
        for p in load_profiles().values()
    ]
    if options.json:
        output.machine({"ok": True, "scorers": entries, "profiles": profiles})
    else:
        _show(output, entries, profiles, options.settings)
    return exit_codes.OK


def _entry(entry: Any) -> dict[str, Any]:
    manifest = entry.manifest
    facts: dict[str, Any] = {"id": entry.id, "title": entry.title, "usable": entry.usable, "problem": entry.problem}
    if manifest is None:
        return facts
    return facts | {
        "version": manifest.version,
        "summary": manifest.summary,
        "stain": manifest.stain,
        "counts": manifest.counts,
        "mpp": manifest.mpp,
        "paper": manifest.paper,
        "doi": manifest.doi,
        "settings": [
            {
                "id": s.id,
                "title": s.title,
                "type": s.type,
                "default": s.default,
                "min": s.minimum,
                "max": s.maximum,
                "choices": list(s.choices),
                "unit": s.unit,
                "help": s.help,
            }
            for s in manifest.settings
        ],
    }


def _show(output: Output, entries: list[dict[str, Any]], profiles: list[dict[str, Any]], with_settings: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = output.people()
    for entry in entries:
        mark = "[green]usable[/green]" if entry["usable"] else "[red]not usable[/red]"
        console.print(f"[bold]{escape(entry['id'])}[/bold]  {escape(entry['title'])}  {mark}")
        if entry["problem"]:
            console.print(f"  {escape(entry['problem'])}")
        if "summary" in entry:
            console.print(f"  {escape(entry['summary'])}")
            console.print(
                f"  [dim]version {escape(entry['version'])}, for {escape(entry['stain'])} at {entry['mpp']:g} um/px, "
                f"counts {escape(entry['counts'])}[/dim]"
            )
        if with_settings and entry.get("settings"):
            table = Table.grid(padding=(0, 2))
            for s in entry["settings"]:
                limits = ", ".join(s["choices"]) or (
                    f"{s['min']:g} to {s['max']:g}" if s["min"] is not None and s["max"] is not None else ""
                )
                table.add_row(
                    f"  --set {s['id']}={s['default']}",
                    escape(f"{limits} {s['unit']}".strip()),
                    escape(s["help"] or s["title"]),
                )
            console.print(table)
    if not entries:
        console.print("No scorer is installed. Install her2viewer again.")
    console.print("\nGuideline profiles (--profile ID)")
    table = Table.grid(padding=(0, 2))
    for p in profiles:
        table.add_row(
            f"  [bold]{escape(p['id'])}[/bold]", escape(p["title"]), "[dim]default[/dim]" if p["default"] else ""
        )
    console.print(table)
