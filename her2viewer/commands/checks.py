"""The checks of ``her2viewer doctor``: each looks at one thing and says how to mend it. No torch, no Qt here."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from her2viewer import __version__, system_libraries
from her2viewer.userdirs import cache_dir, data_dir

State = Literal["PASS", "WARN", "FAIL"]

LEAST_MEMORY_GB = 2.0
LEAST_DISK_GB = 1.0


@dataclass(frozen=True)
class Check:
    """What one look found."""

    name: str
    state: State
    detail: str
    fix: str = ""
    """What to do; empty where all is well."""

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def run_checks() -> list[Check]:
    """All checks in the order of printing; one that breaks down is a failure of its own, never an exception."""
    results: list[Check] = []
    for name, check in CHECKS.items():
        try:
            results += check()
        except Exception as error:
            results.append(
                Check(name, "FAIL", f"The check broke down ({type(error).__name__}: {error}).", "Report this.")
            )
    return results


def _python() -> list[Check]:
    version = platform.python_version()
    detail = f"{version} ({platform.machine()}, {platform.system()})"
    return [Check("Python", "PASS", detail)]


def _packages() -> list[Check]:
    from importlib.metadata import PackageNotFoundError, distribution, version

    try:
        required = distribution("her2viewer").requires or []
    except PackageNotFoundError:
        return [Check("Packages", "FAIL", "her2viewer itself is not installed.", "pip install .")]
    found, missing = [f"her2viewer {__version__}"], []
    for requirement in required:
        # "numpy>=2.0" or "pytest>=8; extra == 'dev'": what only developers need is not looked for.
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return [Check("Packages", "FAIL", f"Missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")]
    return [Check("Packages", "PASS", ", ".join(found))]


def _qt() -> list[Check]:
    screen = system_libraries.screen()
    missing = system_libraries.missing_libraries(screen.kind)
    results = []
    if missing:
        packages = system_libraries.packages_for(missing, fonts=False)
        names = ", ".join(library.soname for library in missing)
        line = system_libraries.install_line(packages, root=_is_root())
        results.append(Check("Qt system libraries", "FAIL", f"Missing: {names}", line))
    else:
        results.append(Check("Qt system libraries", "PASS", "all there"))
    # In a process of its own: Qt ends the whole program where it cannot start.
    code = "import PySide6.QtWidgets as w; w.QApplication([]); import PySide6; print(PySide6.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 0:
        version = done.stdout.strip()
        results.append(_qt_version(version))
    else:
        reason = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        fix = results[0].fix or "Install PySide6-Essentials again."
        results.append(Check("Qt", "FAIL", f"Qt does not start: {reason}", fix))
    if screen.there:
        results.append(Check("Screen", "PASS", screen.sentence))
    else:
        fix = "Start her2viewer from a desktop; her2viewer score needs no screen."
        results.append(Check("Screen", "WARN", screen.sentence, fix))
    return results


def _qt_version(version: str) -> Check:
    broken = {"6.11.0", "6.11.1"} | ({"6.12.0"} if sys.version_info < (3, 12) else set())
    if version in broken:
        fix = 'pip install "PySide6-Essentials>=6.8,!=6.11.0,!=6.11.1,!=6.12.0,<6.13"'
        return Check("Qt", "FAIL", f"PySide6 {version} has faults that end or garble the window.", fix)
    return Check("Qt", "PASS", f"PySide6 {version}")


def _fonts() -> list[Check]:
    from her2viewer.resources import resource_path

    try:
        own = sorted(path.name for path in resource_path("fonts").glob("*.ttf"))
    except FileNotFoundError:
        own = []
    if not own:
        return [Check("Fonts", "FAIL", "The fonts of the report are missing.", "Install her2viewer again.")]
    if not system_libraries.fonts_there():
        packages = system_libraries.packages_for([], fonts=True)
        line = system_libraries.install_line(packages, root=_is_root())
        return [Check("Fonts", "WARN", "The system has no font of its own; the bundled one is used.", line)]
    return [Check("Fonts", "PASS", f"system fonts, and {', '.join(own)} for the report")]


def _readers() -> list[Check]:
    results = []
    try:
        import openslide

        detail = f"library {openslide.__library_version__}, Python {openslide.__version__}"
        results.append(Check("OpenSlide", "PASS", detail))
    except (ImportError, OSError) as error:
        fix = "pip install --force-reinstall openslide-bin openslide-python"
        results.append(Check("OpenSlide", "FAIL", f"It cannot be loaded: {error}", fix))
    try:
        import cv2
        import imagecodecs
        import tifffile

        versions = f"tifffile {tifffile.__version__}, imagecodecs {imagecodecs.__version__}, OpenCV {cv2.__version__}"
        results.append(Check("Image readers", "PASS", versions))
    except (ImportError, OSError) as error:
        fix = "pip install --force-reinstall tifffile imagecodecs opencv-python-headless"
        results.append(Check("Image readers", "FAIL", f"They cannot be loaded: {error}", fix))
    return results


def _scorers() -> list[Check]:
    from her2viewer.scoring.contract import ScorerError
    from her2viewer.scoring.registry import available_scorers, load_scorer

    results = []
    for entry in available_scorers():
        name = f"Scorer {entry.id}"
        if entry.manifest is None or entry.problem:
            detail = entry.problem or "Its manifest cannot be read."
            results.append(Check(name, "FAIL", detail, f"Install the package {entry.package} again."))
            continue
        try:
            load_scorer(entry.manifest)
            results.append(Check(name, "PASS", f"{entry.title} {entry.manifest.version}"))
        except ScorerError as error:
            results.append(Check(name, "FAIL", str(error), f"Install the package {entry.package} again."))
    return results or [Check("Scorers", "FAIL", "No scorer is installed.", "Install her2viewer again.")]


def _resources() -> list[Check]:
    from her2viewer.guidelines.profiles import loaded_profiles
    from her2viewer.resources import resource_path

    again = "Install her2viewer again."
    missing = []
    for name in ("guidelines", "icons", "styles", "sample/sample_her2.tif"):
        try:
            resource_path(*name.split("/"))
        except FileNotFoundError:
            missing.append(name)
    if missing:
        return [Check("Resources", "FAIL", f"Missing: {', '.join(missing)}", again)]
    loaded = loaded_profiles()
    if loaded.problems or not loaded.profiles:
        detail = "; ".join(loaded.problems.values()) or "There is no guideline profile."
        return [Check("Resources", "FAIL", detail, again)]
    return [Check("Resources", "PASS", f"{len(loaded.profiles)} guideline profiles, icons, styles, sample slide")]


def _folders() -> list[Check]:
    fix = "Give yourself the right to write there, or set HER2VIEWER_HOME to another folder."
    results = []
    for name, folder in (("Data folder", data_dir()), ("Cache folder", cache_dir())):
        problem, free = _try_to_write(folder)
        if problem:
            results.append(Check(name, "FAIL", f"{folder}: {problem}", fix))
            continue
        detail = f"{folder}, {free:.1f} GB free"
        if free < LEAST_DISK_GB:
            results.append(Check(name, "WARN", detail, "Free some space on this disk."))
        else:
            results.append(Check(name, "PASS", detail))
    results.append(_compiled_code())
    return results


def _compiled_code() -> Check:
    """Whether code that numba compiles can be kept; if not, each start of a scorer compiles again."""
    name = "Compiled code"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(chosen) if chosen else cache_dir() / "numba"
    problem, _ = _try_to_write(folder)
    if problem:
        fix = "Set NUMBA_CACHE_DIR to a folder that you may write to."
        return Check(name, "WARN", f"{folder}: {problem} Every first run compiles for some seconds.", fix)
    return Check(name, "PASS", "can be kept between runs")


def _memory() -> list[Check]:
    from her2viewer.viewer.this_computer import kept_words

    available, kept = available_memory(), f"tiles of slides: {kept_words()}"
    if available is None:
        return [Check("Memory", "PASS", f"The system does not say how much there is; {kept}")]
    detail = f"{available / 1e9:.1f} GB available; {kept}"
    if available / 1e9 < LEAST_MEMORY_GB:
        return [Check("Memory", "WARN", detail, "Close other programs before scoring large regions.")]
    return [Check("Memory", "PASS", detail)]


def available_memory() -> int | None:
    """Bytes that this process may still use, within the limit of its container; None where unknown."""
    found: list[int] = []
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        found += [1024 * int(value) for value in re.findall(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)]
    except (OSError, ValueError):
        pass
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii")
        if limit != "max":
            found.append(max(0, int(limit) - int(used)))
    except (OSError, ValueError):
        pass
    return min(found) if found else None


def _device() -> list[Check]:
    """Processor and graphics card, by looking, and what networks run on."""
    from her2viewer.scoring.runtime.local import usable_cores

    cores = usable_cores()
    results = [Check("Processor", "PASS", f"{_processor_name()}, {cores} core{'s' * (cores != 1)} usable")]
    card = _nvidia_card()
    torch = "torch is installed" if importlib.util.find_spec("torch") else "torch is not installed"
    detail = f"{card or 'no NVIDIA card found'}; {torch}"
    return [*results, Check("Graphics card", "PASS", detail), *_networks()]


def _networks() -> list[Check]:
    """Where networks run, at which precision, where what was compiled is kept, and why on no GPU."""
    from her2viewer.scoring.contract import ScorerError
    from her2viewer.scoring.runtime.devices import devices, openvino_version, pick_device, precisions
    from her2viewer.scoring.runtime.kept import kept_folder
    from her2viewer.scoring.runtime.local import LocalRuntime

    runtime = LocalRuntime()
    wish = runtime.wish
    try:
        chosen = pick_device(wish)
    except ScorerError as error:
        asked = f"Set the environment variable HER2VIEWER_DEVICE to another device, or remove it ({wish} now)."
        return [Check("Networks", "FAIL", str(error), "pip install openvino" if wish == "auto" else asked)]
    others = ", ".join(d.title for d in devices() if d != chosen)
    how = " or ".join(precisions(chosen))
    detail = (
        f"run on {chosen.title} ({how}{', by a trial' if len(precisions(chosen)) > 1 else ''})"
        f"{f', could run on {others}' if others else ''}; OpenVINO {openvino_version() or 'is missing'}; compiled "
        f"networks are kept in {kept_folder()}"
    )
    results = [Check("Networks", "PASS", detail)]
    no_gpu = runtime.explain(chosen)
    if no_gpu is None:
        return [*results, Check("GPU", "PASS", f"{chosen.title} is used.")]
    return [*results, Check("GPU", "WARN" if no_gpu.fix else "PASS", no_gpu.sentence, no_gpu.fix)]


def _processor_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        if match:
            return match.group(1).strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _nvidia_card() -> str:
    if not shutil.which("nvidia-smi"):
        return "NVIDIA driver without nvidia-smi" if Path("/proc/driver/nvidia/version").exists() else ""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "NVIDIA driver that does not answer"
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0 or not lines:
        return "NVIDIA driver that does not work (nvidia-smi says why)"
    return "; ".join(line.replace(", ", ", driver ") for line in lines)


def _try_to_write(folder: Path) -> tuple[str, float]:
    """Why nothing can be written into a folder ("" where it can), and the free space of its disk in GB.

    Leaves no trace of a folder that was not there.
    """
    existed = [path for path in (folder, *folder.parents) if path.exists()]
    probe = folder / f".her2viewer-probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
        free = shutil.disk_usage(folder).free / 1e9
    except OSError as error:
        return f"{error.strerror or error}.", 0.0
    finally:
        for path in (folder, *folder.parents):
            if path in existed:
                break
            try:
                path.rmdir()
            except OSError:
                break
    return "", free


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


CHECKS: dict[str, Callable[[], list[Check]]] = {
    "Python": _python,
    "Packages": _packages,
    "Qt": _qt,
    "Fonts": _fonts,
    "Image readers": _readers,
    "Scorers": _scorers,
    "Resources": _resources,
    "Folders": _folders,
    "Memory": _memory,
    "Device": _device,
}
