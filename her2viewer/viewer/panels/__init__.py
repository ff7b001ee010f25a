"""Panels beside the slide."""
