"""What every window has in common: its aggregates, and the columns of its rows."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from operators.aggregate.base import Aggregate, parse_call
from operators.base import Operator, Problem, SpecError
from operators.batch import Schema, Type

BOUNDS = {"window_start": Type.TIME, "window_end": Type.TIME}
"""The columns that say which window a row is of: `[window_start, window_end)`."""


class Window(Operator):
    """A window step: what it computes of each window, and what its rows look like."""

    aggregate: dict[str, str] = Field(
        description="Name of the output column to an aggregate of a column, such as `t_mean: mean(temperature)`.",
        min_length=1,
    )

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give a row a window; late rows as they came, with the window they missed and by how much (s)."""
        columns = {name: aggregate.result for name, (_, aggregate) in self.aggregates(schema).items()}
        late = schema.adding({**BOUNDS, "late_by": Type.FLOAT})
        return {"": Schema({**BOUNDS, **columns}, schema.device, None), "late": late}

    def aggregates(self, schema: Schema) -> dict[str, tuple[str | None, Aggregate]]:
        """Read the aggregates; report all that are wrong at once."""
        found: dict[str, tuple[str | None, Aggregate]] = {}
        problems: list[Problem] = []
        taken = {*BOUNDS, *schema.device}
        for name, text in self.aggregate.items():
            if name in taken:
                problems.append(
                    Problem(("aggregate", name), f"a name other than {', '.join(sorted(taken))}", f"`{name}`")
                )
                continue
            try:
                found[name] = parse_call(text, schema, ("aggregate", name))
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(problems)
        return found
