"""What all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# A loaded machine is slow: how long an example takes is no property of the program.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "slides"


@pytest.fixture(scope="session")
def shared_slides() -> Path:
    """Folder of real slides; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder with real slides (../shared/slides) is absent")
    return SHARED


@pytest.fixture(autouse=True)
def own_user_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's own data, settings or cache."""
    home = tmp_path / "user"
    monkeypatch.setenv("HER2VIEWER_HOME", str(home))
    return home


@pytest.fixture
def trial_scorers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Small scorers, some of them broken, installed for this test and for the processes that it starts."""
    from tests.helpers.trial_scorers import install

    folder = tmp_path / "site"
    folder.mkdir()
    install(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield folder
    for name in [m for m in sys.modules if m.startswith("her2viewer_trial")]:
        del sys.modules[name]
