"""GeoJSON as QuPath reads and writes it.

Coordinates are full-resolution pixels whose origin is the cropped bounds of the slide (``openslide.bounds-*``),
which is the origin of every ``Slide`` of this program too, so nothing is shifted on the way in or out.
"""

from her2viewer.cases.geojson.cells import write_cells_geojson
from her2viewer.cases.geojson.features import GeoJsonContent, from_features, to_features
from her2viewer.cases.geojson.files import GeoJsonError, load_geojson, read_geojson, write_geojson

__all__ = [
    "GeoJsonContent",
    "GeoJsonError",
    "from_features",
    "load_geojson",
    "read_geojson",
    "to_features",
    "write_cells_geojson",
    "write_geojson",
]
