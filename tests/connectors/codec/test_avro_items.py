"""Lists of readings in Avro: held against what the library reads, with copies of each record for the items."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import fastavro
import numpy as np
import pytest
from fastavro.schema import expand_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.avro_decoder import _load, decoder_of
from connectors.codec.avro_items import AvroItems, _find
from connectors.codec.avro_kernel import DEEP
from connectors.codec.avro_schema import parsed, with_item
from connectors.codec.base import Decoded, FieldPath, Reading, Unit
from operators.batch import Type
from operators.binary import Binary
from tests.connectors.codec.agreement import records
from tests.connectors.codec.disturbing import disturbed
from tests.connectors.codec.exploded import agree as agree_with
from tests.connectors.codec.schemas import PIECES, Datum, Evolution, Schemas, known, long

READINGS = {
    "objects": Reading(
        (FieldPath("x", ("r", "x"), Type.FLOAT), FieldPath("site", ("site",), Type.TEXT)),
        (("dev",), ("r", "text")), ("r", "ts"), Unit.MS, 10**9, ("r",),
    ),
    "deep": Reading((FieldPath("x", ("o", "p", "r", "x"), Type.FLOAT), FieldPath("n", ("n",), Type.INT)), (("dev",),), ("ts",), Unit.S, 10**9, ("o", "p", "r")),
    "plain values": Reading((FieldPath("x", ("r",), Type.FLOAT),), (), (), Unit.US, 10**9, ("r",)),
    "texts": Reading((FieldPath("x", ("r",), Type.TEXT),), (("dev",),), (), Unit.US, 10**9, ("r",)),
}  # fmt: skip


def agree(schema: Any, values: Sequence[bytes | None], reading: Reading, reader: Any = None) -> Decoded:
    schemas = parsed(schema), reader and parsed(reader)
    decoder = decoder_of(schemas[0], reading, schemas[1])
    return agree_with(decoder, records(values), reading, partial(_load, *schemas))


def schema_of(random_: Random, path: Sequence[str]) -> Any:
    """Draw the schema of a record with a list at a path, among others."""
    make = Schemas(random_, random_.choice((0, 0, 5, 40)))
    item = make.record(x=make.optional("double"), text=make.type(1, "string"), ts=make.type(1, "long"), z=make.type(1))
    items = random_.choice([item, item, make.optional(item), "double", "string", make.type(1)])
    within: Any = {"type": "array", "items": "int" if items == "null" else items}
    for depth, name in enumerate(reversed(path)):
        fields = {name: make.optional(within), "a": make.type(1), "z": make.type(1)}
        if depth == len(path) - 1:
            fields |= {
                "dev": make.type(1, "string"),
                "ts": make.type(1, "long"),
                "site": make.type(1, "string"),
                "n": make.type(1, "int"),
            }
        within = make.record(**{name: fields[name] for name in random_.sample(list(fields), len(fields))})
    return known(within, {})


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=150)
@given(data=st.data())
def test_data_are_what_copies_of_them_are(name: str, data: st.DataObject) -> None:
    reading, random_ = READINGS[name], data.draw(st.randoms(use_true_random=False))
    schema = schema_of(random_, reading.each)
    agree(schema, [Datum(random_, schema).written() for _ in range(data.draw(st.integers(1, 4)))], reading)


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=150)
@given(data=st.data())
def test_data_that_were_disturbed_are_what_copies_of_them_are(name: str, data: st.DataObject) -> None:
    reading, random_ = READINGS[name], data.draw(st.randoms(use_true_random=False))
    schema = schema_of(random_, reading.each)
    good = Datum(random_, schema).written()
    values: list[bytes | None] = [good, None, b""]
    for _ in range(8):
        at = random_.randint(0, len(good))
        values += [disturbed(random_, good, [*PIECES, long(-(2**62))]), good + good[at:], good]
    agree(schema, values, reading)


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200)
@given(data=st.data())
def test_data_of_schemas_that_evolved_are_what_copies_of_them_are(name: str, data: st.DataObject) -> None:
    reading, random_ = READINGS[name], data.draw(st.randoms(use_true_random=False))
    schema = schema_of(random_, reading.each)
    written, read = (Evolution(random_).of(schema) for _ in range(2))
    values = [Datum(random_, written).written() for _ in range(data.draw(st.integers(1, 4)))]
    with contextlib.suppress(fastavro.schema.SchemaParseException):  # no schema, as where a union has a type twice
        agree(written, [*values, values[0][:-1]], reading, read)


PLAIN = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "gw", "type": "string"},
        {"name": "r", "type": ["null", {"type": "array", "items": {"type": "record", "name": "I", "fields": [{"name": "x", "type": "double"}]}}]},
        {"name": "end", "type": "string"},
    ],
}  # fmt: skip
X = Reading(
    (FieldPath("x", ("r", "x"), Type.FLOAT), FieldPath("end", ("end",), Type.TEXT)),
    (("gw",),),
    (),
    Unit.US,
    10**9,
    ("r",),
)
ITEM = np.array([1.5]).tobytes()


def test_a_list_of_several_blocks_is_found_by_the_kernel() -> None:
    blocks = [long(2) + 2 * ITEM, long(-1) + long(8) + ITEM, long(-1) + long(77) + ITEM]  # sizes aren't looked at
    values = [
        b"\x02g\x02" + b"".join(blocks) + b"\0\x02e",
        b"\x02g\x02\0\x02e",
        b"\x02g\0\x02e",
        b"\x02g\x02\x02" + ITEM,
    ]
    schema = expand_schema(fastavro.parse_schema(PLAIN))
    found = AvroItems(schema, ("r",)).find(Binary.of(values))
    assert found.count.tolist() == [4, 0, -1, -1]
    decoded = agree(PLAIN, [values[0], values[1], values[2], values[0]], X)
    assert decoded.offset.tolist() == [10] * 4 + [16] * 4
    reasons = [reason for _, reason in decoded.dead]
    assert reasons == ["field `r`: expected a list of readings, given nothing"]


@pytest.mark.parametrize("items", ["null", {"type": "record", "name": "I", "fields": []}])
def test_items_without_bytes_are_as_many_as_a_record_has_bytes_at_most(items: Any) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "r", "type": {"type": "array", "items": items}}]}
    finder = AvroItems(expand_schema(fastavro.parse_schema(schema)), ("r",))
    values = [
        long(2) + b"\0",
        long(3) + b"\0",
        long(2**61) + b"\0",
        long(1) + long(1) + long(1) + b"\0",
        long(2) + long(2) + b"\0",
    ]
    assert finder.find(Binary.of(values)).count.tolist() == [2, -1, -1, 3, -1]


def test_nothing_is_noted_where_there_is_no_room() -> None:
    finder = AvroItems(expand_schema(fastavro.parse_schema(PLAIN)), ("r",))
    values = Binary.of([b"\x02g\x02" + long(9) + ITEM])
    first, last = np.full(4, -7), np.full(4, -7)
    count, lists = np.empty(1, np.int64), np.zeros((1, 2), np.int64)
    left = np.empty(DEEP, np.int64)
    assert (
        _find(
            values.data,
            values.begin,
            values.size,
            finder._program,
            finder._targets,
            left,
            count,
            lists,
            first[:1],
            last[:1],
        )
        == 0
    )
    assert (count.tolist(), first[1:].tolist(), last[1:].tolist()) == ([-1], [-7] * 3, [-7] * 3)


def test_an_empty_list_in_a_datum_that_is_none_is_told() -> None:
    for value in (b"\x02g\x02\0\x02", b"\x02g\x02\0\x02\xff", b"\x02g\x02\0\x02ee"):
        (dead,) = agree(PLAIN, [value], X).dead
        assert dead.reason.startswith("can't be decoded")


@pytest.mark.parametrize("path", [("gw",), ("r", "x"), ("end", "r"), ("nowhere",), ()])
def test_a_path_without_an_array_has_no_items(path: tuple[str, ...]) -> None:
    assert with_item(expand_schema(fastavro.parse_schema(PLAIN)), path) is None


def test_a_null_among_items_is_none_of_the_union_around_the_list() -> None:
    reading = Reading((FieldPath("x", ("r",), Type.TEXT),), (("dev",),), (), Unit.US, 10**9, ("r",))

    def schema(of_list: Any) -> Any:
        fields = {"dev": "string", "r": of_list}
        return {"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t in fields.items()]}

    written = schema({"type": "array", "items": ["null", "string"]})
    read = schema(["null", {"type": "array", "items": "string"}])
    values = [b"\x02a" + long(1) + b"\x02\x02b\0", b"\x02a" + long(1) + b"\0\0"]
    decoded = agree(written, values, reading, read)
    assert (decoded.offset.tolist(), [row for row, _ in decoded.dead]) == ([10], [1])
