"""``python -m her2viewer`` is ``her2viewer``."""

import sys

from her2viewer.cli import main

if __name__ == "__main__":
    sys.exit(main())
