"""Readings of any pipeline's source, of all kinds, and a run of them with no Kafka: from their bytes to those of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from connectors.codec.base import Records, Unit
from operators.batch import Type
from operators.binary import Binary
from pipelines.plan import Pipeline, Source
from pipelines.shard import Shard

BATCHES, ROWS = 4, 300
HEADERS = {Type.FLOAT: b"1.5", Type.INT: b"7", Type.BOOL: b"false", Type.TEXT: "é".encode()}


def run(pipeline: Pipeline) -> int:
    """Put readings through a shard and write what comes out; gives how many rows were written."""
    source = pipeline.source.offline()
    shard = Shard(pipeline, source.decoder(), [sink.written for sink in pipeline.sinks])
    encoders = [
        (sink.written, sink.format.encoder(sink.schema, "row")) for sink in pipeline.sinks if sink.schema is not None
    ]
    made = [shard.process(records) for records in batches(source)]
    made += [shard.on_idle(3_600_000_000), shard.close()]
    return sum(
        len(encoder.encode(product.rows[stream], product.devices))
        for product in made
        for stream, encoder in encoders
        if stream in product.rows
    )


def batches(source: Source) -> Iterator[Records]:
    """Make readings of five devices; some come late, some lack a value, and once all are silent for a day."""
    random = Random(1)
    write = source.offline().format.sample(source.reading)
    for batch in range(BATCHES):
        values: list[bytes | None] = []
        for row in range(ROWS):
            second = 1_600_000_000 + batch * 90_000 + row - (200 if row % 97 == 96 else 0)
            values.append(write(document(source, second, random)))
        keys: list[bytes | None] = [b"device-%d" % (row % 5) for row in range(ROWS)]
        first = batch * ROWS
        made = Records.of(source.topics[0], 0, values, keys, np.full(ROWS, -1), np.arange(first, first + ROWS))
        types = {field.header: field.type for field in source.reading.headers}
        headers = {name: [HEADERS[types.get(name, Type.TEXT)]] * ROWS for name in source.reading.header_names()}
        yield replace(made, headers={name: Binary.of(column) for name, column in headers.items()})


def document(source: Source, second: int, random: Random) -> Mapping[str, Any]:
    """Make one reading."""
    values: dict[Type, Any] = {
        Type.FLOAT: random.choice([random.gauss(20, 3), random.gauss(20, 3), 1_000.0, None]),
        Type.INT: random.randrange(100),
        Type.BOOL: random.random() < 0.5,
        Type.TEXT: random.choice(["on", "off", "é"]),
    }
    times = {Unit.S: second, Unit.MS: second * 1_000, Unit.US: second * 1_000_000, Unit.NS: second * 1_000_000_000}
    made: dict[str, Any] = {"unread": "as most records have something that nobody reads"}
    for path in source.reading.device:
        put(made, path, f"device-{random.randrange(5)}")
    if source.reading.time:
        put(made, source.reading.time, times.get(source.reading.unit, f"{np.datetime64(second, 's')}Z"))
    for field in source.reading.fields:
        put(made, field.path, values[field.type])
    return made


def put(into: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    """Put a value where a path leads."""
    for key in path[:-1]:
        into = into.setdefault(key, {})
    into[path[-1]] = value
