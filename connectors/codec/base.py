"""What every format is: a decoder of records into columns, and an encoder of columns into record values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from operators.base import Problem, classes_of
from operators.batch import MISSING_INT, Batch, Column, Schema, Text, Type, join_columns, take_rows
from operators.binary import Binary
from operators.devices import DeviceTable


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one partition, as they came.

    Attributes:
        topic: the topic.
        partition: the partition.
        values: the bytes of each record, missing for a record without a value.
        keys: the key of each record, missing for a record without one.
        timestamp: int64, the record's own time, us since the epoch; -1 where it has none.
        offset: int64, increasing; readings of one record share it.
        headers: by its name the last value of each header that is read, missing for a record without it.
    """

    topic: str
    partition: int
    values: Binary
    keys: Binary
    timestamp: NDArray[np.int64]
    offset: NDArray[np.int64]
    headers: Mapping[str, Binary] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        topic: str,
        partition: int,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        timestamp: NDArray[np.int64],
        offset: NDArray[np.int64],
    ) -> Records:
        """Make records of values and keys that are Python's."""
        return cls(topic, partition, Binary.of(values), Binary.of(keys), timestamp, offset)

    @classmethod
    def numbered(cls, topic: str, first: int, count: int) -> Records:
        """Make records of which nothing is known but their offsets, from `first` on: the rows of a file."""
        none = Binary.missing(count)
        return cls(topic, 0, none, none, np.full(count, -1, np.int64), np.arange(first, first + count))

    def __len__(self) -> int:
        """Count the records."""
        return len(self.values)

    def pieces(self, most: int) -> list[Records]:
        """Cut them into pieces of about so many bytes of values at most, or of one record."""
        behind = np.cumsum(np.maximum(self.values.size, 0))
        if not len(self) or behind[-1] <= most:
            return [self]
        cuts = np.flatnonzero(np.diff(behind // most)) + 1
        return [self.take(slice(first, last)) for first, last in pairwise([0, *cuts.tolist(), len(self)])]

    def take(self, rows: NDArray[np.intp] | slice) -> Records:
        """Pick records by their places."""
        values, keys = self.values.take(rows), self.keys.take(rows)
        headers = {name: column.take(rows) for name, column in self.headers.items()}
        return Records(self.topic, self.partition, values, keys, self.timestamp[rows], self.offset[rows], headers)


class Unit(str, Enum):
    """How a time field is written: a number since the epoch, or text as in ISO 8601 with an offset."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"
    ISO = "iso"


class FieldPath(NamedTuple):
    """A field to read: the column it becomes, where it stands in the record, and its type."""

    name: str
    path: tuple[str, ...]
    type: Type


class HeaderField(NamedTuple):
    """A header to read: the column it becomes, the name of the header, and the type of the column."""

    name: str
    header: str
    type: Type


@dataclass(frozen=True, slots=True)
class Reading:
    """What a pipeline reads of each record.

    Attributes:
        fields: the columns that stand in the value.
        device: the paths of the fields that name the device, or empty where the record's key or a header does.
        time: the path of the event time, or empty where the record's own time is taken.
        unit: of the event time.
        future: how far ahead of the record's own time the event time may be, us.
        each: the path of a list in the record. Each of its items is a reading, for which it stands in the list's place:
            the paths above go through it. Empty where a record is one reading.
        headers: the columns that stand in headers.
        device_header: the header that names the device; empty where none does.
    """

    fields: tuple[FieldPath, ...]
    device: tuple[tuple[str, ...], ...]
    time: tuple[str, ...]
    unit: Unit
    future: int
    each: tuple[str, ...] = ()
    headers: tuple[HeaderField, ...] = ()
    device_header: str = ""

    def places(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """List all that is read: where the pipeline's source says so, and the path in a record."""
        fields = [(("fields", field.name), field.path) for field in self.fields]
        device = [(("device",), path) for path in self.device]
        return [*fields, *device, *([(("time",), self.time)] if self.time else [])]

    def header_names(self) -> tuple[str, ...]:
        """Give the names of the headers that are read."""
        names = [*(found.header for found in self.headers), self.device_header]
        return tuple(dict.fromkeys(filter(None, names)))


class Dead(NamedTuple):
    """A record that can't be processed: its place among the records, and why."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came out of records: the rows that are good, and the records that aren't.

    Attributes:
        device: the device id of each row.
        ts: int64, event time, us since the epoch.
        offset: int64.
        columns: name to column.
        dead: the records left out.
    """

    device: Binary
    ts: NDArray[np.int64]
    offset: NDArray[np.int64]
    columns: Mapping[str, Column]
    dead: Sequence[Dead]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Decoded:
        """Pick rows by a mask or by indices; leaves out what is dead."""
        columns = {name: take_rows(column, rows) for name, column in self.columns.items()}
        return Decoded(self.device.take(rows), self.ts[rows], self.offset[rows], columns, ())

    @classmethod
    def concat(cls, parts: Sequence[Decoded]) -> Decoded:
        """Put rows behind each other; leaves out what is dead."""
        if len(parts) == 1:
            return replace(parts[0], dead=())
        return cls(
            Binary.concat([part.device for part in parts]),
            np.concatenate([part.ts for part in parts]),
            np.concatenate([part.offset for part in parts]),
            {name: join_columns([part.columns[name] for part in parts]) for name in parts[0].columns},
            (),
        )


def merge(decoded: Decoded, left: NDArray[np.intp], rest: Decoded) -> Decoded:
    """Put rows together that two ways of decoding made of the same records.

    Args:
        decoded: what the first way made, without dead records.
        left: the places of the records that it left, in order.
        rest: what the second way made of these.
    """
    dead = tuple(Dead(int(left[row]), reason) for row, reason in rest.dead)
    if not len(decoded.offset):
        return replace(rest, dead=dead)
    # By their places and not by their offsets: several readings may be of one record.
    taken = np.delete(np.arange(len(decoded.offset) + len(left)), left)
    order = np.argsort(np.concatenate([taken, np.delete(left, [row for row, _ in rest.dead])]), kind="stable")
    return replace(Decoded.concat([decoded, rest]).take(order), dead=dead)


class Decoder(Protocol):
    """Turns records into columns."""

    def decode(self, records: Records) -> Decoded:
        """Decode what can be decoded; never raises for what stands in a record."""
        ...


class Encoder(Protocol):
    """Turns rows into record values."""

    def encode(self, batch: Batch, devices: DeviceTable) -> Binary:
        """Encode each row. The batch holds live rows alone."""
        ...


class Format(BaseModel):
    """A format as it stands in a pipeline: its options, and what it makes of them. Found by its module's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    has_lists: ClassVar[bool] = False
    """Whether `Reading.each` can be had from its records."""
    test_names: ClassVar[tuple[str, ...]] = ("$key", "$timestamp", "$headers")
    """What may stand in a row of a pipeline's test besides the fields."""

    def problems(self, reading: Reading) -> Sequence[Problem]:
        """Say what of a reading can't be had from records of this format, as far as that is known before the run."""
        del reading
        return ()

    def sink_problems(self, schema: Schema) -> Sequence[Problem]:
        """Say what keeps rows of this schema from being written so."""
        del schema
        if type(self) in written().values():
            return ()
        name = type(self).__name__.lower()
        return [
            Problem((), f"a format that rows are written in: {', '.join(written())}", f"`{name}`, which is only read")
        ]

    def decoder(self, reading: Reading) -> Decoder:
        """Make a decoder."""
        raise NotImplementedError

    def encoder(self, schema: Schema, name: str, topic: str | None = None) -> Encoder:
        """Make an encoder of rows of this schema.

        Args:
            schema: of the rows.
            name: of the record type, where the format has such.
            topic: that the rows will be written to; None where nothing outside is to be told of them, as in a rehearsal.
        """
        raise NotImplementedError

    def offline(self) -> Format:
        """Give the format for where nothing outside may be asked: it reads what its own `sample` writes."""
        return self

    def sample(self, reading: Reading) -> Callable[[Mapping[str, Any]], bytes]:
        """Make a function that writes a document as a record's value, for the tests of a pipeline."""
        raise NotImplementedError


@cache
def formats() -> dict[str, type[Format]]:
    """Find every format by its name in YAML.

    >>> formats()["json"].__name__
    'Json'
    """
    return {name: found for (name,), found in classes_of("connectors.codec", Format).items()}


def written() -> dict[str, type[Format]]:
    """Find the formats that rows can be written in, those with an encoder.

    >>> sorted(written())
    ['avro', 'json']
    """
    return {name: found for name, found in formats().items() if found.encoder is not Format.encoder}


def cells(column: Column, type_: Type) -> list[Any]:
    """Give a column as Python values, None where missing; a time stays a number of us."""
    if isinstance(column, Text):
        return column.to_list()
    if type_ is Type.FLOAT:
        return [None if value != value else value for value in column.tolist()]  # noqa: PLR0124  # NaN
    if type_ is Type.BOOL:
        return list(map((False, True, None).__getitem__, column.tolist()))
    values: list[Any] = column.tolist()
    if (column == MISSING_INT).any():
        values = [None if value == MISSING_INT else value for value in values]
    return values


def iso_cells(ts: NDArray[np.int64]) -> list[str | None]:
    """Write times (us) as ISO 8601 in UTC, with microseconds where there are any.

    >>> iso_cells(np.array([0, 1_500_000]))
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500000Z']
    """
    gone = ts == MISSING_INT
    texts = np.datetime_as_string(np.where(gone, 0, ts).astype("datetime64[us]"), unit="us").tolist()
    written: list[str | None] = [text.removesuffix(".000000") + "Z" for text in texts]
    return (
        [None if miss else text for miss, text in zip(gone.tolist(), written, strict=True)] if gone.any() else written
    )
