"""Data sets, training, evaluation and calibration.

``dataset``, ``splits`` and ``manifest_checks`` import nothing heavy; what needs torch says so in its docstring.
"""
