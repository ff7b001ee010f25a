"""Blocks handed over as they come; those that came before the artefacts were known come again where they hold any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from her2viewer.api import ArtefactMap, Evidence, Partial, Region, wait
from her2viewer_surface.blocks import Answer, Tally, evidence_of
from her2viewer_surface.plan import Plan


@dataclass
class Delivery:
    """The parts of one run. Artefacts take seconds to find on a large region; nobody waits for them."""

    plan: Plan
    region: Region
    artefacts: Future[ArtefactMap | None]
    """Being looked for; None for a reader who does not want them left out."""
    tally: Tally
    _early: list[Answer] = field(default_factory=list)

    def parts(self, answer: Answer) -> Iterator[Partial]:
        """A block's evidence, and what must be put right of the blocks before it.

        Raises:
            SlideError: the slide is gone.
        """
        if self.artefacts.done():
            yield from self._put_right(self.artefacts.result())
            yield from self._final(answer, self.artefacts.result())
            return
        self._early.append(answer)
        yield from self._part(answer, evidence_of(answer, self.plan, None))

    def rest(self, check: Callable[[], None]) -> Iterator[Partial]:
        """What must be put right after the last block.

        Raises:
            Cancelled: from ``check``.
            SlideError: the slide is gone.
        """
        yield from self._put_right(wait(self.artefacts, check))

    def _put_right(self, artefacts: ArtefactMap | None) -> Iterator[Partial]:
        early, self._early = self._early, []
        for answer in early:
            before = len(evidence_of(answer, self.plan, None))
            for part in self._final(answer, artefacts):
                if len(part.evidence) > before:
                    yield part

    def _final(self, answer: Answer, artefacts: ArtefactMap | None) -> Iterator[Partial]:
        evidence = evidence_of(answer, self.plan, artefacts)
        self.tally.add(answer, evidence)
        yield from self._part(answer, evidence)

    def _part(self, answer: Answer, evidence: tuple[Evidence, ...]) -> Iterator[Partial]:
        if evidence:
            yield Partial(evidence, self.region.intersection(self.plan.square(answer.block)))
