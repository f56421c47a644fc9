"""Columns of files against the codec of documents: what it takes they take, what it refuses they refuse, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec.base import Reading, Records, Unit
from connectors.codec.documents import Documents
from connectors.files.columns import Columns
from operators.batch import Text
from tests.connectors.files.rows import READING

NUMBERS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-10, 10),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6).map(float),
)
TIMES = st.one_of(
    st.integers(-63_000_000_000_000, 254_000_000_000_000),
    st.floats(-63_000_000_000_000, 254_000_000_000_000),
    st.sampled_from([0, 0.5, 1.5, -0.5, None, "noon", ""]),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "dev": st.sampled_from(["a", "b", None, "", "x" * 1001, "a/b", "é"]),
            "ts": TIMES,
            "temp": NUMBERS,
            "n": NUMBERS,
            "ok": st.sampled_from([True, False, None]),
            "status": st.sampled_from(["on", "off", None, "é"]),
        }
    ),
    min_size=1,
    max_size=6,
)


def numbered(count: int) -> Records:
    """Make records without a time of their own."""
    return Records.of("", 0, [None] * count, [None] * count, np.full(count, -1, np.int64), np.arange(count))


def plain(decoded: Any) -> tuple[Any, ...]:
    """Give what was decoded as plain values, NaN as None."""
    columns = [
        column.to_list() if isinstance(column, Text) else pl.Series(column).fill_nan(None).to_list()
        for column in decoded.columns.values()
    ]
    return list(decoded.device), decoded.ts.tolist(), decoded.offset.tolist(), columns, list(decoded.dead)


def by_documents(rows: list[dict[str, Any]], reading: Reading) -> Any:
    """Let the codec read the rows."""
    documents = [{**row, "data": {"temp": row["temp"]}} for row in rows]
    return Documents(documents, {}).columns(numbered(len(rows)), reading)


@given(rows=ROWS, unit=st.sampled_from([Unit.S, Unit.MS, Unit.US, Unit.NS]))
@settings(deadline=None)
def test_text_cells_are_taken_and_refused_as_documents_are(rows: list[dict[str, Any]], unit: Unit) -> None:
    reading = replace(READING, unit=unit)
    for row in rows:  # an empty cell is a missing value
        row["dev"] = row["dev"] or None
        row["ts"] = None if row["ts"] == "" else row["ts"]
    cells = {
        str(place): [None if row[name] is None else str(row[name]) for row in rows]
        for place, name in enumerate(("dev", "ts", "temp", "n", "ok", "status"))
    }
    frame = pl.DataFrame(cells, dict.fromkeys(cells, pl.String))
    found = Columns(reading, typed=False).decode(frame, numbered(len(rows)), {})
    assert plain(found) == plain(by_documents(rows, reading))


@given(rows=ROWS, unit=st.sampled_from([Unit.S, Unit.MS, Unit.US, Unit.NS]))
@settings(deadline=None)
def test_typed_columns_are_taken_and_refused_as_documents_are(rows: list[dict[str, Any]], unit: Unit) -> None:
    reading = replace(READING, unit=unit)
    whole = all(type(row["n"]) in {int, type(None)} for row in rows)
    for row in rows:
        row["ts"] = None if isinstance(row["ts"], str | None) else float(row["ts"])
        row["temp"] = None if row["temp"] is None else float(row["temp"])
        row["n"] = row["n"] if whole or row["n"] is None else float(row["n"])
    names = {"dev": pl.String, "ts": pl.Float64, "temp": pl.Float64, "n": pl.Int64 if whole else pl.Float64}
    types: dict[str, Any] = {**names, "ok": pl.Boolean, "status": pl.String}
    frame = pl.DataFrame({name: [row[name] for row in rows] for name in types}, types)
    found = Columns(reading, typed=True).decode(frame, numbered(len(rows)), {})
    assert plain(found) == plain(by_documents(rows, reading))


@given(
    parts=st.lists(st.tuples(*[st.sampled_from(["a", "b", "a/b", "/", "%2F", "é/", "é"])] * 2), min_size=1, max_size=6)
)
@settings(deadline=None)
def test_a_device_of_two_fields_is_named_as_from_documents(parts: list[tuple[str, str]]) -> None:
    reading = replace(READING, device=(("site",), ("dev",)), fields=())
    frame = pl.DataFrame({"0": [site for site, _ in parts], "1": [dev for _, dev in parts], "2": ["5"] * len(parts)})
    found = Columns(reading, typed=False).decode(frame, numbered(len(parts)), {})
    documents = [{"site": site, "dev": dev, "ts": 5} for site, dev in parts]
    assert plain(found) == plain(Documents(documents, {}).columns(numbered(len(parts)), reading))


def test_rows_that_are_dead_already_keep_their_reason() -> None:
    frame = pl.DataFrame([["a", None], ["5", None], ["1", None], ["1", None], ["1", None], ["x", None]], orient="col")
    found = Columns(READING, typed=False).decode(frame, numbered(2), {1: "cut off"})
    assert found.dead == [(1, "cut off")]
    assert found.device.values() == [b"a"]
