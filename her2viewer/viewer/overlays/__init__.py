"""Layers that draw annotations and evidence over the tissue."""
