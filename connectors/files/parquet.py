"""Parquet, read by polars. Fields may be nested in structs; times may be timestamps, which are UTC without a time zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from connectors.codec.base import Decoded, Reading, Records
from connectors.files.base import FileError, find, in_file, wanted
from connectors.files.columns import Columns
from operators.batch import Schema

_CHUNK = 500_000
"""Rows that are held at once."""


class Parquet:
    """A Parquet file of readings."""

    def __init__(self, file: Path, reading: Reading, schema: Schema) -> None:
        """Find the columns that the pipeline reads, and look at their types.

        Raises:
            FileError: if they aren't there or of another type, or there is no row.
        """
        self._file = file
        self.notes: Sequence[str] = ()
        self._read = 0
        own = in_file(reading, schema)
        self._columns = Columns(own, typed=True)
        try:
            scan = pl.scan_parquet(file, glob=False)
            there = dict(_leaves(scan.collect_schema(), (), None))
            self._rows: int = scan.select(pl.len()).collect().item()
        except (pl.exceptions.PolarsError, OSError) as error:
            message = f"{file}: can't be read as Parquet: {_line(error)}"
            raise FileError(message) from None
        names = find(file, there, wanted(own, schema))
        self._columns.refuse_types(file, names, [there[name][1] for name in names])
        if not self._rows:
            message = f"{file}: has columns but no rows"
            raise FileError(message)
        self._scan = scan.select(there[name][0].alias(str(index)) for index, name in enumerate(names))

    def progress(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        return self._read / self._rows

    def batches(self, size: int) -> Iterator[tuple[Records, Decoded]]:
        """Read the rows."""
        for start in range(0, self._rows, _CHUNK):
            try:
                chunk = self._scan.slice(start, _CHUNK).collect()
            except (pl.exceptions.PolarsError, OSError) as error:
                message = f"{self._file}: can't be read to its end: {_line(error)}"
                raise FileError(message) from None
            for frame in chunk.iter_slices(size):
                records = Records.numbered(self._file.name, self._read, len(frame))
                self._read += len(frame)
                yield records, self._columns.decode(frame, records, {})


def _leaves(
    columns: pl.Schema | dict[str, pl.DataType], path: tuple[str, ...], outer: pl.Expr | None
) -> Iterator[tuple[str, tuple[pl.Expr, pl.DataType]]]:
    """Give the columns by their names, and the fields of structs by their paths; these come last and so count."""
    for name, type_ in columns.items():
        expression = pl.col(name) if outer is None else outer.struct.field(name)
        yield ".".join((*path, name)), (expression, type_)
    for name, type_ in columns.items():
        if isinstance(type_, pl.Struct):
            expression = pl.col(name) if outer is None else outer.struct.field(name)
            inner = {field.name: _made(field.dtype) for field in type_.fields}
            yield from _leaves(inner, (*path, name), expression)


def _made(type_: Any) -> pl.DataType:  # an instance or a class
    made: pl.DataType = type_() if isinstance(type_, type) else type_
    return made


def _line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
