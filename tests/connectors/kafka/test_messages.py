"""Tests of records out of confluent-kafka's own objects."""

from __future__ import annotations

from random import Random
from typing import Any

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, KafkaError, Message

from connectors.kafka.intake import LATEST, Event
from connectors.kafka.messages import unpack


def message(topic: str, partition: int, offset: int, **more: Any) -> Message:
    own: dict[str, Any] = {"value": b"%d" % offset, "timestamp": (TIMESTAMP_CREATE_TIME, offset), **more}
    return Message(topic=topic, partition=partition, offset=offset, **own)


def test_records_of_a_shard_are_together_and_in_their_order() -> None:
    random = Random(1)
    next_offset = dict.fromkeys([("a", 0), ("a", 7), ("b", 0), ("b", 1)], 0)
    messages = []
    for _ in range(200):
        shard = random.choice(list(next_offset))
        messages.append(message(*shard, next_offset[shard], key=shard[0].encode()))
        next_offset[shard] += 1
    batches, events = unpack(messages, ())
    assert {(batch.topic, batch.partition): batch.offset.tolist() for batch in batches} == {
        shard: list(range(count)) for shard, count in next_offset.items()
    }
    for batch in batches:
        assert batch.values.values() == [b"%d" % offset for offset in batch.offset.tolist()]
        assert set(batch.keys.values()) == {batch.topic.encode()}
        assert (batch.timestamp // 1_000).tolist() == batch.offset.tolist()
    assert (len(batches), events) == (4, [])


def test_what_is_no_record_is_an_event_beside_the_others() -> None:
    end = KafkaError(KafkaError._PARTITION_EOF)
    batches, events = unpack([message("a", 0, 4), message("a", 1, 9, error=end), message("a", 0, 5)], ())
    assert [batch.offset.tolist() for batch in batches] == [[4, 5]]
    (event,) = events
    assert event == Event("a", 1, 9, event.error)
    assert event.error.code() == KafkaError._PARTITION_EOF
    assert unpack([], ()) == ([], [])
    assert unpack([message("a", 1, 9, error=end)], ())[0] == []


def test_a_time_that_is_none_or_beyond_all_is_none() -> None:
    times = [(TIMESTAMP_CREATE_TIME, 5), (TIMESTAMP_NOT_AVAILABLE, 5), (TIMESTAMP_CREATE_TIME, -1)]
    times += [(TIMESTAMP_CREATE_TIME, LATEST), (TIMESTAMP_CREATE_TIME, LATEST - 1)]
    batches, _ = unpack([message("a", 0, row, timestamp=time) for row, time in enumerate(times)], ())
    assert batches[0].timestamp.tolist() == [5_000, -1, -1, -1, (LATEST - 1) * 1_000]


def test_of_headers_the_last_of_a_name_counts_and_others_are_left() -> None:
    messages = [
        message("a", 0, 0, headers=[("site", b"1"), ("fw", b"9"), ("site", b"2"), ("more", b"x")]),
        message("a", 0, 1, headers=[("fw", None)]),
        message("a", 0, 2),
    ]
    batches, _ = unpack(messages, ("site", "fw"))
    headers = {name: column.to_list() for name, column in batches[0].headers.items()}
    assert headers == {"site": [b"2", None, None], "fw": [b"9", None, None]}
    assert unpack(messages, ())[0][0].headers == {}
