"""The contract of a scorer, its registry, the job that runs it, and the aggregation of its evidence."""
