"""What holds for every aggregate, present and future.

An aggregate's own test module gives `oracle(values, type)`: the result for (ts, value) pairs that aren't missing. That
of one that looks back takes the window's `Bounds` too.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.aggregate.base import aggregates
from operators.batch import Type
from tests.operators.aggregate.window import Bounds, aggregated, expected, load_oracles
from tests.operators.rows import MINUTE, test_module
from tests.operators.streams import VALUES

load_oracles()

PAIRS = [(name, type_) for name, found in sorted(aggregates().items()) for type_ in Type if type_ in found.accepts]


def test_the_aggregates_are_found() -> None:
    assert {"count", "sum", "mean", "min", "max", "first", "last"} <= set(aggregates())


@pytest.mark.parametrize("name", sorted(aggregates()))
def test_an_aggregate_has_a_test_module_with_an_oracle(name: str) -> None:
    test_module("tests.operators.aggregate", (name,), ("oracle",))


@pytest.mark.parametrize("name", sorted(aggregates()))
def test_an_aggregate_is_described(name: str) -> None:
    assert vars(aggregates()[name]).get("__doc__")


def call_of(name: str) -> str:
    """Write a call of an aggregate of `x`; its oracle takes 50 for the number that some need."""
    return f"{name}(x{', 50' if aggregates()[name].number else ''})"


@pytest.mark.parametrize(("name", "type_"), PAIRS, ids=str)
@given(data=st.data())
def test_an_aggregate_equals_its_oracle(name: str, type_: Type, data: st.DataObject) -> None:
    readings = data.draw(st.lists(st.tuples(st.integers(0, 3), VALUES[type_]), min_size=1, max_size=12))
    got = aggregated(call_of(name), type_, [value for _, value in readings], [ts for ts, _ in readings])
    assert got == expected(name, [pair for pair in readings if pair[1] is not None], type_, Bounds(0, MINUTE))


@pytest.mark.parametrize(("name", "type_"), PAIRS, ids=str)
def test_the_result_is_of_the_type_that_the_aggregate_says(name: str, type_: Type) -> None:
    values: dict[Type, Any] = {Type.FLOAT: 1.5, Type.INT: 3, Type.BOOL: True, Type.TEXT: "on", Type.TIME: 9}
    aggregated(call_of(name), type_, [values[type_]])  # `from_column` complains
    aggregated(call_of(name), type_, [None])
