"""What the tests of codecs share: readings to try, and what two ways of decoding are held against each other by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fastavro
import numpy as np

from connectors.codec.avro import _Decoder, _without_logical
from connectors.codec.base import Decoded, FieldPath, Reading, Records, Unit
from connectors.codec.json import Json
from operators.batch import Text, Type

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
    return Records.of("raw", 0, values, keys, np.where(at % 3, -1, 1_700_000_000_000_000), 10 + 2 * at)


def told(decoded: Decoded) -> dict[str, Any]:
    """Give all that was decoded, floats to the bit."""
    columns = {
        name: column.to_list() if isinstance(column, Text) else column.view(f"i{column.itemsize}").tolist()
        for name, column in decoded.columns.items()
    }
    assert decoded.ts.dtype == decoded.offset.dtype == np.int64
    head = {"device": decoded.device.values(), "ts": decoded.ts.tolist(), "offset": decoded.offset.tolist()}
    return {**head, **columns, "dead": list(decoded.dead)}


def agree(values: Sequence[bytes | None], reading: Reading) -> None:
    """Hold what the decoder of JSON gives against what it gives by documents alone."""
    agree_by(Json.model_validate({}).decoder(reading), values)


def agree_by(decoder: Any, values: Sequence[bytes | None]) -> None:
    """Hold what a decoder gives against what it gives by documents alone."""
    assert told(decoder.decode(records(values))) == told(decoder._by_document(records(values)))


def avro_decoder(schema: Any, reading: Reading) -> _Decoder:
    """Make the decoder of Avro that a file with this schema would make."""
    return _Decoder(fastavro.parse_schema(_without_logical(schema)), reading)
