"""Nothing per event on the way from the bytes of records to the bytes of rows: Python makes as many calls for ten thousand
records as for a thousand."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import orjson
import pytest

from connectors.codec.base import Records
from operators.binary import Binary
from pipelines.config import read
from pipelines.shard import Shard
from tests.operators.test_cost import calls

PIPELINE = """
name: mill
source:
  kafka: {topics: [in]}
  format: FORMAT
  device: id
  time: {field: ts, unit: ms}
  fields: {watts: float}
steps:
  - id: minute
    window: {tumbling: 1m, aggregate: {n: count(), mean: mean(watts), low: min(watts), high: max(watts)}}
  - id: odd
    from: source
    detect: {zscore: {field: watts}}
  - id: alarms
    alert: {raise: score > 20, clear: score < 3}
sinks:
  - {from: minute, kafka: {topic: out}, format: ROWS}
  - {from: alarms, kafka: {topic: alerts}}
"""
SCHEMA = {
    "type": "record",
    "name": "reading",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "ts", "type": "long"},
        {"name": "watts", "type": ["null", "double"]},
    ],
}
BEGIN = 1_767_225_600_000
DEVICES = 50


def avro(document: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(SCHEMA), document)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("format_", "written"), [("json", orjson.dumps), ("{avro: {schema: reading.avsc}}", avro)], ids=["json", "avro"]
)
@pytest.mark.parametrize("rows_as", ["json", "avro"])
def test_a_batch_of_ten_thousand_takes_as_many_calls_as_one_of_a_thousand(
    tmp_path: Path, format_: str, written: Callable[[dict[str, Any]], bytes], rows_as: str
) -> None:
    (tmp_path / "reading.avsc").write_bytes(orjson.dumps(SCHEMA))
    file = tmp_path / "mill.yaml"
    file.write_text(PIPELINE.replace("FORMAT", format_).replace("ROWS", rows_as))
    pipeline = read(file)
    shard = Shard(pipeline, pipeline.source.format.decoder(pipeline.source.reading), ["minute", "alarms"])
    sink = pipeline.sinks[0]
    assert sink.schema is not None
    encoder = sink.format.encoder(sink.schema, "minute")
    seen: list[int] = []

    def put(count: int, first: int) -> Callable[[], None]:
        """Make records of ten minutes, whatever their number: as many windows close."""
        at = np.arange(count)
        values = [
            written(
                {
                    "id": f"dev-{row % DEVICES}",
                    "ts": BEGIN + first * 600_000 + row * 600_000 // count,
                    "watts": 20 + row % 7 / 4,
                }
            )
            for row in at.tolist()
        ]
        records = Records("in", 0, Binary.of(values), Binary.missing(count), at * 0 - 1, first * 10_000 + at)

        def work() -> None:
            made = shard.process(records)
            assert not made.letters
            seen.append(len(encoder.encode(made.rows["minute"], made.devices)))

        return work

    for first in (0, 1):
        put(10_000, first)()
    few = calls(put(1_000, 2))
    many = calls(put(10_000, 3))
    assert seen[-2:] == [10 * DEVICES] * 2, "as many windows have closed"
    assert many.total() <= few.total() + 50, f"{many - few}"
    assert many.total() < 1_000, "nor does a batch take many"
