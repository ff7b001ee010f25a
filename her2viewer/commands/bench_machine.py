"""On what machine figures were taken, and how much memory the process holds."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

from her2viewer import __version__

MIB = 2**20


def machine(screen: str) -> dict[str, Any]:
    """Name and versions of what a figure depends on.

    Args:
        screen: Qt's name of the platform that was painted on.
    """
    import PySide6

    from her2viewer.scoring.runtime.local import usable_cores
    from her2viewer.viewer.canvas.budget import installed_memory

    memory = installed_memory()
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_gb": None if memory is None else memory / 1e9,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "qt": f"{PySide6.__version__} ({screen})",
        "her2viewer": __version__,
    }


def memory_now() -> float | None:
    """Memory of this process in MiB; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    import resource

    return pages * resource.getpagesize() / MIB


def memory_peak() -> float | None:
    """The most memory that this process ever held, in MiB; None where the system does not say."""
    if sys.platform == "win32":
        return None
    try:
        # getrusage would also count what the process held that started this one.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except (OSError, ValueError):
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return peak / MIB if sys.platform == "darwin" else peak / 1024


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
