"""Guidelines as data, and the engine that turns shares into a decision with its trace."""
