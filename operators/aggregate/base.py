"""What every aggregate is: arrays with one element a pane, a kernel that updates them, and a last step.

A pane is the part of a window step's state that belongs to one device and one stretch of time. Windows plan what goes
where as a list of operations, in order, and every aggregate carries them out over its own arrays:

    into    of       meaning
    3       0        row 0 goes into pane 3
    3       1        row 1 goes into pane 3
    7       ~3       all that pane 3 holds goes into pane 7, which holds nothing newer
    -1      2        nothing: row 2's value is missing
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.base import classes_of
from operators.batch import Column, Text, Type, missing

Arrays: TypeAlias = MutableMapping[str, NDArray[Any]]
"""The arrays of an aggregate, by name: those of `fields` with one element a pane, and those of `heap`."""
Panes: TypeAlias = NDArray[np.int64]
"""A pane for each result."""
Into: TypeAlias = NDArray[np.int32]
"""For each operation the pane that takes something in; -1 where there is nothing to do."""
Of: TypeAlias = NDArray[np.int32]
"""For each operation what is taken in: a row, or `~pane`."""
Times: TypeAlias = NDArray[np.int64]
"""A time for each row, us."""
Values: TypeAlias = "NDArray[Any] | None"
"""A value for each row: float64, or int64 for int, bool and time columns; None where no column was given."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time that results are of, one element a result.

    Attributes:
        start: int64, where the window starts, us; of a session the time of its first reading.
        end: int64, where it ends, us; of a session the time of its last reading.
        before: int64, the pane with the device's readings before the window, or -1 where there are none.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    before: NDArray[np.int64]


class Aggregate(ABC):
    """One aggregate over one column.

    A subclass in a module of its own is the whole registration: `aggregates` finds it by the name of its module. Its
    class docstring's first line says what it gives; the module's docstring what missing values do, and the source.

    Attributes:
        result: the type of the result.
        fields: the arrays that it keeps, one element a pane: name to dtype (with a shape, for several values a pane)
            and value in an empty pane.
    """

    accepts: ClassVar[frozenset[Type]] = frozenset({Type.FLOAT, Type.INT, Type.BOOL})
    """The types of column that it can take in."""
    needs_column: ClassVar[bool] = True
    """Whether it takes a column at all costs."""
    of_hashes: ClassVar[bool] = False
    """Whether it takes a text as a hash of it: int64, the same for the same text, in every batch and process."""
    looks_back: ClassVar[bool] = False
    """Whether its result depends on the reading before the window too."""
    number: ClassVar[str | None] = None
    """What its second argument is, for an aggregate that takes one: `percentile(x, 99.9)`."""
    short: ClassVar[re.Pattern[str] | None] = None
    """Another way to write its name; the groups joined by a point are the number: `p99_9(x)`."""

    result: Type
    fields: Mapping[str, tuple[Any, Any]]

    def __init__(self, column: Type | None, number: float | None = None) -> None:  # noqa: ARG002  # for those that take one
        """Set the type of the result and the arrays for a column of this type.

        Raises:
            ValueError: if the number doesn't fit; says what was expected.
        """
        self.column = column

    def heap(self) -> dict[str, NDArray[Any]]:
        """Give the arrays, empty, that it keeps besides those with an element a pane, and lets grow itself."""
        return {}

    @abstractmethod
    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:
        """Carry out operations, in order.

        Args:
            arrays: changed in place; those of the heap may be replaced.
            into: int32, the pane of each operation, or -1.
            of: int32, the row or `~pane` of each operation.
            ts: int64, event time of each row, us.
            values: by row: float64, or int64 for int, bool and time columns, and for text if it is `of_hashes`; else
                None for text, or where no column was given.
        """

    @abstractmethod
    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:
        """Give the results of panes."""

    def release(self, arrays: Arrays, pane: Panes) -> None:  # noqa: B027  # most have no heap
        """Give back what panes hold on the heap. Their fields are emptied behind it."""


class OneValue(Aggregate):
    """An aggregate that picks one of the values: of the column's type (int for a bool), missing if there were none."""

    accepts: ClassVar[frozenset[Type]] = Aggregate.accepts | {Type.TIME}
    timed: ClassVar[bool] = False
    """Whether it keeps the event time of the value too."""

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep a value, and whether there was any."""
        super().__init__(column, number)
        self.result = Type.INT if column is Type.BOOL or column is None else column
        empty = empty_of(self.result)
        self.fields = {"seen": (np.bool_, False), "value": (type(empty), empty)}
        if self.timed:
            self.fields["at"] = (np.int64, 0)

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # the shape of every aggregate
        """Give the values."""
        return arrays["value"][pane]


def empty_of(type_: Type) -> np.generic:
    """Give the value that is missing in a number or time column."""
    column = missing(type_, 1)
    if isinstance(column, Text):
        message = "text has no numbers"
        raise TypeError(message)
    return column[0]  # type: ignore[no-any-return]  # an element of an array of any dtype


@cache
def aggregates() -> dict[str, type[Aggregate]]:
    """Find every aggregate by the name of its module, which is its name in YAML.

    >>> aggregates()["mean"].__name__
    'Mean'
    """
    return {name: found for (name,), found in classes_of("operators.aggregate", Aggregate).items()}  # type: ignore[type-abstract]  # what it finds is not
