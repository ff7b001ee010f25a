"""Which commands can be used now, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable

from her2viewer.viewer.actions import Actions
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.session import Session

_NEED_SLIDE = (
    "close_slide",
    "slide_info",
    "pixel_size",
    "case_details",
    "save",
    "show_case",
    "fit",
    "mag_2.5",
    "mag_5",
    "mag_10",
    "mag_20",
    "mag_40",
    "mag_1:1",
    "zoom_in",
    "zoom_out",
    "rotate",
    "rotate_back",
    "read_again",
    "next_field",
    "previous_field",
    "copy_view",
    "save_view",
    "next_unseen",
    "reset_reviewed",
)
_NEED_EDIT = (
    "import",
    "tool_polygon",
    "tool_freehand",
    "tool_rectangle",
    "tool_brush",
    "tool_tumour_add",
    "tool_tumour_remove",
    "tool_correct_cells",
    "tool_note",
    "role_roi",
    "role_exclude",
    "role_control",
)


def show_availability(
    commands: Actions,
    session: Session,
    controller: ScoringController,
    *,
    report: Callable[[str], str],
    profile_problem: str,
) -> None:
    """Enable each command, or disable it with the reason that its tip then gives.

    Args:
        commands: all commands of the window.
        session: what is open, drawn and selected.
        controller: what runs and what is known.
        report: why a report of a kind (pdf, json, csv) cannot be written, "" where it can.
        profile_problem: why colours cannot be corrected, "" where they can.
    """
    no_slide = "" if session.slide is not None else "open a slide first"
    signed = "the case is signed; amend it first" if session.locked else ""
    selected = "" if session.selection else "select an outline first"
    several = "" if len(session.selection) > 1 else "select two or more outlines first (Shift and click)"
    for command_id in _NEED_SLIDE:
        commands.allow(command_id, no_slide)
    for command_id in _NEED_EDIT:
        commands.allow(command_id, no_slide or signed)
    none_yet = "" if len(session.annotations) else "there is no outline yet"
    commands.allow("export", no_slide or none_yet)
    commands.allow("select_all", no_slide or none_yet)
    for command_id in ("smooth", "delete"):
        commands.allow(command_id, no_slide or signed or selected)
    for command_id in ("merge", "subtract"):
        commands.allow(command_id, no_slide or signed or several)
    stack = session.undo_stack
    commands.allow("undo", signed or ("" if stack.canUndo() else "nothing was edited yet"))
    commands.allow("redo", signed or ("" if stack.canRedo() else "nothing was undone"))
    commands["undo"].setText(f"Undo {stack.undoText()}".strip())
    commands["redo"].setText(f"Redo {stack.redoText()}".strip())
    commands.allow("icc", no_slide or profile_problem)
    # Enter says itself why it does nothing, so its key stays alive.
    commands.allow("run", "the scorer is running" if controller.run_progress is not None else "")
    commands.allow("calibrate", "the scorer is running" if controller.run_progress is not None else "")
    for kind in ("pdf", "json", "csv", "geojson"):
        commands.allow(f"report_{kind}", report(kind))
    for command_id in ("next_deciding", "previous_deciding", "next_chosen", "previous_chosen"):
        commands.allow(command_id, no_slide)
    commands.allow("go_decisive", "" if controller.decision is not None else "there is no answer yet")
