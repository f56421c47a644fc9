"""Windows: rows of a device gathered over a stretch of event time and summed up in one row."""
