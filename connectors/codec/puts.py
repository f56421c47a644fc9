"""The arrays that a codec's kernel puts values into, and how they become rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Decoded, Reading, Records, Unit
from connectors.codec.documents import YEAR_1, YEAR_10000
from connectors.codec.put import BOOL, FLOAT, INT, ISO, PART, TEXT, TIME
from operators.batch import MISSING_BOOL, MISSING_CODE, MISSING_INT, Column, Text, Type
from operators.binary import Binary
from operators.devices import join_ids

_PUT = {Type.FLOAT: FLOAT, Type.INT: INT, Type.BOOL: BOOL, Type.TEXT: TEXT}
_PER_UNIT = {Unit.S: 1_000_000, Unit.MS: 1_000, Unit.US: 1, Unit.NS: 0, Unit.ISO: ISO}


@dataclass(frozen=True, slots=True)
class Arrays:
    """What a kernel fills, a row a record.

    Attributes:
        floats: float64 (columns, rows).
        ints: int64 (columns, rows).
        bools: int8 (columns, rows).
        codes: int32 (columns, rows): of texts a code a row.
        spans: int64 (columns, 2, rows): by code where its text stands in the records' bytes, and its size.
        counts: int64 (columns): how many codes there are.
        table: int32 (columns, size): scratch to look texts up.
        parts: int64 (parts of the device, 2, rows): where each stands, and its size.
        ts: int64 (rows), event time, us.
        ok: bool (rows): whether the kernel took the record.
    """

    floats: NDArray[np.float64]
    ints: NDArray[np.int64]
    bools: NDArray[np.int8]
    codes: NDArray[np.int32]
    spans: NDArray[np.int64]
    counts: NDArray[np.int64]
    table: NDArray[np.int32]
    parts: NDArray[np.int64]
    ts: NDArray[np.int64]
    ok: NDArray[np.bool_]

    def all(self) -> tuple[NDArray[Any], ...]:
        """Give them in the order in which kernels take them."""
        return tuple(getattr(self, name) for name in Arrays.__slots__)


class Puts:
    """Where the values that a pipeline reads go.

    Attributes:
        first: by the path of a value its first put.
        puts: int64 (puts, 3): into what a value goes, into which row of that array, and the next put of it or -1.
        per_unit: us per unit of the event time; 0 for ns, `ISO` for text.

    Args:
        reading: what is read.
    """

    def __init__(self, reading: Reading) -> None:
        """Number the puts."""
        self._reading = reading
        self._columns = {
            type_: [field.name for field in reading.fields if field.type is type_]
            for type_ in (Type.FLOAT, Type.INT, Type.BOOL, Type.TEXT)
        }
        paths = [
            (field.path, _PUT[field.type], self._columns[field.type].index(field.name)) for field in reading.fields
        ]
        paths += [(path, PART, part) for part, path in enumerate(reading.device)]
        if reading.time:
            paths.append((reading.time, TIME, 0))
        self.first: dict[tuple[str, ...], int] = {}
        puts = []
        for path, what, row in paths:
            puts.append([what, row, self.first.get(path, -1)])
            self.first[path] = len(puts) - 1
        self.puts = np.array(puts, np.int64).reshape(-1, 3)
        self.per_unit = _PER_UNIT[reading.unit]

    def arrays(self, records: Records) -> Arrays:
        """Make arrays in which everything is missing."""
        rows, reading = len(records), self._reading
        texts = len(self._columns[Type.TEXT])
        return Arrays(
            np.full((len(self._columns[Type.FLOAT]), rows), np.nan),
            np.full((len(self._columns[Type.INT]), rows), MISSING_INT),
            np.full((len(self._columns[Type.BOOL]), rows), MISSING_BOOL),
            np.full((texts, rows), MISSING_CODE),
            np.empty((texts, 2, rows), np.int64),
            np.zeros(texts, np.int64),
            np.full((texts, 1 << (2 * rows).bit_length()), -1, np.int32),
            np.full((len(reading.device), 2, rows), -1),
            np.full(rows, MISSING_INT) if reading.time else records.timestamp.copy(),
            np.zeros(rows, np.bool_),
        )

    def rows(self, records: Records, filled: Arrays) -> tuple[Decoded, NDArray[np.intp]]:
        """Make rows of what the kernel took.

        Returns:
            The rows, and the places of the records that it left.
        """
        reading, data, ts = self._reading, records.values.data, filled.ts
        ok = filled.ok
        if reading.time:
            ok &= (ts >= YEAR_1) & (ts < YEAR_10000)
            ok &= (records.timestamp < 0) | (ts - records.timestamp <= reading.future)
        else:
            ok &= ts >= 0
        made: dict[str, Column] = {}
        for type_, array in ((Type.FLOAT, filled.floats), (Type.INT, filled.ints), (Type.BOOL, filled.bools)):
            made |= dict(zip(self._columns[type_], array, strict=True))
        for name, codes, spans, count in zip(
            self._columns[Type.TEXT], filled.codes, filled.spans, filled.counts.tolist(), strict=True
        ):
            made[name] = Text(codes, [text.decode() for text in Binary(data, *spans[:, :count]).values()])
        device = join_ids([Binary(data, *part) for part in filled.parts]) if reading.device else records.keys
        ok &= device.size > 0
        columns = {field.name: made[field.name] for field in reading.fields}
        if ok.all():
            return Decoded(device, ts, records.offset, columns, ()), np.empty(0, np.intp)
        kept = np.flatnonzero(ok)
        columns = {
            name: column.take(kept) if isinstance(column, Text) else column[kept] for name, column in columns.items()
        }
        return Decoded(device.take(kept), ts[kept], records.offset[kept], columns, ()), np.flatnonzero(~ok)
