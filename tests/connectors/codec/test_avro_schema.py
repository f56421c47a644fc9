"""Schemas of Avro: what is refused of them, what stands in them, and how two differ."""

from __future__ import annotations

from typing import Any

import fastavro
import pytest

from connectors.codec.avro_schema import difference, expected_of, missing_fields, named_types, opened, parsed
from operators.batch import Type
from tests.connectors.codec.records import reading


def record(*types: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    """Make a record whose fields are named a, b, c..."""
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in zip("abcdef", types, strict=False)], **more}  # fmt: skip


AIR = record("double", name="Air", namespace="org.x")
NOTHING = record("null", {"type": "fixed", "name": "None", "size": 0}, name="Nothing")


@pytest.mark.parametrize(
    "inner",
    [
        ["null", "R"],
        {"type": "array", "items": "R"},
        {"type": "map", "values": "R"},
        ["null", record(["null", "R"], name="S")],
        {"type": "error", "name": "S", "fields": [{"name": "again", "type": ["null", "S"]}]},
    ],
)
def test_a_record_that_contains_itself_is_refused(inner: Any) -> None:
    assert "no record contains itself" in str(expected_of(parsed(record("int", inner))))


@pytest.mark.parametrize(
    "items", ["null", {"type": "null"}, NOTHING, record(NOTHING, name="Outer"), record(name="Empty")]
)
def test_an_array_whose_items_have_no_bytes_is_refused_wherever_it_stands(items: Any) -> None:
    array = {"type": "array", "items": items}
    for schema in (
        array,
        record("int", ["null", array]),
        {"type": "map", "values": array},
        {"type": "array", "items": array},
    ):
        assert "each item of an array takes bytes" in str(expected_of(parsed(schema)))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": ["null"]},
        {"type": "array", "items": record("null", "int")},
        {"type": "map", "values": "null"},
        record(AIR, "org.x.Air", {"type": "array", "items": "org.x.Air"}),
        ["null", record("int")],
        record({"type": "string", "size": -1}),
        "string",
    ],
)
def test_others_are_taken(schema: Any) -> None:
    assert expected_of(parsed(schema)) is None


@pytest.mark.parametrize("size", [-1, 2**31, 2**70, "x", 1.5, True, None])
def test_a_fixed_type_without_a_size_is_refused(size: Any) -> None:
    assert "the size of a fixed type" in str(expected_of(parsed(record({"type": "fixed", "name": "F", "size": size}))))


def test_types_that_are_named_again_and_again_are_refused_without_counting_through_them() -> None:
    schema: Any = record("int", name="R0")
    for level in range(1, 60):
        schema = record(schema, f"R{level - 1}", name=f"R{level}")
    assert "at most 100,000 types" in str(expected_of(parsed(schema)))


def test_types_are_found_by_their_full_names() -> None:
    schema = parsed(record(["null", AIR], {"type": "map", "values": {"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["X"]}}}))  # fmt: skip
    named = named_types(schema)
    assert set(named) == {"R", "org.x.Air", "E"}
    assert opened("org.x.Air", named) is named["org.x.Air"]
    assert opened({"type": "string", "avro.java.string": "String"}, named)["type"] == "string"
    assert opened("int", named) == {"type": "int"}


def test_what_a_default_holds_is_no_schema() -> None:
    inner = record("string", name="I")
    inner["fields"][0]["name"] = "logicalType"
    schema = record(inner)
    schema["fields"][0]["default"] = {"logicalType": "date"}
    assert parsed(schema)["fields"][0]["default"] == {"logicalType": "date"}


def test_a_type_that_is_nowhere_is_told() -> None:
    with pytest.raises(fastavro.schema.UnknownType):
        parsed(record("org.x.Air"), {"org.x.Water": AIR})


def test_fields_are_found_in_any_record_of_a_union() -> None:
    schema = parsed(["null", record(AIR, "int"), record("string", ["null", "org.x.Air"], "long", name="S")])
    of = reading(
        {"a.a": Type.FLOAT, "b.a": Type.FLOAT, "c": Type.INT, "c.a": Type.INT, "d": Type.INT}, device=["b"], time="a"
    )
    assert [(found.path, found.there) for found in missing_fields(schema, of)] == [
        (("c", "a"), ""),
        (("d",), "a, b, c"),
    ]


@pytest.mark.parametrize(
    ("written", "read", "told"),
    [
        (
            record("int"),
            record("int", "int"),
            "has no field `b`, and the schema in the pipeline no default for it: it has a",
        ),
        (
            record("int", name="Old"),
            record("int"),
            "is of the record `Old`, the schema in the pipeline of `R`; if they are",
        ),
        (record("int", name="x.Old"), record("int", aliases=["Old"]), None),
        (record("int", name="x.Old"), record("int", aliases=["x.Old"]), None),
        (record("int", name="x.R"), record("int", name="y.R"), None),
        (record("int"), record("string"), None),
        (
            record("int"),
            record("int", ["null", "int"]) | {"fields": [{"name": "z", "type": "int", "aliases": ["a"]}]},
            None,
        ),
        (["null", record("int")], record("int", "int"), None),
    ],
)
def test_what_keeps_every_record_from_being_read_is_told(written: Any, read: Any, told: str | None) -> None:
    found = difference(parsed(written), parsed(read))
    assert found is None if told is None else str(found).startswith(told)
