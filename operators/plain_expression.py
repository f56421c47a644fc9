"""Expressions that are plain enough for numpy: comparisons of float columns and numbers, with AND, OR and NOT between them.

polars computes any expression, at some hundred us a call; a condition such as `score > 4` takes numpy a few. Both give the
same: a comparison with a missing value is missing, and AND, OR and NOT take a missing one for unknown (Kleene's logic).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.batch import MISSING_BOOL, Type

_Columns: TypeAlias = Mapping[str, Any]
Plain: TypeAlias = Callable[[_Columns], NDArray[np.int8]]
"""Gives for columns the condition of each row: 1, 0, or -1 where it is missing."""
_Value: TypeAlias = "float | str"
"""A number, or the name of a column."""

_COMPARE: Mapping[str, Any] = {
    "Gt": np.greater,
    "GtEq": np.greater_equal,
    "Lt": np.less,
    "LtEq": np.less_equal,
    "Eq": np.equal,
    "NotEq": np.not_equal,
}
_EXACT = 1 << 53
_DIGITS = 22


def plain(tree: Any, types: Mapping[str, Type]) -> Plain | None:
    """Make a function of a condition, from polars' tree of it; None where it isn't that plain.

    Args:
        tree: the JSON of a polars expression.
        types: of the columns.
    """
    try:
        return _condition(tree, types)
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _condition(node: Any, types: Mapping[str, Type]) -> Plain:
    ((kind, body),) = node.items()
    if kind == "Cast" and body["dtype"] == {"Literal": "Boolean"}:
        return _condition(body["expr"], types)
    if kind == "BinaryExpr":
        return _binary(body["op"], body["left"], body["right"], types)
    function = body["function"]
    if function == {"Boolean": "Not"}:
        return _not(_condition(body["input"][0], types))
    left, right = body["input"]
    return _binary(function["Sql"]["Binary"], left, right, types)


def _binary(op: str, left: Any, right: Any, types: Mapping[str, Type]) -> Plain:
    if op in {"And", "Or"}:
        return _both(_condition(left, types), _condition(right, types), 0 if op == "And" else 1)
    return _compare(_COMPARE[op], _value(left, types), _value(right, types))


def _value(node: Any, types: Mapping[str, Type]) -> _Value:
    ((kind, body),) = node.items()
    if kind == "Column":
        if types[body] is not Type.FLOAT:
            raise ValueError(body)
        return str(body)
    ((written, number),) = body.items()
    if written == "Dyn":
        return _exact(next(iter(number.values())))
    whole, _, scale = number["Decimal"]
    if scale > _DIGITS:
        raise ValueError(scale)
    return _exact(whole) / float(10**scale)  # both are exact, so this rounds once


def _exact(number: Any) -> float:
    if type(number) is float or (type(number) is int and abs(number) < _EXACT):
        return float(number)
    raise ValueError(number)


def _compare(compare: Any, left: _Value, right: _Value) -> Plain:
    names = [value for value in (left, right) if isinstance(value, str)]
    if not names:
        raise ValueError(left)

    def evaluate(columns: _Columns) -> NDArray[np.int8]:
        one, other = (columns[value] if isinstance(value, str) else value for value in (left, right))
        out: NDArray[np.int8] = compare(one, other).view(np.int8)
        for name in names:
            gone = np.isnan(columns[name])
            if gone.any():
                out[gone] = MISSING_BOOL
        return out

    return evaluate


def _both(one: Plain, other: Plain, decides: int) -> Plain:
    """AND (where 0 decides) or OR (where 1 does)."""

    def evaluate(columns: _Columns) -> NDArray[np.int8]:
        left, right = one(columns), other(columns)
        out: NDArray[np.int8] = np.where((left < 0) | (right < 0), MISSING_BOOL, np.int8(1 - decides))
        out[(left == decides) | (right == decides)] = decides
        return out

    return evaluate


def _not(inner: Plain) -> Plain:
    def evaluate(columns: _Columns) -> NDArray[np.int8]:
        found = inner(columns)
        out: NDArray[np.int8] = np.where(found < 0, found, 1 - found).astype(np.int8)
        return out

    return evaluate
