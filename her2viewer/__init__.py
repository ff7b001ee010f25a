"""her2viewer: a desktop viewer in which a pathologist reads one HER2 slide. Research use only."""

__version__ = "0.1.0"

RESEARCH_USE = "For research use only. Not for diagnosis or treatment decisions."
