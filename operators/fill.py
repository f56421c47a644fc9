"""Fill what is missing in a row with the last known value of its device.

For devices that send only what has changed. "Last" is by event time: a missing value becomes the device's latest value
with `value.ts <= row.ts`, so a row is never given a value that is newer than itself, and a value that comes out of
order never takes the place of a newer one. At equal times the value that arrived last counts. Rows that have gone on
already aren't changed by values that come later.

    readings         10:00:00 t=20    10:00:05 t=21    10:00:03 (out of order)    10:00:09
    temperature            20               21               20                      21

For rows out of order the four newest values of each column are kept. A row that is older than all four is left as it
came: no value rather than one that may be wrong. So a device takes 64 bytes a column, however fast it sends; a text is
kept once for all devices, and is dropped when no device holds it any more.

Example:
    steps:
      - fill: {columns: [temperature, humidity], within: 10m}
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count, islice
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.base import Inputs, Operator, Outputs, Problem, Snapshot, SpecError
from operators.batch import MISSING_CODE, Batch, Column, Schema, Text, Type, is_missing, missing
from operators.clock import END, FORGET, NEVER
from operators.duration import Duration
from operators.kernel import kernel

KEPT = 4
"""Values kept of a device and column, the newest first."""
_FEW = 1024
"""Texts that are kept in any case."""


class Fill(Operator):
    """Fill what is missing in a row with the last known value of its device."""

    primary: ClassVar[str] = "columns"

    columns: list[str] | None = Field(
        default=None,
        min_length=1,
        description="The columns to fill, such as `[temperature, humidity]`; all if left out.",
    )
    within: Duration | None = Field(
        default=None, description="How much older than the row, in event time, a value may be; any age if left out."
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the columns that came in, of the same types."""
        refuse_unknown(self.columns, schema, schema.columns, "a column that can be missing")
        return {"": schema}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make a state that knows no value, or go on from a snapshot."""
        return _State(self, inputs.schema, resume)


def refuse_unknown(names: Sequence[str] | None, schema: Schema, fine: Mapping[str, Type], what: str) -> None:
    """Raise a SpecError that tells which of the option `columns` aren't among the columns that are fine."""
    problems = []
    for at, name in enumerate(names or ()):
        if name in fine:
            continue
        given = f"`{name}`" + (f", which is {schema.names()[name]}" if name in schema.columns else "")
        if name in schema.names() and name not in schema.columns:
            given = f"`{name}`, which is the rows' {'time' if name == schema.time else 'device'}"
        near = difflib.get_close_matches(name, fine, 1)
        fix = f"did you mean `{near[0]}`?" if near else None
        problems.append(Problem(("columns", at), f"{what}: {', '.join(fine) or 'there is none'}", given, fix))
    if problems:
        raise SpecError(problems)


class _State:
    def __init__(self, spec: Fill, schema: Schema, resume: Snapshot | None) -> None:
        self._within = END if spec.within is None else np.int64(spec.within)
        wanted = spec.columns or list(schema.columns)
        resume = resume or {}
        self._columns = Bits({name: type_ for name, type_ in schema.columns.items() if name in wanted}, resume)
        self._fresh = np.full((len(self._columns.types), 2 * KEPT), MISSING_CODE, np.int64)
        self._fresh[:, :KEPT] = NEVER
        """What is known of a device that was never seen."""
        self._known: NDArray[np.int64] = resume.get("known", np.empty((0, *self._fresh.shape), np.int64)).copy()
        """By slot and column: the times (us) of the values kept, the newest first, and their bits."""

    def on_batch(self, batch: Batch) -> Outputs:
        self._grow(int(batch.device.max(initial=0)) + 1)
        bits, gone = self._columns.of(batch)
        _fill(
            batch.device, batch.ts, batch.watermark, batch.live, gone, self._within, self._fresh, self._known, bits
        )  # fmt: skip
        out = batch.adding(self._columns.back(bits))
        self._columns.trim([self._known[:, :, KEPT:]])
        return Outputs(out)

    def snapshot(self) -> Snapshot:
        return {"known": self._known.copy(), **self._columns.texts.snapshot()}

    def _grow(self, devices: int) -> None:
        known = len(self._known)
        if devices > known:
            more = max(devices, 2 * known) - known
            self._known = np.concatenate([self._known, np.broadcast_to(self._fresh, (more, *self._fresh.shape))])


@kernel
def _renew(known, fresh):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for column in range(known.shape[0]):
        for at in range(known.shape[1]):
            known[column, at] = fresh[column, at]


@kernel
def _fill(device, ts, watermark, live, gone, within, fresh, known, bits):  # type: ignore[no-untyped-def]  # compiled
    """Write into `bits` what is known where a value is gone; keep the values that aren't."""
    for row in range(len(ts)):
        for column in range(bits.shape[1] if live[row] else 0):
            held = known[device[row], column]
            # The first that isn't newer than the row: the newest, unless the row is out of order.
            at = 0
            while at < KEPT and held[at] > ts[row]:
                at += 1
            if at == KEPT:
                continue
            if gone[row, column]:
                if held[at] != NEVER and ts[row] - held[at] <= within:
                    bits[row, column] = held[KEPT + at]
                continue
            if held[at] != ts[row]:
                for older in range(KEPT - 1, at, -1):
                    held[older] = held[older - 1]
                    held[KEPT + older] = held[KEPT + older - 1]
                held[at] = ts[row]
            held[KEPT + at] = bits[row, column]
        if watermark[row] >= FORGET:
            _renew(known[device[row]], fresh)


class Bits:
    """Columns as one array of int64, floats bit by bit, so that one kernel serves every type.

    A text is its code in a table that lives as long as the state: the codes of a batch mean nothing in the next one.

    Attributes:
        types: of the columns; where one is float, ints and bools become floats.
        texts: the table.
        absent: int64, the bits of a missing value, by column.
    """

    def __init__(self, types: Mapping[str, Type], resume: Snapshot) -> None:
        """Make it with no text, or with those that are in a snapshot."""
        self.types = dict(types)
        self.texts = Texts(resume)
        self.absent = np.empty(len(self.types), np.int64)
        for at, type_ in enumerate(self.types.values()):
            column = missing(type_, 1)
            self.absent[at] = column.codes[0] if isinstance(column, Text) else _bits_of(column)[0]

    def of(self, batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Give the bits of each row and column, and whether the value is missing."""
        bits = np.empty((len(batch), len(self.types)), np.int64)
        gone = np.empty(bits.shape, np.bool_)
        for at, (name, type_) in enumerate(self.types.items()):
            column = batch.columns[name]
            gone[:, at] = is_missing(column)
            if isinstance(column, Text):
                bits[:, at] = self.texts.codes(column, batch.live)
            else:
                bits[:, at] = _bits_of(column.astype(np.float64) if type_ is Type.FLOAT else column)
        return bits, gone

    def back(self, bits: NDArray[np.int64]) -> dict[str, Column]:
        """Give the columns of rows of bits; they don't share the array."""
        columns: dict[str, Column] = {}
        for (name, type_), column in zip(self.types.items(), bits.T.copy(), strict=True):
            if type_ is Type.TEXT:
                columns[name] = Text(column.astype(np.int32), self.texts.values)
            elif type_ is Type.FLOAT:
                columns[name] = column.view(np.float64)
            else:
                columns[name] = column.astype(np.int8) if type_ is Type.BOOL else column
        return columns

    def trim(self, held: Sequence[NDArray[np.int64]]) -> None:
        """Drop texts that aren't held; `held` are the bits that the state holds, with the column as second index."""
        text = [at for at, type_ in enumerate(self.types.values()) if type_ is Type.TEXT]
        self.texts.trim([bits[:, at] for bits in held for at in text])


def _bits_of(column: NDArray[Any]) -> NDArray[np.int64]:
    return column.view(np.int64) if column.dtype == np.float64 else column.astype(np.int64)


class Texts:
    """The texts that a state holds, each once, by codes that stay the same.

    Attributes:
        values: code to text. A batch may share the list: it grows, but what stands in it never changes.

    >>> texts = Texts({})
    >>> texts.codes(Text.of(["on", None, "off"]), np.array([True, True, False])).tolist()
    [0, -1, -1]
    >>> texts.codes(Text.of(["off", "on"]), np.array([True, True])).tolist()
    [1, 0]
    """

    def __init__(self, resume: Snapshot) -> None:
        """Make an empty table, or the one that is in a snapshot."""
        self.values: list[str] = []
        if "text_bytes" in resume:
            data, ends = resume["text_bytes"].tobytes(), np.cumsum(resume["text_lengths"]).tolist()
            self.values = [data[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]
        self._number()

    def _number(self) -> None:
        # A missing key takes the next code inside the dict's own lookup: no Python code runs per text.
        self._codes: defaultdict[str, int] = defaultdict(count(len(self.values)).__next__)
        self._codes.update(zip(self.values, range(len(self.values)), strict=True))

    def codes(self, column: Text, live: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Give each text's code in this table, -1 where it is missing or the row isn't live."""
        used = Text(np.where(live, column.codes, MISSING_CODE), column.values).compact()
        found = np.fromiter(map(self._codes.__getitem__, used.values), np.int64, len(used.values))
        self.values += list(islice(reversed(self._codes), len(self._codes) - len(self.values)))[::-1]
        return np.append(found, MISSING_CODE)[used.codes]

    def trim(self, held: Sequence[NDArray[np.int64]]) -> None:
        """Drop the texts that aren't held, once they are many.

        Args:
            held: the codes that the state holds, -1 for none; they are changed in place to those that stand for the
                same texts afterwards. Without more than twice as many texts as places that hold one nothing is done,
                so the table is bounded, and the cost of this spread over the texts that came in the meantime.
        """
        if len(self.values) <= _FEW + 2 * sum(codes.size for codes in held):
            return
        used = np.unique(np.concatenate([codes.ravel() for codes in held]))
        used = used[used >= 0]
        moved = np.full(len(self.values) + 1, MISSING_CODE, np.int64)
        moved[used] = np.arange(len(used))
        for codes in held:
            codes[:] = moved[codes]
        self.values = [self.values[code] for code in used.tolist()]  # a new list: batches share the old one
        self._number()

    def snapshot(self) -> Snapshot:
        """Copy the table: `text_bytes` uint8, all texts behind each other as UTF-8, and `text_lengths` int64."""
        texts = [text.encode() for text in self.values]
        return {
            "text_bytes": np.frombuffer(b"".join(texts), np.uint8).copy(),
            "text_lengths": np.array([len(text) for text in texts], np.int64),
        }
