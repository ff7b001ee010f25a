"""A case on disk: annotations, results, journal; and GeoJSON as QuPath reads and writes it."""
