"""From shares to a decision with its whole trace. The rules are data; see ``profiles``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.result import NotAssessable, Result, ResultWarning, Status
from her2viewer.domain.shares import CountedUnit, Shares
from her2viewer.guidelines import compare
from her2viewer.guidelines.decision import Decision, RowTest
from her2viewer.guidelines.margins import fired_row, near_margin, nearest_other, row_holds
from her2viewer.guidelines.profiles import Profile, Row

PATTERN_MARK = "pattern"

_CONTROL_UNCHECKED = "The control tissue has not been checked."
_CONTROL_FAILED = "The control tissue does not stain as it should: no answer is valid until the stain is repeated."
_REPEAT = "Repeat the stain with a valid control."


def decide(
    profile: Profile,
    shares: Shares | None,
    *,
    pattern_marked: bool = False,
    marks: Collection[str] = (),
    not_assessable: NotAssessable | None = None,
    control_checked: bool | None = None,
    own_score: int | None = None,
    own_status: Status | None = None,
    warnings: Iterable[ResultWarning] = (),
    by_program: bool = True,
) -> Decision:
    """What a guideline says of these shares, and why.

    Args:
        profile: the guideline.
        shares: amounts per class, or None where the scorer counts nothing.
        pattern_marked: the pathologist marked an unusual staining pattern.
        marks: other marks that a profile's rows ask for (clusters in a biopsy).
        not_assessable: the scorer's reason for giving no answer.
        control_checked: True accepted, False refused, None not looked at.
        own_score: score 0 to 3 of a scorer without shares.
        own_status: status of a scorer without shares and score.
        warnings: the result's warnings; named under what is missing.
        by_program: the shares were counted by a program, so the noise floors apply.
    """
    marked = {*marks, PATTERN_MARK} if pattern_marked else set(marks)
    missing = [_CONTROL_UNCHECKED] if control_checked is None else []
    if control_checked is False:
        missing.append(_CONTROL_FAILED)
    missing += [w.text for w in warnings]
    if not_assessable is not None:
        decision = _undetermined(profile, shares, not_assessable.reason, not_assessable.advice)
    elif profile.not_evaluable and fired_row(profile, (0.0,) * 4, marked, by_program=by_program) is None:
        decision = _not_evaluable(profile, shares, profile.not_evaluable, own_score, own_status)
    elif profile.not_evaluable:
        # Only rows that a person marks: no number is compared.
        decision = _evaluated(profile, Shares((0.0,) * 4, profile.counts), marked, by_program=by_program)
        decision = replace(decision, shares=shares, counted=_counted(profile, shares))
    elif shares is None:
        reason = "The scorer counts neither cells nor surface, so no row of the guideline can be evaluated."
        if own_score is None and own_status is None:
            reason = "Nothing has been scored yet."
        decision = _not_evaluable(profile, None, reason, own_score, own_status)
    elif shares.total <= 0:
        decision = _undetermined(
            profile,
            shares,
            "No tumour was counted in the region.",
            "Outline invasive carcinoma, or choose another block.",
        )
    else:
        decision = _evaluated(profile, shares, marked, by_program=by_program)
        missing = _shortage(profile, shares) + missing
    steps = list(decision.next_steps)
    if control_checked is False:
        steps.insert(0, _REPEAT)
        if decision.score or decision.status:
            flags = (*decision.flags, "control refused")
            headline = _headline(decision.score, decision.status, flags)
            decision = replace(decision, flags=flags, headline=headline)
    return replace(
        decision,
        next_steps=tuple(dict.fromkeys(steps)),
        missing=tuple(dict.fromkeys(missing)),
        comments=tuple(dict.fromkeys((*decision.comments, *profile.comments))),
    )


def decide_result(
    profile: Profile,
    result: Result,
    *,
    pattern_marked: bool = False,
    marks: Collection[str] = (),
    control_checked: bool | None = None,
) -> Decision:
    """``decide`` for a scorer's result with all that it carries."""
    return decide(
        profile,
        result.shares,
        pattern_marked=pattern_marked,
        marks=marks,
        not_assessable=result.not_assessable,
        control_checked=control_checked,
        own_score=result.score,
        own_status=result.status,
        warnings=result.warnings,
    )


def decide_all(
    profiles: Mapping[str, Profile],
    result: Result,
    *,
    without: str = "",
    pattern_marked: bool = False,
    marks: Collection[str] = (),
    control_checked: bool | None = None,
) -> tuple[Decision, ...]:
    """The answer under every profile but ``without``, in the profiles' order."""
    return tuple(
        decide_result(p, result, pattern_marked=pattern_marked, marks=marks, control_checked=control_checked)
        for p in profiles.values()
        if p.id != without
    )


def _evaluated(profile: Profile, shares: Shares, marked: Collection[str], *, by_program: bool) -> Decision:
    amounts = shares.amounts
    trace: list[RowTest] = []
    fired: Row | None = None
    for row in profile.rows:
        test = _test(profile, row, shares, marked, by_program=by_program)
        trace.append(test)
        if test.fired:
            fired = row
            break
    if fired is None:
        # Cannot happen with a checked profile: its last row fires always.
        raise ValueError(f"No row of {profile.id} fits.")
    nearest, near = nearest_other(profile, amounts, marked, by_program=by_program)
    near = near or _interval_changes(profile, shares, marked, by_program=by_program)
    flags = list(fired.flags)
    comments = list(fired.comments)
    for rule in profile.flags:
        if fired.id in rule.rows and compare.holds(amounts, rule.classes, rule.operator, rule.limit):
            flags.append(rule.id)
            comments.append(rule.comment)
    if fired.review:
        flags.append("review")
    steps = list(fired.next_steps)
    if near:
        steps += profile.near_steps
    if fired.review:
        steps = [*profile.review_steps, *steps]
    comments += _below_noise(profile, shares, by_program=by_program)
    return replace(
        _blank(profile, shares),
        outcome="score",
        score=fired.score,
        status=fired.status,
        headline=_headline(fired.score, fired.status, flags),
        fired=fired.id,
        trace=tuple(trace),
        margin=None if nearest is None else nearest.margin,
        nearest="" if nearest is None else _answer_text(nearest.row),
        near=near,
        review=fired.review,
        flags=tuple(flags),
        next_steps=tuple(steps),
        comments=tuple(comments),
    )


def _test(profile: Profile, row: Row, shares: Shares, marked: Collection[str], *, by_program: bool) -> RowTest:
    fired = row_holds(row, shares.amounts, marked, by_program=by_program)
    if row.limit is None:
        return RowTest(row.id, row.question, row.quantity, row.operator, None, None, fired, None, False, row.confirm)
    operator, limit = row.effective(by_program=by_program)
    margin = compare.margin(shares.amounts, row.classes, limit)
    note = row.confirm
    if limit != row.limit:
        floor = f"Shares below {limit:g} % are taken for noise of the program (limit ours)."
        note = f"{floor} {note}".strip()
    allowed = near_margin(profile, row)
    if limit == 0 and margin <= 0:
        # Not seen at all: not "0 points" from the limit.
        allowed = 0.0
    return RowTest(
        row=row.id,
        question=row.question,
        quantity=row.quantity,
        operator=operator,
        value=compare.percent(shares.amounts, row.classes),
        limit=limit,
        fired=fired,
        margin=margin,
        near=allowed > 0 and (abs(margin) <= allowed or _interval_crosses(row, shares, margin)),
        confirm=note,
    )


def _interval_crosses(row: Row, shares: Shares, margin: float) -> bool:
    """Whether the interval of the summed share reaches the limit; those of several classes are added."""
    if shares.interval is not None:
        # On the side on which the limit lies: intervals by drawing anew are not symmetric.
        ends = shares.interval.low if margin > 0 else shares.interval.high
        reach = sum(abs(ends[c] - shares.fractions[c]) for c in row.classes)
    elif shares.half_width is not None:
        reach = sum(shares.half_width[c] for c in row.classes)
    else:
        return False
    return 100.0 * reach >= abs(margin)


def _interval_changes(profile: Profile, shares: Shares, marked: Collection[str], *, by_program: bool) -> bool:
    """Whether limits inside an interval, taken from their other side, give another answer.

    Each is taken alone, and those of all rows on which the answer stands together: 2+ for 12 % of 2+ that may be 8 %
    is close to 1+ although 1.2 % of 3+, which may be none, would make it 2+ as well.
    """
    if shares.interval is None and shares.half_width is None:
        return False
    holding = [r for r in profile.rows if row_holds(r, shares.amounts, marked, by_program=by_program)]

    def other(flipped: Sequence[Row]) -> bool:
        fired = next((r for r in profile.rows if (r in holding) != (r in flipped)), None)
        return fired is not None and bool(holding) and fired.answer != holding[0].answer

    crossed = []
    for row in profile.rows:
        if row.limit is None or near_margin(profile, row) <= 0:
            continue
        limit = row.effective(by_program=by_program)[1]
        margin = compare.margin(shares.amounts, row.classes, limit)
        if not (limit == 0 and margin <= 0) and _interval_crosses(row, shares, margin):
            crossed.append(row)
    standing = [r for r in crossed if r in holding and r.answer == holding[0].answer]
    return any(other([row]) for row in crossed) or other(standing)


def _below_noise(profile: Profile, shares: Shares, *, by_program: bool) -> list[str]:
    out = []
    for row in profile.rows:
        value = compare.percent(shares.amounts, row.classes)
        if by_program and row.noise_floor is not None and 0 < value < row.noise_floor:
            out.append(
                f"{row.quantity} in {value:.2g} %: below the noise floor of {row.noise_floor:g} %, not counted as "
                f"present. Look at these places; you decide whether the stain is real."
            )
    return out


def _undetermined(profile: Profile, shares: Shares | None, reason: str, advice: str) -> Decision:
    return replace(
        _blank(profile, shares),
        outcome="cannot_be_determined",
        headline="cannot be determined",
        reason=reason,
        next_steps=(advice,) if advice else (),
    )


def _not_evaluable(
    profile: Profile, shares: Shares | None, reason: str, own_score: int | None, own_status: Status | None
) -> Decision:
    score = "" if own_score is None else HER2_LABELS[own_score]
    status = "" if own_score is None else profile.own_status.get(own_score, "")
    if own_status is not None:
        status = own_status.value
    if not (score or status):
        return replace(_blank(profile, shares), headline="not evaluable", reason=reason)
    flags = ("scorer's own answer",)
    row = next((r for r in profile.rows if score and r.score == score), None)
    return replace(
        _blank(profile, shares),
        score=score,
        status=status,
        headline=_headline(score, status, flags),
        flags=flags,
        reason=reason,
        next_steps=(
            "Only the scorer's own answer stands: compare it with your reading of the slide.",
            *(row.next_steps if row else ()),
        ),
    )


def _blank(profile: Profile, shares: Shares | None) -> Decision:
    """A decision that says nothing yet."""
    return Decision(
        profile=profile.id,
        profile_title=profile.title,
        profile_reference=profile.reference,
        outcome="not_evaluable",
        score="",
        status="",
        headline="",
        fired="",
        trace=(),
        margin=None,
        near=False,
        review=False,
        flags=(),
        counted=_counted(profile, shares),
        next_steps=(),
        comments=(),
        missing=(),
        shares=shares,
        limits=profile.limits,
    )


def _headline(score: str, status: str, flags: Sequence[str]) -> str:
    text = " ".join(t for t in (score, status) if t)
    return f"{text} ({', '.join(flags)})" if flags else text


def _answer_text(row: Row) -> str:
    return _headline(row.score, row.status, (*row.flags, "review") if row.review else row.flags)


def _counted(profile: Profile, shares: Shares | None) -> str:
    if shares is None:
        return "nothing"
    if shares.unit is CountedUnit.CELLS:
        text = f"{shares.total:,.0f} {shares.unit.value}"
        return text if profile.counts is CountedUnit.CELLS else f"{text} (asks for surface)"
    text = f"{shares.total:,.{2 if shares.total < 10 else 1}f} mm² of {shares.unit.value}"
    return text if profile.counts is CountedUnit.SURFACE else f"{text} (a proxy of cells)"


def _shortage(profile: Profile, shares: Shares) -> list[str]:
    least = profile.minimum.get(shares.unit)
    if least is None or shares.total >= least:
        return []
    cells = shares.unit is CountedUnit.CELLS
    found = f"{shares.total:,.0f} tumour cells" if cells else f"{shares.total:.3f} mm² of tumour"
    return [f"Too little tumour: {found}, where at least {least:g} are wanted (limit ours)."]
