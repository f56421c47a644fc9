"""What a pipeline reads is numbered, and what a kernel puts there becomes rows."""

from __future__ import annotations

import numpy as np

from connectors.codec.base import FieldPath, Reading, Records, Unit
from connectors.codec.put import BOOL, FLOAT, INT, NOWHERE, PART, TEXT, TIME
from connectors.codec.puts import Arrays, Puts
from operators.batch import Type
from operators.binary import Binary
from tests.connectors.codec.records import plain

READING = Reading(
    (
        FieldPath("x", ("x",), Type.FLOAT),
        FieldPath("n", ("x",), Type.INT),
        FieldPath("text", ("data", "text"), Type.TEXT),
        FieldPath("ok", ("ok",), Type.BOOL),
    ),
    (("site",), ("data", "text")),
    ("ts",),
    Unit.MS,
    60_000_000,
)
DATA = b"berlin-a/b-on"
HOUR = 3_600_000_000


def records(times: list[int]) -> Records:
    """Make records that all have the same bytes, of times of their own."""
    rows = len(times)
    values = Binary(np.frombuffer(bytearray(DATA), np.uint8), np.zeros(rows, np.int64), np.full(rows, len(DATA)))
    return Records("raw", 0, values, Binary.of([b"key"] * rows), np.array(times), np.arange(5, 5 + rows))


def test_each_path_has_one_put_and_each_place_is_in_one_layer() -> None:
    puts = Puts(READING)
    assert set(puts.at) == {("x",), ("data", "text"), ("ok",), ("site",), ("ts",)}
    assert sorted(puts.at.values()) == list(range(5))
    layers = [{path: int(layer[put, 0]) for path, put in puts.at.items()} for layer in puts.layers]
    kinds = {path: {layer[path] for layer in layers} - {NOWHERE} for path in puts.at}
    assert kinds == {
        ("x",): {FLOAT, INT},
        ("data", "text"): {TEXT, PART},
        ("ok",): {BOOL},
        ("site",): {PART},
        ("ts",): {TIME},
    }
    places = puts.layers[puts.layers[:, :, 0] != NOWHERE][:, 1].tolist()
    assert len(set(places)) == len(places), "no two in one place"


def test_a_layer_is_enough_where_no_value_goes_to_two_places() -> None:
    assert Puts(Reading(READING.fields[1:], (), (), Unit.US, 0)).layers.shape == (1, 3, 3)
    assert Puts(Reading((), (), (), Unit.US, 0)).layers.shape == (1, 0, 3)


def test_what_nothing_was_put_into_is_missing() -> None:
    reading = Reading(READING.fields, (), (), Unit.US, 0)
    puts, of = Puts(reading), records([HOUR] * 3)
    decoded, left = puts.rows(of, puts.arrays(of))
    assert len(left) == 0
    assert {name: plain(column) for name, column in decoded.columns.items()} == dict.fromkeys(
        ("x", "n", "text", "ok"), [None] * 3
    )
    assert decoded.device.values() == [b"key"] * 3
    assert decoded.ts.tolist() == [HOUR] * 3
    assert decoded.offset.tolist() == [5, 6, 7]


def place(puts: Puts, path: tuple[str, ...], what: int) -> int:
    """Give the row of the words that the value at a path goes into as one of its kinds."""
    return next(int(row) for kind, row, _ in puts.layers[:, puts.at[path]].tolist() if kind == what)


def filled(puts: Puts, of: Records, ts: list[int]) -> Arrays:
    """Put a device and a time into every row, as a kernel would."""
    arrays = puts.arrays(of)
    site, sensor = place(puts, ("site",), PART), place(puts, ("data", "text"), PART)
    arrays.words[site : site + 2] = [[0], [6]]
    arrays.words[sensor : sensor + 2] = [[7], [3]]
    arrays.words[place(puts, ("ts",), TIME)] = ts
    return arrays


def test_what_was_put_becomes_rows() -> None:
    puts, of = Puts(READING), records([-1, -1])
    arrays = filled(puts, of, [HOUR, 2 * HOUR])
    arrays.words[place(puts, ("x",), FLOAT), 0] = np.float64(2.5).view(np.int64)
    arrays.words[place(puts, ("x",), INT), 1] = -7
    arrays.words[place(puts, ("ok",), BOOL)] = [1, 0]
    text = place(puts, ("data", "text"), TEXT)
    arrays.words[text, 1] = 0
    arrays.spans[text, :, 0] = 11, 2
    arrays.counts[text] = 1
    decoded, left = puts.rows(of, arrays)
    assert len(left) == 0
    assert decoded.device.values() == [b"berlin/a%2Fb"] * 2
    assert list(decoded.columns) == [field.name for field in READING.fields]
    assert decoded.ts.tolist() == [HOUR, 2 * HOUR]
    assert {name: plain(column) for name, column in decoded.columns.items()} == {
        "x": [2.5, None],
        "n": [None, -7],
        "text": [None, "on"],
        "ok": [True, False],
    }


def test_rows_that_the_kernel_did_not_take_are_left_in_order() -> None:
    puts, of = Puts(READING), records([-1] * 5)
    arrays = filled(puts, of, [HOUR] * 5)
    arrays.ok[[1, 3]] = False
    decoded, left = puts.rows(of, arrays)
    assert left.tolist() == [1, 3]
    assert decoded.offset.tolist() == [5, 7, 9]
    assert len(decoded.device) == len(decoded.columns["x"]) == 3


def test_a_row_is_left_whose_time_is_not_allowed_or_whose_device_is_not_known() -> None:
    puts = Puts(READING)
    minute, first, end = 60_000_000, -62_135_596_800_000_000, 253_402_300_800_000_000
    own = [-1, -1, -1, -1, HOUR, HOUR, -1, -1]
    ts = [first - 1, first, end - 1, end, HOUR + minute, HOUR + minute + 1, HOUR, HOUR]
    arrays = filled(puts, records(own), ts)
    arrays.words[place(puts, ("site",), PART) + 1, 6] = -1
    _, left = puts.rows(records(own), arrays)
    assert left.tolist() == [0, 3, 5, 6]


def test_a_record_is_left_that_has_no_time_or_key_of_its_own_where_these_are_read() -> None:
    puts = Puts(Reading((), (), (), Unit.US, 0))
    of = records([HOUR, -1, 0, HOUR, HOUR])
    of = Records("raw", 0, of.values, Binary.of([b"key", b"key", b"key", None, b""]), of.timestamp, of.offset)
    decoded, left = puts.rows(of, puts.arrays(of))
    assert left.tolist() == [1, 3, 4]
    assert decoded.ts.tolist() == [HOUR, 0]
