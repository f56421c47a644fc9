"""The panes of a window step, in a pool: one for each device and stretch of time that is open.

Memory follows the number of panes that are open at a time, not lateness / size: the panes of a device hang on a list in
order of time. All that the aggregates keep of a pane lies side by side, so that a row touches few cache lines whatever
the number of devices. Aggregates of the same column that keep the same (as sum and mean do) share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, Into, Of, Span
from operators.aggregate.call import Call
from operators.base import Snapshot
from operators.batch import Batch, Column, Text, is_missing
from operators.dedupe import _words
from operators.devices import DeviceTable
from operators.kernel import kernel

SLOT = 12
"""Numbers that a window keeps of each device. What each is, the window says."""
PANE = 6
"""Numbers that a window keeps of each pane besides what the aggregates keep."""
Values = tuple["NDArray[Any] | None", "NDArray[np.bool_] | None"]
"""The values of an argument by row, and which are missing (None: not one is)."""


@dataclass(slots=True)
class _Kept:
    """What is kept for one or more aggregates: of which argument, and the arrays."""

    aggregate: Aggregate
    argument: str | None
    arrays: dict[str, NDArray[Any]]


class Panes:
    """A pool of panes with the arrays of their aggregates.

    Attributes:
        slots: int64 (devices, `SLOT`), what the window keeps of each device.
        panes: int64 (panes, `PANE`), what it keeps of each pane.
        free: int64, a stack of the panes that aren't used; `free_count` of them.
    """

    def __init__(self, calls: Mapping[str, Call], empty_slot: NDArray[np.int64], resume: Snapshot | None) -> None:
        """Make an empty pool, or the one that `snapshot` copied.

        Args:
            calls: output column to the aggregate that gives it.
            empty_slot: int64 (`SLOT`), what is kept of a device that was never seen.
            resume: what `snapshot` gave.
        """
        resume = resume or {}
        self._empty_slot = empty_slot
        self.slots: NDArray[np.int64] = resume.get("slots", np.empty((0, SLOT), np.int64)).copy()
        self.panes: NDArray[np.int64] = resume.get("panes", np.empty((0, PANE), np.int64)).copy()
        self.free: NDArray[np.int64] = resume.get("free", np.empty(0, np.int64)).copy()
        self.free_count = int(resume["free_count"][0]) if resume else 0
        self._calls = calls
        self._kept: list[_Kept] = []
        self._of: dict[str, _Kept] = {}
        shared: dict[Any, _Kept] = {}
        for name, call in calls.items():
            made = call.aggregate
            key = (type(made).update, call.argument, repr(made.fields), tuple(sorted(made.heap())))
            if key not in shared:
                shared[key] = _Kept(made, call.argument, {})
                self._kept.append(shared[key])
            self._of[name] = shared[key]
        fields = [
            (f"{at}.{name}", *(dtype if isinstance(dtype, tuple) else (dtype,)))
            for at, kept in enumerate(self._kept)
            for name, (dtype, _) in kept.aggregate.fields.items()
        ]
        self._pool: NDArray[Any] = np.empty(len(self.panes), _whole_words(np.dtype(fields, align=True)))
        self._empty: NDArray[Any] = np.empty(1, self._pool.dtype)
        for at, kept in enumerate(self._kept):
            kept.arrays |= {
                name: resume.get(f"{at}.{name}", array).copy() for name, array in kept.aggregate.heap().items()
            }
            for name, (_, initial) in kept.aggregate.fields.items():
                self._empty[f"{at}.{name}"] = initial
                if resume:
                    self._pool[f"{at}.{name}"] = resume[f"{at}.{name}"]
        self._view()

    def bytes_a_pane(self) -> int:
        """Say how many bytes a pane takes, without what aggregates keep on a heap."""
        return int(self._pool.itemsize) + PANE * 8

    def reserve(self, devices: int, panes: int) -> None:
        """Make room for slots below `devices` and for `panes` more panes."""
        known = len(self.slots)
        if devices > known:
            more = max(devices, 2 * known) - known
            self.slots = np.concatenate([self.slots, np.broadcast_to(self._empty_slot, (more, SLOT))])
        if panes > self.free_count:
            known = len(self.panes)
            more = max(2 * panes - self.free_count, known)
            self.panes = np.concatenate([self.panes, np.zeros((more, PANE), np.int64)])
            added = np.arange(known + more - 1, known - 1, -1)
            self.free = np.concatenate(
                [added, self.free[: self.free_count], np.zeros(known - self.free_count, np.int64)]
            )
            self.free_count += more
            pool = np.empty(known + more, self._pool.dtype)
            pool[:known], pool[known:] = self._pool, self._empty
            self._pool = pool
            self._view()

    def _view(self) -> None:
        self._words = self._pool.view(np.int64).reshape(len(self._pool), self._pool.itemsize // 8)
        for at, kept in enumerate(self._kept):
            kept.arrays |= {name: self._pool[f"{at}.{name}"] for name in kept.aggregate.fields}

    def values(
        self, batch: Batch, devices: DeviceTable, time: str | None
    ) -> tuple[dict[str, Values], list[tuple[int, str]]]:
        """Compute what the aggregates are of; gives the rows too for which that failed, each with the reason."""
        found: dict[str, Values] = {}
        hashed = {call.argument for call in self._calls.values() if call.aggregate.of_hashes}
        failed: list[tuple[int, str]] = []
        for call in self._calls.values():
            if call.argument is None or call.argument in found:
                continue
            if call.expression is not None:
                column, more = call.expression.evaluate(batch, devices)
                failed += more
            else:
                column = batch.ts if call.argument == time else batch.columns[call.argument]
            gone = is_missing(column)
            found[call.argument] = (_numbers(column, hashed=call.argument in hashed), gone if gone.any() else None)
        return found, failed

    def update(self, values: Mapping[str, Values], ts: NDArray[np.int64], into: Into, of: Of) -> None:
        """Let every aggregate carry out the operations, in order."""
        present: dict[str, Into] = {}
        for kept in self._kept:
            if kept.argument is None:
                kept.aggregate.update(kept.arrays, into, of, ts, None)
                continue
            numbers, gone = values[kept.argument]
            if kept.argument not in present:
                skip = None if gone is None else (of >= 0) & gone[np.maximum(of, 0)]
                present[kept.argument] = into if skip is None else np.where(skip, np.int32(-1), into)
            kept.aggregate.update(kept.arrays, present[kept.argument], of, ts, numbers)

    def result(self, name: str, panes: NDArray[np.int64], span: Span) -> Column:
        """Compute an output column of panes."""
        return self._calls[name].aggregate.finish(self._of[name].arrays, panes, span)

    def release(self, panes: NDArray[np.int64]) -> None:
        """Empty panes and put them back onto the stack of free ones."""
        if not len(panes):
            return
        for kept in self._kept:
            kept.aggregate.release(kept.arrays, panes)
        _fill(self._words, self._empty.view(np.int64), panes)
        self.free[self.free_count : self.free_count + len(panes)] = panes[::-1]
        self.free_count += len(panes)

    def snapshot(self) -> Snapshot:
        """Copy all arrays."""
        kept = {f"{at}.{name}": array for at, own in enumerate(self._kept) for name, array in own.arrays.items()}
        own = {"slots": self.slots, "panes": self.panes, "free": self.free}
        return {
            "free_count": np.array([self.free_count]),
            **{name: array.copy() for name, array in {**own, **kept}.items()},
        }


def _numbers(column: Column, *, hashed: bool) -> NDArray[Any] | None:
    """Give what kernels take of a column: float64 or int64; for text a hash of it, or None where none needs it."""
    if isinstance(column, Text):
        return _words(column)[0].view(np.int64) if hashed else None
    return column.astype(np.int64) if column.dtype == np.int8 else column


def _whole_words(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Pad a structured dtype to whole words of 8 bytes."""
    fields: Mapping[str, Any] = dtype.fields or {}
    return np.dtype(
        {
            "names": list(fields),
            "formats": [field[0] for field in fields.values()],
            "offsets": [field[1] for field in fields.values()],
            "itemsize": -(-dtype.itemsize // 8) * 8,
        }
    )


@kernel
def _fill(pool, empty, panes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(panes)):
        for word in range(len(empty)):
            pool[panes[at], word] = empty[word]
