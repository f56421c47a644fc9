"""JSON read by the kernel: whatever stands there, it is what the library makes of it, or is left to the library."""

from __future__ import annotations

import random
from random import Random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.base import FieldPath, Reading, Unit
from connectors.codec.json import Json
from connectors.codec.json_kernel import BETWEEN, SHAPES, VALUES
from connectors.codec.json_scan import JsonScan
from operators.batch import Type
from tests.connectors.codec.agreement import READINGS, agree, agree_by, records, told
from tests.connectors.codec.disturbing import disturbed
from tests.connectors.codec.objects import PIECES, Objects


@pytest.mark.parametrize("name", READINGS)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_records_are_what_the_library_makes_of_them(name: str, random_: Random, count: int) -> None:
    objects = Objects(random_, READINGS[name].unit)
    values = [objects.written() for _ in range(count)]
    agree([*values, *map(objects.alike, values)], READINGS[name])


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(st.randoms(use_true_random=False))
def test_bytes_that_were_disturbed_are_what_the_library_makes_of_them(name: str, random_: Random) -> None:
    value = Objects(random_, READINGS[name].unit).written()
    values = [disturbed(random_, value, PIECES), b'{"dev": "a", "ts": 1700000000, "x": 1}']
    agree([*values, value, disturbed(random_, value, PIECES)], READINGS[name])


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b" ", b"{}", b"[]", b"5", b"null", b'{"dev":"a","ts":1}', b'{"dev":"a","ts":1}}', b'{"dev":"a","ts":1},',
        b'{"dev":"a","ts":1,"x":1,"x":2}', b'{"dev":"a","ts":1,"o":{"k":1,"k":1}}', b'{"dev":"a","ts":1,"o":[{"k":1},{"k":1}]}',
        b'{"dev":"a","ts":1,"data":5}', b'{"dev":"a","ts":1,"data":null}', b'{"dev":"a","ts":1,"data":[{"ok":true}]}',
        b'{"dev":"a","ts":1,"x":{}}', b'{"dev":"a","ts":1,"x":[]}', b'{"dev":null,"ts":1}', b'{"dev":"a","ts":null}',
        b'{"dev":"a","ts":1,"o":' + b"[" * 40 + b"]" * 40 + b"}", b'{"dev":"a","ts":1,"o":[1,]}', b'{"dev":"a","ts":1,}',
        b'{"dev":"a","ts":1,"o":[}]}', b'{"dev":"a","ts":1,"o":[1}}', b'{"dev":"a","ts":1,"o":{"k":1]}', b'{"dev":"a","ts":1,"o":{]}', b'{"d\\u0065v":"a","ts":1}', b'{"dev":"a","ts":1,"ab":1,"aXb":2,"acb":3}',
        b"{" + b",".join(b'"k%d":1' % key for key in range(100)) + b',"dev":"a","ts":1}',
        b'{"dev":"a","ts":99999999999999999999}', b'{"dev":"a","ts":253402300800000}', b'{"dev":"a","ts":-62135596800001}',
        b'{"dev":"a","ts":4102444800000}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", READINGS)
def test_odd_records_are_what_the_library_makes_of_them(name: str, value: bytes | None) -> None:
    good = b'{"dev": "b", "ts": 1700000000000, "x": 2.5, "data": {"ok": true, "deep": {"text": "on"}, "part": "p", "ts": 17}}'
    agree([good, value, good], READINGS[name])


@given(
    st.lists(st.datetimes(), min_size=1, max_size=5),
    st.sampled_from(["Z", "z", "+00:00", "-23:59", "+24:00", "+1:00", "", " Z"]),
)
def test_times_in_iso_8601_are_what_the_library_makes_of_them(times: list[Any], offset: str) -> None:
    texts = [time.isoformat() + offset for time in times]
    texts += [text.replace("T", " ") for text in texts] + [text[:-1] for text in texts]
    texts += [
        "2026-13-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "1900-02-29T00:00:00Z",
    ]
    agree([b'{"dev": "a", "ts": "%b"}' % text.encode() for text in texts], READINGS["iso"])


def test_an_ordinary_record_is_read_by_the_kernel() -> None:
    values = [
        b'{"dev": "a%d", "ts": 1700000000000, "x": 2.5, "n": 7, "data": {"ok": true, "deep": {"text": "on"}}, "list": [1, {}]}'
        % row
        for row in range(50)
    ]
    decoded, left = JsonScan(READINGS["one field"]).scan(records(values))
    assert len(left) == 0
    assert decoded.device[3] == b"a3"
    assert told(decoded)["text"] == ["on"] * 50


def test_nothing_in_place_of_an_object_is_read_by_the_kernel() -> None:
    values = [b'{"dev":"a","ts":1700000000000,"data":null}', b'{"dev":"a","ts":1700000000000,"data":{"deep":null}}'] * 2
    for reading in (READINGS["one field"], READINGS["the key"]):
        _, left = JsonScan(reading).scan(records(values).take(np.array([3, 3])))
        assert len(left) == 0
    agree(values, READINGS["one field"])


def test_a_key_may_stand_in_an_object_and_in_one_within_it() -> None:
    value = b'{"o": {"x": 1, "o": {"x": 2}}, "x": 3, "dev": "a", "ts": 1700000000000, "p": {"dev": 5}}'
    decoded, left = JsonScan(READINGS["one field"]).scan(records([value]))
    assert len(left) == 0
    assert told(decoded)["x"] == np.array([3.0]).view(np.int64).tolist()


def test_devices_of_many_fields_arent_mixed_up() -> None:
    # 8,191 values in each of six fields: their combinations, numbered in one go, would need more than 64 bits.
    fields = [f"part_{part}" for part in range(6)]
    reading = Reading((), tuple((field,) for field in fields), ("ts",), Unit.MS, 10**9)
    devices = [[str(row)] * 6 for row in range(8_191)] + [["0", "1", "1", "1", "1", "1"]]
    values = [orjson.dumps({"ts": 1, **dict(zip(fields, device, strict=True))}) for device in devices]
    decoded, left = JsonScan(reading).scan(records(values))
    assert len(left) == 0
    assert [device.decode() for device in decoded.device.values()] == ["/".join(device) for device in devices]


def test_texts_of_which_one_begins_another_are_different() -> None:
    texts = ["a" * length for length in range(1, 800)]
    random.Random(1).shuffle(texts)
    values = [
        b'{"dev": "%b", "ts": 1700000000000, "data": {"deep": {"text": "%b"}}}' % (text.encode(), text.encode())
        for text in texts
    ]
    decoded, left = JsonScan(READINGS["one field"]).scan(records(values))
    assert len(left) == 0
    assert told(decoded)["text"] == texts
    assert [device.decode() for device in decoded.device.values()] == texts


# What follows is about shapes: a record is held against the bytes that stood between the values of earlier ones.

_SHAPES = (
    b'{"dev":%b,"ts":%b,"x":%b,"n":%b}',
    b'{"dev": %b, "ts": %b, "x": %b, "n": %b}',
    b' {"dev":%b,"ts":%b,"n":%b,"x":%b}\n',
    b'{"dev":%b,"ts":%b,"x":%b,"x":%b}',
    b'{"dev":%b,"ts":%b,"data":%b,"n":%b}',
    b'{"dev":%b,"ts":%b,"data":{"ok":%b,"deep":{"text":%b}}}',
    b'{"dev":%b,"ts":%b,"data":{"ok":%b,"deep":%b}}',
    b'{"dev":%b,"ts":%b,"other":[%b,{"x":%b}]}',
    b'{"dev":%b,"ts":%b,"x":%b,"n":%b}x',
    b'{"dev":%b,"ts":%b,"x":%b,"n":%b}}',
    b'{"dev":%b,"ts":%b,"x":%b,"n":%b',
    b'{"dev":%b,"ts":%b,"x":%b,"n":%b  ',
    b'{"dev":%b,"ts":%b,"xx":%b,"x":%b}',
)
_VARIANTS = (
    b"1", b"-2.5", b"null", b"true", b"false", b'"on"', b'"n"', b'""', b"01", b"1e", b'"a', b"{}", b"[]", b'{"ok":true}', b"", b"1 ", b'"\\u00e9"', b"123456789012345678901",
)  # fmt: skip
_WRITTEN = st.sampled_from(_VARIANTS)
_ROWS = st.tuples(
    st.sampled_from(_SHAPES), st.sampled_from([b'"a"', b"7", b'"b"', b"null"]),
    st.sampled_from([b"1700000000000", b"1700000000", b"1.5e9", b'"2026-01-31T12:00:00Z"']), _WRITTEN, _WRITTEN,
).map(lambda row: row[0] % row[1:])  # fmt: skip


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(st.lists(st.lists(_ROWS, min_size=1, max_size=30), min_size=1, max_size=2))
def test_records_of_shapes_met_before_are_what_the_library_makes_of_them(name: str, batches: list[list[bytes]]) -> None:
    decoder = Json.model_validate({}).decoder(READINGS[name])
    for values in batches:
        agree_by(decoder, values)


@pytest.mark.parametrize("second", [b"null", b"2", b"true", b'"on"'])
@pytest.mark.parametrize("first", [b"null", b"1.5", b"true"])
@pytest.mark.parametrize("shape", _SHAPES[:8])
def test_a_record_nearly_of_a_shape_met_before_is_what_the_library_makes_of_it(
    shape: bytes, first: bytes, second: bytes
) -> None:
    good = shape % (b'"a"', b"1700000000000", first, second)
    others = [good + behind for behind in (b" ", b"}", b",", b"x", b"1", b"\0")] + [good[:-1], good[1:], b" " + good]
    for value in _VARIANTS:
        others.append(shape % (value, b"1700000000000", first, second))
        others.append(shape % (b'"a"', value, first, second))
        others.append(shape % (b'"a"', b"1700000000000", value, second))
        others.append(shape % (b'"a"', b"1700000000000", first, value))
    agree([value for other in others for value in (good, other)], READINGS["one field"])


@pytest.mark.parametrize("kinds", [1, 2, SHAPES, SHAPES + 1, 3 * SHAPES])
def test_more_shapes_than_are_kept_come_in_turn(kinds: int) -> None:
    values = [
        b'{"k%d":null,"dev":"a%d","ts":1700000000000,"x":%d.5,"n":%d}' % (row % kinds, row % 5, row, row)
        for row in range(100)
    ]
    decoder: Any = Json.model_validate({}).decoder(READINGS["one field"])
    agree_by(decoder, values)
    _, left = decoder._scan.scan(records(values))
    assert len(left) == 0


@pytest.mark.parametrize("count", [VALUES - 3, VALUES - 2, VALUES - 1, 2 * VALUES])
def test_records_of_about_as_many_values_as_a_shape_has_are_read(count: int) -> None:
    head = b'{"dev":"a","ts":1700000000000,"list":['
    values = [head + b",".join(b"%d" % (row + at) for at in range(count)) + b'],"x":%d}' % row for row in range(5)]
    agree(values, READINGS["one field"])


@pytest.mark.parametrize("space", [BETWEEN - 23, BETWEEN - 22, BETWEEN - 21, 2 * BETWEEN])
def test_records_of_about_as_many_bytes_as_a_shape_has_are_read(space: int) -> None:
    values = [b'{"dev":"a","ts":170000000%d,"x":%b%d}' % (row, b" " * space, row) for row in range(5)]
    agree(values, READINGS["two fields"])


def test_a_record_that_is_too_long_for_a_shape_leaves_those_that_are_kept_alone() -> None:
    """Half of its bytes before half of another's would be a shape in which `x` stands twice."""
    kept = [b'{"a":1,"dev":"a","ts":1700000000000,"x":%b1}' % (b" " * row) for row in range(SHAPES)]
    long = b'{"x":1,%b"dev":"a","ts":1700000000000}' % (b" " * 2 * BETWEEN)
    reading = Reading((FieldPath("x", ("x",), Type.FLOAT),), (("dev",),), ("ts",), Unit.MS, 10**9)
    agree([*kept, long, b'{"x":1,"dev":"a","ts":1700000000000,"x":5}'], reading)


def test_a_value_that_goes_to_two_columns_is_read_by_shape_too() -> None:
    fields = (FieldPath("x", ("x",), Type.FLOAT), FieldPath("n", ("x",), Type.INT), FieldPath("t", ("x",), Type.TEXT))
    written = [b"1", b"null", b"2.5", b'"a"', b"3", b"true", b"null"]
    for some in (fields[:2], fields[1:], fields):
        reading = Reading(some, (("dev",),), ("ts",), Unit.MS, 10**9)
        agree([b'{"x":%b,"dev":%d,"ts":1}' % (value, row) for row, value in enumerate(written * 3)], reading)
