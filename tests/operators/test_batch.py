"""Tests of the batch and its columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.batch import MISSING_INT, Batch, Schema, Text, Type, is_missing, join_columns, missing
from operators.devices import DeviceTable
from tests.operators.rows import DEVICES, NINE, SCHEMA, Row, from_batch, from_column, to_batch, to_column
from tests.operators.streams import VALUES

TEXTS = st.lists(VALUES[Type.TEXT], max_size=12)
COLUMNS = st.sampled_from(list(Type)).flatmap(
    lambda type_: st.tuples(st.just(type_), st.lists(VALUES[type_], max_size=12))
)


@given(texts=st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=12))
def test_texts_come_back_as_they_went_in(texts: list[str | None]) -> None:
    column = Text.of(texts)
    assert column.to_list() == texts
    assert len(column) == len(texts)
    assert column.codes.dtype == np.int32
    assert len(set(column.values)) == len(column.values)


@given(texts=TEXTS, data=st.data())
def test_texts_are_picked_and_made_compact(texts: list[str | None], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=5) if texts else st.just([]))
    taken = Text.of(texts).take(np.array(rows, np.intp))
    assert taken.to_list() == [texts[row] for row in rows]
    compact = taken.compact()
    assert compact.to_list() == taken.to_list()
    assert set(compact.values) == {text for text in taken.to_list() if text is not None}


def test_a_text_column_may_hold_texts_that_no_row_uses() -> None:
    column = Text(np.array([2, -1, 0], np.int32), ["a", "b", "c", "d", "e"])
    assert column.to_list() == ["c", None, "a"]
    assert column.compact().to_list() == ["c", None, "a"]
    assert len(column.compact().values) == 2


@given(column=COLUMNS)
def test_a_column_says_what_is_missing(column: tuple[Type, list[Any]]) -> None:
    type_, values = column
    assert is_missing(to_column(values, type_)).tolist() == [value is None for value in values]


@pytest.mark.parametrize("type_", list(Type))
def test_a_missing_column_is_missing_throughout(type_: Type) -> None:
    assert from_column(missing(type_, 3), type_) == [None] * 3
    assert is_missing(missing(type_, 3)).all()
    assert len(missing(type_, 0)) == 0


@given(data=st.data())
def test_joined_columns_are_behind_each_other(data: st.DataObject) -> None:
    type_ = data.draw(st.sampled_from(list(Type)))
    parts = data.draw(st.lists(st.lists(VALUES[type_], max_size=5), min_size=1, max_size=4))
    joined = join_columns([to_column(part, type_) for part in parts])
    assert from_column(joined, type_) == [value for part in parts for value in part]


def test_joined_texts_of_the_same_values_share_them() -> None:
    column = Text.of(["a", "b"])
    joined = join_columns([column, column.take(np.array([1]))])
    assert isinstance(joined, Text)
    assert joined.values is column.values
    assert joined.to_list() == ["a", "b", "b"]


def test_a_number_is_what_arithmetic_makes_sense_of() -> None:
    assert {type_ for type_ in Type if type_.is_number} == {Type.FLOAT, Type.INT, Type.BOOL}
    assert str(Type.FLOAT) == f"{Type.FLOAT}" == "float"


def test_a_schema_names_devices_time_and_columns() -> None:
    schema = Schema({"x": Type.INT}, ("site", "sensor"), "ts")
    assert schema.names() == {"site": Type.TEXT, "sensor": Type.TEXT, "ts": Type.TIME, "x": Type.INT}
    assert "ts" not in Schema({"x": Type.INT}, ("site",), None).names()


def test_a_schema_takes_more_columns_and_other_types() -> None:
    schema = SCHEMA.adding({"n": Type.TEXT, "y": Type.TIME})
    assert list(schema.columns) == [*SCHEMA.columns, "y"]
    assert schema.columns["n"] is Type.TEXT
    assert SCHEMA.columns["n"] is Type.INT


ROWS = [
    Row(device, NINE + at, NINE - at, at, at != 1, {"temperature": float(at), "status": f"s{at}", "n": None})
    for at, device in enumerate(DEVICES)
]


def batch_of(rows: list[Row], devices: DeviceTable) -> Batch:
    return to_batch(rows, SCHEMA, devices)


def shown(batch: Batch, devices: DeviceTable) -> list[Row]:
    return from_batch(batch, SCHEMA, devices)


def test_batches_are_put_behind_each_other_and_picked_from() -> None:
    devices = DeviceTable(("device",))
    parts = [batch_of(ROWS[:1], devices), batch_of(ROWS[1:], devices), batch_of([], devices)]
    whole = Batch.concat(parts)
    assert len(whole) == 4
    assert shown(whole, devices) == shown(batch_of(ROWS, devices), devices)
    assert shown(whole.take(np.array([2, 0])), devices) == [shown(whole, devices)[at] for at in (2, 0)]
    assert Batch.concat(parts[:1]) is parts[0]


def test_the_data_of_a_batch_is_its_live_rows() -> None:
    devices = DeviceTable(("device",))
    batch = batch_of(ROWS, devices)
    assert [row.offset for row in shown(batch.data(), devices)] == [0, 2, 3]
    assert batch.data().data() is not batch
    live = batch.data()
    assert live.data() is live, "nothing is copied where all are"


def test_rows_are_turned_into_punctuations_and_never_back() -> None:
    devices = DeviceTable(("device",))
    kept = batch_of(ROWS, devices).keeping(np.array([True, True, False, True]))
    assert kept.live.tolist() == [True, False, False, True]
    assert len(kept) == 4


def test_columns_are_added_or_replaced() -> None:
    devices = DeviceTable(("device",))
    batch = batch_of(ROWS, devices)
    more = batch.adding({"n": np.arange(4), "y": np.zeros(4)})
    assert list(more.columns) == [*batch.columns, "y"]
    assert [row["n"] for row in shown(more, devices) if row.live] == [0, 2, 3]
    assert "y" not in batch.columns


def test_punctuations_tell_the_time_and_hold_nothing() -> None:
    device, watermark = np.array([1, 0], np.uint32), np.array([5, 6])
    batch = Batch.punctuations(device, watermark, np.array([9, 9]), SCHEMA.columns)
    assert batch.ts.tolist() == batch.watermark.tolist() == [5, 6]
    assert not batch.live.any()
    assert all(is_missing(column).all() for column in batch.columns.values())
    n = batch.columns["n"]
    assert isinstance(n, np.ndarray)
    assert n.tolist() == [MISSING_INT] * 2


def test_an_empty_batch_has_columns_and_no_rows() -> None:
    batch = Batch.empty(SCHEMA.columns)
    assert len(batch) == 0
    assert list(batch.columns) == list(SCHEMA.columns)
    assert shown(batch, DeviceTable(("device",))) == []
