"""Codecs: bytes of records to columns, and columns to bytes. One format a file, named as in YAML."""
