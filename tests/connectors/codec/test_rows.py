"""Rows as arrays: each column in its place, in the order of the schema, texts and ids as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from connectors.codec.rows import BOOL, FLOAT, ID, INT, TEXT, Rows
from operators.batch import MISSING_BOOL, MISSING_INT, Batch, Schema, Type
from operators.binary import Binary
from operators.devices import DeviceTable
from tests.connectors.codec.records import batch

SCHEMA = Schema(
    {"x": Type.FLOAT, "mode": Type.TEXT, "n": Type.INT, "ok": Type.BOOL, "seen": Type.TIME, "y": Type.FLOAT},
    ("site", "sensor"),
    "ts",
)
COLUMNS: dict[str, list[Any]] = {
    "x": [1.5, None, -0.0],
    "mode": ["on", None, "é"],
    "n": [7, None, -7],
    "ok": [True, None, False],
    "seen": [10, None, 30],
    "y": [4.0, 5.0, 6.0],
}


def rows(
    schema: Schema = SCHEMA, devices: tuple[bytes, ...] = (b"a/1", b"b/2", b"a/1"), *, halves: bool = False
) -> Rows:
    """Gather three rows; texts are written in quotes, times as they are or as floats."""
    made, table = batch(schema, COLUMNS, devices, [100, 200, 300])
    return Rows.of(made, table, schema, lambda text: f'"{text}"'.encode(), lambda ts: ts / 2 if halves else ts)


def texts(of: Rows, place: int) -> list[bytes | None]:
    return Binary(of.data, of.begin[place], of.size[place]).to_list()


def test_columns_stand_in_the_order_of_the_schema() -> None:
    of = rows()
    assert of.plan[:, 0].tolist() == [ID, ID, INT, FLOAT, TEXT, INT, BOOL, INT, FLOAT]
    for kind, count in ((FLOAT, 2), (INT, 3), (BOOL, 1)):
        assert of.plan[of.plan[:, 0] == kind, 1].tolist() == list(range(count))
    assert of.plan[np.isin(of.plan[:, 0], [ID, TEXT]), 1].tolist() == [0, 1, 2], "ids and texts share their arrays"


def test_numbers_are_as_they_were() -> None:
    of = rows()
    assert of.ints.tolist() == [[100, 200, 300], [7, MISSING_INT, -7], [10, MISSING_INT, 30]]
    assert of.bools.tolist() == [[1, MISSING_BOOL, 0]]
    assert of.floats[1].tolist() == [4.0, 5.0, 6.0]
    assert of.floats[0, 0] == 1.5
    assert np.isnan(of.floats[0, 1])
    assert np.signbit(of.floats[0, 2])


def test_times_are_floats_where_they_are_written_with_a_fraction() -> None:
    of = rows(halves=True)
    assert of.plan[:, 0].tolist() == [ID, ID, FLOAT, FLOAT, TEXT, INT, BOOL, FLOAT, FLOAT]
    assert of.floats[0].tolist() == [50.0, 100.0, 150.0]


def test_texts_and_the_parts_of_devices_are_bytes() -> None:
    of = rows()
    assert [texts(of, place) for place in range(3)] == [
        [b"a", b"b", b"a"],
        [b"1", b"2", b"1"],
        [b'"on"', None, '"é"'.encode()],
    ]
    assert of.bytes_of_texts() == len('ab a 12 1 "on" "é"'.replace(" ", "").encode())


def test_a_part_that_is_not_written_as_it_stands_is_not_known() -> None:
    of = rows(devices=(b"a/1", b"a%2Fb/2", b"c/3"))
    assert [texts(of, place) for place in range(2)] == [[b"a", None, b"c"], [b"1", None, b"3"]]


def test_no_rows_are_arrays_of_none() -> None:
    of = Rows.of(Batch.empty(SCHEMA.columns), DeviceTable(SCHEMA.device), SCHEMA, str.encode, lambda ts: ts)
    assert of.begin.shape == of.size.shape == of.ints.shape == (3, 0)
    assert of.bytes_of_texts() == 0


def test_rows_without_numbers_or_texts_or_times_have_arrays_of_no_rows() -> None:
    of = rows(Schema({}, ("sensor",), None), (b"a", b"b", b"a"))
    assert of.plan.tolist() == [[ID, 0]]
    assert of.floats.shape == of.ints.shape == of.bools.shape == (0, 3)
    assert texts(of, 0) == [b"a", b"b", b"a"]
