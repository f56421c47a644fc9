"""A table in a file, read once: CSV with a header, JSON (an array of objects, or one object a line), or Parquet.

All that stands in a CSV file is text, and is read as the type that is wanted. A value that is empty there, or null, is a
missing value. Rows are counted from 1, without the header.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from operators.batch import MISSING_BOOL, MISSING_INT, Column, Text, Type

FORMATS = (".csv", ".json", ".ndjson", ".jsonl", ".parquet")
"""How the names of files end that can be read."""
_EXACT = 2.0**53
_NEEDLESS_ZERO = r"^[+-]?0[0-9]"


class MisfitError(ValueError):
    """Something in a table that isn't as it was expected to be.

    Attributes:
        expected: what would be right.
        given: what stands there, and in which row.
    """

    def __init__(self, expected: str, given: str) -> None:
        """Keep both."""
        super().__init__(f"expected {expected}, given {given}")
        self.expected = expected
        self.given = given


@dataclass(frozen=True)
class Table:
    """A table as it stands in a file.

    Attributes:
        sha256: of the file's bytes; tables are equal where it is.
        written: whether all of it is text, as in CSV.
        frame: its rows.
    """

    sha256: bytes
    written: bool
    frame: pl.DataFrame = field(compare=False)

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a file.

        Raises:
            OSError: if it can't be read.
            MisfitError: if it holds no table, or one without rows.
        """
        data = path.read_bytes()
        suffix = path.suffix.lower()
        try:
            frame = _parse(data, suffix)
        except Exception as error:  # noqa: BLE001  # polars raises many kinds for a bad file
            expected = f"a table in {suffix[1:].upper()}"
            raise MisfitError(expected, str(error).strip().split("\n", 1)[0][:200]) from None
        if frame.is_empty():
            expected = "a table with at least one row"
            raise MisfitError(expected, path.name)
        return cls(hashlib.sha256(data).digest(), suffix == ".csv", frame)

    def names(self) -> list[str]:
        """Name the columns."""
        return self.frame.columns

    def type_of(self, name: str) -> Type:
        """Find the type of a column by what stands in it.

        In CSV it is int, float or bool if every value is one, else text; a number that begins with a needless 0 is text.

        Raises:
            MisfitError: if it is of none.
        """
        series = self.frame[name]
        if self.written:
            if series.null_count() == len(series) or series.str.contains(_NEEDLESS_ZERO).any():
                return Type.TEXT
            fits = (type_ for type_ in (Type.INT, Type.FLOAT, Type.BOOL) if _misfit(series, _cast(series, type_)) < 0)
            return next(fits, Type.TEXT)
        for type_, fit in _FITTING.items():
            if fit(series.dtype):
                return type_
        expected = "a column of texts, numbers, bools or times"
        raise MisfitError(expected, f"`{name}`, which is {series.dtype}")

    def column(self, name: str, type_: Type) -> Column:
        """Read a column as a type.

        Raises:
            MisfitError: if a value doesn't fit; tells the first.
        """
        series = self.frame[name]
        read = _cast(series, type_)
        row = _misfit(series, read)
        if row >= 0:
            expected = f"{_NAMED[type_]} in every row of `{name}`"
            raise MisfitError(expected, f"row {row + 1}: `{series[row]}`")
        if type_ is Type.TEXT:
            return Text.of(read.to_list())
        return np.array(read.fill_null(_MISSING[type_]).to_numpy())


def _parse(data: bytes, suffix: str) -> pl.DataFrame:
    if suffix == ".csv":
        return pl.read_csv(io.BytesIO(data), infer_schema=False)
    if suffix == ".parquet":
        return pl.read_parquet(io.BytesIO(data))
    data = data.removeprefix(b"\xef\xbb\xbf")
    read = pl.read_json if data.lstrip().startswith(b"[") else pl.read_ndjson
    return read(io.BytesIO(data), infer_schema_length=None)


def _is_float(dtype: pl.DataType) -> bool:
    return dtype.is_float() or dtype.is_decimal()


_FITTING: Mapping[Type, Callable[[pl.DataType], bool]] = {
    Type.INT: lambda dtype: dtype.is_integer(),
    Type.FLOAT: _is_float,
    Type.BOOL: lambda dtype: dtype == pl.Boolean,
    Type.TIME: lambda dtype: isinstance(dtype, pl.Date | pl.Datetime),
    Type.TEXT: lambda dtype: isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null),
}
_NAMED = {
    Type.TEXT: "text",
    Type.FLOAT: "a number",
    Type.INT: "a whole number of at most 64 bits",
    Type.BOOL: "true or false",
    Type.TIME: "a time in ISO 8601 with an offset",
}
_MISSING = {Type.FLOAT: np.nan, Type.INT: MISSING_INT, Type.TIME: MISSING_INT, Type.BOOL: int(MISSING_BOOL)}


def _cast(series: pl.Series, type_: Type) -> pl.Series:
    """Read a column as a type; null where that can't be."""
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    cast, dtype = _CASTS[type_]
    found = cast(series)
    if found is None:
        found = pl.Series([None]).new_from_index(0, len(series))
    typed: pl.Series = found.cast(dtype)
    return typed


def _text(series: pl.Series) -> pl.Series | None:
    """Take text as it is; a whole number is written out, as a device's id is."""
    return series.cast(pl.String) if series.dtype == pl.String or series.dtype.is_integer() else None


def _float(series: pl.Series) -> pl.Series | None:
    fits = series.dtype == pl.String or series.dtype.is_numeric()
    return series.cast(pl.Float64, strict=False) if fits else None


def _int(series: pl.Series) -> pl.Series | None:
    if _is_float(series.dtype):  # a whole number of 2**53 or more may be another one than was written
        numbers = series.cast(pl.Float64)
        whole = (numbers == numbers.floor()) & (numbers.abs() < _EXACT)
        found: pl.Series = pl.select(pl.when(whole).then(numbers)).to_series().cast(pl.Int64)
        return found
    if series.dtype != pl.String and not series.dtype.is_integer():
        return None
    found = series.cast(pl.Int64, strict=False)
    return pl.select(pl.when(found != MISSING_INT).then(found)).to_series()


def _bool(series: pl.Series) -> pl.Series | None:
    if series.dtype == pl.Boolean:
        return series
    numbers = {"true": 1, "false": 0}
    is_text = series.dtype == pl.String
    return series.str.to_lowercase().replace_strict(numbers, default=None, return_dtype=pl.Int8) if is_text else None


def _time(series: pl.Series) -> pl.Series | None:
    if series.dtype == pl.String:
        series = series.str.to_datetime("%+", time_unit="us", strict=False)
    if not isinstance(series.dtype, pl.Date | pl.Datetime):
        return None
    us: pl.Series = series.dt.epoch("us")
    return us


_CASTS: Mapping[Type, tuple[Callable[[pl.Series], pl.Series | None], pl.DataType]] = {
    Type.TEXT: (_text, pl.String()),
    Type.FLOAT: (_float, pl.Float64()),
    Type.INT: (_int, pl.Int64()),
    Type.BOOL: (_bool, pl.Int8()),
    Type.TIME: (_time, pl.Int64()),
}


def _misfit(series: pl.Series, read: pl.Series) -> int:
    """Give the first row whose value couldn't be read; -1 where all could."""
    bad = (read.is_null() & series.is_not_null()).arg_true()
    return int(bad[0]) if len(bad) else -1
