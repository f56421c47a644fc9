"""Run the tests that stand in a pipeline's file: rows in, one stream out, held against the rows expected.

An input row is a record's value as a document; `$key`, `$timestamp` (ms since 1970, or ISO 8601) and `$headers` (a mapping)
stand for the record's own key, time and headers. Of an expected row only the columns that it names are compared, numbers to nine digits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import orjson
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from connectors.codec.base import Records
from connectors.codec.json import Json, TimeText
from operators.batch import Batch
from operators.binary import Binary
from pipelines.plan import DEAD, Pipeline, Test
from pipelines.shard import Product, Shard

_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a test: `differences` is empty where it passed, else lines that show what differs."""

    test: Test
    differences: Sequence[str]


def run_tests(pipeline: Pipeline) -> list[Result]:
    """Run every test of a pipeline."""
    results = []
    for test in pipeline.tests:
        try:
            got = _rows(pipeline, test)
            differences = _differences(test, got.rows)
            results.append(Result(test, [*differences, *(got.hints if differences else [])]))
        except _UnfitError as error:
            results.append(Result(test, [str(error)]))
    return results


class _UnfitError(ValueError):
    """A row that can't be made a record."""


@dataclass(frozen=True, slots=True)
class _Got:
    """The rows of the stream that a test looks at, and what may explain that some are missing."""

    rows: Sequence[Mapping[str, Any]]
    hints: Sequence[str]


def _rows(pipeline: Pipeline, test: Test) -> _Got:
    """Put a test's records in."""
    source = pipeline.source.offline()
    shard = Shard(pipeline, source.decoder(), [test.at])
    products = []
    if test.input:
        write = source.format.sample(source.reading)
        keys = [None if (key := row.get("$key")) is None else str(key).encode() for row in test.input]
        times = np.array([_timestamp(row.get("$timestamp"), index) for index, row in enumerate(test.input)], np.int64)
        values = [_written(write, row, index) for index, row in enumerate(test.input)]
        records = Records.of(source.topics[0], 0, values, keys, times, np.arange(len(values)))
        headers = [_headers(row.get("$headers"), index) for index, row in enumerate(test.input)]
        columns = {name: Binary.of(own.get(name) for own in headers) for name in source.reading.header_names()}
        products.append(shard.process(replace(records, headers=columns)))
    if test.close_windows:
        products.append(shard.close())
    letters = [letter for made in products for letter in made.letters]
    if test.at == DEAD:
        return _Got([{"offset": letter.offset, "reason": letter.reason} for letter in letters], ())
    encoder = Json(time=TimeText.ISO).encoder(pipeline.streams()[test.at], test.at)
    rows = [orjson.loads(row) for made in products for row in _encoded(made, test.at, encoder.encode)]
    hints = [
        f"dead: {letter.reason}" if letter.of_made else f"input row {letter.offset + 1} is dead: {letter.reason}"
        for letter in letters
    ]
    if len(rows) < len(test.expect) and not test.close_windows and test.at in shard.close().rows:
        hints.append("more rows come with `close_windows: true`: the time of the input closes no further window")
    return _Got(rows, hints)


def _encoded(made: Product, stream: str, encode: Any) -> Sequence[bytes]:  # an encoder's method
    rows: Batch | None = made.rows.get(stream)
    return () if rows is None else encode(rows, made.devices)


def _written(write: Callable[[Mapping[str, Any]], bytes], row: Mapping[str, Any], index: int) -> bytes:
    try:
        return write(row)
    except Exception as error:  # noqa: BLE001  # a codec raises many kinds
        message = f"input row {index + 1} can't be written as a record: {type(error).__name__}: {error}"
        raise _UnfitError(message) from None


def _headers(value: object, index: int) -> dict[str, bytes | None]:
    """Give a record's headers; what isn't text is written as JSON would."""
    if value is None:
        return {}
    if not isinstance(value, dict) or any(isinstance(text, list | dict) for text in value.values()):
        message = f"input row {index + 1}: $headers: expected a mapping of names to values, given {_value(value)}"
        raise _UnfitError(message)
    return {
        str(name): None if own is None else (own if isinstance(own, str) else json.dumps(own)).encode()
        for name, own in value.items()
    }


def _timestamp(value: object, index: int) -> int:
    """Give a record's own time in us; -1 for a record without one."""
    if value is None:
        return -1
    if isinstance(value, int) and not isinstance(value, bool):
        return value * 1_000
    try:
        at = _TIME.validate_python(value)
    except ValidationError:
        expected = "ms since 1970, or ISO 8601 with an offset such as 2026-01-31T12:00:00Z"
        message = f"input row {index + 1}: $timestamp: expected {expected}, given {_value(value)}"
        raise _UnfitError(message) from None
    return (at - _EPOCH) // timedelta(microseconds=1)


def _differences(test: Test, got: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for index in range(max(len(got), len(test.expect))):
        if index >= len(got):
            lines += [f"row {index + 1}: expected, but didn't come", f"  - {_line(test.expect[index])}"]
        elif index >= len(test.expect):
            lines += [f"row {index + 1}: came, but wasn't expected", f"  + {_line(got[index])}"]
        else:
            wanted, row = test.expect[index], got[index]
            wrong = [name for name in wanted if not _same(wanted[name], row.get(name, _Absent))]
            if wrong:
                lines.append(f"row {index + 1}: {', '.join(wrong)} differ{'s' if len(wrong) == 1 else ''}")
                lines += [f"  - {name}: {_value(wanted[name])}" for name in wrong]
                lines += [f"  + {name}: {_value(row[name]) if name in row else 'no such column'}" for name in wrong]
    return lines


class _Absent:
    """Stands for a column that a row hasn't."""


def _same(wanted: object, got: object) -> bool:
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if isinstance(wanted, int | float) and isinstance(got, int | float):
        return math.isclose(wanted, got, rel_tol=1e-9, abs_tol=1e-12)
    return wanted == got


def _line(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {_value(value)}" for name, value in row.items())


def _value(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
