"""Tests of SQL expressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.base import SpecError
from operators.batch import Schema, Type
from operators.binary import Binary
from operators.devices import DeviceTable
from operators.expression import Expression
from tests.operators.rows import DEVICES, NINE, SCHEMA, YEAR_1, YEAR_9999, Row, from_column, to_batch
from tests.operators.streams import VALUES

INF = float("inf")


def evaluated(text: str, rows: list[Row], schema: Schema = SCHEMA) -> tuple[list[Any], list[tuple[int, str]]]:
    devices = DeviceTable(schema.device)
    expression = Expression(text, schema)
    column, failed = expression.evaluate(to_batch(rows, schema, devices), devices)
    assert len(column) == len(rows)
    return from_column(column, expression.type), failed


def of(text: str, **values: Any) -> Any:
    """Evaluate on one row."""
    ((value,), failed) = evaluated(text, [Row(b"a", NINE, NINE, 0, live=True, values=values)])
    assert not failed
    return value


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("temperature + 1", Type.FLOAT, 21.5),
        ("temperature * n", Type.FLOAT, 61.5),
        ("n + 1", Type.INT, 4),
        ("n / 2", Type.FLOAT, 1.5),
        ("n % 2", Type.INT, 1),
        ("n > 2", Type.BOOL, True),
        ("ok", Type.BOOL, True),
        ("NOT ok", Type.BOOL, False),
        ("status", Type.TEXT, "on"),
        ("UPPER(status)", Type.TEXT, "ON"),
        ("LENGTH(status)", Type.INT, 2),
        ("status || '!'", Type.TEXT, "on!"),
        ("device", Type.TEXT, "a"),
        ("device = 'a'", Type.BOOL, True),
        ("ts", Type.TIME, NINE),
        ("EXTRACT(hour FROM ts)", Type.INT, 9),
        ("ts + INTERVAL '1h'", Type.TIME, NINE + 3600 * 10**6),
        ("CAST(ts AS DATE)", Type.TIME, NINE - 9 * 3600 * 10**6),
        ("CAST(temperature AS BIGINT)", Type.INT, 20),
        ("CAST(n AS DOUBLE)", Type.FLOAT, 3.0),
        ("CAST(n AS TEXT)", Type.TEXT, "3"),
        ("CASE WHEN ok THEN 1.5 ELSE 2 END", Type.FLOAT, 1.5),
        ("CASE WHEN n > 5 THEN 'many' ELSE 'few' END", Type.TEXT, "few"),
        ("temperature BETWEEN 20 AND 21", Type.BOOL, True),
        ("status IN ('on', 'off')", Type.BOOL, True),
        ("status LIKE 'o%'", Type.BOOL, True),
        ("ROUND(temperature + 0.25)", Type.FLOAT, 21.0),
        ("POWER(temperature, 2)", Type.FLOAT, 420.25),
        ("GREATEST(temperature, 30)", Type.FLOAT, 30.0),
        ("1 + 1", Type.INT, 2),
        ("'text'", Type.TEXT, "text"),
        ("TRUE", Type.BOOL, True),
        ("PI()", Type.FLOAT, np.pi),
    ],
)
def test_an_expression_has_a_type_and_a_value(text: str, type_: Type, value: Any) -> None:
    assert Expression(text, SCHEMA).type is type_
    got = of(text, temperature=20.5, n=3, ok=True, status="on")
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("temperature + 1", None),
        ("temperature > 1", None),
        ("temperature = temperature", None),
        ("NOT ok", None),
        ("ok AND n > 0", False),
        ("ok OR n < 0", True),
        ("ok AND n < 0", None),
        ("temperature IS NULL", True),
        ("status IS NOT NULL", False),
        ("status = ''", None),
        ("status || 'x'", None),
        ("COALESCE(temperature, 7)", 7.0),
        ("COALESCE(status, 'none')", "none"),
        ("NULLIF(n, -1)", None),
        ("temperature IN (1.0, 2.0)", None),
        ("CASE WHEN ok THEN 1 ELSE 2 END", 2),
        ("CASE WHEN ok THEN 1 END", None),
        ("NULL", None),
    ],
)
def test_a_missing_value_is_null(text: str, value: Any) -> None:
    if text in {"ok AND n > 0", "ok OR n < 0", "ok AND n < 0", "NULLIF(n, -1)"}:
        assert of(text, ok=None, n=-1) == value
    else:
        assert of(text, temperature=None, ok=None, status=None, n=None) == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("LN(temperature) > 3", {"temperature": -1.0}),
        ("SQRT(temperature) > 3", {"temperature": -1.0}),
        ("temperature / humidity > 3", {"temperature": 0.0, "humidity": 0.0}),
        ("temperature - humidity > 3", {"temperature": INF, "humidity": INF}),
        ("temperature % humidity = temperature % humidity", {"temperature": 1.0, "humidity": 0.0}),
    ],
)
def test_what_isnt_a_number_is_null_within_an_expression_too(text: str, values: dict[str, float]) -> None:
    # To polars NaN is equal to itself and above all numbers.
    assert of(text, **values) is None


def test_what_isnt_a_number_is_missing() -> None:
    assert of("LN(temperature)", temperature=-1.0) is None
    assert of("temperature - temperature", temperature=INF) is None
    assert of("temperature / 0", temperature=1.0) == INF


def test_a_constant_has_a_value_in_every_live_row() -> None:
    rows = [Row(b"a", NINE, NINE, at, live=at != 1) for at in range(3)]
    assert evaluated("1 + 1", rows) == ([2, 2, 2], []) or evaluated("1 + 1", rows) == ([2, None, 2], [])
    assert evaluated("1 + 1", []) == ([], [])


def test_a_column_is_missing_in_punctuations() -> None:
    rows = [Row(b"a", NINE, NINE, at, live=at != 1, values={"temperature": 1.0, "status": "on"}) for at in range(3)]
    assert evaluated("temperature * 2", rows) == ([2.0, None, 2.0], [])
    assert evaluated("UPPER(status)", rows) == (["ON", None, "ON"], [])


def test_a_row_that_fails_is_named_with_the_reason_and_the_others_arent_hurt() -> None:
    texts = ["1", "x", None, "2.5", "", "3"]
    rows = [Row(b"a", NINE, NINE, at, live=at != 5, values={"status": text}) for at, text in enumerate(texts)]
    values, failed = evaluated("CAST(status AS DOUBLE)", rows)
    assert values == [1.0, None, None, 2.5, None, None]
    assert [row for row, _ in failed] == [1, 4]
    assert all(reason.startswith("`CAST(status AS DOUBLE)`: ") for _, reason in failed)
    assert "x" in failed[0][1]


def test_a_row_that_isnt_live_cant_fail() -> None:
    rows = [Row(b"a", NINE, NINE, at, live=False, values={"status": "x"}) for at in range(2)]
    assert evaluated("CAST(status AS DOUBLE)", rows) == ([None, None], [])


def test_the_fields_of_a_device_are_columns() -> None:
    schema = Schema({}, ("site", "sensor"), None)
    rows = [Row(b"berlin/a%2Fb", NINE, NINE, 0, live=True), Row(b"rome/c", NINE, NINE, 1, live=True)]
    assert evaluated("site || ':' || sensor", rows, schema)[0] == ["berlin:a/b", "rome:c"]


@pytest.mark.parametrize(
    "text",
    [
        "SUM(temperature)", "MAX(n)", "COUNT(*)", "COUNT(n)", "COUNT(DISTINCT n)",
        "temperature > AVG(temperature)", "temperature - MIN(temperature)", "FIRST(temperature)", "LAST(status)",
        "MEDIAN(n)", "STDDEV(n)", "VARIANCE(n)", "QUANTILE_CONT(n, 0.5)", "CORR(temperature, humidity)",
        "STRING_AGG(status, ',')", "SUM(n) OVER ()", "SUM(n) OVER (PARTITION BY device)",
        "LAG(n) OVER (ORDER BY ts)", "LEAD(n) OVER (ORDER BY ts)", "ROW_NUMBER() OVER ()",
        "RANK() OVER (ORDER BY n)", "UNNEST(status)", "NOW()", "CURRENT_TIMESTAMP", "CURRENT_DATE", "ts < now()",
        "CASE WHEN n > 0 THEN SUM(n) ELSE 0 END", "COALESCE(MAX(n), 0)", "ROUND(AVG(temperature), 1)",
    ],
)  # fmt: skip
def test_what_needs_more_than_its_own_row_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="its own row") as caught:
        Expression(text, SCHEMA, ("where",))
    assert caught.value.problems[0].at == ("where",)
    assert caught.value.problems[0].fix


@pytest.mark.parametrize(
    "text",
    [
        "(SELECT MAX(n))", "n IN (SELECT 1)", "EXISTS (SELECT 1)", "RANDOM()", "nosuch(n)", "temperature +", "",
        "1, 2", "*", "n; n", "ARRAY[1, 2]", "ts - ts", "temperature > 1 > ", "status + 1",
    ],
)  # fmt: skip
def test_what_isnt_an_expression_of_the_row_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        Expression(text, SCHEMA)


def test_an_expression_over_all_columns_is_refused_as_any_other_mistake() -> None:
    with pytest.raises(SpecError):
        Expression("COLUMNS('.*')", SCHEMA)


@pytest.mark.parametrize(
    "text", ["temperature > 'a'", "LENGTH(temperature)", "temperature & 1", "CAST(status AS TIMESTAMP)", "UPPER(n)"]
)
def test_types_that_never_fit_are_refused_before_the_run(text: str) -> None:
    # polars tells of some only when it runs; a cast of a text, which fits or not, isn't one of them.
    with pytest.raises(SpecError):
        Expression(text, SCHEMA)


def test_a_time_is_compared_with_a_timestamp() -> None:
    assert of("ts > TIMESTAMP '2023-01-01'") is True


@pytest.mark.parametrize(
    "text",
    [
        "ts > 1767225600",
        "1767225600 < ts",
        "ts = 1.5",
        "n > 1 AND ts BETWEEN 1 AND 2",
        "CASE WHEN ok THEN ts ELSE n END",
        "IF(ok, ts, n)",
        "CASE WHEN ok THEN ts ELSE 5 END > ts",
        "ts - ts > 5",
    ],
)
def test_a_time_is_no_number(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        Expression(text, SCHEMA)
    (problem,) = caught.value.problems
    assert problem.expected == "a time beside a time, and not beside a number"
    assert "::timestamp" in str(problem.fix)


@pytest.mark.parametrize(
    "text",
    [
        "ts > '2026-01-01'::timestamp", "ts - ts > INTERVAL '1 hour'", "(ts - ts) / 2 > INTERVAL '1 hour'",
        "ts - ts > INTERVAL '30 minutes' * 2", "ts + n * INTERVAL '1 second' > ts", "EXTRACT(HOUR FROM ts) > 5",
        "CONCAT(ts, n) = 'x'", "CASE WHEN ts > '2026-01-01'::timestamp THEN 1 ELSE 2 END > 1", "CAST(ts AS BIGINT) > 5",
        "COALESCE(ts, ts) = ts", "ok AND n > 5 AND ts = ts",
    ],
)  # fmt: skip
def test_a_time_beside_a_time_is_right(text: str) -> None:
    Expression(text, SCHEMA)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ('"statu" = \'"n"\'', "did you mean `status`? Double quotes name a column"),
        ('status = "on"', "a text is written `'on'`"),
        ("ok && ok", "write AND"),
        ("ts > '2026-01-01'", "write a time as `'2026-01-31T12:00:00'::timestamp`"),
    ],
)
def test_a_slip_in_sql_is_told_with_its_mend(text: str, fix: str) -> None:
    with pytest.raises(SpecError) as caught:
        Expression(text, SCHEMA)
    assert fix in str(caught.value.problems[0].fix)


def test_a_duration_isnt_a_value_of_a_column() -> None:
    with pytest.raises(SpecError, match="Duration"):
        Expression("ts - ts", SCHEMA)


def test_an_unknown_column_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError) as caught:
        Expression("temprature > humidty", SCHEMA, ("a", 1))
    assert [(problem.at, problem.given, problem.fix) for problem in caught.value.problems] == [
        (("a", 1), "`humidty` in `temprature > humidty`", "did you mean `humidity`?"),
        (("a", 1), "`temprature` in `temprature > humidty`", "did you mean `temperature`?"),
    ]
    assert "temperature, humidity, score, n, ok, status" in caught.value.problems[0].expected


def test_a_result_of_another_type_than_wanted_is_refused() -> None:
    with pytest.raises(SpecError, match=r"gives bool.*gives int"):
        Expression("n", SCHEMA, want=Type.BOOL)


@pytest.mark.parametrize("text", ["status = 'now'", "status = 'today is the day'", "COALESCE(status, 'SUM(n)') <> ''"])
def test_a_word_within_a_text_is_no_function(text: str) -> None:
    assert Expression(text, SCHEMA).type is Type.BOOL


def test_the_columns_that_are_used_are_known() -> None:
    assert Expression("temperature + 1 > n OR device = 'a' OR ts IS NULL", SCHEMA).columns == {
        "temperature", "n", "device", "ts",
    }  # fmt: skip


SCALAR = [
    "temperature / 3", "temperature / 7 + 1", "n / 3", "n // 7", "n % 7", "temperature % 7", "MOD(n, 5)",
    "3 / temperature", "temperature * 9 / 5 + 32", "(temperature - humidity) / 1.1", "n * 1.1 / 3",
    "ROUND(temperature)", "ROUND(temperature, 2)", "FLOOR(temperature)", "CEIL(temperature)", "ABS(n)",
    "ABS(temperature)", "SIGN(temperature)", "POWER(temperature, 2)", "POWER(temperature, 0.5)",
    "POWER(2, n % 10)", "POWER(temperature, humidity)", "SQRT(temperature)", "CBRT(temperature)",
    "EXP(temperature / 100)", "LN(temperature)", "LOG10(temperature)", "LOG2(temperature)", "LOG(temperature, 3)",
    "SIN(temperature)", "COS(temperature)", "TAN(temperature)", "ATAN(temperature)",
    "ATAN2(temperature, humidity)", "DEGREES(temperature)", "RADIANS(temperature)", "-n", "-temperature", "n & 6",
    "n + 1", "n * n", "GREATEST(temperature, humidity, 3)", "LEAST(temperature, n)", "temperature > humidity",
    "temperature = 20", "temperature IS NULL", "temperature BETWEEN humidity AND 80", "ok AND temperature > 3",
    "ok OR n > 0", "NOT ok", "ok = (n > 0)",
    "CASE WHEN ok THEN temperature WHEN n > 0 THEN humidity / 3 ELSE -1 END", "CASE WHEN n > 0 THEN status END",
    "IF(ok, 1, n)", "COALESCE(temperature, humidity / 3, 0)", "COALESCE(status, device)", "IFNULL(n, 7)",
    "NULLIF(n, 0)", "CAST(temperature AS BIGINT)", "TRY_CAST(status AS DOUBLE) / 3", "CAST(status AS DOUBLE)",
    "CAST(status AS BIGINT)", "CAST(n AS TEXT)", "CAST(temperature AS TEXT)", "CAST(ok AS INT)",
    "CAST(n AS DOUBLE)", "CAST(temperature AS REAL)", "UPPER(status)", "LOWER(status)", "INITCAP(status)",
    "LENGTH(status)", "OCTET_LENGTH(status)", "REVERSE(status)", "SUBSTR(status, 2)", "SUBSTR(status, 1, 2)",
    "LEFT(status, 1)", "RIGHT(status, 1)", "LTRIM(status)", "REPLACE(status, 'o', '0')",
    "STARTS_WITH(status, 'o')", "STRPOS(status, 'n')", "status || '-' || device", "CONCAT(status, n)",
    "CONCAT_WS('-', status, device)", "LPAD(status, 5, '*')", "SPLIT_PART(status, '/', 1)", "status LIKE 'o%'",
    "status ILIKE 'O%'", "status ~ '^o'", "REGEXP_LIKE(status, 'f+')", "status IN ('on', '3')", "device = 'a'",
    "EXTRACT(year FROM ts)", "DATE_PART('hour', ts)", "STRFTIME(ts, '%Y-%m-%d')", "ts + INTERVAL '1h'",
    "CAST(ts AS DATE)", "ts", "1 + 1", "'a'", "TRUE", "1 / 3",
]  # fmt: skip
VALUES_OF_A_ROW = st.fixed_dictionaries({name: VALUES[type_] for name, type_ in SCHEMA.columns.items()})
ROWS = st.lists(
    st.builds(
        lambda device, ts, live, values: Row(device, ts, ts, 0, live=live, values=values),
        st.sampled_from(DEVICES),
        st.sampled_from([NINE, YEAR_1 + 1, YEAR_9999 - 10**10, -1, 0]),
        st.sampled_from([True, True, True, False]),
        VALUES_OF_A_ROW,
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def scalar() -> list[Expression]:
    return [Expression(text, SCHEMA) for text in SCALAR]


@settings(max_examples=10)
@given(rows=ROWS, split=st.integers(0, 8))
def test_a_row_has_the_same_value_in_any_company(scalar: list[Expression], rows: list[Row], split: int) -> None:
    devices = DeviceTable(("device",))
    devices.slots(Binary.of(DEVICES))
    batches = [to_batch(rows, SCHEMA, devices)]
    pieces = [rows[:split], rows[split:]]
    cuts = [[to_batch(piece, SCHEMA, devices) for piece in pieces], [to_batch([row], SCHEMA, devices) for row in rows]]
    for expression in scalar:
        whole = shown(expression, batches, devices)
        for cut in cuts:
            assert shown(expression, cut, devices) == whole, expression.text


def shown(expression: Expression, batches: list[Any], devices: DeviceTable) -> list[Any]:
    values: list[Any] = []
    reasons: list[Any] = []
    for batch in batches:
        column, failed = expression.evaluate(batch, devices)
        reasons += [(len(values) + row, reason) for row, reason in failed]
        live = batch.live.tolist()
        values += [
            value if lives else None for value, lives in zip(from_column(column, expression.type), live, strict=True)
        ]
    return [values, reasons]
