"""JSON (RFC 8259), one object a record: read by a kernel, and by orjson where that leaves a record; written by orjson.

An object that names a key twice is refused: which of the two counts would be a guess.

Example:
    format: json
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field

from connectors.codec.base import Decoded, Decoder, Encoder, Format, Reading, Records, cells, iso_cells, merge
from connectors.codec.documents import Documents, decode_each, document
from connectors.codec.each import BLANK, Each, Kernels
from connectors.codec.json_items import JsonItems
from connectors.codec.json_scan import JsonScan
from connectors.codec.json_writer import write_rows
from connectors.codec.rows import Rows
from operators.batch import MISSING_INT, Batch, Column, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable


class TimeText(str, Enum):
    """How times are written: text as in ISO 8601 (UTC), or a number since the epoch."""

    ISO = "iso"
    S = "s"
    MS = "ms"
    US = "us"


class Json(Format):
    """JSON, one object a record. Missing values, NaN and infinity are written as null."""

    has_lists: ClassVar[bool] = True
    time: TimeText = Field(
        TimeText.ISO, description="How times are written: iso, or a number of s, ms or us since 1970."
    )

    def decoder(self, reading: Reading) -> Decoder:
        """Make a decoder."""
        if not reading.each:
            return _Decoder(reading)
        kernels = Kernels(JsonItems(reading.each), JsonScan(reading), JsonScan(BLANK), 1)
        return Each(reading, kernels, load)

    def encoder(self, schema: Schema, name: str, topic: str | None = None) -> Encoder:  # noqa: ARG002  # it has no types
        """Make an encoder."""
        return _Encoder(schema, self.time)

    def sample(self, reading: Reading) -> Callable[[Mapping[str, Any]], bytes]:  # noqa: ARG002  # any object is JSON
        """Write documents as JSON."""
        return lambda row: orjson.dumps(document(row))


class _Decoder:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._scan = JsonScan(reading)

    def decode(self, records: Records) -> Decoded:
        decoded, left = self._scan.scan(records)
        return merge(decoded, left, self._by_document(records.take(left))) if len(left) else decoded

    def _by_document(self, records: Records) -> Decoded:
        return Documents(*load(records)).columns(records, self._reading)


def load(records: Records) -> tuple[list[Any], dict[int, str]]:
    """Read records as documents; gives these, and by place the reason where there is none."""
    values = records.values.to_list()
    docs, bad = decode_each(orjson.loads, values)
    for row in _suspects(values, docs):
        if row not in bad:
            try:
                _once(values[row])
            except ValueError as error:
                bad[row] = f"can't be decoded: {error}"
    return docs, bad


def _suspects(values: Sequence[bytes | None], docs: Sequence[Any]) -> list[int]:
    """Give the rows that might name a key twice.

    orjson keeps the last of equal keys and says nothing. An object with as many colons as keys has no key twice, for each
    pair has a colon of its own. Others are written again: where a key stood twice there are fewer colons then. Escapes could
    hide a colon or make one, so one of those with a backslash is always a suspect.
    """
    raw: list[bytes] = [value or b"" for value in values]
    had = np.fromiter(map(bytes.count, raw, repeat(b":")), np.int64, len(raw))
    rows = np.arange(len(raw))
    if set(map(type, docs)) == {dict}:
        rows = rows[had != np.fromiter(map(len, docs), np.int64, len(docs))]
    left: list[int] = rows.tolist()
    try:
        written = list(map(orjson.dumps, map(docs.__getitem__, left)))
    except orjson.JSONEncodeError:
        return left  # one is nested deeper than orjson writes, though not than it reads
    has = np.fromiter(map(bytes.count, written, repeat(b":")), np.int64, len(left))
    escapes = np.fromiter(map(bytes.find, map(raw.__getitem__, left), repeat(b"\\")), np.int64, len(left))
    return [row for row, suspect in zip(left, ((had[rows] != has) | (escapes >= 0)).tolist(), strict=True) if suspect]


def _once(value: bytes | None) -> None:
    """Raise a ValueError if an object in this JSON text names a key twice, or can't be looked through for its depth."""
    try:
        json.loads(value or b"null", object_pairs_hook=_refuse_twice)
    except RecursionError:
        message = "it is nested too deeply"
        raise ValueError(message) from None


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"the key {twice!r} stands twice in one object"
        raise ValueError(message)
    return found


class _Encoder:
    def __init__(self, schema: Schema, time: TimeText) -> None:
        self._schema = schema
        self._time = time
        times = {} if schema.time is None else {schema.time: Type.TIME}
        types = {**dict.fromkeys(schema.device, Type.TEXT), **times, **schema.columns}
        self._names = tuple(types)
        self._as_text = [type_ is Type.TIME and time is TimeText.ISO for type_ in types.values()]

    def encode(self, batch: Batch, devices: DeviceTable) -> Binary:
        if self._time is TimeText.S and self._far(batch):
            return self._by_document(batch, devices)
        rows = Rows.of(batch, devices, self._schema, orjson.dumps, self._as_array)
        made, left = write_rows(rows, self._names, self._as_text)
        return made.replacing(left, self._by_document(batch.take(left), devices)) if len(left) else made

    def _as_array(self, ts: NDArray[np.int64]) -> NDArray[Any]:
        gone = ts == MISSING_INT
        if self._time is TimeText.MS:
            return np.where(gone, ts, ts // 1_000)
        return np.where(gone, np.nan, ts / 1_000_000) if self._time is TimeText.S else ts

    def _far(self, batch: Batch) -> bool:
        """Say whether a time is beyond what a float holds exactly, in us: numpy would round it twice."""
        times = [np.asarray(batch.columns[name]) for name, type_ in self._schema.columns.items() if type_ is Type.TIME]
        return any((np.abs(ts[ts != MISSING_INT]) > 1 << 53).any() for ts in [batch.ts, *times])

    def _by_document(self, batch: Batch, devices: DeviceTable) -> Binary:
        lists: dict[str, list[Any]] = {}
        for part, name in enumerate(self._schema.device):
            lists[name] = Text(batch.device.astype(np.int32), devices.texts(part)).to_list()
        if self._schema.time is not None:
            lists[self._schema.time] = self._times(batch.ts)
        for name, type_ in self._schema.columns.items():
            column = batch.columns[name]
            lists[name] = self._times(column) if type_ is Type.TIME else cells(column, type_)
        rows = zip(*lists.values(), strict=True)
        return Binary.of(map(orjson.dumps, map(dict, map(zip, repeat(tuple(lists)), rows))))

    def _times(self, column: Column) -> list[Any]:
        if isinstance(column, Text):
            message = "text is no time"
            raise TypeError(message)
        if self._time is TimeText.ISO:
            return iso_cells(column)
        whole = cells(column, Type.TIME)
        if self._time is TimeText.US:
            return whole
        if self._time is TimeText.MS:
            return [None if us is None else us // 1_000 for us in whole]
        return [None if us is None else us / 1_000_000 for us in whole]
