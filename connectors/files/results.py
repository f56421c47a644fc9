"""Rows of a stream into a file: Parquet, CSV or NDJSON."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import numpy as np
import polars as pl

from operators.batch import MISSING_INT, Batch, Column, Schema, Text, Type
from operators.devices import DeviceTable

_TYPES: dict[Type, pl.DataType] = {
    Type.FLOAT: pl.Float64(),
    Type.INT: pl.Int64(),
    Type.BOOL: pl.Boolean(),
    Type.TEXT: pl.String(),
    Type.TIME: pl.Datetime("us", "UTC"),
}
_ROW_GROUP = 100_000


class FileFormat(str, Enum):
    """How results are written."""

    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


class Results:
    """The rows of a stream, gathered until they are written.

    >>> schema = Schema({"t": Type.FLOAT}, ("device",), "ts")
    >>> Results(schema).frame().columns
    ['device', 'ts', 't']
    """

    def __init__(self, schema: Schema) -> None:
        """Begin without rows."""
        self._schema = schema
        times = {} if schema.time is None else {schema.time: Type.TIME}
        self._types = {**dict.fromkeys(schema.device, Type.TEXT), **times, **schema.columns}
        self._frames = [pl.DataFrame(schema={name: _TYPES[type_] for name, type_ in self._types.items()})]

    def add(self, batch: Batch, devices: DeviceTable) -> None:
        """Take in rows; all of them are live."""
        slots, codes = np.unique(batch.device, return_inverse=True)
        columns: dict[str, Column] = {}
        for part, name in enumerate(self._schema.device):
            texts = devices.texts(part)
            columns[name] = Text(codes.astype(np.int32), [texts[slot] for slot in slots.tolist()])
        if self._schema.time is not None:
            columns[self._schema.time] = batch.ts
        columns |= {name: batch.columns[name] for name in self._schema.columns}
        self._frames.append(pl.DataFrame({name: _series(columns[name], type_) for name, type_ in self._types.items()}))

    def frame(self) -> pl.DataFrame:
        """Give all rows, in order: the device, the time, the columns; a missing value is null, times are UTC."""
        self._frames = [pl.concat(self._frames, rechunk=True)]
        return self._frames[0]


def _series(column: Column, type_: Type) -> pl.Series:
    if isinstance(column, Text):
        used = column if len(column.values) <= len(column) else column.compact()
        codes = pl.Series(used.codes)
        return pl.Series(used.values, dtype=pl.String).gather(codes.set(codes < 0, None))
    series = pl.Series(column)
    if type_ is Type.FLOAT:
        return series.fill_nan(None)
    gone = series < 0 if type_ is Type.BOOL else series == MISSING_INT
    typed: pl.Series = series.set(gone, None).cast(_TYPES[type_])
    return typed


def write(frame: pl.DataFrame, file: Path, format_: FileFormat) -> None:
    """Write rows. The same rows give the same bytes.

    Times are timestamps in Parquet; in CSV and NDJSON they are text as in ISO 8601, as the JSON codec writes them.

    Raises:
        OSError: if the file can't be written.
    """
    try:
        if format_ is FileFormat.PARQUET:
            frame.write_parquet(file, compression="zstd", row_group_size=_ROW_GROUP)
            return
        times = [name for name, type_ in frame.schema.items() if isinstance(type_, pl.Datetime)]
        text = frame.with_columns(_iso(name) for name in times)
        if format_ is FileFormat.CSV:
            text.write_csv(file)
        else:
            text.write_ndjson(file)
    except (OSError, pl.exceptions.ComputeError) as error:  # polars wraps what a Parquet file meets
        message = f"{file}: can't be written: {error}"
        raise OSError(message) from None


def _iso(name: str) -> pl.Expr:
    time = pl.col(name)
    whole = time.dt.microsecond() == 0
    texts = time.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), time.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return pl.when(whole).then(texts[0]).otherwise(texts[1]).alias(name)
