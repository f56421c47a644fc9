"""Avro in the wire format of a registry: records by the ids of their schemas, whatever stands in them."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import fastavro
import numpy as np
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.avro import Avro
from connectors.codec.avro_framed import FramedDecoder, head
from connectors.codec.avro_schema import parsed
from connectors.codec.base import Decoded, Records
from connectors.codec.registry import RegistryFailure, UnfitSchemaError, UnknownSchemaError
from operators.batch import Type
from operators.binary import Binary
from tests.connectors.codec.agreement import told
from tests.connectors.codec.records import decoded, plain, reading, records
from tests.connectors.codec.registry_server import RegistryServer


def schema(*fields: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": type_} for name, type_ in fields], **more}


FIRST = schema(("dev", "string"), ("ts", "long"), ("watts", "int"))
SECOND = schema(("ts", "long"), ("note", ["null", "string"]), ("watts", ["null", "double"]), ("dev", "string"))
THIRD = schema(("dev", "string"), ("ts", "long"))
OF = reading({"watts": Type.FLOAT})


def datum(of: Any, **values: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed(of), {"dev": "a", "ts": 0, **values})
    return stream.getvalue()


class Schemas:
    """Gives schemas by their numbers, and counts how often it is asked."""

    def __init__(self, *known: Any) -> None:
        self.known = dict(enumerate(known, 1))
        self.asked: list[int] = []

    def __call__(self, number: int) -> Any:
        self.asked.append(number)
        if number not in self.known:
            message = f"schema {number} isn't known"
            raise UnknownSchemaError(message)
        if isinstance(self.known[number], Exception):
            raise self.known[number]
        return parsed(self.known[number])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Give a clock that stands: `clock.now`, in s."""
    made = SimpleNamespace(now=1_000.0)
    made.monotonic = lambda: made.now
    monkeypatch.setattr("connectors.codec.avro_framed.time", made)
    return made


def reasons(out: Decoded) -> list[str]:
    return [letter.reason for letter in out.dead]


def test_each_record_is_read_by_its_own_schema_and_stays_in_its_place() -> None:
    values = []
    for row in range(300):
        of = (FIRST, SECOND)[row % 3 == 1]
        values.append(head(1 + (row % 3 == 1)) + datum(of, dev=f"d{row}", ts=row, watts=row))
    asked = Schemas(FIRST, SECOND)
    out = decoded(FramedDecoder(asked, OF), records(values))
    assert out.device.values() == [b"d%d" % row for row in range(300)]
    assert out.ts.tolist() == [1_000 * row for row in range(300)]
    assert plain(out.columns["watts"]) == list(range(300))
    assert sorted(asked.asked) == [1, 2]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(-9, 9)), max_size=12), st.data())
@settings(max_examples=200)
def test_what_comes_out_is_what_comes_of_each_record_alone(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    values: list[bytes | None] = []
    for number, watts in rows:
        good = head(number) + datum((FIRST, SECOND, THIRD)[number - 1], dev=f"d{watts}", ts=watts, watts=watts)
        bad = data.draw(st.sampled_from([b"", None, b"{}", good[:-1], good[1:], head(9) + good, good + b"\0"]))
        values.append(data.draw(st.sampled_from([good, good, good, bad])))
    decoder = FramedDecoder(Schemas(FIRST, SECOND, THIRD), OF)
    whole = told(decoded(decoder, records(values)))
    alone = [told(decoded(decoder, records([value], first=row))) for row, value in enumerate(values)]
    for part in ("device", "ts", "offset", "watts"):
        assert whole[part] == [value for one in alone for value in one[part]]
    assert [letter.reason for letter in whole["dead"]] == [letter.reason for one in alone for letter in one["dead"]]


@given(
    st.lists(st.binary(max_size=40) | st.binary(max_size=40).map(lambda more: head(1) + more), min_size=1, max_size=5)
)
def test_any_bytes_are_rows_or_dead(values: list[bytes]) -> None:
    decoded(FramedDecoder(Schemas(FIRST), OF), records([*values, head(1) + datum(FIRST, watts=1)]))


def test_nothing_is_read_beside_the_bytes_of_a_record() -> None:
    """A record of four bytes stands before one that would make it whole."""
    data = np.frombuffer(bytearray(head(1) + datum(FIRST, watts=7)), np.uint8)
    begin = np.array([0, 0, len(data) - 1, 1], np.int64)
    values = Binary(data, begin, np.array([4, len(data), 1, -1], np.int64))
    many = records([b""] * 4)
    out = decoded(FramedDecoder(Schemas(FIRST), OF), Records("raw", 0, values, many.keys, many.timestamp, many.offset))
    assert out.offset.tolist() == [1]


def test_no_records_are_no_rows() -> None:
    out = decoded(FramedDecoder(Schemas(), OF), records([]))
    assert (len(out.ts), out.dead, list(out.columns)) == (0, (), ["watts"])


@pytest.mark.parametrize(
    ("value", "given"),
    [
        (b"\0\0\0\1", "given 4 bytes"),
        (b"\0", "given 1 byte;"),
        (b'{"dev": "a"}', "given a first byte of 123"),
        (b"\1\0\0\0\1\0", "given a first byte of 1"),
    ],
)
def test_what_is_not_in_the_wire_format_is_dead(value: bytes, given: str) -> None:
    (reason,) = reasons(decoded(FramedDecoder(Schemas(FIRST), OF), records([value])))
    assert reason.startswith("expected the Confluent wire format (a byte 0, a schema's id of 4 bytes, a datum), given ")
    assert given in reason
    assert "`schema: FILE.avsc`" in reason


def test_a_record_without_a_value_is_dead_as_elsewhere() -> None:
    out = decoded(FramedDecoder(Schemas(FIRST), OF), records([None, b""]))
    assert reasons(out) == ["the record has no value", "the record's value is empty"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"watts": Type.FLOAT}, "schema 1 has no field `watts`: it has dev, ts, air, n"),
        ({"air.t": Type.FLOAT}, "schema 1 has no field `air.t`: `air` has rh"),
        ({"n.t": Type.FLOAT}, "schema 1 has no field `n.t`: `n` has no fields"),
    ],
)
def test_a_schema_without_a_field_that_is_read_makes_its_records_dead(fields: dict[str, Type], reason: str) -> None:
    of = schema(("dev", "string"), ("ts", "long"), ("air", ["null", schema(("rh", "int"), name="Air")]), ("n", "int"))
    asked = Schemas(of)
    decoder = FramedDecoder(asked, reading(fields))
    for _ in range(2):
        out = decoded(decoder, records([head(1) + datum(of, air=None, n=1)] * 3))
        assert set(reasons(out)) == {reason.replace("dev, ts, air, n", "air, dev, n, ts")}
    assert asked.asked == [1]


def test_a_readers_schema_gives_what_a_writers_has_not() -> None:
    fields = [{"name": "dev", "type": "string"}, {"name": "ts", "type": "long"}]
    reader = {**THIRD, "fields": [*fields, {"name": "watts", "type": "double", "default": 2.5}]}
    values = [head(1) + datum(FIRST, watts=7), head(3) + datum(THIRD), head(2) + datum(SECOND, watts=1.5)]
    decoder = FramedDecoder(Schemas(FIRST, SECOND, THIRD), OF, parsed(reader))
    assert plain(decoded(decoder, records([*values])).columns["watts"]) == [7, 2.5, 1.5]


def test_what_a_readers_schema_does_not_help_is_dead() -> None:
    reader = schema(("dev", "string"), ("ts", "long"), ("watts", "double"))
    decoder = FramedDecoder(Schemas(THIRD), OF, parsed(reader))
    (reason,) = reasons(decoded(decoder, records([head(1) + datum(THIRD)])))
    assert reason == "schema 1 has no field `watts`, and the schema in the pipeline no default for it: it has dev, ts"


def test_a_schema_that_cannot_be_used_is_dead_for_good() -> None:
    asked = Schemas(UnfitSchemaError("schema 1 is of the type JSON, not AVRO"))
    decoder = FramedDecoder(asked, OF)
    for _ in range(3):
        assert reasons(decoded(decoder, records([head(1) + b"{}"]))) == ["schema 1 is of the type JSON, not AVRO"]
    assert asked.asked == [1]


def test_names_that_are_no_text_are_dead() -> None:
    asked = Schemas(
        {"type": "record", "name": "R", "fields": [{"name": 5, "type": "int"}, {"name": "x", "type": "int"}]}
    )
    (reason,) = reasons(decoded(FramedDecoder(asked, OF), records([head(1) + b"\0\0"])))
    assert reason.startswith("schema 1 can't be used (TypeError: ")


def test_a_reason_can_be_written_and_is_short_whatever_a_schema_says() -> None:
    asked = Schemas(schema(("\ud800", "int"), *((f"field_{number}", "int") for number in range(1_000))))
    (reason,) = reasons(decoded(FramedDecoder(asked, OF), records([head(1) + b"\0\0"])))
    assert reason.startswith("schema 1 has no field `watts`: it has field_0, ")
    asked = Schemas(schema(("\ud800", "int")))
    assert reasons(decoded(FramedDecoder(asked, OF), records([head(1)]))) == ["schema 1 has no field `watts`: it has ?"]
    assert len(reason.encode()) <= 500


def test_an_id_that_no_registry_has_is_not_asked_for() -> None:
    asked = Schemas(FIRST)
    (reason,) = reasons(decoded(FramedDecoder(asked, OF), records([b"\0\xff\xff\xff\xff1"])))
    assert reason.startswith("expected the id of a schema, 2147483647 at most, given 4294967295")
    assert asked.asked == []


def test_an_id_that_is_not_known_is_asked_for_again_after_half_a_minute(clock: SimpleNamespace) -> None:
    asked = Schemas(FIRST)
    decoder = FramedDecoder(asked, OF)
    value = head(2) + datum(SECOND, watts=1.5)
    for _ in range(3):
        assert reasons(decoded(decoder, records([value] * 5))) == ["schema 2 isn't known"] * 5
    assert asked.asked == [2]
    asked.known[2] = SECOND
    clock.now += 29
    assert len(decoded(decoder, records([value])).dead) == 1
    clock.now += 2
    assert plain(decoded(decoder, records([value])).columns["watts"]) == [1.5]
    assert asked.asked == [2, 2]


def test_ever_new_ids_that_are_not_known_are_asked_for_a_hundred_times_a_minute(clock: SimpleNamespace) -> None:
    asked = Schemas(FIRST)
    decoder = FramedDecoder(asked, OF)
    good = head(1) + datum(FIRST, watts=7)
    for turn in range(5):
        values = [good, *(head(10_000 * (turn + 1) + row) + b"\0" for row in range(1_000))]
        random.Random(turn).shuffle(values)
        out = decoded(decoder, records(values))
        assert plain(out.columns["watts"]) == [7]
    assert len(asked.asked) == 1 + 100
    assert any(
        reason.endswith("wasn't looked up: the registry didn't know 100 others within a minute")
        for reason in reasons(out)
    )
    assert len(decoder._unknown) <= 100
    clock.now += 61
    assert reasons(decoded(decoder, records([head(7) + b"\0"]))) == ["schema 7 isn't known"]
    assert len(decoder._unknown) == 1


def test_the_decoders_that_were_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.codec.avro_framed._KEPT", 2)
    asked = Schemas(FIRST, FIRST, FIRST)
    decoder = FramedDecoder(asked, OF)
    for number in (1, 2, 1, 3, 1, 2):
        decoded(decoder, records([head(number) + datum(FIRST, watts=7)]))
    assert asked.asked == [1, 2, 3, 2]
    assert len(decoder._kept) == 2


def test_a_registry_that_is_away_is_no_fault_of_a_record() -> None:
    decoder = FramedDecoder(Schemas(FIRST, RegistryFailure("gone")), OF)
    with pytest.raises(RegistryFailure):
        decoder.decode(records([head(1) + datum(FIRST, watts=1), head(2)]))


# With a registry over HTTP


@pytest.fixture
def avro(registry: RegistryServer) -> Callable[..., Avro]:
    """Make the format with the registry."""
    return lambda **options: Avro.model_validate({"registry": registry.url, **options})


def test_records_are_read_by_the_schemas_of_a_registry(registry: RegistryServer, avro: Callable[..., Avro]) -> None:
    numbers = [registry.add(FIRST), registry.add(SECOND)]
    air = registry.add(schema(("rh", "int"), name="Air"), subject="air")
    values: list[bytes | None] = [head(numbers[0]) + datum(FIRST, watts=1), head(numbers[1]) + datum(SECOND, watts=2.5)]
    values += [head(99) + b"\0", head(registry.add("{}", kind="JSON")) + b"\0", head(air) + b"\2"]
    out = decoded(avro().decoder(OF), records(values))
    assert plain(out.columns["watts"]) == [1, 2.5]
    assert [reason.partition(" at ")[0] for reason in reasons(out)] == [
        "schema 99 isn't known to the registry",
        "schema 4 is of the type JSON, not AVRO",
        "schema 3 has no field `watts`: it has rh",
    ]


def test_what_confluents_serializer_writes_is_read(registry: RegistryServer, avro: Callable[..., Avro]) -> None:

    serialize = AvroSerializer(SchemaRegistryClient({"url": registry.url}), json.dumps(SECOND))
    context = SerializationContext("raw", MessageField.VALUE)
    values = [serialize({"dev": "a", "ts": row, "watts": row / 2, "note": None}, context) for row in range(5)]
    out = decoded(avro().decoder(OF), records(values))
    assert plain(out.columns["watts"]) == [0, 0.5, 1, 1.5, 2]


def test_without_a_network_samples_are_read_again(avro: Callable[..., Avro], registry: RegistryServer) -> None:
    of = reading({"air.t": Type.FLOAT, "n": Type.INT, "ok": Type.BOOL, "mode": Type.TEXT}, device=["site.id", "rig"])
    offline = avro().offline()
    write = offline.sample(of)
    rows: list[dict[str, Any]] = [
        {"site": {"id": "a"}, "rig": 5, "ts": 7, "air": {"t": 20}, "n": 3, "ok": True, "mode": "on", "more": [1]},
        {"site": {"id": "b"}, "rig": "x", "ts": 7.5, "air": None, "$key": "k"},
        {"site": {"id": "b"}, "rig": "x", "ts": 8, "n": "three"},
    ]
    out = decoded(offline.decoder(of), records([write(row) for row in rows]))
    assert out.device.values() == [b"a/5", b"b/x"]
    assert out.ts.tolist() == [7_000, 7_500]
    assert {name: plain(column) for name, column in out.columns.items()} == {
        "t": [20, None], "n": [3, None], "ok": [True, None], "mode": ["on", None],
    }  # fmt: skip
    assert reasons(out) == ["field `n`: expected a whole number of at most 64 bits, given text: 'three'"]
    assert reasons(decoded(offline.decoder(of), records([head(2) + b"\0"]))) == [
        "schema 2 isn't known: no registry is asked here"
    ]
    assert registry.asked == []


def test_lists_of_readings_of_several_schemas_stay_in_their_places() -> None:
    of = replace(reading({"r.watts": Type.FLOAT}, device=["dev"], time="r.ts"), each=("r",))
    item = schema(("ts", "long"), ("watts", "int"))
    other = {**schema(("watts", "double"), ("ts", "int")), "name": "Other"}
    first = schema(("dev", "string"), ("r", {"type": "array", "items": item}), name="First")
    second = schema(("r", ["null", {"type": "array", "items": other}]), ("dev", "string"), name="Second")
    values, rows = [], []
    for row in range(60):
        written = [{"ts": 10 * row + place, "watts": place} for place in range(row % 4)]
        number = 1 + row % 2
        values.append(head(number) + datum((first, second)[row % 2], dev=f"d{row}", r=written))
        rows += [(f"d{row}".encode(), one["ts"] * 1_000, row, one["watts"]) for one in written]
    asked = Schemas(first, second, FIRST)
    values += [head(2) + datum(second, r=None), head(3) + datum(FIRST, watts=1)]
    out = FramedDecoder(asked, of).decode(records(values))
    assert (
        list(zip(out.device.values(), out.ts.tolist(), out.offset.tolist(), plain(out.columns["watts"]), strict=True))
        == rows
    )
    assert [(letter.row, letter.reason) for letter in out.dead] == [
        (60, "field `r`: expected a list of readings, given nothing"),
        (61, "schema 3 has no array `r`"),
    ]


def test_without_a_network_lists_of_samples_are_read_again(avro: Callable[..., Avro]) -> None:
    of = replace(reading({"data.r.x": Type.FLOAT, "site": Type.TEXT}, device=["data.dev"]), each=("data", "r"))
    plain_values = replace(reading({"r": Type.FLOAT}), each=("r",))
    offline = avro().offline()
    row = {"site": "s", "ts": 7, "data": {"dev": "a", "r": [{"x": 1}, {"x": 2.5}, {}]}}
    out = offline.decoder(of).decode(records([offline.sample(of)(row)]))
    assert (plain(out.columns["x"]), plain(out.columns["site"]), list(out.dead)) == ([1, 2.5, None], ["s"] * 3, [])
    row = {"dev": "a", "ts": 7, "r": [1, 2.5, None]}
    out = offline.decoder(plain_values).decode(records([offline.sample(plain_values)(row)]))
    assert (plain(out.columns["r"]), list(out.dead)) == ([1, 2.5, None], [])
