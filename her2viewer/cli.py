"""The command ``her2viewer``: opens the window, or hands over to a sub-command. Imports little: it starts fast."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from her2viewer import RESEARCH_USE, __version__

COMMANDS = {
    "score": "score a slide without the window; writes case, report and tables",
    "info": "what a slide is: size, levels, pixel size, properties",
    "scorers": "which scorers are installed",
    "train": "train a scorer's network on slides of your own",
    "ablation": "what each stage of a training adds to the scores of slides",
    "crossval": "a network against classical classifiers, cross-validated by field",
    "corrections": "cells that readers corrected in the window, as a data set to train on",
    "models": "list, verify, install and remove trained networks",
    "evaluate": "compare scorers with what is known of a set of slides",
    "calibrate": "fit a scorer to a laboratory's own slides",
    "bench": "how fast slides are decoded, painted and moved on this machine",
    "phantom": "make a synthetic slide whose truth is known to the cell, or a set of them",
    "doctor": "what works on this machine, and how to mend what does not",
}
"""Sub-commands, each a module of ``her2viewer.commands`` with ``main(argv) -> int``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code of the process (see ``commands.exit_codes``)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and arguments[0] in COMMANDS:
            command = importlib.import_module(f"her2viewer.commands.{arguments[0]}")
            return int(command.main(arguments[1:]))
        return _window(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe ("| head") has seen enough. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _window(arguments: list[str]) -> int:
    listing = "\n".join(f"  {name:<13}{text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="her2viewer",
        description=f"A viewer in which a pathologist reads one HER2 slide. {RESEARCH_USE}",
        epilog=f"commands (her2viewer COMMAND --help says more):\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("slide", nargs="?", type=Path, metavar="SLIDE", help="slide to open in the window")
    parser.add_argument("--sample", action="store_true", help="open the bundled sample slide with its region")
    parser.add_argument("--version", action="version", version=f"her2viewer {__version__}")
    options = parser.parse_args(arguments)
    if options.slide is not None and not options.slide.exists():
        return _no_such(str(options.slide))
    problem = _why_no_window()
    if problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    from her2viewer.viewer.app import run

    return run(options.slide, options.sample)


def _no_such(name: str) -> int:
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" Did you mean her2viewer {close[0]}?" if close else " her2viewer --help lists the commands."
    sys.stderr.write(f"There is no slide {name}, and no command of that name.{hint}\n")
    return 2


def _why_no_window() -> str:
    """Why Qt would end the program instead of opening a window, found before it does; "" where it would not."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return ""
    from her2viewer import system_libraries

    screen = system_libraries.screen()
    if not screen.there:
        return (
            f"The window cannot be opened: there is {screen.sentence}. Start her2viewer from a desktop, or score "
            "without the window: her2viewer score --help"
        )
    missing = system_libraries.missing_libraries(screen.kind)
    if not missing:
        return ""
    packages = system_libraries.packages_for(missing, fonts=False)
    names = ", ".join(library.soname for library in missing)
    line = system_libraries.install_line(packages, root=os.geteuid() == 0)
    return f"The window cannot be opened: Qt needs {names}, which this system lacks. Install what is missing: {line}"


if __name__ == "__main__":
    sys.exit(main())
