"""Reads the case of a slide from the disk; damaged parts are left out with a sentence. For worker threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from her2viewer.domain.annotation import AnnotationSet
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, CellCorrections
from her2viewer.domain.corrections import NO_CORRECTIONS, Corrections
from her2viewer.slides.slide import Slide

if TYPE_CHECKING:
    from her2viewer.cases.alignment_file import AlignedSlide
    from her2viewer.cases.case import Case
    from her2viewer.cases.store import CaseStore
    from her2viewer.cases.views_file import KeptViews
    from her2viewer.domain.result import Result
    from her2viewer.domain.reviewed import ReviewedMap


@dataclass(frozen=True)
class LoadedCase:
    """All that the disk knows of a slide's case."""

    store: CaseStore
    case: Case
    annotations: AnnotationSet
    results: tuple[Result, ...]
    problems: tuple[str, ...]
    """Sentences about what could not be read."""
    reviewed: ReviewedMap | None = None
    """Which places were looked at; None where nothing is known of it."""
    alignments: tuple[AlignedSlide, ...] = ()
    """Slides that were aligned with this one."""
    views: KeptViews | None = None
    """Which views stood side by side; None where nothing is known of it."""
    corrections: Corrections = NO_CORRECTIONS
    """Of the tumour mask."""
    cell_corrections: CellCorrections = NO_CELL_CORRECTIONS

    def close(self) -> None:
        """Let the case go; for a slide that is not shown after all."""
        self.store.close()


def closing_key(store: CaseStore) -> str:
    """Key of the job that closes a case, the last one that touches it."""
    return f"close {store.folder}"


def load_case(slide: Slide, wait_for: Callable[[str], object] = lambda key: None) -> LoadedCase:
    """Read the case of a slide; damaged parts are left out with a sentence. For worker threads.

    Args:
        slide: the open slide.
        wait_for: called with ``closing_key`` before anything is read: a slide that is opened again at once may still
            be being saved (``Storage.wait_for``).

    Raises:
        CaseError: there is no folder in which a case could be kept.
    """
    from her2viewer.cases.case import CaseError
    from her2viewer.cases.store import CaseStore

    store = CaseStore.for_slide(slide.path, slide.identity)
    wait_for(closing_key(store))
    problems: list[str] = []

    def attempt(read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except CaseError as error:
            problems.append(str(error))
            return otherwise() if callable(otherwise) else otherwise

    attempt(store.acquire, None)
    # A damaged case.json was put aside: the second look gives an empty case.
    case = attempt(store.load, lambda: attempt(store.load, None))
    if case is None:
        from her2viewer.cases.case import Case

        case = Case(slide_path=str(slide.path), identity=slide.identity)
    annotations = attempt(store.load_annotations, AnnotationSet())
    reviewed = attempt(store.load_reviewed, None)
    alignments = attempt(store.load_alignments, ())
    views = attempt(store.load_views, None)
    corrections = attempt(store.load_corrections, NO_CORRECTIONS)
    cells = attempt(store.load_cell_corrections, NO_CELL_CORRECTIONS)
    found = [attempt(partial(store.load_result, scorer), None) for scorer in store.scorers()]
    results = tuple(r for r in found if r is not None)
    told = tuple(problems)
    return LoadedCase(store, case, annotations, results, told, reviewed, alignments, views, corrections, cells)
