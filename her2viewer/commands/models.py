"""``her2viewer models``: the trained networks that scorers can use."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output

if TYPE_CHECKING:
    from her2viewer.scoring.model_store import InstalledModel


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="her2viewer models", description="List, verify, install and remove trained networks."
    )
    # On every sub-command, not before it only: people write it at the end.
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object on stdout")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", parents=[common], help="what is installed (the default)")
    verify = actions.add_parser("verify", parents=[common], help="check the weights of all models, or of one")
    verify.add_argument("name", nargs="?", metavar="NAME", help="name, or PLUGIN/NAME")
    install = actions.add_parser("install", parents=[common], help="install a model folder or a zip of one")
    install.add_argument("source", type=Path, metavar="FOLDER|ZIP")
    remove = actions.add_parser("remove", parents=[common], help="delete an installed model")
    remove.add_argument("name", metavar="NAME", help="name, or PLUGIN/NAME")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args(argv)
    output = Output(options.json)
    try:
        return {"verify": _verify, "install": _install, "remove": _remove}.get(options.action, _list)(options, output)
    except CommandError as error:
        return output.fail(error)


def _list(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.scoring.model_store import installed_models, user_models

    models = installed_models()
    if output.as_json:
        output.machine({"ok": True, "folder": str(user_models()), "models": [_facts(m, m.problem) for m in models]})
        return exit_codes.OK
    console = output.people()
    for entry in models:
        _show(console, entry, entry.problem)
    if not models:
        console.print("No model is installed. her2viewer train makes one, her2viewer models install adds one.")
    console.print(f"Your models are in {user_models()}", markup=False)
    return exit_codes.OK


def _verify(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.scoring.model_folder import ModelError, verify_model
    from her2viewer.scoring.model_store import installed_models

    plugin, name = _split(options.name) if options.name else (None, None)
    models = [m for m in installed_models(plugin) if name in (None, m.name)]
    if name is not None and not models:
        raise CommandError(exit_codes.USAGE, f"There is no model {options.name!r}; her2viewer models lists them.")
    checked: list[tuple[InstalledModel, str | None]] = []
    for entry in models:
        problem = entry.problem
        if entry.model is not None and problem is None:
            try:
                verify_model(entry.model)
            except ModelError as error:
                problem = str(error)
        checked.append((entry, problem))
    sound = all(problem is None for _, problem in checked)
    code = exit_codes.OK if sound else exit_codes.PROBLEM
    if output.as_json:
        output.machine({"ok": sound, "exit_code": code, "models": [_facts(m, p) for m, p in checked]})
        return code
    console = output.people()
    for entry, problem in checked:
        _show(console, entry, problem, "weights verified")
    if not checked:
        console.print("No model is installed.")
    return code


def _install(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.scoring.model_folder import ModelError
    from her2viewer.scoring.model_store import install_model
    from her2viewer.scoring.registry import plugins_with_models

    try:
        model = install_model(options.source, plugins_with_models())
    except ModelError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    if output.as_json:
        output.machine({"ok": True, "plugin": model.plugin, "name": model.name, "folder": str(model.folder)})
    else:
        output.people().print(f"Installed {model.name} for {model.plugin} in {model.folder}", markup=False)
    return exit_codes.OK


def _remove(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.scoring.model_folder import ModelError
    from her2viewer.scoring.model_store import remove_model

    try:
        folder = remove_model(*_split(options.name))
    except ModelError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    if output.as_json:
        output.machine({"ok": True, "removed": str(folder)})
    else:
        output.people().print(f"Removed {folder}", markup=False)
    return exit_codes.OK


def _split(text: str) -> tuple[str | None, str]:
    plugin, slash, name = text.partition("/")
    return (plugin, name) if slash else (None, text)


def _facts(entry: InstalledModel, problem: str | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "plugin": entry.plugin,
        "name": entry.name,
        "folder": str(entry.folder),
        "bundled": entry.bundled,
        "problem": problem,
    }
    if entry.model is not None:
        model = entry.model
        facts |= {"mpp": model.mpp, "classes": list(model.classes), "sha256": model.sha256, "size": model.size}
        facts |= {"data_set": model.data_set, "metrics": dict(model.metrics)}
    return facts


def _show(console: Any, entry: InstalledModel, problem: str | None, well: str = "") -> None:
    from rich.markup import escape

    where = "ships with the program" if entry.bundled else "yours"
    state = "[red]not usable[/red]" if problem else f"[green]{well or 'usable'}[/green]"
    console.print(f"[bold]{escape(entry.plugin)}/{escape(entry.name)}[/bold]  {where}  {state}")
    if problem:
        console.print(f"  {problem}", markup=False)
    elif entry.model is not None:
        model = entry.model
        console.print(
            f"  {model.size / 1e6:.1f} MB, {model.mpp:g} um/px, classes {', '.join(model.classes)}", markup=False
        )
