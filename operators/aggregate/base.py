"""What every aggregate is: arrays with one element a pane, a kernel that updates them, and a last step."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from operators.base import Problem, SpecError, classes_of
from operators.batch import Column, Schema, Text, Type, missing

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(\s*([^()]*?)\s*\)\s*")


class Aggregate(ABC):
    """One aggregate over one column.

    A pane is the part of a window's state that belongs to one device and one stretch of time. Updates come as whole
    batches: for each row the pane it belongs to.

    Attributes:
        result: the type of the result.
        fields: the arrays that it keeps, one element a pane: name to dtype and value in an empty pane.
    """

    accepts: ClassVar[frozenset[Type]] = frozenset({Type.FLOAT, Type.INT, Type.BOOL})
    """The types of column that it can take in."""
    needs_column: ClassVar[bool] = True
    """Whether it takes a column at all costs."""

    result: Type
    fields: Mapping[str, tuple[type[np.generic], Any]]

    def __init__(self, column: Type | None) -> None:
        """Set the type of the result and the arrays for a column of this type."""
        self.column = column

    @abstractmethod
    def update(
        self,
        arrays: Mapping[str, NDArray[Any]],
        pane: NDArray[np.int64],
        ts: NDArray[np.int64],
        values: NDArray[Any] | None,
    ) -> None:
        """Take in rows.

        Args:
            arrays: one element a pane, as `fields` says; changed in place.
            pane: int64, the pane of each row; -1 for a row to pass over, as one whose value is missing.
            ts: int64, event time of each row, us.
            values: float64, or int64 for int, bool and time columns; None where no column was given.
        """

    @abstractmethod
    def finish(self, arrays: Mapping[str, NDArray[Any]]) -> Column:
        """Give the results of panes, from their elements of the arrays."""


def empty_of(type_: Type) -> np.generic:
    """Give the value that is missing in a number or time column."""
    column = missing(type_, 1)
    if isinstance(column, Text):
        message = "text has no numbers"
        raise TypeError(message)
    return column[0]  # type: ignore[no-any-return]  # an element of an array of any dtype


def values_of(column: Column) -> NDArray[Any]:
    """Give a number or time column as float64 or int64."""
    if isinstance(column, Text):
        message = "text has no numbers"
        raise TypeError(message)
    return column.astype(np.int64) if column.dtype == np.int8 else column


@cache
def aggregates() -> dict[str, type[Aggregate]]:
    """Find every aggregate by the name of its module, which is its name in YAML.

    >>> aggregates()["mean"].__name__
    'Mean'
    """
    return {name: found for (name,), found in classes_of("operators.aggregate", Aggregate).items()}  # type: ignore[type-abstract]  # what it finds is not


def parse_call(text: str, schema: Schema, at: tuple[str | int, ...]) -> tuple[str | None, Aggregate]:
    """Read a call such as `mean(temperature)`.

    Args:
        text: the call.
        schema: of the rows that the window takes.
        at: where it stands in the operator's spec, for the error.

    Returns:
        The column's name (None in `count()`) and the aggregate.

    Raises:
        SpecError: if it isn't a call, or the aggregate, the column or its type don't fit.
    """
    match = _CALL.fullmatch(text)
    if match is None:
        fix = f"`{text.strip()}()`" if text.strip() in aggregates() else None
        raise SpecError([Problem(at, "an aggregate of a column, such as mean(temperature)", f"`{text}`", fix)])
    name, argument = match.groups()
    found = aggregates().get(name)
    if found is None:
        near = difflib.get_close_matches(name, aggregates(), 1)
        fix = f"did you mean `{near[0]}`?" if near else None
        raise SpecError([Problem(at, f"an aggregate: {', '.join(aggregates())}", f"`{name}`", fix)])
    if not argument:
        if found.needs_column:
            raise SpecError([Problem(at, f"a column in `{name}(...)`", f"`{text}`")])
        return None, found(None)
    names = {name: type_ for name, type_ in schema.names().items() if name not in schema.device}
    if argument not in names:
        near = difflib.get_close_matches(argument, names, 1)
        fix = f"did you mean `{near[0]}`?" if near else None
        expected = f"a column that exists here: {', '.join(names)}"
        raise SpecError([Problem(at, expected, f"`{argument}` in `{text}`", fix)])
    type_ = names[argument]
    if type_ not in found.accepts:
        kinds = ", ".join(str(kind) for kind in Type if kind in found.accepts)
        fix = "`count` takes any column" if name != "count" else None
        raise SpecError([Problem(at, f"a column of type {kinds} in `{name}`", f"`{argument}`, which is {type_}", fix)])
    return argument, found(type_)
