"""Join columns from a table in a file, such as the site and the limits of each device.

The table is a CSV file with a header, JSON (an array of objects, or one object a line), or Parquet; it is read once,
before the run, and kept in memory. The key is the device or columns of the rows, of type text, int, bool or time: where
the key of a row equals that of a row in the table, the row gets that one's columns. A key must be there once only, and
in every row of the table. A missing value in the key equals nothing.

All that stands in a CSV file is text, and is read as the type that is wanted: the key `007` stays one where the column
of the rows is text. Without a type, a column of the file is what its values are; in CSV that is int, float or bool if
every value is one (a number that begins with a needless 0 isn't), else text. A time is written as ISO 8601 with an
offset, or is Parquet's own, in UTC where it has no zone. What is empty in the file is a missing value.

Where nothing fits, `missing` says what happens to the row: `null` leaves the columns missing, `drop` lets it go no
further, as `filter` does, and `dead` puts it among the dead letters with the reason.

A snapshot holds the SHA-256 of the file. A run that goes on from one takes the file as it is then, and its log warns if
that is another: rows that are done a second time may differ.

Example:
    steps:
      - enrich:
          file: pipelines/examples/data/mote_sites.csv # relative to the pipeline's file
          key: {device: mote_id} # the name in the rows: the name in the file
          columns: {site: text, limit: {from: humidity_limit, type: float}}
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationInfo, model_validator

from operators.base import Inputs, Operator, Outputs, Problem, Reject, Snapshot, SpecError, did_you_mean, unfit
from operators.batch import Batch, Column, Schema, Text, Type, is_missing, join_columns, missing, take_rows
from operators.clock import FORGET
from operators.table import FORMATS, MisfitError, Table

log = logging.getLogger("telemill")

_NONE = -1
"""No row of the table."""
_UNKNOWN = -2
"""A slot whose device wasn't looked up yet."""


def _as_key(value: object) -> object:
    names = [value] if isinstance(value, str) else value
    return {name: name for name in names} if isinstance(names, list) and set(map(type, names)) == {str} else names


def _as_columns(value: object) -> object:
    return dict.fromkeys(value) if isinstance(value, list) and set(map(type, value)) == {str} else value


def _as_added(value: object) -> object:
    return {} if value is None else {"type": value} if isinstance(value, str) else value


class Added(BaseModel):
    """A column to add: where it stands in the file, and its type."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: str | None = Field(None, alias="from", description="Its name in the file; the same if left out.")
    type: Literal["float", "int", "bool", "text", "time"] | None = Field(
        None, description="float, int, bool, text or time; left out, by what stands in the file."
    )


_AddedInput = Literal["float", "int", "bool", "text", "time"] | Added | None
_MissingInput = Literal["null", "drop", "dead"] | None


class Enrich(Operator):
    """Join columns from a table in a file by a key."""

    remembers: ClassVar[bool] = False  # a snapshot says which file it was built with

    file: str = Field(
        description="The table: .csv, .json, .ndjson, .jsonl or .parquet; the path is relative to the pipeline's file."
    )
    key: Annotated[
        dict[str, str], BeforeValidator(_as_key, json_schema_input_type=str | list[str] | dict[str, str])
    ] = Field(
        description="What the join is by: a column of the rows or the device, a list of them, or "
        "`{NAME: NAME_IN_FILE}` where the two are named differently.",
        min_length=1,
    )
    columns: Annotated[
        dict[str, Annotated[Added, BeforeValidator(_as_added, json_schema_input_type=_AddedInput)]],
        BeforeValidator(_as_columns, json_schema_input_type=list[str] | dict[str, _AddedInput]),
    ] = Field(
        description="The columns to add: a list of their names in the file, or name to type, "
        "or name to `{from: NAME_IN_FILE, type: TYPE}`.",
        min_length=1,
    )
    missing: Annotated[
        Literal["null", "drop", "dead"],
        BeforeValidator(lambda value: "null" if value is None else value, json_schema_input_type=_MissingInput),
    ] = Field(
        "null",
        description="What happens to a row whose key isn't in the file: `null` leaves the columns missing, `drop` lets "
        "it go no further, `dead` puts it among the dead letters.",
    )
    _table: Table = PrivateAttr()

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Enrich:
        path = Path((info.context or {}).get("folder", ".")) / self.file
        if path.suffix.lower() not in FORMATS:
            expected = f"a file that ends in {', '.join(FORMATS)}"
            raise unfit(expected, at="file")
        try:
            self._table = Table.read(path)
        except OSError as error:
            expected = f"a file that can be read ({error.strerror}: {path})"
            raise unfit(expected, fix="the path is relative to the pipeline's file", at="file") from None
        except MisfitError as error:
            expected = f"{error.expected} ({error.given})"
            raise unfit(expected, at="file") from None
        return self

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the columns that came in and those of the file."""
        return {"": schema.adding(self._join(schema).types)}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make the state. Of a snapshot it takes nothing, but warns if it was made with another table."""
        if resume is not None and resume["sha256"].tobytes() != self._table.sha256:
            log.warning("step `%s`: %s: the table has changed since the snapshot", inputs.step, self.file)
        return _State(self, self._join(inputs.schema), inputs, self._table.sha256)

    def _join(self, schema: Schema) -> _Join:
        """Hold the spec against the rows and the file; report all that is wrong at once."""
        problems = [*self._unknown(schema)]
        if problems:
            raise SpecError(problems)
        columns: dict[str, Column] = {}
        types: dict[str, Type] = {}
        keys: list[_Key] = []
        for name, added in self.columns.items():
            source = added.from_ or name
            try:
                types[name] = Type(added.type) if added.type else self._table.type_of(source)
                column = self._table.column(source, types[name])
                columns[name] = join_columns([column, missing(types[name], 1)])
            except MisfitError as error:
                problems.append(Problem(("columns", name), error.expected, error.given))
        for name, source in self.key.items():
            try:
                keys.append(_Key.of(name, source, self._table.column(source, schema.names()[name])))
            except MisfitError as error:
                problems.append(Problem(("key", name), error.expected, error.given))
        if not problems:
            try:
                return _Join.of(keys, columns, types)
            except MisfitError as error:
                problems.append(Problem(("key",), error.expected, error.given))
        raise SpecError(problems)

    def _unknown(self, schema: Schema) -> Iterable[Problem]:
        """Find the names that the rows or the file haven't got, or have got already."""
        names, there = schema.names(), self._table.names()
        for name, source in self.key.items():
            if name not in names:
                expected = f"a column of the rows or the device: {', '.join(names)}"
                yield Problem(("key", name), expected, f"`{name}`", did_you_mean(name, names))
            elif names[name] is Type.FLOAT:
                fix = f"read it as int, or make one before: `derive: {{{name}_id: CAST({name} AS BIGINT)}}`"
                yield Problem(("key", name), "a key of type text, int, bool or time", f"`{name}`, which is float", fix)
            if source not in there:
                expected = f"a column of {self.file}: {', '.join(there)}"
                yield Problem(("key", name), expected, f"`{source}`", did_you_mean(source, there))
        for name, added in self.columns.items():
            source = added.from_ or name
            if name in names:
                fix = f"name it otherwise: `file_{name}: {{from: {source}}}`"
                yield Problem(("columns", name), "names that don't exist yet", f"`{name}` exists here already", fix)
            if source not in there:
                expected = f"a column of {self.file}: {', '.join(there)}"
                yield Problem(("columns", name), expected, f"`{source}`", did_you_mean(source, there))


@dataclass(frozen=True)
class _Key:
    """A part of the key.

    Attributes:
        name: in the rows.
        texts: text to code; empty if it isn't text.
        values: the values of another type, in order; the place of a value is its code.
        codes: of the table's rows.
    """

    name: str
    texts: Mapping[str, int]
    values: NDArray[np.int64]
    codes: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, source: str, column: Column) -> _Key:
        """Give every value in a column of the table a code; complain about a missing one."""
        gone = np.flatnonzero(is_missing(column))
        if len(gone):
            expected = f"a value in every row of `{source}`, as it is the key"
            raise MisfitError(expected, f"row {gone[0] + 1} without one")
        if isinstance(column, Text):
            texts = dict(zip(column.values, range(len(column.values)), strict=True))
            return cls(name, texts, np.empty(0, np.int64), column.codes.astype(np.int64))
        values, codes = np.unique(column.astype(np.int64), return_inverse=True)
        return cls(name, {}, values, codes)

    def look_up(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Give the code of each text; -1 where the table hasn't got it."""
        return np.fromiter(map(self.texts.get, texts, repeat(_NONE)), np.int64, len(texts))

    def find(self, column: Column) -> NDArray[np.int64]:
        """Give the code of each value; -1 where the table hasn't got it, and where it is missing."""
        if isinstance(column, Text):
            text = column.compact()
            return np.append(self.look_up(text.values), _NONE)[text.codes]
        return _places(self.values, column.astype(np.int64))

    def shown(self, row: int) -> str:
        """Write the key of a row of the table."""
        code = int(self.codes[row])
        return f"{self.name} {list(self.texts)[code] if self.texts else self.values[code]}"


def _places(known: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the place of each value among those known, which are in order; -1 where it isn't among them."""
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[place] == values, place, _NONE)


@dataclass(frozen=True)
class _Join:
    """A table ready to be joined.

    Attributes:
        keys: the parts of its key.
        pairs: for each part behind the first: how many codes it has, and the pairs that the table has of a code of what
            stands before it and one of its own, in order, each as one number. The place of a pair is the code of both.
        row: of each code of the whole key, the row in the table.
        columns: what is added, by row; a missing value stands behind the last, where -1 finds it.
        types: of the columns.
    """

    keys: Sequence[_Key]
    pairs: Sequence[tuple[int, NDArray[np.int64]]]
    row: NDArray[np.int64]
    columns: Mapping[str, Column]
    types: Mapping[str, Type]

    @classmethod
    def of(cls, keys: Sequence[_Key], columns: Mapping[str, Column], types: Mapping[str, Type]) -> _Join:
        """Put the parts of the key together; complain about a key that is there twice."""
        whole = keys[0].codes
        pairs = []
        for key in keys[1:]:
            size = int(key.codes.max()) + 1
            known, whole = np.unique(whole * size + key.codes, return_inverse=True)
            pairs.append((size, known))
        order = np.argsort(whole, kind="stable")
        again = np.flatnonzero(whole[order][1:] == whole[order][:-1])
        if len(again):
            at = again[np.argmin(order[again + 1])]
            first, second = int(order[at]), int(order[at + 1])
            expected = "every key once in the file"
            shown = ", ".join(key.shown(first) for key in keys)
            raise MisfitError(expected, f"{shown} in row {first + 1} and in row {second + 1}")
        return cls(keys, pairs, order, columns, types)

    def rows(self, codes: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Give the row of the table for the codes of each part; -1 where there is none."""
        whole = codes[0]
        for (size, known), own in zip(self.pairs, codes[1:], strict=True):
            whole = _places(known, np.where((whole < 0) | (own < 0), _NONE, whole * size + own))
        return np.append(self.row, _NONE)[whole]


class _State:
    def __init__(self, spec: Enrich, join: _Join, inputs: Inputs, sha256: bytes) -> None:
        self._file = spec.file
        self._missing = spec.missing
        self._join = join
        self._sha256 = sha256
        self._time = inputs.schema.time
        self._devices = inputs.devices
        self._parts = {name: part for part, name in enumerate(inputs.schema.device)}
        self._slots = {key.name: np.empty(0, np.int64) for key in join.keys if key.name in self._parts}
        """Of each part of the device that is in the key: by slot its code, `_NONE`, or `_UNKNOWN`."""

    def on_batch(self, batch: Batch) -> Outputs:
        rows = self._join.rows([self._codes(key, batch) for key in self._join.keys])
        added = {name: take_rows(column, rows) for name, column in self._join.columns.items()}
        out = batch.adding(added)
        gone = np.flatnonzero(batch.live & (rows < 0)) if self._missing == "dead" else np.empty(0, np.intp)
        forgotten = batch.device[batch.watermark >= FORGET]
        for codes in self._slots.values():
            codes[forgotten] = _UNKNOWN  # another device may get the slot
        return Outputs(out if self._missing == "null" else out.keeping(rows >= 0), rejects=self._rejects(batch, gone))

    def snapshot(self) -> Snapshot:
        return {"sha256": np.frombuffer(self._sha256, np.uint8).copy()}

    def _column(self, name: str, batch: Batch) -> Column:
        if name in self._parts:
            return Text(batch.device.astype(np.int32), self._devices.texts(self._parts[name]))
        return batch.ts if name == self._time else batch.columns[name]

    def _codes(self, key: _Key, batch: Batch) -> NDArray[np.int64]:
        """Find each row's code of a part of the key; a device is looked up when it is first met."""
        if key.name not in self._slots:
            return key.find(self._column(key.name, batch))
        known = self._slots[key.name]
        devices = int(batch.device.max(initial=0)) + 1
        if devices > len(known):
            known = np.append(known, np.full(max(devices, 2 * len(known)) - len(known), _UNKNOWN))
            self._slots[key.name] = known
        new = np.unique(batch.device[known[batch.device] == _UNKNOWN])
        texts = self._devices.texts(self._parts[key.name])
        known[new] = key.look_up(list(map(texts.__getitem__, new.tolist())))
        return known[batch.device]

    def _rejects(self, batch: Batch, rows: NDArray[np.intp]) -> list[Reject]:
        """Say of rows which key the table hasn't got."""
        if not len(rows):
            return []
        batch = batch.take(rows)
        parts = []
        for key in self._join.keys:
            column = self._column(key.name, batch)
            values: list[Any] = column.to_list() if isinstance(column, Text) else column.tolist()
            gone = is_missing(column).tolist()
            parts.append([f"{key.name} {'missing' if no else value}" for no, value in zip(gone, values, strict=True)])
        shown = map(", ".join, zip(*parts, strict=True))
        reasons = [f"{self._file} has no row for {key}" for key in shown]
        # The same as Reject(offset, reason), which would be a function of Python called for every row.
        return list(map(partial(tuple.__new__, Reject), zip(batch.offset.tolist(), reasons, strict=True)))
