"""What the tests of files read, and how they look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from connectors.codec.base import FieldPath, Reading, Unit, cells
from connectors.files.base import Table
from operators.batch import Schema, Type

FIELDS = (
    FieldPath("temp", ("data", "temp"), Type.FLOAT),
    FieldPath("n", ("n",), Type.INT),
    FieldPath("ok", ("ok",), Type.BOOL),
    FieldPath("status", ("status",), Type.TEXT),
)
READING = Reading(FIELDS, (("dev",),), ("ts",), Unit.MS, 1_000_000)
SCHEMA = Schema({field.name: field.type for field in FIELDS}, ("dev",), "ts")
COLUMNS = "dev,ts,data.temp,n,ok,status"


class Seen(NamedTuple):
    """The rows of a table, whatever the batches: the good ones by their number, and why others are dead."""

    rows: Mapping[int, tuple[Any, ...]]
    dead: Mapping[int, str]


def seen(table: Table, size: int = 10_000, fields: Sequence[FieldPath] = FIELDS) -> Seen:
    """Read a table to its end: of each good row its device, its time (us) and its fields, None where missing."""
    rows: dict[int, tuple[Any, ...]] = {}
    dead: dict[int, str] = {}
    numbers: list[int] = []
    for records, decoded in table.batches(size):
        assert len(records) > 0
        assert (records.timestamp == -1).all()
        numbers += records.offset.tolist()
        columns = [cells(decoded.columns[field.name], field.type) for field in fields]
        device = [one.decode() for one in decoded.device.values()]
        for number, *row in zip(decoded.offset.tolist(), device, decoded.ts.tolist(), *columns, strict=True):
            rows[number] = tuple(row)
        dead |= {int(records.offset[row]): reason for row, reason in decoded.dead}
        assert all(column.dtype == np.int64 for column in (decoded.ts, decoded.offset))
    assert numbers == list(range(len(numbers)))
    assert sorted([*rows, *dead]) == numbers, "every row is good or dead"
    assert table.progress() == 1
    return Seen(rows, dead)
