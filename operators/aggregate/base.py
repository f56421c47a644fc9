"""What every aggregate is: arrays with one element a pane, a kernel that updates them, and a last step."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.base import Problem, SpecError, classes_of
from operators.batch import Column, Schema, Text, Type, missing

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
"""The arrays of an aggregate, by name, one element a pane."""
Times: TypeAlias = NDArray[np.int64]
"""A number for each row: a time in us, or a pane."""
Values: TypeAlias = "NDArray[Any] | None"
"""A value for each row: float64, or int64 for int, bool and time columns; None where no column was given."""

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
    fields: dict[str, tuple[type[np.generic], Any]]

    def __init__(self, column: Type | None) -> None:
        """Set the type of the result and the arrays for a column of this type."""
        self.column = column

    @abstractmethod
    def update(self, arrays: Arrays, pane: Times, ts: Times, values: Values) -> None:
        """Take in rows.

        Args:
            arrays: one element a pane, as `fields` says; changed in place.
            pane: int64, the pane of each row; -1 for a row to pass over, as one whose value is missing.
            ts: int64, event time of each row, us.
            values: float64, or int64 for int, bool and time columns; None where no column was given.
        """

    @abstractmethod
    def finish(self, arrays: Arrays) -> Column:
        """Give the results of panes, from their elements of the arrays."""


class OneValue(Aggregate):
    """An aggregate that picks one of the values: of the column's type (int for a bool), missing if there were none."""

    accepts: ClassVar[frozenset[Type]] = Aggregate.accepts | {Type.TIME}
    timed: ClassVar[bool] = False
    """Whether it keeps the event time of the value too."""

    def __init__(self, column: Type | None) -> None:
        """Keep a value, and whether there was any."""
        super().__init__(column)
        self.result = Type.INT if column is Type.BOOL or column is None else column
        empty = empty_of(self.result)
        self.fields = {"seen": (np.bool_, False), "value": (type(empty), empty)}
        if self.timed:
            self.fields["at"] = (np.int64, 0)

    def finish(self, arrays: Arrays) -> Column:
        """Give the values."""
        return arrays["value"]


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
        known = aggregates().get(text.strip())
        columns = [name for name, type_ in schema.columns.items() if known and type_ in known.accepts]
        fix = f"`{text.strip()}({columns[0] if known and known.needs_column else ''})`" if columns else None
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
