"""What the tests of codecs share: readings to try, and what two ways of decoding or of writing are held against each other by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from connectors.codec.avro_decoder import decoder_of
from connectors.codec.avro_schema import parsed
from connectors.codec.base import Decoded, FieldPath, Reading, Records, Unit
from connectors.codec.json import Json
from operators.batch import Text, Type
from tests.connectors.codec.writing import Case

FIELDS = (
    FieldPath("x", ("x",), Type.FLOAT),
    FieldPath("again", ("x",), Type.FLOAT),
    FieldPath("n", ("n",), Type.INT),
    FieldPath("ok", ("data", "ok"), Type.BOOL),
    FieldPath("text", ("data", "deep", "text"), Type.TEXT),
)
READINGS = {
    "one field": Reading(FIELDS, (("dev",),), ("ts",), Unit.MS, 10**9),
    "two fields": Reading(FIELDS, (("dev",), ("data", "part")), ("ts",), Unit.S, 10**9),
    "the key": Reading(FIELDS, (), (), Unit.US, 10**9),
    "iso": Reading(FIELDS, (("dev",),), ("ts",), Unit.ISO, 10**9),
    "ns": Reading(FIELDS, (("dev",),), ("data", "ts"), Unit.NS, 10**9),
}


def records(values: Sequence[bytes | None]) -> Records:
    at = np.arange(len(values))
    keys = [b"key" if number % 7 else b"" for number in range(len(values))]
    return Records.of("raw", 0, values, keys, np.where(at % 3 == 1, -1, 1_700_000_000_000_000), 10 + 2 * at)


def told(decoded: Decoded) -> dict[str, Any]:
    """Give all that was decoded, floats to the bit."""
    columns = {
        name: column.to_list() if isinstance(column, Text) else column.view(f"i{column.itemsize}").tolist()
        for name, column in decoded.columns.items()
    }
    assert decoded.ts.dtype == decoded.offset.dtype == np.int64
    head = {"device": decoded.device.values(), "ts": decoded.ts.tolist(), "offset": decoded.offset.tolist()}
    return {**head, **columns, "dead": list(decoded.dead)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of two ways of decoding or writing the same.

    Attributes:
        left: how many the kernel left to the library.
        refused: how many nothing could be made of, by either.
        differences: of each that became something else: what it was, what was made of it, and what the library makes of it.
    """

    left: int
    refused: int
    differences: Sequence[tuple[object, object, object]]


def agree(values: Sequence[bytes | None], reading: Reading) -> None:
    """Hold what the decoder of JSON gives against what it gives by documents alone."""
    agree_by(Json.model_validate({}).decoder(reading), values)


def agree_by(decoder: Any, values: Sequence[bytes | None]) -> None:
    """Hold what a decoder gives against what it gives by documents alone."""
    assert not compare(decoder, values).differences


def compare(decoder: Any, values: Sequence[bytes | None]) -> Comparison:
    """Hold what a decoder gives of each record against what it gives by documents alone."""
    of = records(values)
    with _left(decoder) as left:
        got = decoder.decode(of)
    expected = decoder._by_document(of)
    refused = len(expected.dead)
    if told(got) == told(expected):
        return Comparison(sum(left), refused, ())
    each = zip(values, _of_each(of, got), _of_each(of, expected), strict=True)
    different = [(value, one, other) for value, one, other in each if one != other]
    # What is of no record alone: two rows of one, or rows in another order.
    return Comparison(sum(left), refused, different or [(values, told(got), told(expected))])


def compare_floats(texts: Sequence[str]) -> Comparison:
    """Hold the floats that the decoder of JSON reads against Python's, to the bit; what Python takes for infinite is refused."""
    at = np.arange(len(texts))
    values = [b'{"x":%b}' % text.encode() for text in texts]
    decoder = Json.model_validate({}).decoder(Reading((FieldPath("x", ("x",), Type.FLOAT),), (), (), Unit.US, 0))
    with _left(decoder) as left:
        made = decoder.decode(Records.of("raw", 0, values, [b"key"] * len(values), at, at))
    floats = iter(np.asarray(made.columns["x"]).tolist())
    dead = dict(made.dead)
    got = [dead[row] if row in dead else next(floats).hex() for row in at.tolist()]
    different = []
    for text, one, row in zip(texts, got, at.tolist(), strict=True):
        real = float(text)
        if math.isinf(real) != (row in dead) or (row not in dead and one != real.hex()):
            different.append((text, one, real.hex()))
    return Comparison(sum(left), len(dead), different)


def compare_rows(encoder: Any, case: Case) -> Comparison:
    """Hold what an encoder writes of each row against what it writes by documents alone."""
    with _left(encoder) as left:
        got = encoder.encode(case.batch, case.devices).to_list()
    expected = encoder._by_document(case.batch, case.devices).to_list()
    different = [row for row, (one, other) in enumerate(zip(got, expected, strict=True)) if one != other]
    found = [(_row(case, row), got[row], expected[row]) for row in different]
    return Comparison(sum(left), 0, found)


@contextmanager
def _left(codec: Any) -> Iterator[list[int]]:
    """Count what a codec leaves to the library while the block runs."""
    whole, left = codec._by_document, [0]

    def by_document(of: Any, *more: Any) -> Any:
        left.append(len(of))
        return whole(of, *more)

    codec._by_document = by_document
    try:
        yield left
    finally:
        del codec._by_document


def _of_each(of: Records, decoded: Decoded) -> list[object]:
    """Give what became of each record: its row, why it is dead, or nothing."""
    columns = told(decoded)
    dead = dict(columns.pop("dead"))
    rows = {row[2]: dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)}
    return [dead.get(row) or rows.get(offset) for row, offset in enumerate(of.offset.tolist())]


def _row(case: Case, row: int) -> dict[str, object]:
    """Give a row as plain values."""
    batch = case.batch.take(np.array([row]))
    columns = {
        name: column.to_list() if isinstance(column, Text) else column.tolist()
        for name, column in batch.columns.items()
    }
    return {"device": case.devices.ids(batch.device).values(), "ts": batch.ts.tolist(), **columns}


def avro_decoder(schema: Any, reading: Reading) -> Any:
    """Make the decoder of Avro that a file with this schema would make."""
    return decoder_of(parsed(schema), reading)
