"""Tables in files: every format gives the same columns, and what doesn't fit is told with its row."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from operators.batch import Type
from operators.table import MisfitError, Table
from tests.operators.rows import from_column

Put = Callable[[str, str | bytes], Table]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a file and read it."""

    def write(name: str, content: str | bytes) -> Table:
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return Table.read(file)

    return write


@pytest.fixture
def of(tmp_path: Path) -> Callable[[Sequence[Any], Any], Table]:
    """Make a Parquet file of one column `x`, and read it."""

    def write(values: Sequence[Any], dtype: Any) -> Table:
        file = tmp_path / "table.parquet"
        pl.DataFrame({"x": pl.Series(values, dtype=dtype)}).write_parquet(file)
        return Table.read(file)

    return write


def values(table: Table, type_: Type | None = None, name: str = "x") -> list[Any]:
    type_ = type_ or table.type_of(name)
    return from_column(table.column(name, type_), type_)


ROWS: list[dict[str, Any]] = [
    {"id": "007", "n": 3, "x": 2.5, "ok": True, "word": "on"},
    {"id": 'é,"', "n": None, "x": 4.0, "ok": None, "word": None},
    {"id": "9", "n": -(2**62), "x": None, "ok": False, "word": "3"},
]
CSV = 'id,n,x,ok,word\n007,3,2.5,true,on\n"é,""",,4,,\n9,-4611686018427387904,,false,3\n'


@pytest.mark.parametrize("kind", ["csv", "json", "ndjson", "jsonl", "parquet", "CSV", "lines in .json"])
def test_every_format_gives_the_same_columns(kind: str, put: Put, tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, ROWS)) + "\n"
    pl.DataFrame(ROWS).write_parquet(tmp_path / "made.parquet")
    contents: dict[str, str | bytes] = {
        "csv": CSV,
        "CSV": CSV,
        "json": json.dumps(ROWS),
        "ndjson": lines,
        "jsonl": lines,
        "lines in .json": lines,
        "parquet": (tmp_path / "made.parquet").read_bytes(),
    }
    table = put(f"table.{'json' if ' ' in kind else kind}", contents[kind])
    types = {name: table.type_of(name) for name in table.names()}
    assert types == {"id": Type.TEXT, "n": Type.INT, "x": Type.FLOAT, "ok": Type.BOOL, "word": Type.TEXT}
    for name, type_ in types.items():
        assert values(table, type_, name) == [row[name] for row in ROWS]


@pytest.mark.parametrize(
    ("written", "type_"),
    [
        ("1 2 -3 +4 0", Type.INT),
        ("1 2.5", Type.FLOAT),
        ("1 1e3", Type.FLOAT),
        ("1 99999999999999999999", Type.FLOAT),
        ("true FALSE", Type.BOOL),
        ("1 true", Type.TEXT),
        ("007 8", Type.TEXT),
        ("1 0.5", Type.FLOAT),
        ("-01 8", Type.TEXT),
        ("2026-01-31T12:00:00Z", Type.TEXT),
        ("", Type.TEXT),
    ],
)
def test_a_column_of_csv_is_what_all_its_values_are(written: str, type_: Type, put: Put) -> None:
    table = put("table.csv", "x,y\n" + "\n".join(f"{value},1" for value in ["", *written.split(" ")]) + "\n")
    assert table.type_of("x") is type_


def test_a_type_that_is_named_counts_whatever_the_values_look_like(put: Put) -> None:
    table = put("table.csv", "x\n1\n0\n")
    assert values(table, Type.TEXT) == ["1", "0"]
    assert values(table, Type.FLOAT) == [1.0, 0.0]


def test_whole_numbers_keep_every_digit(put: Put, of: Any) -> None:
    large = 2**53 + 1
    assert values(put("table.csv", f"x\n{large}\n")) == [large]
    assert values(put("table.json", json.dumps([{"x": large}]))) == [large]
    assert values(of([large], pl.UInt64), Type.TEXT) == [str(large)]
    with pytest.raises(MisfitError, match="row 2"):  # what was written here may have been another number
        values(of([5.0, float(large)], pl.Float64), Type.INT)


@pytest.mark.parametrize(
    ("given", "dtype", "type_", "read"),
    [
        ([1, None], pl.Int8, Type.FLOAT, [1.0, None]),
        ([1.0, None, -0.0], pl.Float32, Type.INT, [1, None, 0]),
        ([5], pl.UInt16, Type.TEXT, ["5"]),
        (["a", None], pl.Categorical, None, ["a", None]),
        (["a"], pl.Enum(["b", "a"]), None, ["a"]),
        ([None, None], pl.Null, None, [None, None]),
        ([None], pl.Null, Type.BOOL, [None]),
        ([None], pl.Null, Type.TIME, [None]),
        ([Decimal("1.5")], pl.Decimal(10, 2), None, [1.5]),
        ([Decimal("3.00")], pl.Decimal(10, 2), Type.INT, [3]),
        ([float("nan"), float("inf")], pl.Float64, None, [None, float("inf")]),
        ([date(1970, 1, 2), None], pl.Date, None, [86_400_000_000, None]),
        ([datetime(1970, 1, 1, 0, 0, 1)], pl.Datetime("ms"), None, [1_000_000]),  # noqa: DTZ001  # it has no zone
        (
            [datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=1)))],
            pl.Datetime("ns", "UTC"),
            None,
            [3_600_000_000],
        ),
    ],
)
def test_the_types_of_parquet_become_ours(given: Any, dtype: Any, type_: Type | None, read: Any, of: Any) -> None:
    assert values(of(given, dtype), type_) == read


def test_a_time_is_written_with_its_offset(put: Put) -> None:
    table = put("table.csv", "x\n1970-01-01T00:00:01Z\n1970-01-01T01:00:00.5+01:00\n")
    assert values(table, Type.TIME) == [1_000_000, 500_000]


@pytest.mark.parametrize(
    ("written", "type_", "expected", "given"),
    [
        ("1 high", Type.FLOAT, "a number in every row of `x`", "row 2: `high`"),
        ("1 2.5", Type.INT, "a whole number of at most 64 bits", "row 2: `2.5`"),
        ("9223372036854775808", Type.INT, "at most 64 bits", "row 1: `9223372036854775808`"),
        ("-9223372036854775808", Type.INT, "at most 64 bits", "row 1: `-9223372036854775808`"),
        ("true yes", Type.BOOL, "true or false", "row 2: `yes`"),
        ("2026-01-31T12:00:00", Type.TIME, "ISO 8601 with an offset", "row 1: `2026-01-31T12:00:00`"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_row(
    written: str, type_: Type, expected: str, given: str, put: Put
) -> None:
    table = put("table.csv", "x\n" + written.replace(" ", "\n") + "\n")
    with pytest.raises(MisfitError) as caught:
        table.column("x", type_)
    assert expected in caught.value.expected
    assert caught.value.given == given


@pytest.mark.parametrize(
    ("content", "type_"),
    [([{"x": 1.5}], Type.TEXT), ([{"x": True}], Type.INT), ([{"x": [1]}], Type.TEXT), ([{"x": 1}], Type.BOOL)],
)
def test_a_number_that_is_no_text_and_the_like_do_not_fit(content: Any, type_: Type, put: Put) -> None:
    with pytest.raises(MisfitError, match="row 1"):
        put("table.json", json.dumps(content)).column("x", type_)


def test_a_column_of_lists_is_of_no_type(put: Put) -> None:
    with pytest.raises(MisfitError, match="`x`, which is List"):
        put("table.json", '[{"x": [1]}]').type_of("x")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.csv", b""),
        ("table.csv", b"a,b\n"),
        ("table.csv", b"a,b\n1,2,3\n"),
        ("table.csv", b"a,b\n1,\xff\n"),
        ("table.json", b""),
        ("table.json", b"[]"),
        ("table.json", b"[1, 2]"),
        ("table.json", b'[{"a": 1}'),
        ("table.ndjson", b'{"a": 1}\nnope\n'),
        ("table.parquet", b"PAR1"),
    ],
)
def test_what_is_no_table_is_refused(name: str, content: bytes, put: Put) -> None:
    with pytest.raises(MisfitError):
        put(name, content)


def test_a_byte_order_mark_is_no_part_of_a_name(put: Put) -> None:
    for name, content in {"table.csv": "x\n1\n", "table.json": '[{"x": 1}]', "table.ndjson": '{"x": 1}'}.items():
        assert put(name, b"\xef\xbb\xbf" + content.encode()).names() == ["x"]


def test_tables_are_equal_where_their_files_are(put: Put) -> None:
    one, other, third = put("a.csv", "x\n1\n"), put("b.csv", "x\n1\n"), put("c.csv", "x\n2\n")
    assert one == other
    assert one != third
