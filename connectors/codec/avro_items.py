"""Where in data of Avro the items of a list stand.

The schema becomes the same program as for reading, but that one of its arrays is a list whose items are told. What is passed
over is only measured; so a datum must still be read to its end to know whether it is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from connectors.codec import avro_kernel as steps
from connectors.codec.avro_kernel import read_block, read_long
from connectors.codec.avro_scan import Program
from connectors.codec.avro_schema import least_bytes, replaced
from connectors.codec.each import BLANK
from connectors.codec.items import Items
from connectors.codec.puts import Puts
from operators.binary import Binary
from operators.kernel import kernel

_LIST, _NEXT = len(steps.STEPS), len(steps.STEPS) + 1
"""Steps besides those that read: of the list, and behind each of its items."""
_MARK = "list of readings"
"""In place of the type of the list."""


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

        schema = replaced(schema, path, marked)
        program = _Program(Puts(BLANK), schema)
        program.add(schema, None, ())
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


class _Program(Program):
    def add(self, schema: Any, reader: Any, path: tuple[str, ...]) -> None:
        if isinstance(schema, dict) and schema["type"] == _MARK:
            begin = self.step(_LIST, len(self.steps))
            self.add(schema["items"], reader, (*path, "[]"))
            self.step(_NEXT, begin)
        else:
            super().add(schema, reader, path)


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
