#!/usr/bin/env python3
"""Sets up a checkout of her2viewer and runs it: what ``make run``, ``make test`` and the others call.

Needs nothing but a Python; what is missing is found by looking, named with the line that installs it, and
installed where this runs as root. Works with any Python 3.6+ as far as finding a newer one.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
LEAST = (3, 11)

COMMANDS = """usage: python3 packaging/bootstrap.py COMMAND [ARGUMENTS]

  run     set up, then open the window on the bundled sample slide; without a screen, make the same
          trip offscreen and say where pictures, report and case lie
  test    set up, then run the tests (arguments go to pytest)
  lint    set up, then check style, types and the direction of imports
  setup   set up only, with everything for development
  clean   remove the environment and everything that was built
"""


def _is_new_enough(python):
    """Whether that interpreter is there and new enough."""
    import subprocess

    code = f"import sys; sys.exit(sys.version_info[:2] < {LEAST!r})"
    try:
        return subprocess.call([python, "-c", code], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def _with_newer_python():
    """Go on in a newer Python, or end with a sentence."""
    for minor in (13, 12, 11, 14):
        python = f"python3.{minor}"
        if _is_new_enough(python):
            os.execvp(python, [python, os.path.abspath(__file__), *sys.argv[1:]])
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(
        f"her2viewer needs Python 3.11 or newer; this is Python {version} and no newer one was found. Install one "
        "(sudo apt-get install -y python3.11 python3.11-venv, where the system has it), then try again."
    )


if __name__ == "__main__":
    if sys.version_info[:2] < LEAST:
        _with_newer_python()
    # Only now: what follows is written for newer Pythons.
    sys.path.insert(0, HERE)
    import setup_steps

    sys.exit(setup_steps.main(sys.argv[1:], COMMANDS, ROOT))
