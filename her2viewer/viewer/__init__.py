"""Everything Qt: main window, canvas, tools, panels, threads, undo."""
