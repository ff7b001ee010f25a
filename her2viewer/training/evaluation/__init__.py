"""How well a scorer does: truth of a set, scoring kept slide by slide, comparison by cell, patch, field and slide."""
