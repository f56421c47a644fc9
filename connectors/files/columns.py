"""From the columns of a file to the columns of a batch, checked as the JSON codec checks the fields of a record.

Whole columns are converted by polars. The cells that don't fit are found by what the conversion leaves out, and only
they are put before the codec, whose reasons they get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from connectors.codec.base import Dead, Decoded, FieldPath, Reading, Records, Unit
from connectors.codec.documents import YEAR_1, YEAR_10000, Documents
from connectors.files.base import FileError
from operators.batch import MISSING_BOOL, MISSING_INT, Column, Text, Type
from operators.binary import Binary
from operators.devices import join_id

_PER_UNIT = {Unit.S: 1_000_000, Unit.MS: 1_000, Unit.US: 1}
_PER_TICK = {"ms": 1_000, "us": 1}
_EXACT = 2.0**53
_LONGEST_ID = 1_000
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_KINDS = {
    Type.FLOAT: "numbers",
    Type.INT: "whole numbers",
    Type.BOOL: "bools",
    Type.TEXT: "text",
}


class Columns:
    """Turns the columns of a file into those of a batch.

    Args:
        reading: what is read of a row; the device and the time are columns too.
        typed: whether the file's columns have types of their own, as in Parquet. In CSV all is text, and an empty cell
            is a missing value.
    """

    def __init__(self, reading: Reading, *, typed: bool) -> None:
        """Note what is read."""
        self._reading = reading
        self._typed = typed

    def refuse_types(self, file: Path, names: Sequence[str], types: Sequence[pl.DataType]) -> None:
        """Refuse columns whose type can't be what the pipeline reads.

        Raises:
            FileError: that tells all of them.
        """
        reading = self._reading
        devices = len(reading.device)
        wrong = []
        for index, (name, type_) in enumerate(zip(names, types, strict=True)):
            if type_ == pl.Null:
                continue
            if index < devices:
                fits, expected = type_.is_integer() or _is_text(type_), "text or whole numbers that name the device"
            elif index == devices:
                fits = type_.is_integer() or type_.is_float() or _is_time(type_) or _is_text(type_)
                expected = f"times: timestamps, numbers of {reading.unit.value}, or ISO 8601"
                if reading.unit is Unit.ISO:
                    fits, expected = fits and not type_.is_numeric(), "times: timestamps, or text as in ISO 8601"
            else:
                field = reading.fields[index - devices - 1]
                fits, expected = _fits(field.type, type_), f"{_KINDS[field.type]} for the field `{field.name}`"
            if not fits:
                wrong.append(f"    column `{name}`: expected {expected}, given {type_}")
        if wrong:
            raise FileError("\n".join([f"{file}: columns of a type that the pipeline can't read", *wrong]))

    def decode(self, frame: pl.DataFrame, records: Records, bad: dict[int, str]) -> Decoded:
        """Convert rows.

        Args:
            frame: the parts of the device, the time, and the fields, in this order.
            records: numbers the rows.
            bad: the rows that are dead already, each with the reason; more are added.
        """
        reading = self._reading
        series = frame.get_columns()
        parts = len(reading.device)
        device = self._device(series[:parts], bad)
        ts = self._time(series[parts], bad)
        columns = {
            field.name: self._field(cells, field, bad)
            for field, cells in zip(reading.fields, series[parts + 1 :], strict=True)
        }
        if not bad:
            return Decoded(Binary.of(device), ts, records.offset, columns, ())
        good = np.ones(len(frame), np.bool_)
        good[list(bad)] = False
        kept = {name: cells.take(good) if isinstance(cells, Text) else cells[good] for name, cells in columns.items()}
        dead = [Dead(row, bad[row]) for row in sorted(bad)]
        return Decoded(Binary.of(compress(device, good.tolist())), ts[good], records.offset[good], kept, dead)

    def _device(self, parts: Sequence[pl.Series], bad: dict[int, str]) -> Sequence[bytes]:
        texts = []
        for path, part in zip(self._reading.device, parts, strict=True):
            text = part.cast(pl.String)
            refused = (text.fill_null("") == "") | (text.str.len_chars() > _LONGEST_ID).fill_null(value=False)
            judge = replace(self._reading, fields=(), device=(path,), time=())
            _refuse(part, refused, judge, path, bad)
            texts.append(text.fill_null(""))
        if len(texts) == 1:
            ids: list[bytes] = texts[0].cast(pl.Binary).to_list()
            return ids
        together = pl.DataFrame({str(index): text for index, text in enumerate(texts)}).unique(maintain_order=True)
        known = {row: join_id(row) for row in together.iter_rows()}
        return list(map(known.__getitem__, zip(*(text.to_list() for text in texts), strict=True)))

    def _time(self, cells: pl.Series, bad: dict[int, str]) -> NDArray[np.int64]:
        unit, path = self._reading.unit, self._reading.time
        times = _since_epoch(cells, unit, typed=self._typed)
        refused = ((times < YEAR_1) | (times >= YEAR_10000)).fill_null(value=True)
        judge = replace(self._reading, fields=(), device=())
        _refuse(cells, refused, judge, path, bad, _number if unit is not Unit.ISO and not self._typed else None)
        return _numpy(times.set(refused, 0), 0)

    def _field(self, cells: pl.Series, field: FieldPath, bad: dict[int, str]) -> Column:
        if cells.dtype == pl.String and not self._typed:
            cells = cells.str.strip_chars() if field.type is not Type.TEXT else cells
            cells = cells.set(cells == "", None)
        if field.type is Type.TEXT:
            return _text(cells.cast(pl.String))
        convert = {Type.FLOAT: _float, Type.INT: _int, Type.BOOL: _bool}[field.type]
        values, refused = convert(cells)
        judge = replace(self._reading, fields=(field,), device=(), time=())
        _refuse(cells, refused, judge, field.path, bad, _number if field.type is Type.INT and not self._typed else None)
        return _numpy(values, {Type.FLOAT: np.nan, Type.INT: MISSING_INT, Type.BOOL: MISSING_BOOL}[field.type])


def _fits(type_: Type, given: pl.DataType) -> bool:
    if type_ is Type.TEXT:
        return _is_text(given)
    return given == pl.Boolean if type_ is Type.BOOL else given.is_numeric()


def _is_time(type_: pl.DataType) -> bool:
    return type_ == pl.Date or isinstance(type_, pl.Datetime)


def _is_text(type_: pl.DataType) -> bool:
    return type_ == pl.String or type_ == pl.Categorical or type_ == pl.Enum  # noqa: PLR1714  # types are equal to classes of types, but not in a set


def _numpy(series: pl.Series, missing: Any) -> NDArray[Any]:
    """Give a column as an array of its own."""
    array: NDArray[Any] = series.fill_null(missing).to_numpy(writable=True)
    return array


def _text(cells: pl.Series) -> Text:
    codes = _numpy(cells.rank("dense").cast(pl.Int32), 0) - np.int32(1)
    values: list[str] = []
    if len(codes) and codes.max() >= 0:
        at = np.empty(int(codes.max()) + 2, np.int64)  # the last for what is missing
        at[codes] = np.arange(len(codes))
        values = cells.gather(at[:-1]).to_list()
    return Text(codes, values)


def _float(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    values = cells.cast(pl.Float64, strict=False)
    refused = values.is_null() & cells.is_not_null()
    if cells.dtype == pl.String and values.is_infinite().any():
        refused |= values.is_infinite().fill_null(value=False) & ~cells.str.contains("(?i)inf")  # too large for 64 bits
    return values, refused


def _int(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    if cells.dtype.is_float():
        cells = cells.fill_nan(None)
    values = pl.Series([None] * len(cells), dtype=pl.Int64)
    if cells.dtype.is_integer() or cells.dtype == pl.String:
        values = cells.cast(pl.Int64, strict=False)
    if values.null_count() > cells.null_count():
        numbers = cells.cast(pl.Float64, strict=False)
        whole = (numbers == numbers.round()) & (numbers.abs() < _EXACT)
        values = values.zip_with(
            values.is_not_null() | ~whole.fill_null(value=False), numbers.cast(pl.Int64, strict=False)
        )
    refused = cells.is_not_null() & ((values == MISSING_INT) | values.is_null()).fill_null(value=True)
    return values, refused


def _bool(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    if cells.dtype != pl.String:
        return cells.cast(pl.Int8), pl.repeat(False, len(cells), eager=True)  # noqa: FBT003  # the value to repeat
    lower = cells.str.to_lowercase()
    true, false = lower.is_in(_TRUE), lower.is_in(_FALSE)
    values = true.cast(pl.Int8).set(~(true | false), None)
    return values, values.is_null() & cells.is_not_null()


def _since_epoch(cells: pl.Series, unit: Unit, *, typed: bool) -> pl.Series:
    """Give times in us; null where there is none, or none that fits."""
    type_ = cells.dtype
    if type_ == pl.Date:
        cells = cells.cast(pl.Datetime("us"))
    if isinstance(cells.dtype, pl.Datetime):
        ticks, per = cells.to_physical(), cells.dtype.time_unit
        return ticks // 1_000 if per == "ns" else ticks * _PER_TICK[per]
    if not _is_text(type_):
        return _in_us(cells, unit)
    text = cells.cast(pl.String).str.strip_chars()
    times = pl.Series([None] * len(text), dtype=pl.Int64)
    if unit is not Unit.ISO and not typed:
        times = _in_us(text, unit)
    if times.null_count():
        parsed = text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False).to_physical()
        times = times.zip_with(times.is_not_null(), parsed)
    return times


def _in_us(cells: pl.Series, unit: Unit) -> pl.Series:
    """Turn numbers of a unit into us: whole ones exactly, others to the nearest."""
    low, high = (limit * 1_000 if unit is Unit.NS else limit // _PER_UNIT[unit] for limit in (YEAR_1, YEAR_10000))
    times = pl.Series([None] * len(cells), dtype=pl.Int64)
    if not cells.dtype.is_float():
        # Wider than 64 bits: the years that are allowed hold more ns than that.
        whole = cells.cast(pl.Int128 if unit is Unit.NS else pl.Int64, strict=False)
        whole = whole.set(((whole < low) | (whole >= high)).fill_null(value=False), None)
        times = (whole // 1_000).cast(pl.Int64) if unit is Unit.NS else whole * _PER_UNIT[unit]
    if times.null_count() > cells.null_count():
        numbers = cells.cast(pl.Float64, strict=False)
        numbers = numbers.set(~((numbers >= low) & (numbers < high)).fill_null(value=False), None)
        numbers = numbers / 1_000 if unit is Unit.NS else numbers * _PER_UNIT[unit]
        times = times.zip_with(times.is_not_null(), numbers.round(mode="half_to_even").cast(pl.Int64, strict=False))
    return times


def _number(cell: Any) -> Any:
    """Give a cell as the number it is, or as it is: so that the reason says what it is."""
    for kind in (int, float):
        try:
            return kind(cell)
        except (TypeError, ValueError):
            continue
    return cell


def _refuse(
    cells: pl.Series,
    refused: pl.Series,
    judge: Reading,
    path: tuple[str, ...],
    bad: dict[int, str],
    shown: Any = None,
) -> None:
    """Note why cells are refused, by the codec of documents."""
    if not refused.any():
        return
    rows = refused.arg_true().to_list()
    given = cells.gather(rows).to_list()
    given = list(map(shown, given)) if shown else given
    documents = [_document(path, cell) for cell in given]
    count = len(documents)
    own = np.full(count, 0 if not judge.time else -1, np.int64)
    records = Records.of("", 0, [None] * count, [b"-"] * count, own, np.arange(count))
    reasons: Mapping[int, str] = {
        dead.row: dead.reason for dead in Documents(documents, {}).columns(records, judge).dead
    }
    for row, (place, cell) in zip(rows, enumerate(given), strict=True):
        bad.setdefault(row, reasons.get(place, f"field `{'.'.join(path)}`: can't be read, given {cell!r}"[:200]))


def _document(path: Sequence[str], cell: Any) -> dict[str, Any]:
    inner: Any = cell
    for key in reversed(path):
        inner = {key: inner}
    found: dict[str, Any] = inner
    return found
