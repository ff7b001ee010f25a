"""What the exit code of a command says."""

OK = 0
PROBLEM = 1
"""``doctor`` found something that does not work, or the window cannot be opened."""
USAGE = 2
"""A wrong option, a missing region or pixel size, a GeoJSON that cannot be read."""
SLIDE_UNREADABLE = 3
NOT_ASSESSABLE = 4
"""The scorer ran and says that this cannot be scored; the report says why."""
SCORER_FAILED = 5
CANNOT_WRITE = 6
CANCELLED = 130
