"""Schemas of Avro as the codec takes them: what is refused of them, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple, TypeAlias

import fastavro
from fastavro.repository import AbstractSchemaRepository, SchemaRepositoryError
from fastavro.schema import expand_schema, load_schema

from connectors.codec.base import Reading

Schema: TypeAlias = Any
"""A schema, parsed by fastavro or as it stands in JSON: a text, a list or a dict."""

NAMED = frozenset({"record", "error", "enum", "fixed"})
"""Types that have a name."""
ITEM = "item"
"""A type besides Avro's: one of an array's `items`, without what is written around it."""
_OTHER = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string", "array", "map"})
_LEAST = {"null": 0, "float": 4, "double": 8}
_MOST = 100_000
"""Types that a schema may have, named ones as often as they are named: a program has about as many steps."""


def parsed(schema: Schema, others: Mapping[str, Schema] | None = None) -> Schema:
    """Parse a schema.

    Times are read as the numbers they are, for the pipeline says their unit; a UUID as the text it is.

    Args:
        schema: as it stands in JSON.
        others: schemas that it names without defining them, by the name of their type.

    Raises:
        Exception: many kinds, if it isn't one.
    """
    schema = without_logical(schema)
    if not others:
        return fastavro.parse_schema(schema)
    return load_schema(
        "", repo=_Others({"": schema, **{name: without_logical(found) for name, found in others.items()}})
    )


class _Others(AbstractSchemaRepository):
    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def load(self, name: str) -> Schema:
        if name not in self._schemas:
            message = f"no type is named {name}"
            raise SchemaRepositoryError(message)
        return deepcopy(self._schemas[name])


def without_logical(schema: Schema) -> Schema:
    """Drop the logical types that fastavro would turn into objects, one a value; a decimal needs its own."""
    if isinstance(schema, list):
        return [without_logical(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    keep = schema.get("logicalType") == "decimal"
    return {
        key: value if key == "default" else without_logical(value)
        for key, value in schema.items()
        if keep or key != "logicalType"
    }


def named_types(schema: Schema) -> dict[str, Schema]:
    """Give the types that a parsed schema defines, by their full names."""
    found: dict[str, Schema] = {}
    for inner in schema if isinstance(schema, list) else _inner(schema):
        found |= named_types(inner)
    if isinstance(schema, dict) and schema["type"] in NAMED:
        found[schema["name"]] = schema
    return found


def opened(schema: Schema, named: Mapping[str, Schema]) -> Schema:
    """Give a type itself where it is only named, or stands within a type: a list, or a dict with its kind as `type`."""
    while not isinstance(schema, list):
        type_ = schema["type"] if isinstance(schema, dict) else schema
        if not isinstance(type_, str):
            schema = type_
        elif type_ in NAMED | _OTHER or type_ not in named:
            return schema if isinstance(schema, dict) else {"type": type_}
        else:
            schema = named[type_]
    return schema


def expected_of(schema: Schema) -> str | None:
    """Say what is expected of a parsed schema that it isn't; None for a good one."""
    if _contains_itself(schema, frozenset()):
        return "a schema in which no record contains itself: a datum could be nested deeper than the stack"
    looked = _Look(schema)
    if looked.count > _MOST:
        return f"a schema of at most {_MOST:,} types, named ones counted as often as they are named"
    return looked.expected


def _inner(schema: Schema) -> Sequence[Schema]:
    """Give the types that stand in a type that is no union."""
    if not isinstance(schema, dict):
        return ()
    fields = [field["type"] for field in schema.get("fields", ())]
    return [
        *fields,
        *(schema[key] for key in ("type", "items", "values") if isinstance(schema.get(key), dict | list | str)),
    ]


def _contains_itself(schema: Schema, within: frozenset[str]) -> bool:
    """Say whether a record names itself, or one that it stands in, as the type of a field."""
    if isinstance(schema, list):
        return any(_contains_itself(branch, within) for branch in schema)
    if not isinstance(schema, dict):
        return schema in within
    if schema["type"] in NAMED:
        within |= {str(schema["name"])}
        return any(_contains_itself(field["type"], within) for field in schema.get("fields", ()))
    return any(_contains_itself(inner, within) for inner in _inner(schema))


class _Look:
    """Looks at every type of a schema.

    Attributes:
        count: of the types, named ones as often as they are named.
        expected: of a type that is wrong, or None.
    """

    def __init__(self, schema: Schema) -> None:
        self.expected: str | None = None
        self._named = named_types(schema)
        self._known: dict[str, tuple[int, bool]] = {}
        self.count, _ = self._measure(schema)

    def _measure(self, schema: Schema) -> tuple[int, bool]:
        """Give how many types there are, and whether a value always has a byte."""
        schema = opened(schema, self._named)
        if isinstance(schema, list):
            return 1 + sum(self._measure(branch)[0] for branch in schema), True
        name = schema.get("name") if schema["type"] in NAMED else None
        if name is None:
            return self._inside(schema)
        if name not in self._known:
            self._known[name] = self._inside(schema)
        return self._known[name]

    def _inside(self, schema: Schema) -> tuple[int, bool]:
        if schema["type"] in {"record", "error"}:
            parts = [self._measure(field["type"]) for field in schema["fields"]]
            return 1 + sum(count for count, _ in parts), any(has for _, has in parts)
        if schema["type"] == "array":
            count, has = self._measure(schema["items"])
            if not has:
                self.expected = (
                    "a schema in which each item of an array takes bytes: a few could claim billions of items"
                )
            return 1 + count, True
        if schema["type"] == "map":
            return 1 + self._measure(schema["values"])[0], True
        size = schema["size"] if schema["type"] == "fixed" else 1
        if type(size) is not int or not 0 <= size < 2**31:
            self.expected = f"a schema in which the size of a fixed type is a number of bytes, not {str(size)[:40]}"
        return 1, schema["type"] != "null" and size != 0


class Missing(NamedTuple):
    """Something that is read, and that a schema hasn't.

    Attributes:
        at: where the pipeline's source names it.
        path: of it.
        there: which fields there are instead; empty if none are. None where a list is missing.
    """

    at: tuple[str, ...]
    path: tuple[str, ...]
    there: str | None


def missing_fields(schema: Schema, reading: Reading) -> list[Missing]:
    """Hold what is read against a parsed schema."""
    if reading.each:
        schema = with_item(expand_schema(schema), reading.each)
        if schema is None:
            return [Missing(("each",), reading.each, None)]
    named = named_types(schema)
    missing = []
    for at, path in reading.places():
        names = _fields_at(schema, path[:-1], named)
        if names is None or path[-1] not in names:
            missing.append(Missing(at, path, ", ".join(sorted(names or ()))))
    return missing


def with_item(schema: Schema, path: Sequence[str]) -> Schema | None:
    """Give a schema in which an `ITEM` stands in the place of the array at a path; None where there is no array.

    Args:
        schema: with named types written out where they are used, as fastavro's `expand_schema` does.
        path: of the array; unions on the way may have other branches.
    """
    return replaced(schema, path, lambda array: {**array, "type": ITEM})


def replaced(schema: Schema, path: Sequence[str], made: Callable[[Schema], Schema]) -> Schema | None:
    """Give a schema in which another stands for each array at a path, as `made` makes it; None where there is none."""
    if isinstance(schema, list):
        branches = [replaced(branch, path, made) for branch in schema]
        found = any(branch is not None for branch in branches)
        return [old if new is None else new for old, new in zip(schema, branches, strict=True)] if found else None
    type_ = schema["type"] if isinstance(schema, dict) else None
    if isinstance(type_, dict | list):
        return replaced(type_, path, made)
    if not path:
        return made(schema) if type_ == "array" else None
    if type_ in {"record", "error"}:
        for place, field in enumerate(schema["fields"]):
            inner = replaced(field["type"], path[1:], made) if field["name"] == path[0] else None
            if inner is not None:
                fields = schema["fields"]
                return {**schema, "fields": [*fields[:place], {**field, "type": inner}, *fields[place + 1 :]]}
    return None


def least_bytes(schema: Schema) -> int:
    """Give how many bytes a value of a schema has at least."""
    if isinstance(schema, list):
        return 1 + min(map(least_bytes, schema), default=0)
    if not isinstance(schema, dict):
        return _LEAST.get(schema, 1)
    type_ = schema["type"]
    if type_ in {"record", "error"}:
        return sum(least_bytes(field["type"]) for field in schema["fields"])
    return int(schema["size"]) if type_ == "fixed" else 1 if type_ in {"array", "map", "enum"} else least_bytes(type_)


def difference(schema: Schema, reader: Schema) -> str | None:
    """Say what keeps every record of a writer's schema from being read by a reader's, where that is easily said."""
    if not all(isinstance(one, dict) and one["type"] == "record" for one in (schema, reader)):
        return None
    full, also = schema["name"], reader.get("aliases", ())
    if not {full, full.rpartition(".")[2]} & {reader["name"].rpartition(".")[2], *also}:
        fix = f"add `{full}` to the `aliases` of that"
        return (
            f"is of the record `{full}`, the schema in the pipeline of `{reader['name']}`; if they are the same, {fix}"
        )
    names = [field["name"] for field in schema["fields"]]
    for field in reader["fields"]:
        if "default" not in field and not {field["name"], *field.get("aliases", ())} & set(names):
            there = ", ".join(names)
            return f"has no field `{field['name']}`, and the schema in the pipeline no default for it: it has {there}"
    return None


def _fields_at(schema: Schema, path: Sequence[str], named: Mapping[str, Schema]) -> Mapping[str, Schema] | None:
    """Give the fields of the records at a path, through unions; None where there is no record."""
    schema = opened(schema, named)
    if isinstance(schema, list):
        found = [names for names in (_fields_at(branch, path, named) for branch in schema) if names is not None]
        # A field that several records have is of any of its types.
        return (
            {name: [names[name] for names in found if name in names] for names in found for name in names}
            if found
            else None
        )
    if schema["type"] == ITEM:
        return _fields_at(schema["items"], path, named)
    if schema["type"] not in {"record", "error"}:
        return None
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    if not path:
        return fields
    return _fields_at(fields[path[0]], path[1:], named) if path[0] in fields else None
