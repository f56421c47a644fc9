"""Where in data of Avro the items of a list stand.

The schema becomes the same program as for reading, but that one of its arrays is a list whose items are told. What is passed
over is only measured; so a datum must still be read to its end to know whether it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from connectors.codec import avro_kernel as steps
from connectors.codec.avro_kernel import read_block, read_long
from connectors.codec.avro_scan import Program
from connectors.codec.each import BLANK
from connectors.codec.items import Items
from connectors.codec.puts import Puts
from operators.binary import Binary
from operators.kernel import kernel

_LIST, _NEXT = len(steps.STEPS), len(steps.STEPS) + 1
"""Steps besides those that read: of the list, and behind each of its items."""
_MARK = "list of readings"
"""In place of the type of the list."""
_LEAST = {"null": 0, "float": 4, "double": 8}


class AvroItems:
    """Finds the items of a list in data of one schema.

    Args:
        schema: the writer's, with named types written out where they are used, as fastavro's `expand_schema` does; no
            record contains itself.
        path: of the list.
    """

    def __init__(self, schema: Any, path: Sequence[str]) -> None:
        """Make the program."""
        sizes: list[int] = []

        def marked(array: Any) -> Any:
            sizes.append(least_bytes(array["items"]))
            return {"type": _MARK, "items": array["items"]}

        program = _Program(Puts(BLANK))
        program.add(_replaced(schema, path, marked), ())
        program.step(steps.END)
        self._program = np.array(program.steps, np.int64)
        self._targets = np.array(program.targets, np.int64)
        self._least = max(1, min(sizes))

    def find(self, values: Binary) -> Items:
        """Find the items."""
        rows = len(values)
        room = int((np.maximum(values.size, 0) // self._least).sum())
        count, lists = np.empty(rows, np.int64), np.zeros((rows, 2), np.int64)
        first, last = np.empty(room, np.int64), np.empty(room, np.int64)
        left = np.empty(steps.DEEP, np.int64)
        found = _find(
            values.data, values.begin, values.size, self._program, self._targets, left, count, lists, first, last
        )
        return Items(count, lists, first[:found], last[:found])


def with_item(schema: Any, path: Sequence[str]) -> Any:
    """Give a schema in which the array at a path is replaced by what its items are; None where there is no array.

    Args:
        schema: as for `AvroItems`.
        path: of the array; unions on the way may have other branches.
    """
    return _replaced(schema, path, lambda array: array["items"])


def _replaced(schema: Any, path: Sequence[str], made: Callable[[Any], Any]) -> Any:  # schemas are JSON
    if isinstance(schema, list):
        branches = [_replaced(branch, path, made) for branch in schema]
        found = any(branch is not None for branch in branches)
        return [old if new is None else new for old, new in zip(schema, branches, strict=True)] if found else None
    type_ = schema["type"] if isinstance(schema, dict) else None
    if isinstance(type_, dict | list):
        return _replaced(type_, path, made)
    if not path:
        return made(schema) if type_ == "array" else None
    if type_ in {"record", "error"}:
        for place, field in enumerate(schema["fields"]):
            inner = _replaced(field["type"], path[1:], made) if field["name"] == path[0] else None
            if inner is not None:
                fields = schema["fields"]
                return {**schema, "fields": [*fields[:place], {**field, "type": inner}, *fields[place + 1 :]]}
    return None


def least_bytes(schema: Any) -> int:  # as above
    """Give how many bytes a value of a schema has at least."""
    if isinstance(schema, list):
        return 1 + min(map(least_bytes, schema), default=0)
    if not isinstance(schema, dict):
        return _LEAST.get(schema, 1)
    type_ = schema["type"]
    if type_ in {"record", "error"}:
        return sum(least_bytes(field["type"]) for field in schema["fields"])
    return int(schema["size"]) if type_ == "fixed" else 1 if type_ in {"array", "map", "enum"} else least_bytes(type_)


class _Program(Program):
    def add(self, schema: Any, path: tuple[str, ...]) -> None:
        if isinstance(schema, dict) and schema["type"] == _MARK:
            begin = self.step(_LIST, len(self.steps))
            self.add(schema["items"], (*path, "[]"))
            self.step(_NEXT, begin)
        else:
            super().add(schema, path)


@kernel
def _find(data, begin, size, program, targets, left, count, lists, first, last):  # type: ignore[no-untyped-def]  # compiled
    """Find the items of every datum; gives how many there are."""
    known = 0
    for row in range(len(begin)):
        at, behind, found = _walk(data, begin[row], begin[row] + size[row], program, targets, left, known, first, last)
        count[row] = -1
        if behind >= 0:
            lists[row, 0], lists[row, 1] = at, behind
            count[row] = found - known
            known = found
    return known


@kernel
def _walk(data, at, end, program, targets, left, known, first, last):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0911, PLR0912, PLR0915  # a machine is one loop
    """Note where each item of the list stands; gives where the list begins and ends, and how many items are noted then.

    It ends at -1 where a datum has no list, as in another branch of a union, or breaks off.
    """
    step, depth, items, begin, rest = 0, -1, end - at, at, 0
    while True:
        what, own, more = program[step, 0], program[step, 1], program[step, 3]
        step += 1
        if what in (steps.LONG, steps.ENUM):
            at, _ = read_long(data, at, end)
            if at < 0:
                return begin, -1, known
        elif what in (steps.TEXT, steps.BYTES):
            at, whole = read_long(data, at, end)
            if at < 0 or not 0 <= whole <= end - at:
                return begin, -1, known
            at += whole
        elif what in (steps.DOUBLE, steps.FLOAT, steps.TRUTH, steps.FIXED):
            size = own if what == steps.FIXED else 8 if what == steps.DOUBLE else 4 if what == steps.FLOAT else 1
            if size > end - at:
                return begin, -1, known
            at += size
        elif what == steps.UNION:
            at, whole = read_long(data, at, end)
            if at < 0 or not 0 <= whole < more:
                return begin, -1, known
            step = targets[own + whole]
        elif what == steps.JUMP:
            step = own
        elif what == steps.BLOCK:
            at, whole = read_block(data, at, end)
            if at < 0 or whole > items or depth + 1 == len(left):
                return begin, -1, known
            items -= whole
            if whole == 0:
                step = own
            else:
                depth += 1
                left[depth] = whole
        elif what == steps.AGAIN:
            left[depth] -= 1
            step = own + 1
            if left[depth] == 0:
                depth -= 1
                step = own
        elif what in (_LIST, _NEXT):
            if what == _LIST:
                begin = at
            else:
                last[known] = at
                known += 1
                rest -= 1
            if rest == 0:
                at, rest = read_block(data, at, end)
                if at < 0 or rest > items:
                    return begin, -1, known
                if rest == 0:
                    return begin, at, known
                items -= rest
            if known == len(first):
                return begin, -1, known
            first[known] = at
            step = own + 1
        elif what != steps.NOTHING:
            return begin, -1, known
