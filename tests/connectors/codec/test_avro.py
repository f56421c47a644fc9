"""Avro without a header: read by a schema in a file, written by a schema made from the columns."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.codec.avro import Avro, row_schema
from connectors.codec.base import Decoded, Reading, Unit
from connectors.codec.registry import RegistryFailure
from operators.batch import Schema, Type
from tests.connectors.codec.records import batch, decoded, plain, reading, records
from tests.connectors.codec.registry_server import RegistryServer

AIR = {
    "type": "record",
    "name": "Air",
    "fields": [{"name": "t", "type": ["null", "double"]}, {"name": "rh", "type": "float"}],
}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Reading",
    "namespace": "org.example",
    "fields": [
        {"name": "dev", "type": "string"},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "air", "type": ["null", AIR]},
        {"name": "n", "type": ["null", "int", "long"]},
        {"name": "ok", "type": "boolean"},
        {"name": "mode", "type": {"type": "enum", "name": "Mode", "symbols": ["ON", "OFF"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "built", "type": ["null", {"type": "int", "logicalType": "date"}]},
    ],
}
FIELDS = {"air.t": Type.FLOAT, "air.rh": Type.FLOAT, "n": Type.INT, "ok": Type.BOOL, "mode": Type.TEXT}
FULL = {
    "dev": "a",
    "ts": 1_273_363_200_123,
    "air": {"t": 20.5, "rh": 0.5},
    "n": 2**40,
    "ok": True,
    "mode": "OFF",
    "tags": ["x", "y"],
    "built": 14_738,
}


def avro(folder: Path, schema: Any = None) -> Avro:
    """Give the format with a schema in a file."""
    (folder / "reading.avsc").write_text(json.dumps(schema or SCHEMA))
    return Avro.model_validate({"schema": "reading.avsc"}, context={"folder": folder})


def datum(value: Mapping[str, Any], schema: Any = None) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema or SCHEMA), value)
    return stream.getvalue()


def read(format_: Avro, values: list[bytes | None], of: Reading) -> Decoded:
    assert format_.problems(of) == []
    return decoded(format_.decoder(of), records(values))


def test_records_unions_enums_and_times_are_read_as_what_they_hold(tmp_path: Path) -> None:
    bare = {**FULL, "air": None, "n": None, "ok": False, "mode": "ON", "ts": -1}
    out = read(avro(tmp_path), [datum(FULL), datum(bare)], reading(FIELDS))
    assert out.dead == ()
    assert out.ts.tolist() == [1_273_363_200_123_000, -1_000]
    assert {name: plain(column) for name, column in out.columns.items()} == {
        "t": [20.5, None],
        "rh": [0.5, None],
        "n": [2**40, None],
        "ok": [True, False],
        "mode": ["OFF", "ON"],
    }


@pytest.mark.parametrize(
    ("logical", "unit", "number", "us"),
    [
        ("timestamp-millis", Unit.MS, 1_273_363_200_123, 1_273_363_200_123_000),
        ("timestamp-micros", Unit.US, 1_273_363_200_123_456, 1_273_363_200_123_456),
        ("local-timestamp-millis", Unit.MS, 5, 5_000),
        ("local-timestamp-micros", Unit.US, 5, 5),
        ("timestamp-nanos", Unit.NS, 1_273_363_200_123_456_789, 1_273_363_200_123_456),
        ("timestamp-micros", Unit.US, -62_135_596_800_000_000, -62_135_596_800_000_000),
    ],
)
@pytest.mark.parametrize("union", [False, True], ids=["plain", "in a union"])
def test_times_are_read_as_the_numbers_they_are(
    logical: str, unit: Unit, number: int, us: int, union: bool, tmp_path: Path
) -> None:
    time: Any = {"type": "long", "logicalType": logical}
    fields = [{"name": "dev", "type": "string"}, {"name": "ts", "type": ["null", time] if union else time}]
    fields += [{"name": "n", "type": {"type": "long", "logicalType": logical}}]
    plain_schema = json.loads(json.dumps({"type": "record", "name": "R", "fields": fields}))
    raw = json.loads(json.dumps(plain_schema).replace(f', "logicalType": "{logical}"', ""))
    value = datum({"dev": "a", "ts": number, "n": number}, raw)
    out = read(avro(tmp_path, plain_schema), [value], reading({"n": Type.INT}, unit=unit))
    assert (out.ts.tolist(), plain(out.columns["n"])) == ([us], [number])


def test_a_date_and_a_time_of_day_are_read_as_numbers(tmp_path: Path) -> None:
    out = read(avro(tmp_path), [datum(FULL)], reading({"built": Type.INT}))
    assert plain(out.columns["built"]) == [14_738]


def test_a_uuid_names_a_device(tmp_path: Path) -> None:
    schema = json.loads(json.dumps(SCHEMA))
    schema["fields"][0]["type"] = {"type": "string", "logicalType": "uuid"}
    name = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    out = read(avro(tmp_path, schema), [datum({**FULL, "dev": name}, schema)], reading({"ok": Type.BOOL}))
    assert [letter.reason for letter in out.dead] == []
    assert out.device.values() == [name.encode()]


def test_a_record_type_can_be_used_again_by_its_name(tmp_path: Path) -> None:
    schema = json.loads(json.dumps(SCHEMA))
    schema["fields"].append({"name": "outside", "type": ["null", "Air"]})
    value = datum({**FULL, "outside": {"t": -5.0, "rh": 1.0}}, schema)
    out = read(avro(tmp_path, schema), [value], reading({"outside.t": Type.FLOAT}))
    assert plain(out.columns["t"]) == [-5.0]


def test_a_datum_cut_off_anywhere_is_dead_and_those_around_it_are_not(tmp_path: Path) -> None:
    whole = datum(FULL)
    values: list[bytes | None] = [whole, *(whole[:end] for end in range(len(whole))), whole]
    out = read(avro(tmp_path), values, reading(FIELDS))
    assert out.offset.tolist() == [0, len(values) - 1]
    reasons = [letter.reason for letter in out.dead]
    assert reasons[0] == "the record's value is empty"
    assert all(reason.startswith("can't be decoded: ") for reason in reasons[1:])


def test_a_reason_says_the_same_of_the_same_bytes_every_time(tmp_path: Path) -> None:
    decoder = avro(tmp_path).decoder(reading(FIELDS))
    whole = datum(FULL)
    for end in range(len(whole)):
        (letter,) = decoder.decode(records([whole[:end]])).dead
        assert "object at 0x" not in letter.reason


@pytest.mark.parametrize("more", [b"\0", b"\1\2\3", datum(FULL)])
def test_bytes_behind_the_datum_are_dead(more: bytes, tmp_path: Path) -> None:
    (letter,) = read(avro(tmp_path), [datum(FULL) + more], reading(FIELDS)).dead
    assert letter.reason == f"can't be decoded: {len(more)} bytes are left behind the datum: is it another schema?"


def test_the_wire_format_of_a_registry_is_dead(tmp_path: Path) -> None:
    (letter,) = read(avro(tmp_path), [b"\0\0\0\0\1" + datum(FULL)], reading(FIELDS)).dead
    assert letter.reason.startswith("can't be decoded: ")


def test_a_tombstone_and_text_that_is_not_utf_8_are_dead(tmp_path: Path) -> None:
    out = read(avro(tmp_path), [None, b"\x02\xff" + datum(FULL)[2:], datum(FULL)], reading(FIELDS))
    assert [letter.row for letter in out.dead] == [0, 1]
    assert out.dead[0].reason == "the record has no value"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_row_or_dead(value: bytes) -> None:
    parsed = Avro.model_validate({})
    parsed._parsed = fastavro.parse_schema(json.loads(json.dumps(SCHEMA)))
    decoded(parsed.decoder(reading(FIELDS)), records([value, datum(FULL)]))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_no_number_is_dead_wherever_it_stands(value: float, tmp_path: Path) -> None:
    schema = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "dev", "type": "string"}, {"name": "ts", "type": "double"}],
    }
    good, bad = (datum({"dev": "a", "ts": time}, schema) for time in (5.0, value))
    for values in ([bad, good], [good, bad, good], [bad]):
        out = read(avro(tmp_path, schema), list(values), reading({}, unit=Unit.S))
        assert [letter.row for letter in out.dead] == [values.index(bad)]
        assert out.dead[0].reason.startswith("field `ts`: expected a time as a number of s since 1970")
        assert set(out.ts.tolist()) <= {5_000_000}


def test_fields_that_the_schema_has_not_are_told_with_those_it_has(tmp_path: Path) -> None:
    of = reading(
        {"air.t": Type.FLOAT, "air.q": Type.FLOAT, "n.x": Type.INT, "m": Type.INT}, device=["device"], time="at"
    )
    problems = avro(tmp_path).problems(of)
    assert [(problem.at, problem.given) for problem in problems] == [
        (("fields", "q"), "`air.q`"),
        (("fields", "x"), "`n.x`"),
        (("fields", "m"), "`m`"),
        (("device",), "`device`"),
        (("time",), "`at`"),
    ]
    assert problems[0].expected == "a field of the Avro schema: rh, t"
    assert "no fields there" in problems[1].expected
    assert "air, built, dev, mode, n, ok, tags, ts" in problems[2].expected


def test_documents_of_tests_are_written_by_the_schema(tmp_path: Path) -> None:
    write = avro(tmp_path).sample(reading(FIELDS))
    assert write({**FULL, "$key": "k"}) == datum(FULL)


def test_settings_of_a_registry_are_not_shown() -> None:
    shown = repr(Avro.model_validate({"registry": "http://me:secret@a", "config": {"timeout": 5}}))
    assert "secret" not in shown
    assert "timeout" not in shown


def test_a_readers_schema_is_held_against_the_fields(tmp_path: Path) -> None:
    (tmp_path / "reading.avsc").write_text(json.dumps(SCHEMA))
    both = Avro.model_validate({"schema": "reading.avsc", "registry": "http://a"}, context={"folder": tmp_path})
    assert [problem.given for problem in both.problems(reading({"m": Type.INT}))] == ["`m`"]
    assert both.offline().sample(reading(FIELDS))(FULL) == b"\0\0\0\0\1" + datum(FULL)


# Rows written

ROWS = Schema({"f": Type.FLOAT, "n": Type.INT, "b": Type.BOOL, "s": Type.TEXT, "at": Type.TIME}, ("site", "rig"), "ts")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def again(encoded: list[bytes], schema: Schema = ROWS) -> list[dict[str, Any]]:
    """Read rows by plain fastavro with the schema that is shown to users."""
    parsed = fastavro.parse_schema(row_schema(schema, "rows"))
    rows = []
    for value in encoded:
        stream = io.BytesIO(value)
        row = fastavro.schemaless_reader(stream, parsed, None)
        assert stream.read() == b""
        assert isinstance(row, dict)
        rows.append(row)
    return rows


def test_rows_are_read_back_by_plain_fastavro() -> None:
    columns: dict[str, list[Any]] = {
        "f": [1.5, None, math.inf, -0.0],
        "n": [2**63 - 1, None, 1 - 2**63, 0],
        "b": [True, None, False, True],
        "s": ["on", None, "", "é😀"],
        "at": [0, None, -1, 253_402_300_799_999_999],
    }
    ts = [0, 1, -1, 1_273_363_200_123_456]
    made = (
        Avro.model_validate({})
        .encoder(ROWS, "rows")
        .encode(*batch(ROWS, columns, [b"a/1", b"b%2Fc/2", b"a/1", b"a/2"], ts))
    )
    rows = again(made.values())
    assert [list(row) for row in rows] == [["site", "rig", "ts", "f", "n", "b", "s", "at"]] * 4
    assert [(row["site"], row["rig"]) for row in rows] == [("a", "1"), ("b/c", "2"), ("a", "1"), ("a", "2")]
    assert [row["ts"] for row in rows] == [EPOCH + timedelta(microseconds=us) for us in ts]
    assert [row["at"] for row in rows] == [
        None if us is None else EPOCH + timedelta(microseconds=us) for us in columns["at"]
    ]
    for name in ("f", "n", "b", "s"):
        assert [row[name] for row in rows] == columns[name]
    assert math.copysign(1, rows[3]["f"]) == -1


def test_the_schema_of_rows_has_every_column_as_a_union_with_null_but_device_and_time() -> None:
    time = {"type": "long", "logicalType": "timestamp-micros"}
    assert row_schema(ROWS, "rows") == {
        "type": "record",
        "name": "rows",
        "fields": [
            {"name": "site", "type": "string"},
            {"name": "rig", "type": "string"},
            {"name": "ts", "type": time},
            {"name": "f", "type": ["null", "double"], "default": None},
            {"name": "n", "type": ["null", "long"], "default": None},
            {"name": "b", "type": ["null", "boolean"], "default": None},
            {"name": "s", "type": ["null", "string"], "default": None},
            {"name": "at", "type": ["null", time], "default": None},
        ],
    }


def test_rows_from_before_a_column_was_added_are_read_as_rows_without_it() -> None:
    before = Schema({"f": Type.FLOAT}, ("dev",), "ts")
    stream = io.BytesIO(datum({"dev": "a", "ts": 0, "f": 1.5}, row_schema(before, "rows")))
    after = Schema({"g": Type.TEXT, "f": Type.FLOAT, "at": Type.TIME}, ("dev",), "ts")
    read_again: Any = fastavro.schemaless_reader(stream, row_schema(before, "rows"), row_schema(after, "rows"))
    assert read_again == {"dev": "a", "ts": EPOCH, "g": None, "f": 1.5, "at": None}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "é"]),
            st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
            st.one_of(st.none(), st.floats(allow_nan=False)),
            st.one_of(st.none(), st.integers(1 - 2**63, 2**63 - 1)),
            st.one_of(st.none(), st.booleans()),
            st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=4)),
        ),
        max_size=6,
    )
)
def test_what_is_written_is_read_again_by_this_codec(rows: list[tuple[Any, ...]]) -> None:
    schema = Schema({"f": Type.FLOAT, "n": Type.INT, "b": Type.BOOL, "s": Type.TEXT}, ("dev",), "ts")
    device, ts, *values = zip(*rows, strict=True) if rows else [()] * 6
    columns = dict(zip(schema.columns, map(list, values), strict=True))
    names = [name.encode() for name in device]
    made = Avro.model_validate({}).encoder(schema, "rows").encode(*batch(schema, columns, names, list(ts)))
    reader = Avro.model_validate({})
    raw = json.loads(json.dumps(row_schema(schema, "rows")).replace(', "logicalType": "timestamp-micros"', ""))
    reader._parsed = fastavro.parse_schema(raw)
    out = decoded(reader.decoder(reading(dict(schema.columns), unit=Unit.US)), records(made.values()))
    assert out.dead == ()
    assert (out.device.values(), out.ts.tolist()) == (names, list(ts))
    assert {name: plain(column) for name, column in out.columns.items()} == columns


@pytest.mark.parametrize(
    "inner", ['["null", "node"]', '{"type": "array", "items": "node"}', '{"type": "map", "values": "node"}']
)
def test_a_schema_that_contains_itself_is_refused(inner: str, tmp_path: Path) -> None:
    # Nested some thousand times, such a datum takes the reader down with the whole process.
    text = '{"type": "record", "name": "node", "fields": [{"name": "x", "type": "long"}, {"name": "n", "type": INNER}]}'
    (tmp_path / "node.avsc").write_text(text.replace("INNER", inner))
    with pytest.raises(ValidationError, match="no record contains itself"):
        Avro.model_validate({"schema": "node.avsc"}, context={"folder": tmp_path})


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ('{"type": "fixed", "name": "f", "size": -5}', "fixed type is a number of bytes, not -5"),
        (
            '["null", {"type": "map", "values": {"type": "fixed", "name": "f", "size": 1.5}}]',
            "a number of bytes, not 1.5",
        ),
        ('{"type": "array", "items": "null"}', "each item of an array takes bytes"),
        (
            '{"type": "array", "items": {"type": "record", "name": "r", "fields": []}}',
            "each item of an array takes bytes",
        ),
        (
            '{"type": "map", "values": {"type": "array", "items": {"type": "null"}}}',
            "each item of an array takes bytes",
        ),
    ],
)
def test_a_schema_whose_data_can_not_be_read_safely_is_refused(inner: str, says: str, tmp_path: Path) -> None:
    text = '{"type": "record", "name": "node", "fields": [{"name": "x", "type": "long"}, {"name": "n", "type": INNER}]}'
    (tmp_path / "node.avsc").write_text(text.replace("INNER", inner))
    with pytest.raises(ValidationError, match=says):
        Avro.model_validate({"schema": "node.avsc"}, context={"folder": tmp_path})


@pytest.mark.parametrize("inner", ['{"type": "map", "values": "null"}', '{"type": "array", "items": ["null"]}'])
def test_what_takes_a_byte_for_each_item_is_read(inner: str, tmp_path: Path) -> None:
    text = '{"type": "record", "name": "node", "fields": [{"name": "x", "type": "long"}, {"name": "n", "type": INNER}]}'
    (tmp_path / "node.avsc").write_text(text.replace("INNER", inner))
    Avro.model_validate({"schema": "node.avsc"}, context={"folder": tmp_path})


def test_a_type_that_is_used_twice_contains_nothing_of_itself(tmp_path: Path) -> None:
    air = '{"type": "record", "name": "Air", "fields": [{"name": "t", "type": "double"}]}'
    fields = f'[{{"name": "a", "type": {air}}}, {{"name": "b", "type": "Air"}}]'
    (tmp_path / "two.avsc").write_text(f'{{"type": "record", "name": "two", "fields": {fields}}}')
    Avro.model_validate({"schema": "two.avsc"}, context={"folder": tmp_path})


def test_a_datum_that_is_refused_gives_no_other_its_device(tmp_path: Path) -> None:
    """A whole number is a column and the device, so records are gone through twice; one of them is refused in one of the two."""
    schema = {
        "type": "record",
        "name": "r",
        "fields": [
            {"name": "x", "type": ["double", "string"]},
            {"name": "id", "type": "long"},
            {"name": "ts", "type": "long"},
        ],
    }
    of = reading({"x": Type.FLOAT, "id": Type.INT}, device=["id"])
    values = [datum({"x": "n/a" if row == 2 else float(row), "id": 1_000 + row, "ts": row}, schema) for row in range(6)]
    out = read(avro(tmp_path, schema), [*values], of)
    assert out.device.values() == [b"1000", b"1001", b"1003", b"1004", b"1005"]
    assert plain(out.columns["id"]) == [1_000, 1_001, 1_003, 1_004, 1_005]
    assert [dead.row for dead in out.dead] == [2]


# Rows written for a registry


def written(format_: Avro, topic: str | None = "out") -> list[bytes]:
    columns: dict[str, list[Any]] = {
        "f": [1.5, None],
        "n": [2, 3],
        "b": [True, None],
        "s": ["é", None],
        "at": [0, None],
    }
    encoder = format_.encoder(ROWS, "rows", topic)
    return encoder.encode(*batch(ROWS, columns, [b"a/1", b"b%2Fc/2"], [0, 1])).values()


def test_each_row_begins_with_the_id_of_the_schema_that_was_registered(registry: RegistryServer) -> None:
    registry.add(AIR, subject="other")
    rows = written(Avro.model_validate({"registry": registry.url}))
    (number,) = registry.subject("out-value")
    assert json.loads(registry.text(number)) == row_schema(ROWS, "rows")
    assert rows == [b"\0\0\0\0" + bytes([number]) + row for row in written(Avro.model_validate({}))]


def test_rows_are_read_by_confluents_deserializer(registry: RegistryServer) -> None:
    client = SchemaRegistryClient({"url": registry.url})
    read_row = AvroDeserializer(client)
    context = SerializationContext("out", MessageField.VALUE)
    rows = [read_row(row, context) for row in written(Avro.model_validate({"registry": registry.url}))]
    assert [row["site"] for row in rows] == ["a", "b/c"]
    assert [(row["f"], row["s"], row["at"]) for row in rows] == [(1.5, "é", EPOCH), (None, None, None)]


def test_where_no_topic_is_named_nothing_is_asked(registry: RegistryServer) -> None:
    format_ = Avro.model_validate({"registry": registry.url})
    assert (
        written(format_, None)
        == written(format_.offline())
        == [b"\0\0\0\0\1" + row for row in written(Avro.model_validate({}))]
    )
    assert registry.asked == []


def test_a_schema_that_the_registry_refuses_ends_the_start(registry: RegistryServer) -> None:
    registry.refuses = "the new schema lacks `volts`"
    with pytest.raises(RegistryFailure, match=r"the subject out-value: the new schema lacks `volts` \(HTTP 409\)"):
        written(Avro.model_validate({"registry": registry.url}))
