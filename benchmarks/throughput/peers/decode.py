"""How the Python peers decode a message that their framework hands to them as bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import fastavro
import orjson

from benchmarks.throughput.schema import READING


def decoder(format_: str) -> Callable[[bytes], Any]:
    """Give what decodes a message."""
    if format_ != "avro":
        return orjson.loads
    schema = fastavro.parse_schema(READING)
    return lambda value: fastavro.schemaless_reader(io.BytesIO(value), schema, None)
