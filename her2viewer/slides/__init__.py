"""A slide file as a pyramid of tiles."""
