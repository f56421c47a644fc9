"""Data of a writer's schema as a reader's: whatever the two have in common, it is what the library makes of it."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.avro_decoder import decoder_of
from connectors.codec.avro_schema import parsed
from connectors.codec.base import Unit
from operators.batch import Type
from tests.connectors.codec.agreement import agree_by, told
from tests.connectors.codec.records import reading, records
from tests.connectors.codec.schemas import READINGS, Datum, Evolution, schema


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(data=st.data())
def test_data_of_schemas_that_evolved_are_what_the_library_makes_of_them(name: str, data: st.DataObject) -> None:
    random_ = data.draw(st.randoms(use_true_random=False))
    drawn = schema(random_, READINGS[name].unit)
    written, read = (Evolution(random_).of(drawn) for _ in range(2))
    values: list[Any] = [Datum(random_, written).written() for _ in range(data.draw(st.integers(1, 5)))]
    try:
        decoder = decoder_of(parsed(written), READINGS[name], parsed(read))
    except fastavro.schema.SchemaParseException:
        return  # no schema, as where a union has a type twice
    agree_by(decoder, [*values, values[0][:-1]])


def test_most_data_of_schemas_that_evolved_are_read_by_the_kernel() -> None:
    """Else the test before would hold the library against itself."""
    counts = {True: 0, False: 0}
    of = reading({"x": Type.FLOAT, "n": Type.INT, "mode": Type.TEXT})

    @settings(max_examples=300, database=None, derandomize=True)
    @given(st.randoms(use_true_random=False))
    def count(random_: Random) -> None:
        written, read = (Evolution(random_).of(GOOD) for _ in range(2))
        decoder: Any = decoder_of(parsed(written), of, parsed(read))
        values = records([Datum(random_, written).written()])
        decoded, left = decoder._scan.scan(values)
        dead = decoder._by_document(values).dead if len(left) else ()
        counts[len(decoded.ts) == 1] += not dead

    count()
    assert counts[True] > 20
    assert counts[True] > counts[False]


GOOD: dict[str, Any] = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "dev", "type": "string"},
        {"name": "ts", "type": "int"},
        {"name": "x", "type": ["null", "double"]},
        {"name": "n", "type": "int", "default": 3},
        {"name": "mode", "type": "string", "default": "none"},
    ],
}
FIRST = {"type": "record", "name": "R", "fields": [{"name": "id", "type": "string"}, {"name": "ts", "type": "long"}, {"name": "w", "type": "int"}]}  # fmt: skip
LATER: dict[str, Any] = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "dev", "type": "string", "aliases": ["id"]},
        {"name": "ts", "type": "long"},
        {"name": "watts", "type": "double", "aliases": ["w"]},
        {"name": "volts", "type": "float", "default": 230},
        {"name": "phase", "type": "int", "default": 1},
        {"name": "mode", "type": "string", "default": "grün"},
        {"name": "on", "type": "boolean", "default": True},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "place", "type": {"type": "record", "name": "P", "fields": [{"name": "row", "type": "int"}]}, "default": {"row": 4}},
    ],
}  # fmt: skip


def test_aliases_promotions_and_defaults_are_put_by_the_kernel() -> None:
    fields = {"watts": Type.FLOAT, "volts": Type.FLOAT, "phase": Type.INT, "mode": Type.TEXT, "on": Type.BOOL}
    of = reading({**fields, "note": Type.TEXT, "place.row": Type.INT}, unit=Unit.US)
    decoder: Any = decoder_of(parsed(FIRST), of, parsed(LATER))
    values = []
    for row in range(100):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, parsed(FIRST), {"id": f"d{row}", "ts": row, "w": 7 * row})
        values.append(stream.getvalue())
    out, left = decoder._scan.scan(records(values))
    assert len(left) == 0
    found = told(out)
    assert out.columns["watts"].tolist() == [7.0 * row for row in range(100)]
    assert set(out.columns["volts"].tolist()) == {230.0}
    assert (set(found["phase"]), set(found["row"]), set(found["on"])) == ({1}, {4}, {1})
    assert (set(found["mode"]), set(found["note"])) == ({"grün"}, {None})
    assert found["device"] == [f"d{row}".encode() for row in range(100)]
    assert found == told(decoder._by_document(records(values)))


def test_a_default_names_a_device() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "ts", "type": "long"}]}
    for default, name in (("a/b", b"a%2Fb/a%2Fb"), (-5, b"-5/-5")):
        kind = "string" if isinstance(default, str) else "int"
        field = {"name": "dev", "type": kind, "default": default}
        reader = {**schema, "fields": [*schema["fields"], field]}
        decoder = decoder_of(parsed(schema), reading({}, device=["dev", "dev"]), parsed(reader))
        assert decoder.decode(records([b"\x02"])).device.values() == [name]
