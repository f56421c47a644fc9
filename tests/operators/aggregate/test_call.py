"""Tests of how an aggregate is called: `mean(temperature)`."""

from __future__ import annotations

import pytest

from operators.aggregate.base import aggregates
from operators.aggregate.call import parse_call
from operators.base import SpecError
from operators.batch import Schema, Type
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import SCHEMA


def problem(text: str, schema: Schema = SCHEMA) -> tuple[str, str | None, str | None]:
    with pytest.raises(SpecError) as caught:
        parse_call(text, schema, ("aggregate", "x"))
    (found,) = caught.value.problems
    assert found.at == ("aggregate", "x")
    return found.expected, found.given, found.fix


@pytest.mark.parametrize("text", ["mean(temperature)", " mean ( temperature ) ", "mean( temperature)"])
def test_a_call_names_an_aggregate_and_a_column(text: str) -> None:
    call = parse_call(text, SCHEMA, ())
    assert (call.argument, type(call.aggregate), call.aggregate.result) == (
        "temperature",
        aggregates()["mean"],
        Type.FLOAT,
    )


def test_count_needs_no_column() -> None:
    assert parse_call("count()", SCHEMA, ()).argument is None
    assert parse_call("count(status)", SCHEMA, ()).argument == "status"


def test_the_time_of_the_rows_is_a_column_too() -> None:
    assert parse_call("max(ts)", SCHEMA, ()).aggregate.result is Type.TIME


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


@pytest.mark.parametrize("text", ["", "mean", "temperature", "mean(a)(b)", "1 + mean(n)", "mean(n) + 1"])
def test_what_isnt_one_call_is_refused(text: str) -> None:
    assert problem(text)[1] == f"`{text}`"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("avg(temperature)", "did you mean `mean`?"),
        ("MEAN(temperature)", "did you mean `mean`?"),
        ("stddev(temperature)", "did you mean `std`?"),
        ("count(*)", "`count()`"),
        ("max(temperature) - min(temperature)", "in a `derive` behind the window"),
    ],
)
def test_what_is_written_as_elsewhere_gets_its_mend(text: str, fix: str) -> None:
    assert fix in str(problem(text)[2])


def test_the_bare_name_of_an_aggregate_gets_its_parentheses() -> None:
    assert problem("count")[2] == "`count()`"


def test_an_aggregate_may_be_of_an_expression() -> None:
    call = parse_call("max(temperature - humidity / 2)", SCHEMA, ())
    assert call.expression is not None
    assert call.aggregate.result is Type.FLOAT
    assert parse_call("count(status = 'a) (b')", SCHEMA, ()).expression is not None
    assert aggregated("sum(x * x + 1)", Type.FLOAT, [1.0, None, 3.0]) == 12
    assert aggregated("count(x > 1)", Type.FLOAT, [1.0, None, 3.0]) == 2


def test_an_expression_of_the_wrong_type_is_refused() -> None:
    expected, given_, _ = problem("mean(status || 'x')")
    assert expected == "an expression of type float, int, bool in `mean`"
    assert given_ == "`status || 'x'`, which is text"


def test_a_mistake_in_an_expression_is_told_as_everywhere() -> None:
    assert "temprature" in str(problem("mean(temprature * 2)")[1])


def test_a_number_behind_the_column_is_the_percentile_wanted() -> None:
    values = [float(value) for value in range(11)]
    assert aggregated("percentile(x, 90)", Type.FLOAT, values) == 9
    assert aggregated("p90(x)", Type.FLOAT, values) == aggregated("p90_0(x)", Type.FLOAT, values) == 9
    assert aggregated("percentile(x * 2, 50)", Type.FLOAT, values) == 10


@pytest.mark.parametrize(
    "text", ["percentile(temperature)", "percentile(temperature, 101)", "percentile(temperature, 1e)"]
)
def test_a_percentile_needs_a_number_that_is_one(text: str) -> None:
    expected, given_, _ = problem(text)
    assert "100" in expected or "99.9" in expected or "percent" in expected, expected
    assert given_ is not None
