"""What holds for every aggregate, present and future; and how a call such as `mean(temperature)` is read.

An aggregate's own test module gives `oracle(values, type)`: the result for (ts, value) pairs that aren't missing.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.aggregate.base import aggregates, parse_call
from operators.base import SpecError
from operators.batch import Schema, Type
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import SCHEMA, VALUES, test_module

PAIRS = [(name, type_) for name, found in sorted(aggregates().items()) for type_ in Type if type_ in found.accepts]


def test_the_aggregates_are_found() -> None:
    assert {"count", "sum", "mean", "min", "max", "first", "last"} <= set(aggregates())


@pytest.mark.parametrize("name", sorted(aggregates()))
def test_an_aggregate_has_a_test_module_with_an_oracle(name: str) -> None:
    test_module("tests.operators.aggregate", (name,), ("oracle",))


@pytest.mark.parametrize("name", sorted(aggregates()))
def test_an_aggregate_is_described(name: str) -> None:
    assert vars(aggregates()[name]).get("__doc__")


@pytest.mark.parametrize(("name", "type_"), PAIRS, ids=str)
@given(data=st.data())
def test_an_aggregate_equals_its_oracle(name: str, type_: Type, data: st.DataObject) -> None:
    readings = data.draw(st.lists(st.tuples(st.integers(0, 3), VALUES[type_]), min_size=1, max_size=12))
    got = aggregated(f"{name}(x)", type_, [value for _, value in readings], [ts for ts, _ in readings])
    oracle = test_module("tests.operators.aggregate", (name,), ("oracle",)).oracle
    assert got == oracle([(ts, value) for ts, value in readings if value is not None], type_)


@pytest.mark.parametrize(("name", "type_"), PAIRS, ids=str)
def test_the_result_is_of_the_type_that_the_aggregate_says(name: str, type_: Type) -> None:
    values: dict[Type, Any] = {Type.FLOAT: 1.5, Type.INT: 3, Type.BOOL: True, Type.TEXT: "on", Type.TIME: 9}
    aggregated(f"{name}(x)", type_, [values[type_]])  # `from_column` complains
    aggregated(f"{name}(x)", type_, [None])


def problem(text: str, schema: Schema = SCHEMA) -> tuple[str, str | None, str | None]:
    with pytest.raises(SpecError) as caught:
        parse_call(text, schema, ("aggregate", "x"))
    (found,) = caught.value.problems
    assert found.at == ("aggregate", "x")
    return found.expected, found.given, found.fix


@pytest.mark.parametrize("text", ["mean(temperature)", " mean ( temperature ) ", "mean( temperature)"])
def test_a_call_names_an_aggregate_and_a_column(text: str) -> None:
    column, aggregate = parse_call(text, SCHEMA, ())
    assert (column, type(aggregate), aggregate.result) == ("temperature", aggregates()["mean"], Type.FLOAT)


def test_count_needs_no_column() -> None:
    assert parse_call("count()", SCHEMA, ())[0] is None
    assert parse_call("count(status)", SCHEMA, ())[0] == "status"


def test_the_time_of_the_rows_is_a_column_too() -> None:
    assert parse_call("max(ts)", SCHEMA, ())[1].result is Type.TIME


def test_an_unknown_aggregate_is_refused_with_the_nearest() -> None:
    expected, given_, fix = problem("meen(temperature)")
    assert all(name in expected for name in aggregates())
    assert (given_, fix) == ("`meen`", "did you mean `mean`?")
    assert problem("quux(temperature)")[2] is None


def test_an_unknown_column_is_refused_with_those_that_exist() -> None:
    expected, given_, fix = problem("mean(temprature)")
    assert "temperature, humidity, score, n, ok, status" in expected
    assert (given_, fix) == ("`temprature` in `mean(temprature)`", "did you mean `temperature`?")


def test_a_text_column_has_no_mean() -> None:
    expected, given_, fix = problem("mean(status)")
    assert "float, int, bool" in expected
    assert given_ == "`status`, which is text"
    assert fix is not None
    assert "count" in fix


def test_a_time_column_has_no_sum() -> None:
    assert problem("sum(ts)")[1] == "`ts`, which is time"


@pytest.mark.parametrize("text", ["mean()", "sum( )", "first()"])
def test_an_aggregate_that_needs_a_column_is_refused_without_one(text: str) -> None:
    assert problem(text)[1] == f"`{text}`"


@pytest.mark.parametrize(
    "text", ["", "mean", "temperature", "mean(a)(b)", "mean(sum(n))", "1 + mean(n)", "mean(n) + 1"]
)
def test_what_isnt_one_call_is_refused(text: str) -> None:
    assert problem(text)[1] == f"`{text}`"


def test_the_bare_name_of_an_aggregate_gets_its_parentheses() -> None:
    assert problem("count")[2] == "`count()`"
