"""What every detector has in common: the column it looks at, and the columns it adds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.base import Operator, Problem, SpecError
from operators.batch import Batch, Column, Schema, Text, Type

SIDES = ["high", "low"]
HIGH, LOW, NO_SIDE = 0, 1, -1
"""Codes of the `side` column."""


class Detector(Operator):
    """A detector: looks at one number column, adds `score`, `expected` and `side`.

    `score` is in decades of surprise: 3 means that a value this odd is expected about once in 1,000 rows.
    """

    field: str = Field(description="The number column to look at.")
    prefix: str = Field(
        "", description="Put before the names of the columns added, for a second detector on the same rows."
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the columns that came in, and `score` (float), `expected` (float) and `side` (text: high, low)."""
        problems = []
        names = [name for name, type_ in schema.columns.items() if type_.is_number]
        if self.field not in names:
            near = difflib.get_close_matches(self.field, names, 1)
            given = f"`{self.field}`"
            if self.field in schema.names():
                given += f", which is {schema.names()[self.field]}"
            fix = f"did you mean `{near[0]}`?" if near else None
            problems.append(Problem(("field",), f"a number column that exists here: {', '.join(names)}", given, fix))
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


def numbers(batch: Batch, field: str) -> NDArray[np.float64]:
    """Give the values to look at as float64, NaN where missing and in punctuations."""
    column = batch.columns[field]
    if isinstance(column, Text):
        message = f"{field} is text"
        raise TypeError(message)
    values = column.astype(np.float64)
    if column.dtype != np.float64:
        values[column == (-1 if column.dtype == np.int8 else np.iinfo(np.int64).min)] = np.nan
    values[~batch.live] = np.nan
    return values
