"""Records to decode, columns as plain values, and rows to encode."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from connectors.codec.base import Decoded, Decoder, FieldPath, Reading, Records, Unit
from operators.batch import MISSING_BOOL, MISSING_INT, Batch, Column, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable

FUTURE = 600_000_000
"""10 min in us, the default of a source."""


def reading(
    fields: Mapping[str, Type],
    *,
    device: Sequence[str] = ("dev",),
    time: str = "ts",
    unit: Unit = Unit.MS,
    future: int = FUTURE,
) -> Reading:
    """Say what to read: columns by their paths (`a.b` becomes the column `b`), the paths of the device and the time."""
    paths = tuple(FieldPath(path.split(".")[-1], tuple(path.split(".")), type_) for path, type_ in fields.items())
    parts = tuple(tuple(path.split(".")) for path in device)
    return Reading(paths, parts, tuple(time.split(".")) if time else (), unit, future)


def records(
    values: Sequence[bytes | None],
    *,
    keys: Sequence[bytes | None] | None = None,
    times: Sequence[int] | None = None,
    first: int = 0,
) -> Records:
    """Make records; without keys and times of their own if none are given (times in us)."""
    count = len(values)
    stamps = np.full(count, -1, np.int64) if times is None else np.array(times, np.int64)
    return Records.of("raw", 0, values, keys or [None] * count, stamps, np.arange(first, first + count))


def plain(column: Column) -> list[Any]:
    """Give a column as Python values, None where missing."""
    if isinstance(column, Text):
        return [None if code < 0 else column.values[code] for code in column.codes.tolist()]
    if column.dtype == np.float64:
        return [None if math.isnan(value) else value for value in column.tolist()]
    if column.dtype == np.int8:
        return [None if value == MISSING_BOOL else value == 1 for value in column.tolist()]
    return [None if value == MISSING_INT else value for value in column.tolist()]


def decoded(decoder: Decoder, of: Records) -> Decoded:
    """Decode, and make sure that what comes out fits together."""
    out = decoder.decode(of)
    rows = len(out.device)
    assert len(out.ts) == len(out.offset) == rows
    assert {len(column) for column in out.columns.values()} <= {rows}
    dead = [letter.row for letter in out.dead]
    assert dead == sorted(set(dead)), "each dead record once, in order"
    kept = [row for row in range(len(of)) if row not in set(dead)]
    assert out.offset.tolist() == of.offset[kept].tolist(), "a record is a row or dead"
    assert out.ts.dtype == out.offset.dtype == np.int64
    return out


def batch(
    schema: Schema, columns: Mapping[str, Sequence[Any]], devices: Sequence[bytes], ts: Sequence[int]
) -> tuple[Batch, DeviceTable]:
    """Make live rows of Python values, None where missing."""
    table = DeviceTable(schema.device)
    times = np.array(ts, np.int64)
    made = {name: column(columns[name], type_) for name, type_ in schema.columns.items()}
    live = np.ones(len(times), np.bool_)
    return Batch(table.slots(Binary.of(devices)), times, times, np.arange(len(times)), live, made), table


def column(values: Sequence[Any], type_: Type) -> Column:
    """Make a column of Python values, None where missing."""
    if type_ is Type.TEXT:
        return Text.of(values)
    if type_ is Type.FLOAT:
        return np.array([math.nan if value is None else value for value in values], np.float64)
    if type_ is Type.BOOL:
        return np.array([MISSING_BOOL if value is None else value for value in values], np.int8)
    return np.array([MISSING_INT if value is None else value for value in values], np.int64)
