"""The arrays that a codec's kernel puts values into, and how they become rows."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Decoded, FieldPath, Reading, Records, Unit
from connectors.codec.documents import YEAR_1, YEAR_10000
from connectors.codec.put import BOOL, FLOAT, INT, ISO, NOWHERE, PART, TEXT, TIME
from operators.batch import MISSING_BOOL, MISSING_CODE, MISSING_INT, Column, Text, Type
from operators.binary import Binary
from operators.devices import join_ids

_PUT = {Type.FLOAT: FLOAT, Type.INT: INT, Type.BOOL: BOOL, Type.TEXT: TEXT}
_PER_UNIT = {Unit.S: 1_000_000, Unit.MS: 1_000, Unit.US: 1, Unit.NS: 0, Unit.ISO: ISO}
_MISSING = {
    Type.FLOAT: int(np.float64(np.nan).view(np.int64)),
    Type.INT: MISSING_INT,
    Type.BOOL: int(MISSING_BOOL),
    Type.TEXT: int(MISSING_CODE),
}


class Arrays(NamedTuple):
    """What a kernel fills, a row a record. See `connectors.codec.put`.

    Attributes:
        words: int64 (values, rows).
        spans: int64 (texts, 2, rows).
        counts: int64 (texts).
        table: int32 (texts, size).
        ok: bool (rows): whether the kernel took the record.
    """

    words: NDArray[np.int64]
    spans: NDArray[np.int64]
    counts: NDArray[np.int64]
    table: NDArray[np.int32]
    ok: NDArray[np.bool_]


class Puts:
    """Where the values that a pipeline reads go.

    Attributes:
        at: by the path of a value its put.
        layers: int64 (layers, puts, 3): see `put_value`. A value that goes to several places goes to one in each layer; a
            kernel goes through the records once for each. Texts have the first rows of `Arrays.words`.

    Args:
        reading: what is read.
    """

    def __init__(self, reading: Reading) -> None:
        """Number the puts."""
        self._reading = reading
        fields = sorted(reading.fields, key=lambda field: field.type is not Type.TEXT)
        self._texts = sum(field.type is Type.TEXT for field in fields)
        self._places = {field.name: place for place, field in enumerate(fields)}
        self._parts = len(fields)
        self._ts = self._parts + 2 * len(reading.device)
        paths = [(field.path, _PUT[field.type], self._places[field.name]) for field in reading.fields]
        paths += [(path, PART, self._parts + 2 * part) for part, path in enumerate(reading.device)]
        paths += [(reading.time, TIME, self._ts)] if reading.time else []
        self.at = {path: put for put, path in enumerate(dict.fromkeys(path for path, _, _ in paths))}
        depth = Counter(path for path, _, _ in paths)
        self.layers = np.full((max(depth.values(), default=1), len(self.at), 3), NOWHERE, np.int64)
        for path, what, place in paths:
            depth[path] -= 1
            self.layers[depth[path], self.at[path]] = what, place, _PER_UNIT[reading.unit]
        missing = [_MISSING[field.type] for field in fields] + [-1, -1] * len(reading.device) + [MISSING_INT]
        self._missing = np.array(missing, np.int64)[:, None]

    def arrays(self, records: Records) -> Arrays:
        """Make arrays in which everything is missing."""
        rows, texts = len(records), self._texts
        return Arrays(
            np.repeat(self._missing, rows, axis=1),
            np.empty((texts, 2, rows), np.int64),
            np.zeros(texts, np.int64),
            np.full((texts, 1 << (2 * rows).bit_length()), -1, np.int32),
            np.ones(rows, np.bool_),
        )

    def rows(self, records: Records, filled: Arrays) -> tuple[Decoded, NDArray[np.intp]]:
        """Make rows of what the kernel took.

        Returns:
            The rows, and the places of the records that it left.
        """
        reading, data, words, ok = self._reading, records.values.data, filled.words, filled.ok
        if reading.time:
            ts = words[self._ts]
            ok &= (ts >= YEAR_1) & (ts < YEAR_10000)
            ok &= (records.timestamp < 0) | (ts - records.timestamp <= reading.future)
        else:
            ts = records.timestamp
            ok &= ts >= 0
        parts = words[self._parts : self._ts].reshape(len(reading.device), 2, len(records))
        device = join_ids([Binary(data, *part) for part in parts]) if reading.device else records.keys
        ok &= device.size > 0
        columns = {field.name: self._column(field, data, filled) for field in reading.fields}
        decoded = Decoded(device, ts, records.offset, columns, ())
        if ok.all():
            return decoded, np.empty(0, np.intp)
        return decoded.take(np.flatnonzero(ok)), np.flatnonzero(~ok)

    def _column(self, field: FieldPath, data: NDArray[np.uint8], filled: Arrays) -> Column:
        place = self._places[field.name]
        found: NDArray[Any] = filled.words[place]
        if field.type is Type.TEXT:
            spans = filled.spans[place, :, : int(filled.counts[place])]
            return Text(found.astype(np.int32), [text.decode() for text in Binary(data, *spans).values()])
        if field.type is Type.FLOAT:
            found = found.view(np.float64)
        elif field.type is Type.BOOL:
            found = found.astype(np.int8)
        return found
