"""Tests of rows as arrays for an encoder's kernel."""

from __future__ import annotations

import numpy as np

from connectors.codec.rows import BOOL, FLOAT, ID, INT, TEXT, Rows
from operators.batch import MISSING_INT, Batch, Column, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable

SCHEMA = Schema({"t": Type.FLOAT, "s": Type.TEXT, "since": Type.TIME, "ok": Type.BOOL}, ("site", "rig"), "ts")


def test_cells_stand_in_the_order_of_the_schema() -> None:
    devices = DeviceTable(SCHEMA.device)
    slots = devices.slots(Binary.of([b"berlin/1", b"rome/a%2Fb"]))
    at = np.array([5, 6])
    columns: dict[str, Column] = {
        "t": np.array([1.5, np.nan]),
        "s": Text(np.array([1, -1], np.int32), ["never", "used"]),
        "since": np.array([7, MISSING_INT]),
        "ok": np.array([1, -1], np.int8),
    }
    batch = Batch(slots, at, at, at, np.ones(2, np.bool_), columns)
    rows = Rows.of(batch, devices, SCHEMA, str.encode, lambda ts: ts * 10)
    assert rows.plan.tolist() == [[ID, 0], [ID, 1], [INT, 0], [FLOAT, 0], [TEXT, 2], [INT, 1], [BOOL, 0]]
    texts = [Binary(rows.data, *span).to_list() for span in zip(rows.begin, rows.size, strict=True)]
    assert texts == [[b"berlin", None], [b"1", None], [b"used", None]]
    assert rows.ints[0].tolist() == [50, 60]
    assert rows.floats[0, 0] == 1.5
    assert rows.bools.tolist() == [[1, -1]]
    assert rows.bytes_of_texts() == len("berlin1used")


def test_no_rows_are_arrays_of_none() -> None:
    empty = Rows.of(Batch.empty(SCHEMA.columns), DeviceTable(SCHEMA.device), SCHEMA, str.encode, lambda ts: ts)
    assert empty.begin.shape == (3, 0)
    assert empty.floats.shape == (1, 0)
