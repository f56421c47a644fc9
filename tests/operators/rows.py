"""Rows as plain Python values: what oracles work on, how hypothesis makes them, how they go through an operator.

A `Row` holds what a row of a batch holds, with the device's id in place of its slot and None for a missing value.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from operators.base import Inputs, Operator, Outputs, Reject, Snapshot, State
from operators.batch import MISSING_BOOL, MISSING_CODE, MISSING_INT, Batch, Column, Schema, Text, Type
from operators.binary import Binary
from operators.clock import END, FORGET, Clock
from operators.devices import DeviceTable

SECOND = 1_000_000
"""In us."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR_1 = -62_135_596_800 * SECOND
"""0001-01-01T00:00Z."""
YEAR_9999 = 253_402_300_800 * SECOND - 1
"""The last microsecond of 9999."""
NINE = 1_678_957_200 * SECOND
"""2023-03-16T09:00Z."""

SCHEMA = Schema(
    {
        "temperature": Type.FLOAT,
        "humidity": Type.FLOAT,
        "score": Type.FLOAT,
        "n": Type.INT,
        "ok": Type.BOOL,
        "status": Type.TEXT,
    },
    ("device",),
    "ts",
)
PIPELINE, STEP = "mill 100%", "step"
DEVICES = [b"a", b"", b"\xff\x00", b"b%c/d"]
Reading: TypeAlias = "tuple[bytes, int, Mapping[str, Any]]"


@dataclass(frozen=True)
class Near:
    """What an oracle says of a float whose last bits depend on the order of the additions.

    Attributes:
        exact: the value.
        slack: how far off it may be, on top of one part in 10**9.
    """

    exact: float
    slack: float = 0.0

    def __eq__(self, other: object) -> bool:
        """Whether the other is as good as this."""
        if not isinstance(other, float):
            return NotImplemented
        if math.isinf(self.exact) or math.isinf(other):
            return self.exact == other
        return abs(self.exact - other) <= 1e-9 * abs(self.exact) + self.slack

    __hash__ = None  # type: ignore[assignment]  # near isn't an equivalence


@dataclass(frozen=True)
class Row:
    """A row; see `Batch` for what the attributes mean. What `values` holds of a punctuation means nothing."""

    device: bytes
    ts: int
    watermark: int
    offset: int
    live: bool
    values: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """Give a value by its column."""
        return self.values[name]


@dataclass(frozen=True)
class Made:
    """What an operator made of rows: its outputs by name (the main one is ""), and the rows that it rejected."""

    rows: Mapping[str, list[Row]]
    rejects: list[Reject]

    @property
    def main(self) -> list[Row]:
        """The live rows of the main output."""
        return [row for row in self.rows[""] if row.live]


def to_column(values: Sequence[Any], type_: Type) -> Column:
    """Make a column of values, None where missing."""
    if type_ is Type.TEXT:
        return Text.of(values)
    if type_ is Type.FLOAT:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    if type_ is Type.BOOL:
        return np.array([MISSING_BOOL if value is None else value for value in values], np.int8)
    return np.array([MISSING_INT if value is None else value for value in values], np.int64)


def from_column(column: Column, type_: Type) -> list[Any]:
    """Give the values of a column, None where missing; complain if it isn't a column of the type."""
    if type_ is Type.TEXT:
        assert isinstance(column, Text), f"a text column is {type(column)}"
        assert column.codes.dtype == np.int32
        assert all(MISSING_CODE <= code < len(column.values) for code in column.codes.tolist())
        return [None if code < 0 else column.values[code] for code in column.codes.tolist()]
    assert isinstance(column, np.ndarray), f"a column of type {type_} is {type(column)}"
    assert column.dtype == {Type.FLOAT: np.float64, Type.BOOL: np.int8}.get(type_, np.int64), f"{type_}: {column.dtype}"
    if type_ is Type.FLOAT:
        return [None if math.isnan(value) else value for value in column.tolist()]
    if type_ is Type.BOOL:
        assert set(column.tolist()) <= {-1, 0, 1}
        return [None if value < 0 else value == 1 for value in column.tolist()]
    return [None if value == MISSING_INT else value for value in column.tolist()]


def to_batch(rows: Sequence[Row], schema: Schema, devices: DeviceTable) -> Batch:
    """Make a batch as a decoder would: with texts of its own."""
    return Batch(
        devices.slots(Binary.of([row.device for row in rows])),
        np.array([row.ts for row in rows], np.int64),
        np.array([row.watermark for row in rows], np.int64),
        np.array([row.offset for row in rows], np.int64),
        np.array([row.live for row in rows], np.bool_),
        {name: to_column([row.values.get(name) for row in rows], type_) for name, type_ in schema.columns.items()},
    )


def from_batch(batch: Batch, schema: Schema, devices: DeviceTable) -> list[Row]:
    """Give the rows of a batch; complain if they aren't as the schema says."""
    assert set(batch.columns) >= set(schema.columns), "the columns are those that `outputs` names"
    assert batch.device.dtype == np.uint32
    assert batch.ts.dtype == batch.watermark.dtype == batch.offset.dtype == np.int64
    assert batch.live.dtype == np.bool_
    columns = {name: from_column(batch.columns[name], type_) for name, type_ in schema.columns.items()}
    lengths = {len(values) for values in columns.values()}
    lengths |= {len(array) for array in (batch.device, batch.ts, batch.watermark, batch.offset, batch.live)}
    assert lengths == {len(batch)}
    heads = zip(
        devices.ids(batch.device).values(),
        batch.ts.tolist(),
        batch.watermark.tolist(),
        batch.offset.tolist(),
        batch.live.tolist(),
        strict=True,
    )
    return [
        Row(*head, {name: columns[name][at] for name in columns} if head[-1] else {}) for at, head in enumerate(heads)
    ]


def cut(rows: Sequence[Row], cuts: Iterable[int]) -> list[Sequence[Row]]:
    """Cut rows into pieces, some of which may be empty."""
    ends = sorted(min(at, len(rows)) for at in cuts)
    return [rows[start:end] for start, end in zip([0, *ends], [*ends, len(rows)], strict=True)]


class Runner:
    """Puts rows through an operator, piece by piece, with a device table that grows as the rows come."""

    def __init__(self, spec: Operator, schema: Schema = SCHEMA, *, punctuated: bool = True) -> None:
        """Make an empty state."""
        self.spec = spec
        self.punctuated = punctuated
        self.schema = schema
        self.schemas = spec.outputs(schema)
        self.devices = DeviceTable(schema.device)
        self.state: State = self._build(None)
        self._made: list[Outputs] = []

    def _build(self, resume: Snapshot | None) -> State:
        return self.spec.build(Inputs(self.schema, self.devices, PIPELINE, STEP, self.punctuated), resume)

    def put(self, rows: Sequence[Row]) -> Made:
        """Put rows through at once, then scribble over the batch: a state may neither change it nor hold on to it."""
        batch = to_batch(rows, self.schema, self.devices)
        before = arrays_of(batch)
        copies = [array.copy() for array in before]
        out = self.state.on_batch(batch)
        made = self._read([out])
        for array, copy in zip(before, copies, strict=True):
            np.testing.assert_array_equal(array, copy, "an operator doesn't change the batch that it is given")
            array[:] = 1
        return made

    def put_pieces(self, pieces: Iterable[Sequence[Row]]) -> Made:
        """Put pieces through, and read what came out only then: an output may not change behind its back."""
        return self._read([self.state.on_batch(to_batch(piece, self.schema, self.devices)) for piece in pieces])

    def resume(self) -> None:
        """Go on with a new state and a new device table, made from the snapshots of the old ones."""
        devices = self.devices.snapshot()
        self.devices = DeviceTable(self.schema.device, devices)
        for array in devices.values():
            array[:] = 0
        self.state = self._build(self.state.snapshot())

    def _read(self, made: Sequence[Outputs]) -> Made:
        rows: dict[str, list[Row]] = {side: [] for side in self.schemas}
        for out in made:
            assert {"", *out.sides} == set(self.schemas), "the outputs are those that `outputs` names"
            for side, batch in {"": out.main, **out.sides}.items():
                rows[side] += from_batch(batch, self.schemas[side], self.devices)
        # The shard puts the rejects of a batch in order.
        return Made(rows, sorted(reject for out in made for reject in out.rejects))


def arrays_of(batch: Batch) -> list[np.ndarray[Any, Any]]:
    """Give the arrays of a batch."""
    columns = [column.codes if isinstance(column, Text) else column for column in batch.columns.values()]
    return [batch.device, batch.ts, batch.watermark, batch.offset, batch.live, *columns]


def run(spec: Operator, rows: Sequence[Row], schema: Schema = SCHEMA) -> Made:
    """Put rows through an operator at once."""
    return Runner(spec, schema).put(rows)


def clocked(
    readings: Sequence[tuple[bytes, int, Mapping[str, Any]]],
    lateness: int = 0,
    idle: int = 100 * 366 * DAY,
    reach: int = 0,
    *,
    idles: Mapping[int, int] | None = None,
    forgets: Mapping[int, bytes] | None = None,
    close: bool = False,
) -> list[Row]:
    """Put readings (device, ts, values) through a clock; their offsets are 0, 1, 2...

    Args:
        readings: as they arrive.
        lateness: of the clock, us.
        idle: of the clock, us.
        reach: of the clock, us.
        idles: number of the reading before which the shard was idle -> how long, us.
        forgets: number of the reading before which a device is forgotten -> the device; passed over where it wasn't
            heard since it was last forgotten.
        close: whether the run ends there.

    Returns:
        The rows, punctuations included.
    """
    clock = Clock(lateness, idle, reach)
    devices = DeviceTable(("device",))
    lives = _lives([device for device, _, _ in readings], forgets or {})
    rows: list[Row] = []
    schema = Schema({}, ("device",), "ts")
    breaks = sorted({0, len(readings), *(idles or {})})
    for at, until in zip(breaks, [*breaks[1:], len(readings)], strict=True):
        if at in (idles or {}):
            rows += from_batch(clock.on_idle((idles or {})[at], at - 1, {}), schema, devices)
        piece = readings[at:until]
        slots = devices.slots(Binary.of(lives[at:until]))
        ts = np.array([ts for _, ts, _ in piece], np.int64)
        rows += from_batch(clock.on_rows(slots, ts, np.arange(at, until), {}, {}), schema, devices)
    if close:
        rows += from_batch(clock.close(len(readings) - 1, {}), schema, devices)
    rows = [replace(row, values=readings[row.offset][2]) if row.live else row for row in rows]
    return _forgetting(rows, forgets or {})


def _lives(devices: Sequence[bytes], forgets: Mapping[int, bytes]) -> list[bytes]:
    """Name devices for the clock, for which one that comes again is another."""
    before = dict.fromkeys(devices, 0)
    lives = []
    for at, device in enumerate(devices):
        if at in forgets:
            before[forgets[at]] = before.get(forgets[at], 0) + 1
        lives.append(b"%b#%d" % (device, before[device]))
    return lives


def _forgetting(rows: Sequence[Row], forgets: Mapping[int, bytes]) -> list[Row]:
    """Put in the punctuations that forget devices; give the devices their names back, and drop what the clock says of
    those that are gone.
    """
    made: list[Row] = []
    life: dict[bytes, int] = {}
    heard: set[bytes] = set()
    pending = sorted(forgets.items())
    for row in [*rows, None]:
        while pending and (row is None or row.offset >= pending[0][0]):
            _, device = pending.pop(0)
            life[device] = life.get(device, 0) + 1
            if device in heard:
                heard.remove(device)
                made.append(Row(device, int(FORGET), int(FORGET), made[-1].offset, live=False))
        if row is not None:
            device, _, number = row.device.rpartition(b"#")
            if int(number) == life.get(device, 0):
                heard.add(device)
                made.append(replace(row, device=device))
    return made


# Where the tests of an operator or an aggregate stand.


def test_module(package: str, path: Sequence[str], needs: Sequence[str]) -> ModuleType:
    """Import the test module of `package/path`; complain, as to somebody who adds a new one, if it isn't complete."""
    *groups, name = path
    module_name = ".".join([package, *groups, f"test_{name}"])
    file = module_name.replace(".", "/") + ".py"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        message = f"`{'.'.join(path)}` has no tests: write {file} with {' and '.join(needs)}"
        raise AssertionError(message) from None
    for need in needs:
        assert hasattr(module, need), f"{file} has no `{need}`: the contract tests need it"
    return module


test_module.__test__ = False  # type: ignore[attr-defined]  # not a test

Oracle: TypeAlias = Callable[[Any, Schema, Sequence[Row], str, str], Mapping[str, list[Row]]]
"""The spec, the schema and the rows that come in, the pipeline's name and the step's id -> the rows of each output, and
under `rejects` the rows that can't be processed."""

AT_THE_END = int(END)
"""The watermark of a device that is closed."""
