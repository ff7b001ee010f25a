"""What a case keeps besides annotations and results: an immutable value and its JSON form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from her2viewer.cases.atomic import StorageError
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource

FORMAT = "her2viewer case"
VERSION = 1


class CaseError(StorageError):
    """A case cannot be read or written. ``str()`` is a sentence for the user: what is wrong, what to do."""


@dataclass(frozen=True)
class Case:
    """One slide as one reader sees it. Edits make a new value."""

    slide_path: str = ""
    """Where the slide was when the case was last saved."""
    identity: str = ""
    """Content hash of the slide, see ``Slide.identity``."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Case number, block, patient initials and whatever else the report prints."""
    pixel_size: PixelSize | None = None
    """Confirmed pixel size; None where the slide's own is used."""
    profile: str = ""
    """Id of the chosen guideline profile; "" for the default."""
    scorer: str = ""
    """Id of the scorer chosen last; "" for none yet."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by scorer id; JSON values."""
    own_score: str = ""
    """The pathologist's own score: "0", "1+", "2+", "3+" or ""."""
    comment: str = ""
    pattern_marked: bool = False
    """The reader saw a staining pattern that the guideline wants to be marked by hand."""
    marks: tuple[str, ...] = ()
    """Further marks of the reader that rows of a profile ask for."""
    control_checked: bool | None = None
    """Whether the control tissue stained as it should; None where nobody said."""


def case_to_json(case: Case) -> dict[str, Any]:
    """The JSON object of ``case.json``, without what the store adds."""
    size = case.pixel_size
    return {
        "slide": {"path": case.slide_path, "identity": case.identity},
        "pixel_size": None
        if size is None
        else {"x_um": size.x_um, "y_um": size.y_um, "source": size.source.value, "detail": size.detail},
        "fields": dict(case.fields),
        "profile": case.profile,
        "scorer": case.scorer,
        "settings": {scorer: dict(values) for scorer, values in case.settings.items()},
        "own_score": case.own_score,
        "comment": case.comment,
        "pattern_marked": case.pattern_marked,
        "marks": list(case.marks),
        "control_checked": case.control_checked,
    }


def case_from_json(data: Any) -> Case:
    """The case of a JSON object of any version up to this one.

    Raises:
        NewerFormatError: a later version of the program wrote it.
        ValueError: it is no case, or it is damaged; a few words say where.
    """
    data = migrated(data)
    slide, size = _mapping(data, "slide"), data.get("pixel_size")
    settings = _mapping(data, "settings")
    control, marks = data.get("control_checked"), data.get("marks")
    return Case(
        slide_path=str(slide.get("path", "")),
        identity=str(slide.get("identity", "")),
        fields={str(k): str(v) for k, v in _mapping(data, "fields").items()},
        pixel_size=None if size is None else _pixel_size(size),
        profile=str(data.get("profile", "")),
        scorer=str(data.get("scorer", "")),
        settings={str(k): dict(_mapping(settings, k)) for k in settings},
        own_score=str(data.get("own_score", "")),
        comment=str(data.get("comment", "")),
        pattern_marked=data.get("pattern_marked") is True,
        marks=tuple(str(mark) for mark in marks) if isinstance(marks, list) else (),
        control_checked=control if isinstance(control, bool) else None,
    )


class NewerFormatError(CaseError):
    """A later version of the program wrote this case: it is neither read nor overwritten."""

    def __init__(self, what: str, version: int, known: int) -> None:
        super().__init__(
            f"{what} was made by a newer her2viewer (format {version}; this one reads up to {known}). "
            "Nothing was changed. Update her2viewer to open it."
        )


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By version: what turns the JSON object of that version into one of the next."""


def migrated(data: Any) -> dict[str, Any]:
    """The object in the form of this version.

    Raises:
        NewerFormatError, ValueError: as ``case_from_json``.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("it is no case of her2viewer")
    version = data.get("version")
    if not isinstance(version, int) or version < 1:
        raise ValueError("its format version is missing")
    if version > VERSION:
        raise NewerFormatError("This case", version, VERSION)
    current: dict[str, Any] = data
    while version < VERSION:
        current = MIGRATIONS[version](current)
        version += 1
    return current


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise ValueError(f"its entry {key} is damaged")
    return value


def _pixel_size(value: Any) -> PixelSize:
    try:
        return PixelSize(
            float(value["x_um"]),
            float(value["y_um"]),
            PixelSizeSource(value["source"]),
            str(value.get("detail", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("its pixel size is damaged") from error
