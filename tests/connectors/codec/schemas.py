"""Schemas of Avro and data of theirs, drawn: most of what the specification allows."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from connectors.codec.base import FieldPath, Reading, Unit
from operators.batch import Type
from tests.connectors.codec.numbers import any_float

FIELDS = (
    FieldPath("x", ("x",), Type.FLOAT),
    FieldPath("whole", ("x",), Type.INT),
    FieldPath("n", ("n",), Type.INT),
    FieldPath("ok", ("data", "ok"), Type.BOOL),
    FieldPath("text", ("data", "deep", "text"), Type.TEXT),
    FieldPath("mode", ("mode",), Type.TEXT),
)
_PLAIN_FIELDS = (FIELDS[0], *FIELDS[2:])
READINGS = {
    "one part": Reading(FIELDS, (("dev",),), ("ts",), Unit.MS, 10**9),
    "two parts": Reading(FIELDS, (("dev",), ("data", "part")), ("ts",), Unit.S, 10**9),
    "a part twice": Reading(FIELDS[2:], (("dev",), ("mode",), ("dev",)), ("ts",), Unit.US, 10**9),
    "the key": Reading(FIELDS, (), (), Unit.US, 10**9),
    "us": Reading(_PLAIN_FIELDS, (("mode",),), ("data", "ts"), Unit.US, 10**9),
    "ns": Reading(_PLAIN_FIELDS, (("dev",),), ("ts",), Unit.NS, 10**9),
    "iso": Reading(_PLAIN_FIELDS, (("dev",),), ("ts",), Unit.ISO, 10**9),
}
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
_FLOATS = [struct.pack("<f", number) for number in (1.5, 0.1, -0.0, 1e-45, math.inf, math.nan)]
_DOUBLES = [1.5, 1_700_000_000.25, 2.0, -0.0, 5e-324, math.nan]
_TEXTS = [
    "",
    "a",
    "on",
    "a/b",
    "50%",
    "é",
    "😀",
    "x" * 1_001,
    *["2023-11-14T22:13:20Z", "2020-02-29T00:00:00.25+01:00"] * 8,
    "2026-02-29T00:00:00Z",
    "2023-01-31T24:00:00Z",
    "2023-01-31T12:60:00Z",
    "2023-01-31T12:00:60Z",
    "2023-01-31T12:00:00+24:00",
    "2023-01-31t12:00:00z",
]


class Schemas:
    """Draws schemas. Each named type has a name of its own, and may be named again later.

    Args:
        random_: draws.
        odd: how often, of 100, a type is another than the usual ones.
    """

    def __init__(self, random_: Random, odd: int) -> None:
        self._random = random_
        self._odd = odd
        self._named: list[str] = []
        self._count = 0

    def record(self, **fields: Any) -> Any:
        return {"type": "record", "name": self._name(), "fields": [{"name": n, "type": t} for n, t in fields.items()]}

    def type(self, depth: int = 2, *usual: Any) -> Any:
        """Draw a type: one of the usual ones, mostly."""
        if usual and self._random.randrange(100) >= self._odd:
            return self._random.choice(usual)
        kinds = ["plain", "logical", "enum", "fixed", "named", "union"] + ["array", "map", "record"] * bool(depth)
        kind = self._random.choice(kinds)
        if kind == "union":
            return self._union(depth)
        return self._single(kind, depth)

    def optional(self, schema: Any) -> Any:
        """Draw a union of a type and null, or the type itself."""
        if isinstance(schema, list) or schema == "null":
            return schema
        return self._random.choice([schema, ["null", schema], [schema, "null"]])

    def _single(self, kind: str, depth: int) -> Any:  # noqa: PLR0911  # a case a type
        if kind == "named" and self._named:
            return self._random.choice(self._named)
        if kind == "logical":
            return self._random.choice(_LOGICAL)
        if kind == "enum":
            name = self._name(keep=True)
            return {"type": "enum", "name": name, "symbols": self._random.choice((["ON"], ["ON", "OFF", "IDLE"]))}
        if kind == "fixed":
            return {"type": "fixed", "name": self._name(keep=True), "size": self._random.choice([1, 3, 16])}
        if kind == "array":
            return {"type": "array", "items": self._some(depth)}
        if kind == "map":
            return {"type": "map", "values": self.type(depth - 1)}
        if kind == "record":
            return self.record(text=self._some(depth), part=self.type(depth - 1))
        return self._random.choice(_PLAIN)

    def _some(self, depth: int) -> Any:
        """Draw a type whose values have a byte at least: the library counts through as many of none as are claimed."""
        schema = self.type(depth - 1)
        return "int" if schema == "null" else schema

    def _union(self, depth: int) -> Any:
        plain = self._random.sample(_PLAIN, self._random.randint(1, 4))
        kinds = ["enum", "fixed"] + ["array", "map", "record"] * bool(depth)
        return plain + [self._single(kind, depth) for kind in self._random.sample(kinds, self._random.randint(0, 2))]

    def _name(self, *, keep: bool = False) -> str:
        self._count += 1
        name = f"T{self._count}"
        if keep:
            self._named.append(name)
        return name


def schema(random_: Random, unit: Unit) -> Any:
    """Draw the schema of a record, with most of what the readings read; `unit` is of the event time."""
    make = Schemas(random_, random_.choice((0, 0, 5, 40)))
    times = ("string",) if unit is Unit.ISO else ("long", "long", "double")
    deep = make.record(text=make.optional(make.type(1, "string")), other=make.type(1))
    data = make.record(
        before=make.type(1),
        ok=make.optional(make.type(1, "boolean")),
        deep=make.optional(make.type(1, deep)),
        part=make.type(1, "string", "int", "long"),
        ts=make.type(1, *times),
    )
    fields = {
        "x": make.optional(make.type(2, "float", "double", "int", ["null", "double", "long"])),
        "other": make.type(),
        "dev": make.type(1, "string", "int", "long", ["int", "string"]),
        "ts": make.type(1, *times),
        "n": make.optional(make.type(1, "int", "long", ["null", "long"])),
        "mode": make.optional(make.type(1, {"type": "enum", "name": "Mode", "symbols": ["A", "BB", "CCC"]}, "string")),
        "data": make.optional(make.type(2, data)),
    }
    return known(make.record(**{name: fields[name] for name in random_.sample(list(fields), len(fields))}), {})


class Evolution:
    """Draws what may become of a schema: fields come, go, move and are renamed, numbers widen, unions gain and lose types."""

    def __init__(self, random_: Random) -> None:
        self._random = random_
        self._one_in = random_.choice([16, 100])
        self._count = 0

    def of(self, schema: Any) -> Any:
        return known(self._type(schema), {})

    def _often(self) -> bool:
        return self._random.randrange(4) < 3

    def _rarely(self) -> bool:
        return self._random.randrange(self._one_in) == self._one_in - 1

    def _type(self, schema: Any) -> Any:  # a case a type
        if isinstance(schema, list):
            flat = _flat([self._type(branch) for branch in schema if not self._rarely()])
            kinds = [branch if isinstance(branch, str) else branch.get("name", branch["type"]) for branch in flat]
            single = [branch for at, branch in enumerate(flat) if kinds[at] not in kinds[:at]]
            return (self._random.sample(single, len(single)) if self._rarely() else single) or "null"
        if self._rarely() and schema != "null":
            return ["null", *_flat([self._type(schema)])]
        if isinstance(schema, str):
            wider = {
                "int": ["long", "float", "double"],
                "long": ["double"],
                "float": ["double"],
                "string": ["bytes"],
                "bytes": ["string"],
            }
            return self._random.choice(wider.get(schema, [schema])) if self._rarely() else schema
        made = dict(schema)
        if "name" in made and self._rarely():
            self._count += 1
            made["name"] = f"N{self._count}"
            if self._often():
                made["aliases"] = [schema["name"]]
        if made["type"] == "record":
            made["fields"] = self._fields(schema["fields"])
        elif made["type"] == "enum" and self._rarely():
            made["symbols"] = [*made["symbols"][1:], "NEW"]
            made |= {"default": "NEW"} if self._often() else {}
        elif made["type"] in {"array", "map"}:
            inner = "items" if made["type"] == "array" else "values"
            made[inner] = self._type(made[inner])
            made[inner] = "int" if made[inner] == "null" else made[inner]
        return made

    def _fields(self, fields: Any) -> list[Any]:
        made = []
        for field in fields:
            if self._rarely():
                continue
            one = {**field, "type": self._type(field["type"])}
            if self._rarely():
                one["aliases"] = [field["name"]]
                one["name"] = self._random.choice(["x", "n", "dev", "text", "old"])
            made.append(one)
        made += [
            self._new(name) for name in ("x", "n", "data", "dev", "ts", "mode", "text", "ok", "part") if self._rarely()
        ]
        unique = list({one["name"]: one for one in made}.values())
        return self._random.sample(unique, len(unique)) if self._rarely() else unique

    def _new(self, name: str) -> Any:
        self._count += 1
        inner = {"type": "record", "name": f"N{self._count}", "fields": [{"name": "text", "type": "string"}]}
        type_, default = self._random.choice(
            (
                ("int", 5), ("long", 2**62), ("double", 1.5), ("double", 2), ("boolean", True), ("string", "é"), ("string", ""),
                ("string", "2026-01-31T12:00:00Z"), (["null", "long"], None), (["long", "null"], 7), ("bytes", "a"),
                (inner, {"text": "deep"}), ({"type": "array", "items": "int"}, []), ("long", 1_700_000_000_000),
            )
        )  # fmt: skip
        return {"name": name, "type": type_, **({"default": default} if self._often() else {})}


def _flat(branches: list[Any]) -> list[Any]:
    """Put the branches of unions in their places."""
    return [inner for branch in branches for inner in (branch if isinstance(branch, list) else [branch])]


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


PIECES = (b"", b"\0", b"\1", b"\x02", b"\x7f", b"\x80", b"\xff", b"\xff" * 10, long(-1), long(9), long(2**40))
"""What is put where bytes are disturbed."""


class Datum:
    """Draws data of a schema, written in every way that the specification allows."""

    def __init__(self, random_: Random, schema: Any) -> None:
        self._random = random_
        self._schema = schema
        self._named: dict[str, Any] = {}
        known(schema, self._named)

    def written(self) -> bytes:
        return self._value(self._schema)

    def _value(self, schema: Any) -> bytes:  # noqa: PLR0911  # a case a type
        if isinstance(schema, list):
            branch = self._random.randrange(len(schema))
            if schema[branch] == "null" and self._random.randrange(8):
                branch = self._random.randrange(len(schema))
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
            return long(self._random.randrange(len(schema["symbols"])))
        return self._plain(type_, schema)

    def _plain(self, type_: str, schema: Any) -> bytes:  # noqa: PLR0911  # a case a type
        if type_ in {"int", "long"}:
            return long(self._long(type_))
        if type_ == "float":
            return self._random.choice((self._random.randbytes(4), *_FLOATS))
        if type_ == "double":
            return struct.pack("<d", self._random.choice((any_float(self._random), *_DOUBLES)))
        if type_ == "fixed":
            return self._random.randbytes(schema["size"])
        if type_ == "string":
            text = self._random.choice(_TEXTS).encode()
            return long(len(text)) + text
        if type_ == "bytes":
            data = self._random.randbytes(self._random.randrange(6))
            return long(len(data)) + data
        return bytes([self._random.randrange(2)]) if type_ == "boolean" else b""

    def _long(self, type_: str) -> int:
        kind = self._random.randrange(8)
        if kind <= 2:
            return 1_700_000_000 + self._random.randrange(1_000)  # a time in every unit
        if kind == 3:
            return self._random.getrandbits(32 if type_ == "int" else self._random.randint(1, 64)) - (1 << 31)
        return self._random.choice(_NUMBERS if type_ == "int" or kind <= 5 else _LONGS)

    def _blocks(self, item: Callable[[], bytes]) -> bytes:
        out = b""
        for _ in range(self._random.randrange(3)):
            count = self._random.randint(1, 3)
            items = b"".join(item() for _ in range(count))
            sized = self._random.random() < 0.5
            out += long(-count) + long(len(items)) + items if sized else long(count) + items
        return out + long(0)
