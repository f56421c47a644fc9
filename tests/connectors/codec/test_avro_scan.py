"""Avro read by the kernel: whatever stands there, it is what the library makes of it, or is left to the library."""

from __future__ import annotations

import io
import struct
from itertools import product
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.avro_schema import parsed
from connectors.codec.base import FieldPath, Reading, Unit
from operators.batch import Type
from tests.connectors.codec.agreement import agree_by, avro_decoder, records, told
from tests.connectors.codec.disturbing import disturbed
from tests.connectors.codec.schemas import PIECES, READINGS, Datum, long, schema


@pytest.mark.parametrize("name", READINGS)
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_data_are_what_the_library_makes_of_them(name: str, random_: Random, count: int) -> None:
    drawn = schema(random_, READINGS[name].unit)
    agree_by(avro_decoder(drawn, READINGS[name]), [Datum(random_, drawn).written() for _ in range(count)])


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(st.randoms(use_true_random=False))
def test_bytes_that_were_disturbed_are_what_the_library_makes_of_them(name: str, random_: Random) -> None:
    drawn = schema(random_, READINGS[name].unit)
    good = Datum(random_, drawn).written()
    values: list[bytes | None] = [good, None, b""]
    for _ in range(5):
        at = random_.randint(0, len(good))
        values += [disturbed(random_, good, PIECES), good[:at], good + good[at:], good]
    agree_by(avro_decoder(drawn, READINGS[name]), values)


@given(st.randoms(use_true_random=False), st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_random_bytes_are_what_the_library_makes_of_them(random_: Random, values: list[bytes]) -> None:
    agree_by(avro_decoder(schema(random_, Unit.MS), READINGS["one part"]), values)


AIR = {
    "type": "record",
    "name": "Air",
    "fields": [{"name": "t", "type": ["null", "double"]}, {"name": "rh", "type": "float"}],
}
ORDINARY = {
    "type": "record",
    "name": "Reading",
    "fields": [
        {"name": "site", "type": {"type": "enum", "name": "Site", "symbols": ["north", "south"]}},
        {"name": "id", "type": ["int", "string"]},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "tags", "type": {"type": "map", "values": {"type": "array", "items": ["null", "long"]}}},
        {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 3}},
        {"name": "raw", "type": "bytes"},
        {"name": "air", "type": ["null", AIR]},
        {"name": "n", "type": ["null", "int", "long", "double"]},
        {"name": "before", "type": ["null", "Site"]},
        {"name": "ok", "type": "boolean"},
    ],
}  # fmt: skip
PLACE = Reading(
    (
        FieldPath("t", ("air", "t"), Type.FLOAT),
        FieldPath("rh", ("air", "rh"), Type.FLOAT),
        FieldPath("n", ("n",), Type.INT),
        FieldPath("real", ("n",), Type.FLOAT),
        FieldPath("before", ("before",), Type.TEXT),
        FieldPath("ok", ("ok",), Type.BOOL),
    ),
    (("site",), ("id",), ("site",)),
    ("ts",),
    Unit.MS,
    10**9,
)


def ordinary(**fields: Any) -> bytes:
    usual = {
        "site": "south", "id": -7, "ts": 1_700_000_000_123, "tags": {"a": [1, None], "b": []}, "hash": b"abc", "raw": b"\xff",
        "air": {"t": 20.5, "rh": 0.5}, "n": 2**40, "before": "north", "ok": True,
    }  # fmt: skip
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed(ORDINARY), {**usual, **fields})
    return stream.getvalue()


def test_an_ordinary_record_is_read_by_the_kernel() -> None:
    rows: list[dict[str, Any]] = [{}, {"id": "a/b", "air": None}, {"n": None, "before": None}, {"id": 0}]
    rows += [
        {"id": 2**31 - 1, "ok": False, "air": {"t": None, "rh": 2.5}},
        {"site": "north", "tags": {}, "before": "south"},
    ]
    decoder = avro_decoder(ORDINARY, PLACE)
    values = [ordinary(**row) for row in rows]
    decoded, left = decoder._scan.scan(records(values))
    assert len(left) == 0
    assert decoded.device.values() == [
        b"south/-7/south", b"south/a%2Fb/south", b"south/-7/south", b"south/0/south", b"south/2147483647/south", b"north/-7/north"
    ]  # fmt: skip
    assert told(decoded)["before"] == ["north", "north", None, "north", "north", "south"]
    assert (decoded.ts == 1_700_000_000_123_000).all()
    agree_by(decoder, values)


def test_what_a_record_that_is_left_would_have_been_called_does_not_rename_the_others() -> None:
    """A record is taken for one column of two that read a field, and not for the other: digits stand where they stood."""
    fields = [{"name": "n", "type": ["null", "long", "double"]}, {"name": "dev", "type": "long"}]
    schema = {"type": "record", "name": "R", "fields": fields}
    values = [[long(0), long(1) + long(5), long(2) + bytes(8)][row % 3] + long(10 + row) for row in range(30)]
    for types in ((Type.FLOAT, Type.INT), (Type.INT, Type.FLOAT), (Type.INT, Type.TEXT)):
        columns = tuple(FieldPath(type_.name, ("n",), type_) for type_ in types)
        for device in ((("dev",),), (("dev",), ("dev",))):
            agree_by(
                avro_decoder(schema, Reading(columns, device, (), Unit.US, 0)), [v for v in values for _ in range(3)]
            )


@pytest.mark.parametrize("type_", ["boolean", "long", "int", "string", "bytes"])
def test_every_beginning_of_a_value_is_what_the_library_makes_of_it(type_: str) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "v", "type": type_}]}
    values = [bytes(letters) for letters in product((0, 1, 2, 3, 0x7F, 0x80, 0xFF), repeat=2)]
    values += [bytes([letter]) for letter in range(256)]
    values += [
        head * length + last
        for head in (b"\x80", b"\xff")
        for length in (7, 8, 9, 10)
        for last in (b"", b"\0", b"\1", b"\2", b"\x7f")
    ]
    for read in (Type.BOOL, Type.INT, Type.FLOAT, Type.TEXT):
        reading = Reading((FieldPath("v", ("v",), read),), (), (), Unit.US, 0)
        agree_by(avro_decoder(schema, reading), [value for value in values for _ in range(7)])


@pytest.mark.parametrize(
    "number", [0, 9, 10, 99, 100, -1, -10, 10**18 - 1, 10**18, 2**62 - 1, -(2**62) + 1, 2**63 - 1, -(2**63)]
)
def test_a_whole_number_names_a_device_in_digits(number: int) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "dev", "type": "long"}]}
    reading = Reading((), (("dev",),), (), Unit.US, 0)
    out = avro_decoder(schema, reading).decode(records([long(number)]))
    assert out.device.values() == [str(number).encode()]


_TIMES = (0, 1, -1, 999, 1_000, -1_001, 1_700_000_000, 1_700_000_000_000, 1_700_000_001_000, 1_700_000_001_001, -62_135_596_800, -62_135_596_801, 253_402_300_799, 253_402_300_800)  # fmt: skip


@pytest.mark.parametrize("unit", [Unit.S, Unit.MS, Unit.US, Unit.NS])
@pytest.mark.parametrize("type_", ["int", "long", "float", "double"])
def test_times_in_every_unit_are_what_the_library_makes_of_them(unit: Unit, type_: str) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "ts", "type": type_}]}
    per_second = {Unit.S: 1, Unit.MS: 10**3, Unit.US: 10**6, Unit.NS: 10**9}[unit]
    numbers = [*_TIMES, *(time * 10**digits for time, digits in product(_TIMES, (3, 6)))]
    numbers += [
        1_700_000_000 * per_second + more for more in (0, 1, -1, 499, 500, 1_500, 10 * per_second, 2_000 * per_second)
    ]
    if type_ in {"int", "long"}:
        values = [long(number) for number in numbers if abs(number) < 2**62]
    else:
        values = [struct.pack("<f" if type_ == "float" else "<d", number / 7) for number in numbers]
        values += [struct.pack("<f" if type_ == "float" else "<d", number) for number in numbers]
    reading = Reading((FieldPath("ts", ("ts",), Type.FLOAT),), (), ("ts",), unit, 10**9)
    agree_by(avro_decoder(schema, reading), [value for value in values for _ in range(3)])


def test_text_holds_a_time() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "ts", "type": ["null", "string"]}]}
    texts = [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.25+01:00",
        "2026-02-29T00:00:00Z",
        "é",
        "2026-01-31 12:00:00Z",
    ]
    values = [long(1) + long(len(text.encode())) + text.encode() for text in texts] + [long(0), long(2)]
    agree_by(
        avro_decoder(schema, Reading((), (), ("ts",), Unit.ISO, 10**9)), [value for value in values for _ in range(3)]
    )


def test_many_records_are_read_at_once() -> None:
    values = [ordinary(id=row, before=["north", "south", None][row % 3]) for row in range(2_000)]
    agree_by(avro_decoder(ORDINARY, PLACE), values)


@pytest.mark.parametrize("other", [b"", b"\0", None])
def test_a_datum_without_bytes_is_one_whatever_is_read_with_it(other: bytes | None) -> None:
    """Where all that a schema has is null. The library took it for an empty value, if another record was bad."""
    nothing = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "null"}]}
    decoder = avro_decoder(nothing, Reading((), (), (), Unit.US, 0))
    values = [other, other, other, b""]
    agree_by(decoder, values)
    assert 16 in decoder.decode(records(values)).offset
