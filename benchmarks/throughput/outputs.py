"""What a system has written, read back from its topics as tables."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import polars as pl
from confluent_kafka import Consumer, KafkaException, TopicPartition

TIMES = ("ts", "at", "window_start", "window_end")
NUMBERS = ("n", "total", "mean", "low", "high", "last", "trend", "temp")


class NothingComes(Exception):  # noqa: N818  # reads as what happened
    """A topic's records don't come although they are there."""


def values(servers: str, topic: str) -> list[bytes]:
    """Read the values of a topic from its beginning to where it ends now."""
    settings = {"bootstrap.servers": servers, "group.id": "outputs", "log_level": 0, "enable.auto.commit": False}
    settings |= {"isolation.level": "read_committed", "enable.partition.eof": True, "fetch.queue.backoff.ms": 0}
    consumer: Any = Consumer(settings)
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found: list[bytes] = []
        left, silent = set(partitions), 0
        while left:
            messages = consumer.consume(10_000, 0.5)
            silent = 0 if messages else silent + 1
            if silent > 60:
                message = f"{topic} can't be read to its end"
                raise NothingComes(message)
            for message in messages:
                if message.error() is None:
                    found.append(message.value())
                elif message.error().name() == "_PARTITION_EOF":
                    left.discard(message.partition())
                else:
                    raise KafkaException(message.error())
        return found
    finally:
        consumer.close()


def table(found: Sequence[bytes], keys: Sequence[str]) -> pl.DataFrame:
    """Make a table of rows in JSON.

    Args:
        found: the rows; `id` or `device_id` names the device.
        keys: what to sort by: `device` and a time.

    Returns:
        `device` as a number, times as ms, the numbers that can be checked, and the `state` of alerts.
    """
    if not found:
        return pl.DataFrame(schema=dict.fromkeys(keys, pl.Int64))
    rows = pl.read_ndjson(io.BytesIO(b"\n".join(found)), infer_schema_length=None)
    name = "id" if "id" in rows.columns else "device_id"
    rows = rows.with_columns(device=pl.col(name).str.strip_prefix("meter-").cast(pl.Int64))
    for time in TIMES:
        if time in rows.columns and rows[time].dtype == pl.String:
            rows = rows.with_columns(pl.col(time).str.to_datetime("%+").dt.epoch("ms"))
        elif time in rows.columns and rows[time].dtype == pl.Float64:  # W1 counts in seconds
            rows = rows.with_columns((pl.col(time) * 1000).round().cast(pl.Int64))
    kept = dict.fromkeys((*keys, *(name for name in rows.columns if name in {*TIMES, *NUMBERS, "state"})))
    return rows.select(list(kept)).sort(keys)
