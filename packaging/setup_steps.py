"""The steps of the set-up: system libraries, environment, packages; then the wanted command."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

_STARTED = time.monotonic()


class SetupError(Exception):
    """The set-up cannot go on. ``str()`` says what is wrong and what to do."""


def main(arguments: Sequence[str], usage: str, root: str) -> int:
    """Run one command of the set-up; returns the exit code of the process."""
    setup = Setup(Path(root))
    commands: dict[str, Callable[[list[str]], int]] = {
        "run": setup.run,
        "test": setup.test,
        "lint": setup.lint,
        "setup": setup.only,
        "clean": setup.clean,
    }
    if not arguments or arguments[0] not in commands:
        print(usage, end="")
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        return commands[arguments[0]](list(arguments[1:]))
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped. Run the same command again to go on.")
        return 130


def say(text: str) -> None:
    """One line with the time since the start."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", flush=True)


class Setup:
    """One checkout and its environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = Path(os.environ.get("HER2VIEWER_VENV", root / ".venv"))
        bin_folder = "Scripts" if sys.platform == "win32" else "bin"
        self.python = self.environment / bin_folder / ("python.exe" if sys.platform == "win32" else "python")
        self.stamp = self.environment / "her2viewer-setup"
        self.log = self.environment / "her2viewer-setup.log"
        self.libraries = _system_libraries(root)

    # Commands --------------------------------------------------------------------------------------------

    def run(self, arguments: list[str]) -> int:
        """Open the window on the sample slide, or make the trip offscreen."""
        screen = self.libraries.screen()
        self.prepare(screen.kind, development=False)
        if screen.there:
            say(f"Opening the window on {screen.sentence}.")
            return self._call("-m", "her2viewer", *(arguments or ["--sample"]))
        say(f"There is {screen.sentence}. Doing the same job offscreen.")
        return self._call("-m", "her2viewer.commands.trip", *arguments, offscreen=True)

    def test(self, arguments: list[str]) -> int:
        """Run the tests."""
        self.prepare("", development=True)
        say("Running the tests.")
        return self._call("-m", "pytest", *arguments, offscreen=True)

    def lint(self, arguments: list[str]) -> int:
        """Style, format, types, direction of imports; all of them, even after the first failure."""
        self.prepare("", development=True)
        worst = 0
        tools = self.python.parent
        for name, command in (
            ("ruff check", [tools / "ruff", "check", "."]),
            ("ruff format", [tools / "ruff", "format", "--check", "."]),
            ("mypy", [tools / "mypy"]),
            ("import-linter", [tools / "lint-imports"]),
        ):
            say(f"{name}")
            code = subprocess.run([str(part) for part in command], cwd=self.root, check=False).returncode
            worst = worst or code
        say("All clean." if worst == 0 else "Not clean, see above.")
        return worst

    def only(self, arguments: list[str]) -> int:
        """Set up and do nothing else."""
        self.prepare(self.libraries.screen().kind, development=True)
        return 0

    def clean(self, arguments: list[str]) -> int:
        """Remove what the set-up and the tools made."""
        names = (
            "build",
            "dist",
            ".pytest_cache",
            ".mypy_cache",
            ".ruff_cache",
            ".import_linter_cache",
            ".hypothesis",
        )
        for path in (self.environment, *(self.root / name for name in names)):
            if path.exists():
                shutil.rmtree(path)
                say(f"Removed {path}.")
        return 0

    # Steps -----------------------------------------------------------------------------------------------

    def prepare(self, screen: str, development: bool) -> None:
        """Everything that must be there before the program runs."""
        self._system(screen)
        if self._up_to_date(development):
            return
        self._make_environment()
        self._install(development)

    def _system(self, screen: str) -> None:
        """Look for system libraries; install them as root, else name the line that does."""
        missing = self.libraries.missing_libraries(screen)
        no_font = not self.libraries.fonts_there()
        if not missing and not no_font:
            return
        what = ", ".join([library.soname for library in missing] + ["a font"] * no_font)
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        if not shutil.which("apt-get"):
            raise SetupError(f"Qt needs {what}, which this system lacks. Install them with its package manager.")
        if root:
            # A fresh image has no package lists; without them the names of its release cannot be told.
            say("Some system libraries are missing. Reading the package lists (apt-get update).")
            self._apt("update", "-qq")
        packages = self.libraries.packages_for(missing, no_font)
        line = self.libraries.install_line(packages, root)
        if not root:
            raise SetupError(f"Qt needs {what}, which this system lacks. Install what is missing with: {line}")
        say(f"Qt needs {what}, which this system lacks. Installing: {line}")
        self._apt("install", "-y", "--no-install-recommends", *packages)
        still = self.libraries.missing_libraries(screen)
        if still:
            names = ", ".join(library.soname for library in still)
            raise SetupError(f"{names} is still missing after: {line}. Install what holds it, then try again.")

    def _make_environment(self) -> None:
        if self._works():
            return
        self._need_venv()
        version = ".".join(map(str, sys.version_info[:3]))
        say(f"Making an environment in {_short(self.environment)} with Python {version}.")
        if self.environment.exists():
            shutil.rmtree(self.environment)
        done = subprocess.run(
            [sys.executable, "-m", "venv", str(self.environment)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not self._works():
            detail = (done.stderr or done.stdout).strip().splitlines()
            raise SetupError(f"The environment cannot be made: {detail[-1] if detail else 'python -m venv failed'}")

    def _need_venv(self) -> None:
        """Debian packs Python without venv; find that out before it fails half way."""
        if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
            return
        exact = f"python3.{sys.version_info[1]}-venv"
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        if not shutil.which("apt-get"):
            raise SetupError("This Python lacks the modules venv and ensurepip. Install them, then try again.")
        line = self.libraries.install_line([exact], root)
        if not root:
            raise SetupError(f"This Python lacks the modules venv and ensurepip. Install them with: {line}")
        say(f"This Python lacks the modules venv and ensurepip. Installing: {line}")
        self._apt("update", "-qq")
        self._apt("install", "-y", "--no-install-recommends", exact)
        importlib.invalidate_caches()

    def _install(self, development: bool) -> None:
        """Install the program and what it needs, with the versions it was tested with."""
        # Running needs no networks yet; what trains them is large.
        target = ".[dev,evaluate,train]" if development else "."
        size = "1.5 GB or, where pip brings torch with CUDA, 5 GB" if development else "350 MB"
        say(f"Installing the program and the packages it needs (about {size}).")
        command = [
            *(str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
            *("--progress-bar", "off", "-c", str(self.root / "packaging" / "constraints.txt"), "-e", target),
        ]
        code = self._logged(command)
        if code != 0:
            raise SetupError(self._why_pip_failed())
        say("Checking that Qt starts.")
        check = "import PySide6.QtWidgets as q; q.QApplication([]); import openslide, cv2, her2viewer"
        done = self._call_quietly("-c", check)
        if done.returncode != 0:
            raise SetupError(
                f"The packages are installed, but cannot be used: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
            )
        self.stamp.write_text(f"{'dev' if development else 'run'} {self._fingerprint()}\n", encoding="utf-8")
        say("Set up.")

    def _logged(self, command: list[str]) -> int:
        """Run pip; show what it downloads, keep everything in a log."""
        with (
            self.log.open("w", encoding="utf-8") as log,
            subprocess.Popen(
                command,
                cwd=self.root,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                words = line.split()
                if line.strip().startswith("Downloading ") and not line.rstrip().endswith(".metadata"):
                    # "Downloading name-version-tags.whl (12.3 MB)" without the folder and the tags.
                    name = words[1].rsplit("/", 1)[-1].split("-cp")[0].split("-py")[0]
                    say(f"  {name} {' '.join(words[2:])}".rstrip())
                elif line.startswith("Installing collected packages"):
                    say(f"  unpacking {len(words) - 3} packages")
            return process.wait()

    def _why_pip_failed(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        reasons = [line.strip() for line in lines if "Error: " in line or line.startswith("ERROR: ")]
        errors = [reasons[0], reasons[-1]] if reasons else lines[-2:]
        signs = ("NewConnectionError", "ConnectTimeout", "Temporary failure", "Could not fetch URL")
        network = any(sign in line for line in lines for sign in signs)
        hint = (
            "The package index cannot be reached: check the network (and HTTPS_PROXY behind a proxy), then run the "
            "same command again."
            if network
            else "Run the same command again; if it fails again, the log tells more."
        )
        return f"Packages could not be installed: {' '.join(dict.fromkeys(errors))} {hint} Log: {self.log}"

    # Details ---------------------------------------------------------------------------------------------

    def _fingerprint(self) -> str:
        """Changes when the packages must be installed anew: other requirements, other Python, other place."""
        digest = hashlib.sha256(str(self.root).encode())
        digest.update(sys.version.encode())
        for name in ("pyproject.toml", "packaging/constraints.txt"):
            digest.update((self.root / name).read_bytes())
        return digest.hexdigest()

    def _up_to_date(self, development: bool) -> bool:
        try:
            kind, fingerprint = self.stamp.read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return False
        return fingerprint == self._fingerprint() and (kind == "dev" or not development) and self._works()

    def _works(self) -> bool:
        """Whether the environment is there and of this Python; a moved or updated one is made anew."""
        try:
            done = self._call_quietly("-c", "import sys, pip; print(sys.version_info[:2])")
        except OSError:
            return False
        return done.returncode == 0 and done.stdout.strip() == str(tuple(sys.version_info[:2]))

    def _call_quietly(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.root,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
            capture_output=True,
            text=True,
            check=False,
        )

    def _call(self, *arguments: str, offscreen: bool = False) -> int:
        environment = dict(os.environ)
        if offscreen:
            environment["QT_QPA_PLATFORM"] = "offscreen"
        return subprocess.run([str(self.python), *arguments], cwd=self.root, env=environment, check=False).returncode

    def _apt(self, *arguments: str) -> None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            ["apt-get", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        # Old lists serve too, so an update that fails is no reason to stop; an installation that fails is.
        if done.returncode != 0 and arguments[0] != "update":
            lines = [line.strip() for line in done.stdout.splitlines()]
            told = [line for line in lines if line.startswith(("E:", "dpkg: error", "dpkg:"))] or lines[-1:]
            raise SetupError(f"apt-get {' '.join(arguments)} failed: {' '.join(told[-4:])}")


def _system_libraries(root: Path) -> ModuleType:
    """The module that knows what Qt needs, read by its path: nothing is installed yet."""
    spec = importlib.util.spec_from_file_location(
        "her2viewer_system_libraries", root / "her2viewer" / "system_libraries.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its own module up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
