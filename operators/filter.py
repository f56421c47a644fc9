"""Keep the rows for which a condition holds.

A row for which the condition is false or can't be decided (NULL) goes no further. It still tells the time: windows
behind the filter close as if it had passed.

Example:
    steps:
      - filter: temperature BETWEEN -40 AND 85
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from operators.base import Inputs, Operator, Outputs, Reject, Snapshot
from operators.batch import Batch, Schema, Type
from operators.expression import Expression


class Filter(Operator):
    """Keep the rows for which a SQL condition holds."""

    primary: ClassVar[str] = "where"

    where: str = Field(description="SQL condition over the columns of the row, such as `temperature > 0`.")

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the same columns out."""
        Expression(self.where, schema, ("where",), Type.BOOL)
        return {"": schema}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:  # noqa: ARG002  # it keeps nothing
        """Make the state; it keeps nothing between batches."""
        return _State(self, inputs)


class _State:
    def __init__(self, spec: Filter, inputs: Inputs) -> None:
        self._where = Expression(spec.where, inputs.schema, ("where",), Type.BOOL)
        self._devices = inputs.devices
        self._punctuated = inputs.punctuated

    def on_batch(self, batch: Batch) -> Outputs:
        holds, failed = self._where.evaluate(batch, self._devices)
        rejects = [Reject(int(batch.offset[row]), reason) for row, reason in failed]
        kept = np.asarray(holds) == 1
        return Outputs(batch.keeping(kept) if self._punctuated else batch.take(np.flatnonzero(kept)), rejects=rejects)

    def snapshot(self) -> Snapshot:
        return {}
