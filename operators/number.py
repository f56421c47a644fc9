"""The one number column that an operator is told to look at: whether it is there, and its values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.base import Problem, did_you_mean
from operators.batch import Batch, Schema, Text, is_missing


def problems_of_number(field: str, schema: Schema) -> list[Problem]:
    """Say what is wrong with the option `field`, if it isn't a number column of the schema."""
    names = [name for name, type_ in schema.columns.items() if type_.is_number]
    if field in names:
        return []
    given = f"`{field}`"
    if field in schema.names():
        given += f", which is {schema.names()[field]}"
    expected = f"a number column that exists here: {', '.join(names)}"
    return [Problem(("field",), expected, given, did_you_mean(field, names))]


def numbers(batch: Batch, field: str) -> NDArray[np.float64]:
    """Give the values of a number column as float64, NaN where missing and in punctuations; the array is the caller's."""
    column = batch.columns[field]
    if isinstance(column, Text):
        message = f"{field} is text"
        raise TypeError(message)
    values = column.astype(np.float64)
    if column.dtype != np.float64:
        values[is_missing(column)] = np.nan
    values[~batch.live] = np.nan
    return values
