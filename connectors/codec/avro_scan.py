"""Avro read straight into columns: the schema becomes a program, and a kernel carries it out.

Fields that aren't read are passed over; what they hold is still looked at, as fastavro does: texts must be UTF-8, and a
datum must end where its record does. What the kernel doesn't take it leaves to `connectors.codec.documents`, which says
what is wrong, if anything is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.codec import avro_kernel as kernel
from connectors.codec.base import Decoded, Reading, Records
from connectors.codec.put import PART
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
_Path = tuple[str, ...]


class AvroScan:
    """Reads data of one schema into columns.

    Args:
        schema: the writer's, parsed by fastavro; no record contains itself.
        reading: what to read.
    """

    def __init__(self, schema: Any, reading: Reading) -> None:  # fastavro's parsed schemas are untyped
        """Make the program."""
        self._puts = Puts(reading)
        program = Program(self._puts)
        program.add(schema, ())
        program.step(kernel.END)
        self._program = np.array(program.steps, np.int64)
        self._targets = np.array(program.targets, np.int64)
        self._symbols = np.frombuffer("".join(program.symbols).encode(), np.uint8)
        ends = np.cumsum([len(symbol) for symbol in program.symbols], dtype=np.int64)
        self._spans = np.column_stack([ends - [len(symbol) for symbol in program.symbols], ends]).astype(np.int64)
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

    Attributes:
        steps: each what it does, a number of its own, the put of its value or -1, and another number of its own.
        targets: where the branches of unions begin, one union behind the other.
        symbols: of all enums.
    """

    def __init__(self, puts: Puts) -> None:
        self.steps: list[list[int]] = []
        self.targets: list[int] = []
        self.symbols: list[str] = []
        self._puts = puts
        self._named: dict[str, Mapping[str, Any]] = {}

    def step(self, what: int, own: int = 0, put: int = -1, more: int = 0) -> int:
        """Add a step; gives its place."""
        self.steps.append([what, own, put, more])
        return len(self.steps) - 1

    def add(self, schema: Any, path: _Path) -> None:  # noqa: C901  # a case a type
        """Add the steps that read a value of this schema, which stands at a path of the datum."""
        if isinstance(schema, list):
            self._union(schema, path)
            return
        type_ = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(schema, dict) and "name" in schema:
            self._named[schema["name"]] = schema
        if not isinstance(type_, str):  # {"type": {"type": "array", ...}}
            self.add(type_, path)
        elif type_ in _PLAIN or type_ in {"fixed", "enum"}:
            self._value(schema, type_, path)
        elif type_ in self._named:
            self.add(self._named[type_], path)
        elif path in self._puts.at:
            self.step(kernel.REFUSE)  # nothing that is read is made of others
        elif type_ in {"record", "error"}:
            for field in schema["fields"]:
                self.add(field["type"], (*path, field["name"]))
        elif type_ in {"array", "map"}:
            self._refuse_below(path)
            begin = self.step(kernel.BLOCK)
            if type_ == "map":
                self.step(kernel.TEXT)
            self.add(schema["items" if type_ == "array" else "values"], (*path, "[]"))
            self.step(kernel.AGAIN, begin)
            self.steps[begin][1] = len(self.steps)
        else:
            self.step(kernel.REFUSE)

    def _value(self, schema: Any, type_: str, path: _Path) -> None:
        put = self._puts.at.get(path, -1)
        if type_ != "null":
            self._refuse_below(path)
        if type_ == "fixed":
            self.step(kernel.FIXED, schema["size"])
        elif type_ == "enum":
            self.step(kernel.ENUM, len(schema["symbols"]), put, len(self.symbols))
            self.symbols += schema["symbols"]
        else:
            self.step(_PLAIN[type_], 0, put, int(type_ in {"int", "long"} and self._names_device(put)))
        if put >= 0 and type_ in {"bytes", "fixed"}:
            self.step(kernel.REFUSE)

    def _union(self, branches: Sequence[Any], path: _Path) -> None:
        first = len(self.targets)
        self.step(kernel.UNION, first, -1, len(branches))
        self.targets += [0] * len(branches)
        ends = []
        for branch, schema in enumerate(branches):
            self.targets[first + branch] = len(self.steps)
            self.add(schema, path)
            ends.append(self.step(kernel.JUMP))
        for end in ends:
            self.steps[end][1] = len(self.steps)

    def _refuse_below(self, path: _Path) -> None:
        """Refuse a value that isn't a record where something within one is read."""
        if any(other[: len(path)] == path and len(other) > len(path) for other in self._puts.at):
            self.step(kernel.REFUSE)

    def _names_device(self, put: int) -> bool:
        return put >= 0 and bool((self._puts.layers[:, put, 0] == PART).any())
