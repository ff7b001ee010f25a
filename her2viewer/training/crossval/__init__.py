"""A network against classical classifiers on hand-made features, cross-validated by field."""
