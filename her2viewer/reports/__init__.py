"""Reports of a case: PDF, JSON and tables. Values in, files out; nothing here knows the window."""
