"""Files of readings and of results: CSV, NDJSON and Parquet, for runs that need no broker."""
