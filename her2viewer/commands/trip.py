"""The whole job without a screen, on the bundled sample: what ``make run`` does where no window can be shown."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from her2viewer.commands import score


def main(argv: Sequence[str]) -> int:
    """Make the trip; returns its exit code. The first argument, if any, is the folder to leave things in."""
    folder = Path(argv[0]) if argv else Path(tempfile.mkdtemp(prefix="her2viewer-trip-"))
    code = score.main(["--sample", "--out", str(folder)])
    sys.stdout.write(f"Everything lies in {folder}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
