"""Stains of a slide: glass, stain vectors, optical density, deconvolution, tissue, what was stained, focus.

Everything works on plain arrays except ``estimate``, which picks samples from a slide.
"""
