"""The panes of a window step: one for each device and stretch of time that is open, in a pool of arrays.

Memory follows the number of panes that are open at a time, not lateness / size: a device's panes hang on a list that
starts at its slot, in order of time. A pane that closes within a batch keeps its place until the batch is done, so
aggregates can be updated a column at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, values_of
from operators.base import Snapshot
from operators.batch import Batch, Column, is_missing
from operators.clock import NEVER

NO_PANE = -1


class Panes:
    """A pool of panes with the arrays of their aggregates.

    Attributes:
        head: int32, by slot: the device's earliest open pane, or `NO_PANE`.
        closed_to: int64, by slot: rows before this time are late; us.
        start: int64, by pane: where it starts; us.
        next: int32, by pane: the device's next open pane, or `NO_PANE`.
        free: int32, a stack of the panes that aren't used; `free_count[0]` of them.
    """

    def __init__(self, aggregates: Mapping[str, tuple[str | None, Aggregate]], resume: Snapshot | None) -> None:
        """Make an empty pool, or the one that `snapshot` copied.

        Args:
            aggregates: output column to the column that is aggregated (None: rows are) and the aggregate.
            resume: what `snapshot` gave.
        """
        self._aggregates = aggregates
        resume = resume or {}
        self.head: NDArray[np.int32] = resume.get("head", np.empty(0, np.int32)).copy()
        self.closed_to: NDArray[np.int64] = resume.get("closed_to", np.empty(0, np.int64)).copy()
        self.start: NDArray[np.int64] = resume.get("start", np.empty(0, np.int64)).copy()
        self.next: NDArray[np.int32] = resume.get("next", np.empty(0, np.int32)).copy()
        self.free: NDArray[np.int32] = resume.get("free", np.empty(0, np.int32)).copy()
        self.free_count: NDArray[np.int64] = resume.get("free_count", np.zeros(1, np.int64)).copy()
        self._arrays: dict[str, dict[str, NDArray[Any]]] = {
            name: {
                field: resume.get(f"{name}.{field}", np.empty(0, dtype)).copy()
                for field, (dtype, _) in agg.fields.items()
            }
            for name, (_, agg) in aggregates.items()
        }

    def reserve(self, devices: int, panes: int) -> None:
        """Make room for slots below `devices` and for `panes` more panes."""
        if devices > len(self.head):
            more = max(devices, 2 * len(self.head)) - len(self.head)
            self.head = np.concatenate([self.head, np.full(more, NO_PANE, np.int32)])
            self.closed_to = np.concatenate([self.closed_to, np.full(more, NEVER)])
        if panes > self.free_count[0]:
            known = len(self.start)
            more = max(panes - int(self.free_count[0]), known)
            self.start = np.concatenate([self.start, np.zeros(more, np.int64)])
            self.next = np.concatenate([self.next, np.full(more, NO_PANE, np.int32)])
            added = np.arange(known + more - 1, known - 1, -1, dtype=np.int32)
            free = self.free[: self.free_count[0]]
            self.free = np.concatenate([added, free, np.zeros(known - len(free), np.int32)])
            self.free_count[0] += more
            for name, (_, aggregate) in self._aggregates.items():
                for field, (dtype, initial) in aggregate.fields.items():
                    old = self._arrays[name][field]
                    self._arrays[name][field] = np.concatenate([old, np.full(more, initial, dtype)])

    def update(self, batch: Batch, pane: NDArray[np.int64]) -> None:
        """Let every aggregate take in the rows, each into its pane (-1: none)."""
        for name, (column, aggregate) in self._aggregates.items():
            if column is None:
                aggregate.update(self._arrays[name], pane, batch.ts, None)
                continue
            values = batch.columns[column]
            present = np.where(is_missing(values), NO_PANE, pane)
            numbers = None if not aggregate.needs_column else values_of(values)
            aggregate.update(self._arrays[name], present, batch.ts, numbers)

    def results(self, panes: NDArray[np.int64]) -> dict[str, Column]:
        """Compute the output columns of panes."""
        return {
            name: aggregate.finish({field: array[panes] for field, array in self._arrays[name].items()})
            for name, (_, aggregate) in self._aggregates.items()
        }

    def release(self, panes: NDArray[np.int64]) -> None:
        """Empty panes and put them back onto the stack of free ones."""
        for name, (_, aggregate) in self._aggregates.items():
            for field, (_, initial) in aggregate.fields.items():
                self._arrays[name][field][panes] = initial
        count = int(self.free_count[0])
        self.free[count : count + len(panes)] = panes[::-1]
        self.free_count[0] += len(panes)

    def snapshot(self) -> Snapshot:
        """Copy all arrays."""
        arrays = {f"{name}.{field}": array for name, own in self._arrays.items() for field, array in own.items()}
        names = ("head", "closed_to", "start", "next", "free", "free_count")
        return {name: array.copy() for name, array in {**{n: getattr(self, n) for n in names}, **arrays}.items()}
