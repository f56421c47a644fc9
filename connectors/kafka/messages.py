"""Records out of confluent-kafka's own objects: what is read before the batch call is there, and all where it can't be had."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from connectors.codec.base import Records
from connectors.kafka.intake import LATEST, Event
from operators.binary import Binary

log = logging.getLogger("telemill.source")


def unpack(messages: list[Message], headers: Sequence[str]) -> tuple[list[Records], list[Event]]:
    """Sort confluent-kafka's messages into records, in batches of one shard each, and events."""
    if not messages:
        return [], []
    errors = list(map(Message.error, messages))
    if not any(errors):
        return _by_shard(messages, headers), []
    events = [
        Event(str(message.topic() or ""), int(message.partition() or 0), int(message.offset() or 0), error)
        for message, error in zip(messages, errors, strict=True)
        if error is not None
    ]
    good = [message for message, error in zip(messages, errors, strict=True) if error is None]
    return _by_shard(good, headers), events


def _by_shard(messages: list[Message], headers: Sequence[str]) -> list[Records]:
    """Sort messages into batches of one shard each; the order within a shard stays."""
    rows = len(messages)
    if not rows:
        return []
    partition = np.fromiter(map(Message.partition, messages), np.int64, rows)
    topics = [str(topic) for topic in map(Message.topic, messages)]
    names = sorted(set(topics))
    code = partition
    if len(names) > 1:
        index = {name: at for at, name in enumerate(names)}
        code = partition + np.fromiter(map(index.__getitem__, topics), np.int64, rows) * (int(partition.max()) + 1)
    order = np.argsort(code, kind="stable")
    cuts = np.flatnonzero(np.diff(code[order])) + 1
    return [_records(list(map(messages.__getitem__, part.tolist())), headers) for part in np.split(order, cuts)]


def _records(messages: list[Message], headers: Sequence[str]) -> Records:
    rows = len(messages)
    kinds, times = zip(*map(Message.timestamp, messages), strict=True)
    ms = np.array(times, np.int64)
    stamped = np.array(kinds) != TIMESTAMP_NOT_AVAILABLE
    records = Records.of(
        str(messages[0].topic()),
        int(messages[0].partition() or 0),
        list(map(Message.value, messages)),
        list(map(Message.key, messages)),
        np.where(stamped & (ms >= 0) & (ms < LATEST), np.minimum(ms, LATEST) * 1_000, -1),
        np.fromiter(map(Message.offset, messages), np.int64, rows),
    )
    if not headers:
        return records
    found = list(map(_headers, messages))
    columns = {name: Binary.of(own.get(name) for own in found) for name in headers}
    return replace(records, headers=columns)


def _headers(message: Message) -> dict[str, Any]:
    """Give the last value of each header. To be called once of a message.

    Where a name isn't UTF-8, confluent-kafka raises the first time, and gives a tuple with a hole in it the second.
    """
    try:
        return dict(message.headers() or ())
    except (SystemError, UnicodeDecodeError):
        where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        log.warning("%s: its headers can't be read, as the name of one isn't UTF-8; going on without them", where)
        return {}
