"""Which warnings of an earlier result still hold when more of the slide was scored."""

from __future__ import annotations

from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import Provenance, Result, ResultWarning
from her2viewer.scoring.contract import Finished
from her2viewer.scoring.job import JobDone, JobRequest, ResultBuilder
from her2viewer.scoring.registry import find_scorer

PIXEL = PixelSize(0.25, 0.25, PixelSizeSource.FILE)
PROVENANCE = Provenance("membrane", "0.1.0", "0.1.0", "0" * 64, "1" * 64, 0.25, "from file", "CPU", {})


def test_what_was_said_of_the_smaller_region_is_dropped_and_the_rest_is_kept() -> None:
    before, now = Region.rectangle(0, 0, 100, 100), Region.rectangle(0, 0, 300, 100)
    earlier = Result(
        provenance=PROVENANCE,
        scored=before,
        evidence=(),
        shares=None,
        warnings=(
            ResultWarning("few_cells", "Only 46 tumour cells were counted.", of_region=True),
            ResultWarning("unusual_glass", "The glass is unusually dark."),
            ResultWarning("unread", "2 of 9 areas could not be read."),
        ),
    )
    manifest = find_scorer("membrane")
    request = JobRequest(
        scorer="membrane",
        slide_path="slide.svs",
        slide_identity="0" * 64,
        pixel_size=PIXEL,
        region=now,
        control=Region.of(()),
        settings=manifest.complete({}),
        scored=before,
        estimates={},
    )
    finished = Finished(warnings=(ResultWarning("unread", "1 of 5 areas could not be read."),))
    result = ResultBuilder(request, manifest, earlier).result(JobDone(finished, PROVENANCE))
    assert [(w.code, w.text[:1]) for w in result.warnings] == [("unusual_glass", "T"), ("unread", "1")]
