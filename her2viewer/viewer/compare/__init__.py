"""Further views beside the main one: the same slide without overlays or with another scorer, or another slide."""
