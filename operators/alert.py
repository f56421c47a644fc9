"""Raise an alert when a condition holds, clear it when another does.

    raise not true     raise true            held for `for`            clear true
    ------------------> [ok] ---> [pending] ---------------> [raised] -----------> [ok]
                          ^           | raise not true        row: raised           row: cleared
                          +-----------+

An alert follows the newest reading of its device: a row older than the newest one seen changes nothing and goes to the
side output `late`. `alert_id` is the same for both rows of an alert, and the same again on a replay: it is made from
the pipeline, the step, the device, and the time and offset of the record with which the condition began to hold, and how
often it had begun to before within that record, which may hold several readings. An alert of a device that is forgotten is
over, without a row.

Example:
    steps:
      - alert: {raise: temperature > 80, clear: temperature < 75, for: 10s, severity: critical}
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from operator import methodcaller
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from operators.base import Inputs, Operator, Outputs, Problem, Reject, Snapshot, SpecError
from operators.batch import MISSING_CODE, Batch, Column, Schema, Text, Type
from operators.clock import FORGET, NEVER
from operators.duration import Duration
from operators.expression import Expression
from operators.kernel import kernel

STATES = ["raised", "cleared"]
_ADDED = {
    "alert_id": Type.TEXT,
    "pipeline": Type.TEXT,
    "alert": Type.TEXT,
    "state": Type.TEXT,
    "severity": Type.TEXT,
    "since": Type.TIME,
}


class Alert(Operator):
    """Raise an alert when a condition holds, clear it when another does."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    whole: ClassVar[str | None] = None

    raise_: str = Field(alias="raise", description="SQL condition that raises the alert, such as `score > 3`.")
    clear: str | None = Field(None, description="SQL condition that clears it; without one, `raise` not being true.")
    for_: Duration = Field(0, alias="for", description="How long, in event time, `raise` must hold first.")
    severity: str = Field("warning", description="Written into the alert's rows, such as `warning` or `critical`.")

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give a row for each alert raised or cleared: what it is, and the columns of the row that did it."""
        self._compile(schema)
        clash = sorted({*_ADDED, "at"} & {*schema.columns, *schema.device})
        if clash:
            expected = "no columns that the alert's rows have too"
            fix = "rename them in a `derive` step or in the source's fields"
            raise SpecError([Problem((), expected, ", ".join(f"`{name}`" for name in clash), fix)])
        return {"": Schema({**_ADDED, **schema.columns}, schema.device, "at"), "late": schema}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make a state in which no alert is raised, or go on from a snapshot."""
        return _State(self, inputs, resume)

    def _compile(self, schema: Schema) -> tuple[Expression, Expression | None]:
        compiled: list[Expression] = []
        problems: list[Problem] = []
        for name, text in (("raise", self.raise_), ("clear", self.clear)):
            try:
                if text is not None:
                    compiled.append(Expression(text, schema, (name,), Type.BOOL))
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(problems)
        return compiled[0], compiled[1] if self.clear is not None else None


class _State:
    def __init__(self, spec: Alert, inputs: Inputs, resume: Snapshot | None) -> None:
        self._for = spec.for_
        self._raise, self._clear = spec._compile(inputs.schema)  # noqa: SLF001  # its own spec
        self._devices = inputs.devices
        self._punctuated = inputs.punctuated
        outputs = spec.outputs(inputs.schema)
        # What comes out of most small batches: nothing.
        self._no_rows, self._no_late = Batch.empty(outputs[""].columns), Batch.empty(outputs["late"].columns)
        self._seed = f"{inputs.pipeline}\0{inputs.step}\0".encode().replace(b"%", b"%%") + b"%b\0%d\0%d\0%d"
        self._texts = {"pipeline": inputs.pipeline, "alert": inputs.step, "severity": spec.severity}
        self._slots: NDArray[np.int64] = (resume or {"slots": np.empty((5, 0), np.int64)})["slots"].copy()
        """By slot: 1 while raised, since when the condition holds (`NEVER`: it doesn't; us) and since which
        offset, the newest `ts` (us), and how often it began to hold at that offset before."""

    def on_batch(self, batch: Batch) -> Outputs:
        raises, failed = self._raise.evaluate(batch, self._devices)
        if self._clear is None:
            clears: Any = np.asarray(raises) != 1
        else:
            column, more = self._clear.evaluate(batch, self._devices)
            clears, failed = np.asarray(column) == 1, failed + more
        self._grow(int(batch.device.max(initial=0)) + 1)
        change = np.zeros(len(batch), np.int8)
        began = np.zeros((3, len(batch)), np.int64)
        ok = batch.live.copy()
        ok[[row for row, _ in failed]] = False
        _follow(
            batch.device,
            batch.ts,
            batch.watermark,
            batch.offset,
            ok,
            np.asarray(raises) == 1,
            clears,
            self._for,
            self._slots,
            change,
            began,
        )
        rejects = [Reject(int(batch.offset[row]), reason) for row, reason in dict(failed).items()]
        older, changed = np.flatnonzero(change < 0), np.flatnonzero(change > 0)
        late = batch.take(older) if len(older) else self._no_late
        if self._punctuated:
            # The rows that change nothing go on as punctuations: a window behind must not wait for the next alert.
            rows = self._rows(batch.keeping(change > 0), change, began)
        elif len(changed):
            rows = self._rows(batch.take(changed), change[changed], began[:, changed])
        else:
            rows = self._no_rows
        return Outputs(rows, {"late": late}, rejects)

    def _rows(self, batch: Batch, change: NDArray[np.int8], began: NDArray[np.int64]) -> Batch:
        rows = np.flatnonzero(batch.live)
        named = map(
            self._seed.__mod__,
            zip(self._devices.ids(batch.device[rows]).values(), *began[:, rows].tolist(), strict=True),
        )
        ids = map(methodcaller("hexdigest"), map(partial(hashlib.blake2b, digest_size=8), named))
        which = np.full(len(batch), MISSING_CODE)
        which[rows] = np.arange(len(rows), dtype=np.int32)
        state = np.maximum(change - 1, -1).astype(np.int32)
        columns: dict[str, Column] = {"alert_id": Text(which, list(ids)), "state": Text(state, STATES)}
        columns |= {name: Text(np.zeros(len(batch), np.int32), [text]) for name, text in self._texts.items()}
        columns |= {"since": began[0]}
        return batch.adding({name: columns[name] for name in _ADDED})

    def snapshot(self) -> Snapshot:
        return {"slots": self._slots.copy()}

    def _grow(self, devices: int) -> None:
        known = self._slots.shape[1]
        if devices > known:
            more = max(devices, 2 * known) - known
            fresh = np.zeros((5, more), np.int64)
            fresh[[1, 2, 3]] = NEVER
            self._slots = np.concatenate([self._slots, fresh], axis=1)


@kernel
def _follow(device, ts, watermark, offset, live, raises, clears, hold, slots, change, began):  # type: ignore[no-untyped-def]  # compiled
    """Write into `change` 1 where a row raises, 2 where it clears, -1 where it is older than its device's newest.

    Where a row raises or clears, `began` gets the time and the offset since which the condition held, and how often it had
    begun to at this offset before.
    """
    for row in range(len(ts)):
        slot = device[row]
        if watermark[row] >= FORGET:
            slots[0, slot] = 0
            slots[1, slot] = NEVER
            slots[2, slot] = NEVER
            slots[3, slot] = NEVER
        if not live[row]:
            continue
        if ts[row] < slots[3, slot]:
            change[row] = -1
            continue
        slots[3, slot] = ts[row]
        if slots[0, slot] == 1:
            if clears[row]:
                change[row] = 2
                began[0, row], began[1, row], began[2, row] = slots[1, slot], slots[2, slot], slots[4, slot]
                slots[0, slot] = 0
                slots[1, slot] = NEVER
        elif not raises[row]:
            slots[1, slot] = NEVER
        else:
            if slots[1, slot] == NEVER:
                slots[4, slot] = slots[4, slot] + 1 if slots[2, slot] == offset[row] else 0
                slots[1, slot] = ts[row]
                slots[2, slot] = offset[row]
            if ts[row] - slots[1, slot] >= hold:
                change[row] = 1
                began[0, row], began[1, row], began[2, row] = slots[1, slot], slots[2, slot], slots[4, slot]
                slots[0, slot] = 1
