"""Tests of the arrays that kernels fill, and the rows that become of them."""

from __future__ import annotations

import numpy as np

from connectors.codec.base import Records
from connectors.codec.put import FLOAT, INT, NOWHERE, PART, TIME
from connectors.codec.puts import Puts
from operators.batch import Text, Type
from operators.binary import Binary
from tests.connectors.codec.records import plain, reading

FIELDS = {"t": Type.FLOAT, "state": Type.TEXT, "n": Type.INT, "ok": Type.BOOL}


def records(count: int) -> Records:
    at = np.arange(count)
    return Records("raw", 0, Binary.of([b"ab"] * count), Binary.missing(count), np.full(count, -1), at)


def test_nothing_is_read_into_missing_values_and_no_row() -> None:
    puts = Puts(reading(FIELDS))
    arrays = puts.arrays(records(2))
    decoded, left = puts.rows(records(2), arrays)
    assert left.tolist() == [0, 1]
    assert len(decoded.ts) == 0


def test_columns_come_in_the_order_in_which_they_are_read() -> None:
    puts = Puts(reading(FIELDS))
    given = records(2)
    arrays = puts.arrays(given)
    place = {path: puts.layers[0, put, 1] for path, put in puts.at.items()}
    arrays.words[place["dev",]], arrays.words[place["dev",] + 1] = [0, 2], [2, 1]
    arrays.words[place["ts",]] = [5_000, 6_000]
    arrays.words[place["t",]] = np.array([1.5, 2.5]).view(np.int64)
    arrays.words[place["state",], 0], arrays.counts[0] = 0, 1
    arrays.spans[0, :, 0] = 1, 1
    decoded, left = puts.rows(given, arrays)
    assert not len(left)
    assert list(decoded.columns) == list(FIELDS)
    assert {name: plain(column) for name, column in decoded.columns.items()} == {
        "t": [1.5, 2.5],
        "state": ["b", None],
        "n": [None, None],
        "ok": [None, None],
    }
    assert isinstance(decoded.columns["state"], Text)
    assert decoded.device.values() == [b"ab", b"a"]
    assert decoded.ts.tolist() == [5_000, 6_000]


def test_a_value_that_goes_to_two_places_goes_to_one_in_each_layer() -> None:
    puts = Puts(reading({"ts": Type.INT, "dev": Type.FLOAT}))
    assert puts.layers.shape == (2, 2, 3)
    what = puts.layers[:, :, 0]
    assert sorted(what[:, puts.at["ts",]].tolist()) == sorted([INT, TIME])
    assert sorted(what[:, puts.at["dev",]].tolist()) == sorted([FLOAT, PART])
    alone = Puts(reading({"t": Type.FLOAT, "ts": Type.INT}))
    assert sorted(alone.layers[:, alone.at["t",], 0].tolist()) == sorted([NOWHERE, FLOAT])
