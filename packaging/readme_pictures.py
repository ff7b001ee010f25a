"""Makes the window and the report of the README from the sample: ``python packaging/readme_pictures.py``.

Runs the trip without a screen and shrinks what it leaves. The page of the report needs ``pdftoppm`` (poppler-utils).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images"


def main() -> int:
    """Write ``docs/images``."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "her2viewer.commands.trip", str(folder)], check=True)
        page = ["pdftoppm", "-r", "80", "-f", "1", "-l", "1", "-singlefile", "-png"]
        subprocess.run([*page, str(folder / "report.pdf"), str(folder / "report")], check=True)
        for source, target in (("4-answer", "window"), ("report", "report")):
            colours = Image.open(folder / f"{source}.png").convert("RGB").quantize(256, dither=Image.Dither.NONE)
            colours.save(TARGET / f"{target}.png", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
