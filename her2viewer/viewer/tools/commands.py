"""What menus and keys do to the selected annotations: one undo step each.

Every command gives None when it did its work, else a sentence that says why it did nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from shapely import Point
from shapely.geometry.base import BaseGeometry

from her2viewer.domain import editing
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.drawing_state import ROLE_TITLES, class_color
from her2viewer.viewer.tools.drawing_tool import LOCKED, NO_SLIDE

NOTHING_SELECTED = "Select a region first: click it in the slide or in the list."
ALL_LOCKED = "What is selected is locked. Unlock it first."
DUPLICATE_SHIFT = 0.05
"""A copy lies beside its original by this share of its size, so that one sees that there are two."""


def delete_selected(session: Session) -> str | None:
    """Delete what is selected and not locked."""
    chosen, reason = _editable(session)
    if reason:
        return reason
    what = _count(chosen, "Delete")
    session.edit(what, session.annotations.removed(*(a.id for a in chosen)), ())
    return None


def merge_selected(session: Session) -> str | None:
    """Unite the selected regions into the first of them; its role, class and name stay."""
    areas, reason = _editable_areas(session)
    if reason or len(areas) < 2:
        return reason or "Select two or more regions to merge (Shift + click adds to the selection)."
    if len({a.role for a in areas}) > 1:
        return "Only regions of one kind can be merged: change the kind of the others first."
    first = areas[0]
    merged = first.with_geometry(editing.merge(a.geometry for a in areas))
    rest = session.annotations.replaced(merged).removed(*(a.id for a in areas[1:]))
    session.edit("Merge regions", rest, (first.id,))
    return None


def subtract_selected(session: Session) -> str | None:
    """Cut the other selected regions out of the one selected first; the others stay as they are."""
    areas, reason = _editable_areas(session, touch_first_only=True)
    if reason or len(areas) < 2:
        return reason or "Select the region to keep first, then, with Shift, what to cut out of it."
    first = areas[0]
    left = editing.subtract(first.geometry, (a.geometry for a in areas[1:]))
    if left.is_empty:
        return "Nothing would be left of the region selected first."
    if left.equals(first.geometry):
        return "The selected regions do not overlap: there is nothing to cut out."
    session.edit("Subtract regions", session.annotations.replaced(first.with_geometry(left)), (first.id,))
    return None


def smooth_selected(session: Session) -> str | None:
    """Round the corners of the selected regions; areas stay within 2 %."""
    return _reshape(session, "Smooth", editing.smooth)


def fill_holes_selected(session: Session) -> str | None:
    """Fill the holes of the selected regions."""
    return _reshape(session, "Fill holes", editing.without_holes)


def duplicate_selected(session: Session) -> str | None:
    """Copies of what is selected, a little beside it."""
    chosen, reason = _chosen(session)
    if session.locked:
        return LOCKED
    if reason:
        return reason
    copies = []
    for a in chosen:
        x0, y0, x1, y1 = a.geometry.bounds
        shift = DUPLICATE_SHIFT * max(x1 - x0, y1 - y0) or 50.0
        moved = _on_slide(session, editing.move(a.geometry, shift, shift))
        geometry = a.geometry if moved.is_empty else moved
        name = f"{a.name} (copy)" if a.name else ""
        drawn = Annotation(geometry, a.role, a.class_name, a.color, name, a.text)
        copies.append(drawn)
    session.edit(_count(chosen, "Duplicate"), session.annotations.added(*copies), (a.id for a in copies))
    return None


def set_class_selected(session: Session, role: Role, class_name: str | None = None) -> str | None:
    """Make the selected regions ROI, exclusion (of a class) or control tissue; colours follow."""
    areas, reason = _editable_areas(session)
    if reason:
        return reason
    changed = {a.id: _reclassed(a, role, class_name) for a in areas}
    if all(changed[a.id] == a for a in areas):
        return "What is selected is of that kind already."
    title = f"{ROLE_TITLES[role]}: {class_name}" if class_name else ROLE_TITLES[role]
    session.edit(f"Change to {title}", _with(session.annotations, changed.values()))
    return None


def rename(session: Session, annotation_id: str, name: str) -> str | None:
    """Give one annotation another name; notes get it as their text."""
    annotation = session.annotations.get(annotation_id)
    if annotation is None:
        return "This region is no longer there."
    if session.locked:
        return LOCKED
    name = " ".join(name.split())
    changed = replace(annotation, text=name) if annotation.role is Role.NOTE else replace(annotation, name=name)
    if changed == annotation:
        return None
    if annotation.locked:
        return ALL_LOCKED
    session.edit("Rename", session.annotations.replaced(changed))
    return None


def add_note(session: Session, x: float, y: float, text: str) -> str | None:
    """Put a note at a slide point (level-0 px)."""
    if session.slide is None:
        return NO_SLIDE
    if session.locked:
        return LOCKED
    text = text.strip()
    if not text:
        return "A note needs a text: nothing was added."
    point = _on_slide(session, Point(x, y))
    session.add(replace(Annotation.drawn(point, Role.NOTE), text=text), "Add note")
    return None


def select_all(session: Session) -> str | None:
    """Select every annotation."""
    if not session.annotations.items:
        return "There is no region yet."
    session.select(a.id for a in session.annotations)
    return None


def set_locked_selected(session: Session, locked: bool) -> str | None:
    """Protect the selected annotations against change, or allow it again."""
    chosen, reason = _chosen(session)
    if reason:
        return reason
    if session.locked:
        return LOCKED
    changed = [replace(a, locked=locked) for a in chosen if a.locked is not locked]
    if not changed:
        return f"What is selected is {'locked' if locked else 'not locked'} already."
    session.edit("Lock" if locked else "Unlock", _with(session.annotations, changed))
    return None


# --- helpers ---------------------------------------------------------------------------------------------------


def _chosen(session: Session) -> tuple[list[Annotation], str | None]:
    """What is selected, in the order of selection, or why there is nothing."""
    found = [a for a in (session.annotations.get(i) for i in session.selection) if a is not None]
    return found, None if found else NOTHING_SELECTED


def _editable(session: Session) -> tuple[list[Annotation], str | None]:
    chosen, reason = _chosen(session)
    if session.locked:
        return [], LOCKED
    if reason:
        return [], reason
    free = [a for a in chosen if not a.locked]
    return free, None if free else ALL_LOCKED


def _editable_areas(session: Session, touch_first_only: bool = False) -> tuple[list[Annotation], str | None]:
    chosen, reason = _chosen(session) if touch_first_only else _editable(session)
    if session.locked:
        return [], LOCKED
    if reason:
        return [], reason
    areas = [a for a in chosen if a.role is not Role.NOTE and a.geometry.area > 0]
    if not areas:
        return [], "A note has no area: select a region."
    if areas[0].locked:
        return [], ALL_LOCKED
    return areas, None


def _reshape(session: Session, text: str, change: Callable[[BaseGeometry], BaseGeometry]) -> str | None:
    areas, reason = _editable_areas(session)
    if reason:
        return reason
    changed = [a.with_geometry(_on_slide(session, change(a.geometry))) for a in areas]
    changed = [new for new, old in zip(changed, areas, strict=True) if not new.geometry.equals(old.geometry)]
    changed = [new for new in changed if not new.geometry.is_empty]
    if not changed:
        return f"{text}: the outline is so already."
    session.edit(text, _with(session.annotations, changed))
    return None


def _reclassed(annotation: Annotation, role: Role, class_name: str | None) -> Annotation:
    fresh = Annotation.drawn(annotation.geometry, role, class_name)
    return replace(annotation, role=role, class_name=fresh.class_name, color=class_color(role, class_name))


def _with(annotations: AnnotationSet, changed: Iterable[Annotation]) -> AnnotationSet:
    new = {a.id: a for a in changed}
    return annotations.with_items(tuple(new.get(a.id, a) for a in annotations))


def _on_slide(session: Session, geometry: BaseGeometry) -> BaseGeometry:
    slide = session.slide
    return geometry if slide is None else editing.clip(geometry, slide.width, slide.height)


def _count(chosen: list[Annotation], verb: str) -> str:
    if len(chosen) > 1:
        return f"{verb} {len(chosen)} regions"
    return f"{verb} note" if chosen[0].role is Role.NOTE else f"{verb} region"
