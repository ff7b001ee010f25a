"""Slides with known truth, made by the program itself."""
