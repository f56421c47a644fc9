"""The batch: up to some ten thousand rows of device data as numpy columns, the only thing that travels between steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

MISSING_INT = np.iinfo(np.int64).min
"""A missing value in an `int` or `time` column."""
MISSING_BOOL = np.int8(-1)
"""A missing value in a `bool` column."""
MISSING_CODE = np.int32(-1)
"""A missing value in a `text` column."""


class Type(str, Enum):
    """The type of a column. Each has its own way to say that a value is missing, so no column needs a mask."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    TEXT = "text"
    TIME = "time"

    def __str__(self) -> str:
        """Write the type as it stands in a pipeline file."""
        return self.value

    @property
    def is_number(self) -> bool:
        """Whether arithmetic makes sense: float, int, or bool (true counts as 1)."""
        return self in {Type.FLOAT, Type.INT, Type.BOOL}


@dataclass(frozen=True, slots=True)
class Text:
    """A column of text: per row a code, an index into `values`.

    Attributes:
        codes: int32, one a row; -1 where the value is missing.
        values: the texts; may be shared with other batches and may hold texts that no row uses.
    """

    codes: NDArray[np.int32]
    values: Sequence[str]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.codes)

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Text:
        """Make a column from texts, None where missing.

        >>> Text.of(["on", "off", None, "on"]).codes.tolist()
        [0, 1, -1, 0]
        """
        texts = list(texts)
        table: dict[str | None, int] = dict.fromkeys(texts, -1)
        table.pop(None, None)
        values = [text for text in table if text is not None]
        table = dict(zip(values, range(len(values)), strict=True))
        table[None] = -1
        return cls(np.fromiter(map(table.__getitem__, texts), np.int32, len(texts)), values)

    def to_list(self) -> list[str | None]:
        """Give the text of each row, None where missing."""
        lookup = np.array([*self.values, None], object) if len(self.values) < len(self) else None
        if lookup is not None:
            return lookup[self.codes].tolist()  # type: ignore[no-any-return]  # an object array's list is untyped
        return [self.values[code] if code >= 0 else None for code in self.codes.tolist()]

    def compact(self) -> Text:
        """Drop the values that no row uses, for a step whose cost depends on the number of values."""
        used, codes = np.unique(self.codes, return_inverse=True)
        shift = int(len(used) > 0 and used[0] < 0)
        return Text((codes - shift).astype(np.int32), [self.values[code] for code in used[shift:].tolist()])

    def take(self, rows: NDArray[Any] | slice) -> Text:
        """Pick rows by a mask or by indices."""
        return Text(self.codes[rows], self.values)


Column: TypeAlias = "NDArray[Any] | Text"
"""float64 (float), int64 (int, time), int8 (bool) or `Text`, by the column's `Type`."""

_DTYPES = {Type.FLOAT: np.float64, Type.INT: np.int64, Type.TIME: np.int64, Type.BOOL: np.int8}
_MISSING = {Type.FLOAT: np.nan, Type.INT: MISSING_INT, Type.TIME: MISSING_INT, Type.BOOL: MISSING_BOOL}


def missing(type_: Type, rows: int) -> Column:
    """Make a column in which every value is missing.

    >>> missing(Type.FLOAT, 2)
    array([nan, nan])
    """
    if type_ is Type.TEXT:
        return Text(np.full(rows, MISSING_CODE, np.int32), [])
    return np.full(rows, _MISSING[type_], _DTYPES[type_])


def is_missing(column: Column) -> NDArray[np.bool_]:
    """Say of each row whether its value is missing.

    >>> is_missing(np.array([1.0, np.nan])).tolist()
    [False, True]
    """
    if isinstance(column, Text):
        return column.codes < 0
    if column.dtype == np.float64:
        return np.isnan(column)
    if column.dtype == np.int8:
        return np.asarray(column < 0)
    return np.asarray(column == MISSING_INT)


def take_rows(column: Column, rows: NDArray[Any] | slice) -> Column:
    """Pick rows of a column by a mask or by indices."""
    return column.take(rows) if isinstance(column, Text) else column[rows]


def join_columns(parts: Sequence[Column]) -> Column:
    """Concatenate columns of one type; text codes are moved behind each other's values."""
    if not any(isinstance(part, Text) for part in parts):
        return np.concatenate([part for part in parts if not isinstance(part, Text)])
    texts = [part for part in parts if isinstance(part, Text)]
    tables = [text.values for text in texts if len(text.values)]
    if all(table is tables[0] for table in tables):  # a part in which all is missing has no table of its own
        return Text(np.concatenate([text.codes for text in texts]), tables[0] if tables else [])
    return Text.of(value for text in texts for value in text.to_list())


@dataclass(frozen=True, slots=True)
class Schema:
    """What the rows of a step look like.

    Attributes:
        columns: name to type, in the order in which they are written out.
        device: the names under which a row's device is written and can be used in expressions, as text.
        time: the name under which a row's event time is written and can be used, or None where the rows have time
            columns of their own, as a window's.
    """

    columns: Mapping[str, Type]
    device: tuple[str, ...]
    time: str | None

    def names(self) -> dict[str, Type]:
        """Everything that an expression on these rows can name, with its type."""
        names = dict.fromkeys(self.device, Type.TEXT)
        if self.time is not None:
            names[self.time] = Type.TIME
        return {**names, **self.columns}

    def adding(self, columns: Mapping[str, Type]) -> Schema:
        """Give the schema with more columns (or other types for those it has)."""
        return replace(self, columns={**self.columns, **columns})


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one shard, in the order in which their records arrived.

    A row that isn't `live` is a punctuation (Tucker et al., "Exploiting punctuation semantics in continuous data
    streams", TKDE 2003): it carries no data and tells only how far its device's event time has come. `filter` turns
    rows into punctuations instead of removing them, so that a window behind a filter still closes on time.

    Attributes:
        device: uint32, the slot in the shard's device table.
        ts: int64, event time, us since the epoch.
        watermark: int64, us since the epoch: the device's watermark once this row has been taken in. No window that
            ends at or before it takes rows any more. It never falls within a device.
        offset: int64, the source record that caused this row.
        live: bool, False for a punctuation.
        columns: name to column; the same names and types in every batch of a step.
    """

    device: NDArray[np.uint32]
    ts: NDArray[np.int64]
    watermark: NDArray[np.int64]
    offset: NDArray[np.int64]
    live: NDArray[np.bool_]
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        """Count the rows, punctuations included."""
        return len(self.device)

    @classmethod
    def punctuations(
        cls,
        device: NDArray[np.uint32],
        watermark: NDArray[np.int64],
        offset: NDArray[np.int64],
        columns: Mapping[str, Type],
    ) -> Batch:
        """Make a batch of punctuations whose columns are all missing."""
        rows = len(device)
        empty = {name: missing(type_, rows) for name, type_ in columns.items()}
        return cls(device, watermark, watermark, offset, np.zeros(rows, np.bool_), empty)

    @classmethod
    def empty(cls, columns: Mapping[str, Type]) -> Batch:
        """Make a batch without rows."""
        time = np.empty(0, np.int64)
        return cls.punctuations(np.empty(0, np.uint32), time, time, columns)

    @classmethod
    def concat(cls, batches: Sequence[Batch]) -> Batch:
        """Put batches of the same columns behind each other."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            np.concatenate([batch.device for batch in batches]),
            np.concatenate([batch.ts for batch in batches]),
            np.concatenate([batch.watermark for batch in batches]),
            np.concatenate([batch.offset for batch in batches]),
            np.concatenate([batch.live for batch in batches]),
            {name: join_columns([batch.columns[name] for batch in batches]) for name in batches[0].columns},
        )

    def take(self, rows: NDArray[Any]) -> Batch:
        """Pick rows by a mask or by indices."""
        return Batch(
            self.device[rows],
            self.ts[rows],
            self.watermark[rows],
            self.offset[rows],
            self.live[rows],
            {name: take_rows(column, rows) for name, column in self.columns.items()},
        )

    def data(self) -> Batch:
        """Give the live rows alone."""
        return self if self.live.all() else self.take(self.live)

    def adding(self, columns: Mapping[str, Column]) -> Batch:
        """Give the batch with more columns (or others in place of those it has)."""
        # Written out: `replace` costs as much as a kernel over a small batch.
        return Batch(self.device, self.ts, self.watermark, self.offset, self.live, {**self.columns, **columns})

    def keeping(self, live: NDArray[np.bool_]) -> Batch:
        """Turn the live rows for which `live` is False into punctuations."""
        return Batch(self.device, self.ts, self.watermark, self.offset, self.live & live, self.columns)
