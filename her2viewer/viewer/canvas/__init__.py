"""The tiled pyramid canvas: viewport, tile requests, workers, painting."""
