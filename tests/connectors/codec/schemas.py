"""Schemas of Avro and data of theirs, drawn by hypothesis: most of what the specification allows."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

_PLAIN = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_LOGICAL: tuple[Any, ...] = (
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "int", "logicalType": "date"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
)
_NUMBERS = [0, 1, -1, 7, 63, 64, -65, 2**31 - 1, 1_700_000_000, -62_135_596_801]
_LONGS = [
    1_700_000_000_000,
    1_700_000_000_000_000,
    1_700_000_000_000_000_001,
    2**62 - 1,
    2**62,
    -(2**62),
    2**63 - 1,
    -(2**63),
]
_TEXTS = ["", "a", "on", "a/b", "50%", "é", "😀", "x" * 1_001, "2026-01-31T12:00:00Z", "2026-02-29T00:00:00Z"]


class Schemas:
    """Draws schemas. Each named type has a name of its own, and may be named again later."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self._draw = draw
        self._named: list[str] = []
        self._count = 0

    def record(self, **fields: Any) -> Any:
        return {"type": "record", "name": self._name(), "fields": [{"name": n, "type": t} for n, t in fields.items()]}

    def type(self, depth: int = 2, *usual: Any) -> Any:
        """Draw a type: one of the usual ones, mostly."""
        kinds = ["usual"] * 4 * bool(usual) + ["plain", "logical", "enum", "fixed", "named", "union"]
        kinds += ["array", "map", "record"] if depth else []
        kind = self._draw(st.sampled_from(kinds))
        if kind == "usual":
            return self._draw(st.sampled_from(usual))
        if kind == "union":
            return self._union(depth)
        return self._single(kind, depth)

    def optional(self, schema: Any) -> Any:
        """Draw a union of a type and null, or the type itself."""
        if isinstance(schema, list) or schema == "null":
            return schema
        return self._draw(st.sampled_from([schema, ["null", schema], [schema, "null"]]))

    def _single(self, kind: str, depth: int) -> Any:  # noqa: PLR0911  # a case a type
        if kind == "named" and self._named:
            return self._draw(st.sampled_from(self._named))
        if kind == "logical":
            return self._draw(st.sampled_from(_LOGICAL))
        if kind == "enum":
            name = self._name(keep=True)
            return {
                "type": "enum",
                "name": name,
                "symbols": self._draw(st.sampled_from([["ON"], ["ON", "OFF", "IDLE"]])),
            }
        if kind == "fixed":
            return {"type": "fixed", "name": self._name(keep=True), "size": self._draw(st.sampled_from([1, 3, 16]))}
        if kind == "array":
            return {"type": "array", "items": self._some(depth)}
        if kind == "map":
            return {"type": "map", "values": self.type(depth - 1)}
        if kind == "record":
            return self.record(text=self._some(depth), part=self.type(depth - 1))
        return self._draw(st.sampled_from(_PLAIN))

    def _some(self, depth: int) -> Any:
        """Draw a type whose values have a byte at least: the library counts through as many of none as are claimed."""
        schema = self.type(depth - 1)
        return "int" if schema == "null" else schema

    def _union(self, depth: int) -> Any:
        plain = self._draw(st.lists(st.sampled_from(_PLAIN), min_size=1, max_size=4, unique=True))
        kinds = ["enum", "fixed"] + ["array", "map", "record"] * bool(depth)
        return plain + [
            self._single(kind, depth) for kind in self._draw(st.lists(st.sampled_from(kinds), max_size=2, unique=True))
        ]

    def _name(self, *, keep: bool = False) -> str:
        self._count += 1
        name = f"T{self._count}"
        if keep:
            self._named.append(name)
        return name


@st.composite
def schemas(draw: Any) -> Any:
    """Draw the schema of a record, with most of what the readings read."""
    make = Schemas(draw)
    deep = make.record(text=make.optional(make.type(1, "string")), other=make.type(1))
    data = make.record(
        before=make.type(1),
        ok=make.optional(make.type(1, "boolean")),
        deep=make.optional(draw(st.sampled_from([deep, deep, make.type(1)]))),
        part=make.type(1, "string", "int", "long"),
        ts=make.type(1, "long", "double", "string"),
    )
    fields = {
        "x": make.optional(make.type(2, "float", "double", "int", ["null", "double", "long"])),
        "other": make.type(),
        "dev": make.type(1, "string", "int", "long", ["int", "string"]),
        "ts": make.type(1, "long", "double", "string"),
        "n": make.optional(make.type(1, "int", "long")),
        "mode": make.optional(make.type(1, {"type": "enum", "name": "Mode", "symbols": ["A", "BB", "CCC"]}, "string")),
        "data": make.optional(draw(st.sampled_from([data, data, data, make.type()]))),
    }
    return known(make.record(**{name: fields[name] for name in draw(st.permutations(list(fields)))}), {})


def known(schema: Any, named: dict[str, Any]) -> Any:
    """Put `int` where a type is named that isn't defined before; `named` gets those that are."""
    if isinstance(schema, list):
        return [known(branch, named) for branch in schema]
    if isinstance(schema, str):
        return schema if schema in _PLAIN or schema in named else "int"
    made = dict(schema)
    if schema["type"] == "record":
        made["fields"] = [{**field, "type": known(field["type"], named)} for field in schema["fields"]]
    for inner in {"items", "values"} & set(schema):
        made[inner] = known(schema[inner], named)
    if schema["type"] in {"enum", "fixed"}:
        named[schema["name"]] = made
    return made


def long(number: int) -> bytes:
    """Write a number as Avro does."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


class Datum:
    """Draws data of a schema, written in every way that the specification allows."""

    def __init__(self, draw: Callable[..., Any], schema: Any) -> None:
        self._draw = draw
        self._schema = schema
        self._named: dict[str, Any] = {}
        known(schema, self._named)

    def written(self) -> bytes:
        return self._value(self._schema)

    def _value(self, schema: Any) -> bytes:  # noqa: PLR0911  # a case a type
        if isinstance(schema, list):
            branch = self._draw(st.integers(0, len(schema) - 1))
            return long(branch) + self._value(schema[branch])
        type_ = schema["type"] if isinstance(schema, dict) else schema
        if type_ in self._named:
            return self._value(self._named[type_])
        if type_ == "record":
            return b"".join(self._value(field["type"]) for field in schema["fields"])
        if type_ == "array":
            return self._blocks(lambda: self._value(schema["items"]))
        if type_ == "map":
            return self._blocks(lambda: self._value("string") + self._value(schema["values"]))
        if type_ == "enum":
            return long(self._draw(st.integers(0, len(schema["symbols"]) - 1)))
        return self._plain(type_, schema)

    def _plain(self, type_: str, schema: Any) -> bytes:  # noqa: PLR0911  # a case a type
        if type_ in {"int", "long"}:
            return long(self._draw(st.sampled_from(_NUMBERS if type_ == "int" else [*_NUMBERS, *_LONGS])))
        if type_ == "float":
            return struct.pack("<f", self._draw(st.floats(width=32)))
        if type_ == "double":
            return struct.pack("<d", self._draw(st.one_of(st.floats(), st.sampled_from([1.5, 1_700_000_000.25, 2.0]))))
        if type_ == "fixed":
            return bytes(self._draw(st.binary(min_size=schema["size"], max_size=schema["size"])))
        if type_ == "string":
            text: bytes = self._draw(st.sampled_from(_TEXTS)).encode()
            return long(len(text)) + text
        if type_ == "bytes":
            data: bytes = self._draw(st.binary(max_size=5))
            return long(len(data)) + data
        return bytes([self._draw(st.integers(0, 1))]) if type_ == "boolean" else b""

    def _blocks(self, item: Callable[[], bytes]) -> bytes:
        out = b""
        for count in self._draw(st.lists(st.integers(1, 3), max_size=2)):
            items = b"".join(item() for _ in range(count))
            sized = self._draw(st.booleans())
            out += long(-count) + long(len(items)) + items if sized else long(count) + items
        return out + long(0)
