"""``python -m her2viewer.phantom FILE.tif`` writes the sample slide with its outlines and truth."""

from __future__ import annotations

import argparse
from pathlib import Path

from her2viewer.phantom.sample import SEED, make_sample


def main() -> None:
    """Read the command line and write the three files."""
    parser = argparse.ArgumentParser(prog="python -m her2viewer.phantom", description=__doc__)
    parser.add_argument("file", type=Path, help="slide to write, .tif")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    make_sample(arguments.file, arguments.seed)


if __name__ == "__main__":
    main()
