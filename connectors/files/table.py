"""Opens a file of readings by its name: CSV, NDJSON or Parquet."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from connectors.codec.base import Reading
from connectors.files.base import FileError, Table
from connectors.files.csv import Csv
from connectors.files.ndjson import Ndjson
from connectors.files.parquet import Parquet
from operators.batch import Schema

_OPEN: Mapping[str, Callable[[Path, Reading, Schema], Table]] = {
    ".csv": Csv,
    ".csv.gz": Csv,
    ".ndjson": Ndjson,
    ".ndjson.gz": Ndjson,
    ".jsonl": Ndjson,
    ".jsonl.gz": Ndjson,
    ".parquet": Parquet,
}
_FIXES = {
    ".json": "; name it .ndjson if it has a JSON object a line, else make such lines with `jq -c '.[]'`",
    ".xlsx": "; save the sheet as CSV",
    ".xls": "; save the sheet as CSV",
    ".tsv": "; name it .csv: the separator is found by itself",
    ".txt": "; name it .csv if it is one: the separator is found by itself",
    ".zip": "; unpack it, or pack it with gzip",
}


def open_table(file: Path, reading: Reading, schema: Schema) -> Table:
    """Open a file of readings.

    Args:
        file: named .csv, .ndjson or .jsonl, each also with .gz behind it, or .parquet.
        reading: what the pipeline reads of a record.
        schema: of the rows that come of it, which has the names of the device and the time.

    Raises:
        FileError: if it isn't such a file, or hasn't the columns that are read.
    """
    suffix = next((known for known in _OPEN if file.name.lower().endswith(known)), None)
    if suffix is None:
        given = f"`{file.suffix}`" if file.suffix else "none"
        close = difflib.get_close_matches(file.suffix.lower(), _OPEN, 1)
        fix = _FIXES.get(file.suffix.lower(), f"; did you mean {close[0]}?" if close else "")
        message = f"{file}: expected a file named .csv, .ndjson or .jsonl (also with .gz behind it), or .parquet, given {given}{fix}"
        raise FileError(message)
    if not file.exists():
        names = [path.name for path in file.parent.iterdir()] if file.parent.is_dir() else []
        close = difflib.get_close_matches(file.name, names, 1)
        message = f"{file}: no such file{f'; did you mean {file.parent / close[0]}?' if close else ''}"
        raise FileError(message)
    if reading.each and _OPEN[suffix] is not Ndjson:
        given = f"{suffix}, while the source has `each: {'.'.join(reading.each)}`"
        message = f"{file}: expected .ndjson or .jsonl, whose lines hold lists of readings, given {given}"
        raise FileError(message)
    try:
        if file.is_dir():
            message = f"{file}: expected a file, given a folder"
            raise FileError(message)
        if file.stat().st_size == 0:
            message = f"{file}: is empty"
            raise FileError(message)
        return _OPEN[suffix](file, reading, schema)
    except OSError as error:
        message = f"{file}: {error.strerror}"
        raise FileError(message) from None
