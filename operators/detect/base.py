"""What every detector has in common: the column it looks at, and the columns it adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.base import Operator, Outputs, Problem, Snapshot, SpecError
from operators.batch import Batch, Column, Schema, Text, Type
from operators.number import numbers, problems_of_number

SIDES = ["high", "low"]
HIGH, LOW, NO_SIDE = 0, 1, -1
"""Codes of the `side` column."""


class Detector(Operator):
    """A detector: looks at one number column, adds `score`, `expected` and `side`.

    `score` is in decades of surprise: 3 means that a value this odd is expected about once in 1,000 rows.
    """

    calibrated: ClassVar[bool] = True
    """Whether that holds of any noise that keeps its shape, by the device's own history. Where it doesn't, a score is no
    rate: a threshold says how far off a value is by rules of the detector's own, which its docstring tells.
    """

    field: str = Field(description="The number column to look at.")
    prefix: str = Field(
        "", description="Put before the names of the columns added, for a second detector on the same rows."
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the columns that came in, and `score` (float), `expected` (float) and `side` (text: high, low)."""
        problems = problems_of_number(self.field, schema)
        added = {
            f"{self.prefix}score": Type.FLOAT,
            f"{self.prefix}expected": Type.FLOAT,
            f"{self.prefix}side": Type.TEXT,
        }
        for name in added:
            if name in schema.names():
                fix = f"give this detector a prefix, such as `prefix: {self.field}_`"
                problems.append(
                    Problem(("prefix",), "names that don't exist yet", f"`{name}` exists here already", fix)
                )
                break
        if problems:
            raise SpecError(problems)
        return {"": schema.adding(added)}

    def columns(
        self, score: NDArray[np.float64], expected: NDArray[np.float64], side: NDArray[np.int32]
    ) -> dict[str, Column]:
        """Name the columns added."""
        p = self.prefix
        return {f"{p}score": score, f"{p}expected": expected, f"{p}side": Text(side, SIDES)}


class Scores(NamedTuple):
    """What a detector finds of each row of a batch, to be filled in."""

    score: NDArray[np.float64]
    expected: NDArray[np.float64]
    side: NDArray[np.int32]


class DetectorState:
    """What a detector knows of its devices: arrays by slot, which grow as devices come.

    Args:
        spec: the detector.
        resume: a snapshot to go on from.
        fresh: the arrays by their names, without a device; those of a new device are zeros.
    """

    def __init__(self, spec: Detector, resume: Snapshot | None, fresh: Mapping[str, NDArray[Any]]) -> None:
        """Take the arrays of the snapshot, if there is one."""
        self._detector = spec
        self.slots = {name: array.copy() for name, array in (resume or fresh).items()}

    def on_batch(self, batch: Batch) -> Outputs:
        """Score the rows of a batch, in their order."""
        devices = int(batch.device.max(initial=0)) + 1
        for name, known in self.slots.items():
            if devices > len(known):
                more = max(devices, 2 * len(known)) - len(known)
                self.slots[name] = np.concatenate([known, np.zeros((more, *known.shape[1:]), known.dtype)])
        rows = len(batch)
        found = Scores(np.zeros(rows), np.full(rows, np.nan), np.full(rows, NO_SIDE, np.int32))
        self.score(batch, numbers(batch, self._detector.field), found)
        return Outputs(batch.adding(self._detector.columns(*found)))

    def score(self, batch: Batch, values: NDArray[np.float64], found: Scores) -> None:
        """Score each row by what is known of its device, then learn from it.

        Args:
            batch: the rows.
            values: of the column, NaN where missing.
            found: as for a row that isn't scored: 0, missing, missing.
        """
        raise NotImplementedError

    def snapshot(self) -> Snapshot:
        """Copy the arrays."""
        return {name: array.copy() for name, array in self.slots.items()}
