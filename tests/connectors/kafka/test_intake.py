"""Tests of records out of a consumer by librdkafka's batch call, on the Kafka inside this process."""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from connectors.kafka.client import settings
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.intake import Event, Queue

pytestmark = pytest.mark.timeout(120)
Row = tuple[Any, Any, int, int]


@pytest.fixture
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(["one", "two"]) as running:
        yield running


def open_consumer(kafka: EmbeddedKafka) -> Any:
    own = {"enable.partition.eof": True, "enable.auto.commit": False, "fetch.queue.backoff.ms": 1}
    return Consumer(settings(kafka.brokers, {}, group_id="nobody") | own)


def assign(consumer: Any, queue: Queue, shards: list[tuple[str, int]]) -> None:
    for shard in shards:
        queue.take(*shard)
    consumer.incremental_assign([TopicPartition(*shard, 0) for shard in shards])


def read(consumer: Any, queue: Queue, count: int) -> tuple[dict[tuple[str, int], list[Row]], list[Event]]:
    """Read so many records and events."""
    found: dict[tuple[str, int], list[Row]] = defaultdict(list)
    events: list[Event] = []
    deadline = time.monotonic() + 30
    while sum(map(len, found.values())) + len(events) < count:
        assert time.monotonic() < deadline
        assert consumer.poll(0) is None, "nothing comes another way"
        batches, told = queue.read()
        events += told
        for batch in batches:
            columns = (batch.values.to_list(), batch.keys.to_list(), batch.timestamp.tolist(), batch.offset.tolist())
            found[batch.topic, batch.partition] += zip(*columns, strict=True)
    return found, events


def test_records_come_as_they_were_sent_those_of_each_partition_in_order(kafka: EmbeddedKafka) -> None:
    producer = Producer(settings(kafka.brokers, {}))
    sent: dict[tuple[str, int], list[Row]] = defaultdict(list)
    odd = [(None, b"k"), (b"", b""), (b"v", None), (bytes(100_000), b"\xff\0"), (None, None)]
    for number in range(3_000):
        shard = ("one", number % 4) if number % 3 else ("two", 1)
        value, key = odd[number % 7] if number % 7 < 5 and number < 500 else (b"v%d" % number, b"k%d" % (number % 40))
        at = 1_700_000_000_000 + number
        producer.produce(shard[0], value, key, partition=shard[1], timestamp=at)
        sent[shard].append((value, key, at * 1_000, len(sent[shard])))
    producer.flush()
    consumer = open_consumer(kafka)
    queue = Queue(consumer)
    assign(consumer, queue, list(sent))
    found, events = read(consumer, queue, 3_000 + len(sent))
    assert found == sent
    assert {(event.topic, event.partition): event.offset for event in events} == {
        shard: len(rows) for shard, rows in sent.items()
    }
    assert {event.error.code() for event in events} == {KafkaError._PARTITION_EOF}
    queue.close()
    consumer.close()


def test_a_hundred_assignments_come_to_the_same_and_take_no_more_memory(kafka: EmbeddedKafka) -> None:
    producer = Producer(settings(kafka.brokers, {}))
    for number in range(2_000):
        producer.produce("one", b"v%d" % number * 20, b"k", partition=0)
    producer.flush()
    consumer = open_consumer(kafka)
    queue = Queue(consumer)
    sizes = []
    for turn in range(100):
        assign(consumer, queue, [("one", 0)])
        found, _ = read(consumer, queue, 2_000)
        assert [row[3] for row in found["one", 0]][:2_000] == list(range(2_000))
        consumer.incremental_unassign([TopicPartition("one", 0)])
        time.sleep(0.01)  # it is ended in the background
        queue.read()
        if turn in {49, 99}:
            sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
    assert sizes[1] - sizes[0] < 3_000_000, "an assignment's records are 140 KB"
    queue.close()
    consumer.close()


def test_a_read_uses_the_same_buffer_again(kafka: EmbeddedKafka) -> None:
    consumer = open_consumer(kafka)
    queue = Queue(consumer)
    before = queue._bytes
    assert queue.read() == ([], [])
    assert queue._bytes is before
    assert np.shares_memory(queue._bytes, before)
    queue.close()
    consumer.close()
