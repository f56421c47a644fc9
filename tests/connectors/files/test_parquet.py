"""Parquet: columns with types of their own, nested ones, and real times."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from connectors.codec.base import Unit
from connectors.files import parquet
from connectors.files.base import FileError
from connectors.files.parquet import Parquet
from tests.connectors.files.rows import READING, SCHEMA, Seen, seen

ROW: dict[str, Any] = {"dev": "m1", "ts": 5, "data": {"temp": 1.5}, "n": 1, "ok": True, "status": "on"}
NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


def read(folder: Path, frame: pl.DataFrame, size: int = 10_000, unit: Unit = Unit.MS) -> Seen:
    """Write a Parquet file and read it."""
    file = folder / "file.parquet"
    frame.write_parquet(file)
    return seen(Parquet(file, replace(READING, unit=unit), SCHEMA), size)


def column(name: str, values: list[Any], dtype: Any = None) -> pl.DataFrame:  # polars takes many things as a type
    """Make rows that are fine but for one column."""
    return pl.DataFrame([ROW] * len(values)).with_columns(pl.Series(name, values, dtype=dtype))


def test_columns_become_columns(tmp_path: Path) -> None:
    missing = {**ROW, "data": None, "n": None, "ok": None, "status": None}
    found = read(tmp_path, pl.DataFrame([ROW, missing]))
    assert found == Seen({0: ("m1", 5_000, 1.5, 1, True, "on"), 1: ("m1", 5_000, None, None, None, None)}, {})


@pytest.mark.parametrize("name", ["data.temp", "temp"])
def test_a_nested_field_may_be_a_column_of_its_own(name: str, tmp_path: Path) -> None:
    frame = pl.DataFrame([ROW]).drop("data").with_columns(pl.lit(2.5).alias(name))
    assert read(tmp_path, frame).rows[0][2] == 2.5


def test_a_struct_goes_before_a_column_with_a_dot_and_that_before_one_named_as_in_the_pipeline(tmp_path: Path) -> None:
    frame = pl.DataFrame([ROW]).with_columns(pl.lit(2.5).alias("data.temp"), pl.lit(3.5).alias("temp"))
    assert read(tmp_path, frame).rows[0][2] == 1.5
    assert read(tmp_path, frame.drop("data")).rows[0][2] == 2.5


@pytest.mark.parametrize(
    ("name", "values", "dtype", "place", "expected"),
    [
        ("n", [1.0, float("nan"), None], pl.Float64, 3, [1, None, None]),
        ("n", [2**31, 5, None], pl.UInt32, 3, [2**31, 5, None]),
        ("n", [Decimal("3.00"), None], pl.Decimal(10, 2), 3, [3, None]),
        ("n", [None], pl.Null, 3, [None]),
        ("data.temp", [Decimal("1.25"), None], pl.Decimal(10, 2), 2, [1.25, None]),
        ("data.temp", [3, None], pl.Int8, 2, [3.0, None]),
        ("data.temp", [1.5, float("inf"), float("nan")], pl.Float32, 2, [1.5, float("inf"), None]),
        ("status", ["on", None, "on"], pl.Categorical, 5, ["on", None, "on"]),
        ("dev", ["a", "b", "a"], pl.Categorical, 0, ["a", "b", "a"]),
        ("dev", [7, -7], pl.Int16, 0, ["7", "-7"]),
    ],
)
def test_kinds_of_columns(
    name: str, values: list[Any], dtype: Any, place: int, expected: list[Any], tmp_path: Path
) -> None:
    frame = column(name, values, dtype)
    found = read(tmp_path, frame.drop("data") if name == "data.temp" else frame)
    assert found.dead == {}
    assert [row[place] for row in found.rows.values()] == expected


@pytest.mark.parametrize(
    ("values", "dtype", "unit", "us"),
    [
        ([NOON, NOON + timedelta(microseconds=1)], pl.Datetime("us", "UTC"), Unit.MS, [0, 1]),
        ([NOON + timedelta(milliseconds=5)], pl.Datetime("ms", "Europe/Berlin"), Unit.ISO, [5_000]),
        ([NOON.replace(tzinfo=None)], pl.Datetime("ns"), Unit.S, [0]),
        ([date(2026, 1, 31)], pl.Date, Unit.S, [-12 * 3_600_000_000]),
        (["2026-01-31T13:00:00+01:00"], pl.String, Unit.MS, [0]),
        ([NOON.timestamp() + 0.5], pl.Float64, Unit.S, [500_000]),
        ([int(NOON.timestamp()) * 10**9 + 1_999], pl.Int64, Unit.NS, [1]),
    ],
)
def test_times(values: list[Any], dtype: Any, unit: Unit, us: list[int], tmp_path: Path) -> None:
    found = read(tmp_path, column("ts", values, dtype), unit=unit)
    assert found.dead == {}
    assert [row[1] - round(NOON.timestamp() * 1_000_000) for row in found.rows.values()] == us


def test_nanoseconds_are_cut_to_the_microsecond_before(tmp_path: Path) -> None:
    frame = column("ts", [1_999_999, -1], pl.Int64).with_columns(pl.col("ts").cast(pl.Datetime("ns")))
    assert [row[1] for row in read(tmp_path, frame).rows.values()] == [1_999, -1]


@pytest.mark.parametrize(
    ("name", "values", "dtype", "reason"),
    [
        (
            "dev",
            ["m1", None],
            pl.String,
            "field `dev`: expected text or a whole number that names the device, given no",
        ),
        (
            "dev",
            ["m1", ""],
            pl.String,
            "field `dev`: expected text or a whole number that names the device, given text",
        ),
        (
            "ts",
            [5, None],
            pl.Int64,
            "field `ts`: expected a time as a number of ms since 1970, between the years 1 and ",
        ),
        (
            "ts",
            [5.0, float("nan")],
            pl.Float64,
            "field `ts`: expected a time as a number of ms since 1970, between the",
        ),
        ("n", [1.0, 1.5], pl.Float64, "field `n`: expected a whole number of at most 64 bits, given a number: 1.5"),
        ("n", [1, 2**64 - 1], pl.UInt64, "field `n`: expected a whole number of at most 64 bits, given a number: 1844"),
        (
            "n",
            [1, -(2**63)],
            pl.Int64,
            "field `n`: expected a whole number of at most 64 bits, given a number: -922337",
        ),
    ],
)
def test_a_value_that_does_not_fit_makes_its_row_dead(
    name: str, values: list[Any], dtype: Any, reason: str, tmp_path: Path
) -> None:
    found = read(tmp_path, column(name, values, dtype))
    assert list(found.rows) == [0]
    assert found.dead[1].startswith(reason)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("n", "1", "column `n`: expected whole numbers for the field `n`, given String"),
        ("n", True, "column `n`: expected whole numbers for the field `n`, given Boolean"),
        ("ok", 1, "column `ok`: expected bools for the field `ok`, given Int64"),
        ("status", 1, "column `status`: expected text for the field `status`, given Int64"),
        ("data", {"temp": "x"}, "column `data.temp`: expected numbers for the field `temp`, given String"),
        ("dev", 1.0, "column `dev`: expected text or whole numbers that name the device, given Float64"),
        ("ts", True, "column `ts`: expected times: timestamps, numbers of ms, or ISO 8601, given Boolean"),
    ],
)
def test_a_column_of_another_type_is_told_before_anything_is_read(
    name: str, value: Any, says: str, tmp_path: Path
) -> None:
    with pytest.raises(FileError) as error:
        read(tmp_path, pl.DataFrame([{**ROW, name: value}]))
    assert f"\n    {says}" in str(error.value)


def test_numbers_are_no_iso_times(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="expected times: timestamps, or text as in ISO 8601, given Int64"):
        read(tmp_path, pl.DataFrame([ROW]), unit=Unit.ISO)


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has columns but no rows"):
        read(tmp_path, pl.DataFrame([ROW]).clear())
    with pytest.raises(FileError, match=r"the field `temp`: no column `data\.temp` or `temp`"):
        read(tmp_path, pl.DataFrame([ROW]).drop("data"))
    (tmp_path / "file.parquet").write_bytes(b"dev,ts\n1,2\n")
    with pytest.raises(FileError, match="can't be read as Parquet: "):
        Parquet(tmp_path / "file.parquet", READING, SCHEMA)


def test_rows_are_numbered_through_whatever_is_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = column("n", list(range(100)))
    expected = read(tmp_path, frame)
    monkeypatch.setattr(parquet, "_CHUNK", 7)
    for size in (1, 3, 7, 50):
        assert read(tmp_path, frame, size) == expected
