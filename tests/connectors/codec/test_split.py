"""Tests of records that hold several readings."""

from __future__ import annotations

import numpy as np

from connectors.codec.base import Dead, Decoded, Records, merge
from connectors.codec.split import Split, whole
from operators.batch import Column, Text
from operators.binary import Binary


def rows(values: list[int], offsets: list[int], dead: list[Dead] | None = None) -> Decoded:
    columns: dict[str, Column] = {"v": np.array(values, np.int64), "t": Text.of([f"t{value}" for value in values])}
    device = Binary.of(f"d{value}".encode() for value in values)
    ts = np.array(values, np.int64) * 10
    return Decoded(device, ts, np.array(offsets, np.int64), columns, dead or [])


def split(record: list[int], dead: dict[int, str] | None = None) -> Split:
    return Split(Records.numbered("topic", 0, len(record)), np.array(record, np.intp), dead or {})


def read(decoded: Decoded) -> tuple[list[int], list[bytes | None], list[int], list[str | None]]:
    text = decoded.columns["t"]
    assert isinstance(text, Text)
    v = decoded.columns["v"]
    assert not isinstance(v, Text)
    assert decoded.ts.tolist() == [10 * value for value in v.tolist()]
    return v.tolist(), decoded.device.to_list(), decoded.offset.tolist(), text.to_list()


def test_a_record_with_a_dead_reading_is_dead_with_all_its_readings() -> None:
    # Records 0 and 1 have three readings each, 2 has none, 3 has two; the second of record 1 is dead.
    found = whole(
        rows([0, 1, 2, 3, 5, 6, 7], [40, 40, 40, 41, 41, 43, 43], [Dead(4, "no number")]),
        split([0, 0, 0, 1, 1, 1, 3, 3]),
    )
    kept = [0, 1, 2, 6, 7]
    texts = [f"t{value}" for value in kept]
    assert read(found) == (kept, [f"d{value}".encode() for value in kept], [40, 40, 40, 43, 43], texts)
    assert found.dead == [Dead(1, "reading 1: no number")]


def test_a_record_with_two_dead_readings_says_the_first() -> None:
    found = whole(rows([], [], [Dead(0, "one"), Dead(1, "two")]), split([2, 2]))
    assert found.dead == [Dead(2, "reading 0: one")]


def test_records_that_could_not_be_split_are_dead_beside_the_others() -> None:
    found = whole(rows([0, 1], [40, 42], [Dead(2, "late")]), split([0, 2, 3], {1: "no list"}))
    assert read(found)[0] == [0, 1]
    assert found.dead == [Dead(1, "no list"), Dead(3, "reading 0: late")]


def test_two_ways_of_reading_the_readings_of_one_record_keep_their_order() -> None:
    # The first way left the readings 0 and 2 of four that share an offset, and 2 is dead.
    found = merge(rows([1, 3], [9, 9]), np.array([0, 2]), rows([0], [9], [Dead(1, "bad")]))
    assert read(found)[0] == [0, 1, 3]
    assert found.dead == (Dead(2, "bad"),)
