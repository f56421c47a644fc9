"""Add columns computed from the others of the row.

Columns are computed in the order in which they stand, so a later one can use an earlier one. A name that exists
already is replaced. A row for which a value can't be computed (a text cast to a number that isn't one) goes to the
dead letters with the reason.

Example:
    steps:
      - derive:
          fahrenheit: temperature * 9 / 5 + 32
          hot: fahrenheit > 100
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from operators.base import Inputs, Operator, Outputs, Problem, Reject, Snapshot, SpecError
from operators.batch import Batch, Schema
from operators.expression import Expression


class Derive(Operator):
    """Add columns computed from the others of the row."""

    whole: ClassVar[str] = "columns"

    columns: dict[str, str] = Field(
        description="Name of the new column to SQL expression, such as `dew_point: temperature - (100 - humidity) / 5`.",
        min_length=1,
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the columns that came in and the new ones."""
        return {"": schema.adding({name: expr.type for name, expr in self._compile(schema).items()})}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:  # noqa: ARG002  # it keeps nothing
        """Make the state; it keeps nothing between batches."""
        return _State(self._compile(inputs.schema), inputs)

    def _compile(self, schema: Schema) -> dict[str, Expression]:
        """Compile the expressions, each against what stands before it; report all that are wrong at once."""
        compiled: dict[str, Expression] = {}
        problems: list[Problem] = []
        for name, text in self.columns.items():
            if name in schema.device or name == schema.time:
                problems.append(
                    Problem(("columns", name), "a name other than the device's and the time's", f"`{name}`")
                )
                continue
            try:
                compiled[name] = Expression(text, schema, ("columns", name))
                schema = schema.adding({name: compiled[name].type})
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(problems)
        return compiled


class _State:
    def __init__(self, columns: Mapping[str, Expression], inputs: Inputs) -> None:
        self._columns = columns
        self._devices = inputs.devices

    def on_batch(self, batch: Batch) -> Outputs:
        rejects = []
        for name, expression in self._columns.items():
            column, failed = expression.evaluate(batch, self._devices)
            if failed:
                rejects += [Reject(int(batch.offset[row]), reason) for row, reason in failed]
                ok = np.ones(len(batch), np.bool_)
                ok[[row for row, _ in failed]] = False
                batch = batch.keeping(ok)
            batch = batch.adding({name: column})
        return Outputs(batch, rejects=rejects)

    def snapshot(self) -> Snapshot:
        return {}
