"""Tools of the canvas, one handler a file."""
