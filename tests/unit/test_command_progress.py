"""What the terminal says while a command works: a bar for people, lines for a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from her2viewer.commands.evaluate import SetProgress
from her2viewer.commands.output import Output
from her2viewer.commands.progress import StageBar


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def written(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def test_a_log_gets_one_line_a_stage() -> None:
    out = console(False)
    with StageBar(out) as bar:
        for done in range(3):
            bar.show("Reading", done, 3, line="Reading ...")
        bar.show("Quiet", 0, 3)
        bar.show("Cells [1]", 0, 0, line="Cells [1] ...")
    assert written(out).splitlines() == ["Reading ...", "Cells [1] ..."]


def test_a_terminal_gets_a_bar_that_starts_anew_with_each_stage_and_no_lines() -> None:
    out = console(True)
    with StageBar(out) as bar:
        bar.show("Reading", 0, 4, line="Reading ...")
        bar.show("Reading", 3, 4)
        assert bar._bar is not None
        bar.show("Reading", 4, 4)
        assert [(t.description, t.completed, t.total) for t in bar._bar.tasks] == [("Reading", 4, 4)]
        bar.show("Cells", 0, 0)
        assert [(t.description, t.completed, t.total) for t in bar._bar.tasks] == [("Cells", 0, None)]
    assert "Reading ..." not in written(out)


def test_slides_of_a_set_are_one_bar_under_changing_names() -> None:
    out = console(True)
    with StageBar(out, counted=True) as bar:
        bar.show("a", 0, 2, stage="slides")
        assert bar._bar is not None
        first = bar._bar.tasks[0].id
        bar.show("b", 1, 2, stage="slides")
        assert [(t.id, t.description, t.completed) for t in bar._bar.tasks] == [(first, "b", 1)]


def test_a_log_of_a_set_names_each_slide_once(capsys: pytest.CaptureFixture[str]) -> None:
    with SetProgress(Output(False), 2) as progress:
        for name in ("a", "b"):
            progress(name, False)
            progress(name, True)
    assert capsys.readouterr().err.splitlines() == ["1 of 2: a", "2 of 2: b"]
