"""Avro read straight into columns: the schema becomes a program, and a kernel carries it out.

Fields that aren't read are passed over; what they hold is still looked at, as fastavro does: texts must be UTF-8, and a
datum must end where its record does. What the kernel doesn't take it leaves to `connectors.codec.documents`, which says
what is wrong, if anything is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.codec import avro_kernel as kernel
from connectors.codec.avro_schema import ITEM, NAMED, named_types, opened
from connectors.codec.base import Decoded, Reading, Records
from connectors.codec.put import FALSE, FLOAT, NOWHERE, NULL, PART, REAL, STRING, TRUE, WHOLE
from connectors.codec.puts import Puts
from operators.binary import Binary

_PLAIN = {
    "null": kernel.NOTHING,
    "boolean": kernel.TRUTH,
    "int": kernel.LONG,
    "long": kernel.LONG,
    "float": kernel.FLOAT,
    "double": kernel.DOUBLE,
    "bytes": kernel.BYTES,
    "string": kernel.TEXT,
}
_PROMOTED = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
}
"""What is written as the one may be read as the other."""
_LARGE = 2**62
_Path = tuple[str, ...]
_NOWHERE: _Path = ("",)
"""A path at which nothing is read, nor below it: no field has an empty name."""


class AvroScan:
    """Reads data of one schema into columns.

    Args:
        schema: the writer's, parsed by fastavro; no record contains itself.
        reading: what to read.
        reader: the reader's schema, likewise; None to read what was written.
    """

    def __init__(
        self, schema: Any, reading: Reading, reader: Any = None
    ) -> None:  # fastavro's parsed schemas are untyped
        """Make the program."""
        self._puts = Puts(reading)
        program = Program(self._puts, schema, reader)
        program.add(schema, reader, ())
        program.step(kernel.END)
        self._program = np.array(program.steps, np.int64)
        self._targets = np.array(program.targets, np.int64)
        symbols = list(map(str.encode, program.symbols))
        self._symbols = np.frombuffer(b"".join(symbols), np.uint8)
        ends = np.cumsum([len(symbol) for symbol in symbols], dtype=np.int64)
        self._spans = np.column_stack([ends - [len(symbol) for symbol in symbols], ends]).astype(np.int64)
        self._whole_parts = sum(step[0] == kernel.LONG and step[3] for step in program.steps)

    def scan(self, records: Records) -> tuple[Decoded, NDArray[np.intp]]:
        """Read records.

        Returns:
            The rows that were read, and the places of the records that weren't.
        """
        values, arrays = records.values, self._puts.arrays(records)
        data, held = values.data, len(values.data)
        more = len(self._symbols) + kernel.DIGITS * self._whole_parts * len(records)
        if more:
            data = np.empty(held + more, np.uint8)
            data[:held] = values.data
            data[held : held + len(self._symbols)] = self._symbols
            records = replace(records, values=Binary(data, values.begin, values.size))
        left = np.empty(kernel.DEEP, np.int64)
        for puts in self._puts.layers:
            kernel.decode(
                data, values.begin, values.size, self._program, self._targets, self._spans + held,
                held + len(self._symbols), kernel.DIGITS * self._whole_parts, puts, left, *arrays,
            )  # fmt: skip
        return self._puts.rows(records, arrays)


class Program:
    """The steps that read a schema.

    Where a reader's schema is given too, values become what it says, as Avro resolves the two (1.12, "Schema Resolution"):
    a field has the reader's name, and one that isn't written its default. What isn't that simple is refused here, and so
    left to fastavro.

    Attributes:
        steps: each what it does, a number of its own, the put of its value or -1, and another number of its own.
        targets: where the branches of unions begin, one union behind the other.
        symbols: of all enums, and texts that are defaults.
    """

    def __init__(self, puts: Puts, schema: Any, reader: Any = None) -> None:
        self.steps: list[list[int]] = []
        self.targets: list[int] = []
        self.symbols: list[str] = []
        self._puts = puts
        self._named = named_types(schema)
        self._of_reader = named_types(reader)

    def step(self, what: int, own: int = 0, put: int = -1, more: int = 0) -> int:
        """Add a step; gives its place."""
        self.steps.append([what, own, put, more])
        return len(self.steps) - 1

    def add(self, schema: Any, reader: Any, path: _Path) -> None:
        """Add the steps that read a value of this schema, which stands at a path of the datum, as a reader's type or None."""
        schema = opened(schema, self._named)
        if isinstance(schema, list):
            self._union(schema, reader, path)
            return
        if reader is not None:
            reader = self._taken(schema, reader)
            if reader is None:
                self.step(kernel.REFUSE)
                return
        type_ = schema["type"]
        if type_ in _PLAIN or type_ in {"fixed", "enum"}:
            self._value(schema, reader, path)
        elif type_ == ITEM:
            self.add(schema["items"], reader and reader["items"], path)
        elif path in self._puts.at:
            self.step(kernel.REFUSE)  # nothing that is read is made of others
        elif type_ in {"record", "error"}:
            self._record(schema, reader, path)
        elif type_ in {"array", "map"}:
            self._refuse_below(path)
            begin = self.step(kernel.BLOCK)
            if type_ == "map":
                self.step(kernel.TEXT)
            inner = "items" if type_ == "array" else "values"
            self.add(schema[inner], reader and reader[inner], (*path, "[]"))
            self.step(kernel.AGAIN, begin)
            self.steps[begin][1] = len(self.steps)
        else:
            self.step(kernel.REFUSE)

    def _taken(self, schema: Any, reader: Any) -> Any:
        """Give which of the reader's types a written one is taken as; None where none is, or fastavro is to say."""
        found = opened(reader, self._of_reader)
        branches = found if isinstance(found, list) else [found]
        found = next((opened(branch, self._of_reader) for branch in branches if self._fits(schema, branch)), None)
        if found is None or isinstance(found, list):
            return None
        return found if found["type"] == schema["type"] or (schema["type"], found["type"]) in _PROMOTED else None

    def _fits(self, schema: Any, reader: Any) -> bool:
        """Say whether a written type is one of a reader's, as fastavro looks at it."""
        schema, reader = opened(schema, self._named), opened(reader, self._of_reader)
        if isinstance(schema, list) or isinstance(reader, list):
            return True
        written, read = schema["type"], reader["type"]
        if written in NAMED and read in NAMED:
            full, also = schema["name"], reader.get("aliases", ())
            name = full.rpartition(".")[2]
            sized = written != "fixed" or read != "fixed" or schema["size"] == reader["size"]
            return sized and (name == reader["name"].rpartition(".")[2] or full in also or name in also)
        if written == read and read in {"array", ITEM}:
            return self._fits(schema["items"], reader["items"])
        if written == read == "map":
            return self._fits(schema["values"], reader["values"])
        return written == read or (written, read) in _PROMOTED

    def _value(self, schema: Any, reader: Any, path: _Path) -> None:
        type_, put = schema["type"], self._puts.at.get(path, -1)
        if type_ != "null":
            self._refuse_below(path)
        if type_ == "fixed":
            self.step(kernel.FIXED, schema["size"])
        elif type_ == "enum":
            self._enum(schema["symbols"], reader, put)
        elif reader is not None and (type_, reader["type"]) == ("bytes", "string"):
            self.step(kernel.TEXT, 0, put)
            return
        else:
            self.step(_PLAIN[type_], 0, put, int(type_ in {"int", "long"} and self._goes_to(put, {PART})))
        taken = type_ if reader is None else reader["type"]
        # A whole number that is taken as one with a fraction is none for a column of whole numbers, or a time.
        made_real = taken in {"float", "double"} and type_ in {"int", "long"}
        if put >= 0 and (taken in {"bytes", "fixed"} or (made_real and not self._goes_to(put, {FLOAT}, only=True))):
            self.step(kernel.REFUSE)

    def _enum(self, symbols: Sequence[str], reader: Any, put: int) -> None:
        if reader is not None:
            known, default = reader["symbols"], reader.get("default")
            if not (default or set(symbols) <= set(known)):
                self.step(kernel.REFUSE)
                return
            symbols = [symbol if symbol in known else default for symbol in symbols]
        self.step(kernel.ENUM, len(symbols), put, len(self.symbols))
        self.symbols += symbols

    def _record(self, schema: Any, reader: Any, path: _Path) -> None:
        if reader is None:
            for field in schema["fields"]:
                self.add(field["type"], None, (*path, field["name"]))
            return
        left = {field["name"]: field for field in reader["fields"]}
        renamed = {alias: field for field in reader["fields"] for alias in field.get("aliases", ())}
        known = {**renamed, **left}
        for field in schema["fields"]:
            found = known.get(field["name"])
            if found is None:
                self.add(field["type"], None, _NOWHERE)
            elif left.pop(found["name"], None) is None:
                self.step(kernel.REFUSE)  # two fields are to be one
            else:
                self.add(field["type"], found["type"], (*path, found["name"]))
        for name, field in left.items():
            if "default" in field:
                self._constant(field["default"], (*path, name))
            else:
                self.step(kernel.REFUSE)

    def _constant(self, value: Any, path: _Path) -> None:  # as it stands in JSON
        """Add the steps that put a default, which fastavro gives as it stands in the schema."""
        put = self._puts.at.get(path, -1)
        if isinstance(value, dict):
            for name, inner in value.items():
                self._constant(inner, (*path, name))
        elif value is not None:
            self._refuse_below(path)
        if put < 0:
            return
        if isinstance(value, str):
            self.step(kernel.CONSTANT, STRING, put, len(self.symbols))
            self.symbols.append(value)
        elif isinstance(value, float):
            self.step(kernel.CONSTANT, REAL, put, int(np.float64(value).view(np.int64)))
        elif value is None or isinstance(value, bool):
            self.step(kernel.CONSTANT, NULL if value is None else TRUE if value else FALSE, put)
        elif isinstance(value, int) and abs(value) < _LARGE and not self._goes_to(put, {PART}):
            self.step(kernel.CONSTANT, WHOLE, put, value)
        else:
            self.step(kernel.REFUSE)

    def _union(self, branches: Sequence[Any], reader: Any, path: _Path) -> None:
        first = len(self.targets)
        self.step(kernel.UNION, first, -1, len(branches))
        self.targets += [0] * len(branches)
        ends = []
        for branch, schema in enumerate(branches):
            self.targets[first + branch] = len(self.steps)
            self.add(schema, reader, path)
            ends.append(self.step(kernel.JUMP))
        for end in ends:
            self.steps[end][1] = len(self.steps)

    def _refuse_below(self, path: _Path) -> None:
        """Refuse a value that isn't a record where something within one is read."""
        if any(other[: len(path)] == path and len(other) > len(path) for other in self._puts.at):
            self.step(kernel.REFUSE)

    def _goes_to(self, put: int, what: set[int], *, only: bool = False) -> bool:
        """Say whether a value goes into such a thing, or into nothing else."""
        goes = set(self._puts.layers[:, put, 0].tolist()) - {NOWHERE} if put >= 0 else set()
        return goes <= what if only else bool(goes & what)
