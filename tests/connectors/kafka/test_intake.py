"""Records come out of a consumer by librdkafka's batch call as they went in, and nothing is kept of them."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from connectors.codec.base import Records
from connectors.kafka import intake
from connectors.kafka.client import settings
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.intake import LATEST, Event, Queue

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is asked for in Linux's way"),
]
Shard = tuple[str, int]
ROOT = Path(__file__).parents[3]
PARTITIONS = range(4)


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(["one", "two", "times", "large", "many", "moved"]) as running:
        yield running


class Reader:
    """A consumer of shards, without a group, whose records come through a queue."""

    def __init__(self, brokers: str, headers: Sequence[str] = (), **own: Any) -> None:
        config = {"enable.partition.eof": True, "fetch.queue.backoff.ms": "10", "fetch.wait.max.ms": "10", **own}
        self.consumer: Any = Consumer({**settings(brokers, {}, group_id="nobody"), **config})
        self.queue = Queue(self.consumer, headers)
        self._silent: set[Shard] = set()

    def take(self, topic: str, *partitions: int, at: int = OFFSET_BEGINNING) -> None:
        self._silent |= {(topic, partition) for partition in partitions}
        self._take()
        self.consumer.incremental_assign([TopicPartition(topic, partition, at) for partition in partitions])

    def read(self) -> tuple[list[Records], list[Event]]:
        assert self.consumer.consume(10, 0.0) == [], "nothing comes out of the consumer itself"
        self._take()
        batches, events = self.queue.read()
        self._silent -= {(batch.topic, batch.partition) for batch in batches}
        self._silent -= {(event.topic, event.partition) for event in events}
        return batches, events

    def _take(self) -> None:
        """Take shards until something comes of them: one that was given back before may be about to stop still."""
        for shard in self._silent:
            self.queue.take(*shard)

    def read_until(self, done: Callable[[], bool], told: Callable[[list[Records], list[Event]], None]) -> None:
        deadline = time.monotonic() + 20
        while not done():
            assert time.monotonic() < deadline
            batches, events = self.read()
            told(batches, events)
            if not batches:
                time.sleep(0.001)

    def close(self) -> None:
        self.queue.close()
        self.consumer.close()


@pytest.fixture
def reader(kafka: EmbeddedKafka) -> Iterator[Reader]:
    made = Reader(kafka.brokers)
    yield made
    made.close()


def write(
    kafka: EmbeddedKafka, topic: str, rows: Mapping[int, Sequence[tuple[bytes | None, bytes | None, int]]]
) -> None:
    """Write rows into partitions: key, value, and time in ms."""
    producer: Any = Producer(settings(kafka.brokers, {"linger.ms": "5", "message.max.bytes": "4000000"}))
    for at in range(max(map(len, rows.values()))):
        for partition, own in rows.items():
            if at < len(own):
                key, value, ms = own[at]
                producer.produce(topic, value, key, partition=partition, timestamp=ms)
    assert producer.flush(20) == 0


Row = tuple[bytes | None, bytes | None, int, int]


class Found:
    """What was read: of each shard its rows (key, value, time, offset), and where it ended."""

    def __init__(self) -> None:
        self.rows: dict[Shard, list[Row]] = defaultdict(list)
        self.ends: dict[Shard, int] = {}

    def add(self, batches: list[Records], events: list[Event]) -> None:
        for batch in batches:
            columns = (batch.keys.to_list(), batch.values.to_list(), batch.timestamp.tolist(), batch.offset.tolist())
            self.rows[batch.topic, batch.partition] += list(zip(*columns, strict=True))
        shards = [(batch.topic, batch.partition) for batch in batches]
        assert len(shards) == len(set(shards)), "a read has one batch of each shard"
        for event in events:
            assert event.error.code() == KafkaError._PARTITION_EOF
            self.ends[event.topic, event.partition] = event.offset


def test_records_are_what_was_written_whatever_shard_they_are_of(kafka: EmbeddedKafka, reader: Reader) -> None:
    now = int(time.time() * 1_000)
    written: dict[Shard, list[Row]] = {}
    for topic, count in (("one", 500), ("two", 90)):
        rows: dict[int, list[tuple[bytes | None, bytes | None, int]]] = {
            part: [
                (b"%s-%d" % (topic.encode(), row % 7), b"v%d" % (row * part), now + row) for row in range(part * count)
            ]
            for part in PARTITIONS[1:]
        }
        rows[1][3:8] = [
            (None, b"v", 1),
            (b"k", None, 2),
            (b"", b"", 3),
            (None, None, 4),
            (b"k" * 300, bytes(range(256)) * 200, 5),
        ]
        write(kafka, topic, rows)
        for part, own in rows.items():
            written[topic, part] = [(key, value, ms * 1_000, at) for at, (key, value, ms) in enumerate(own)]
        reader.take(topic, *PARTITIONS)
    found = Found()
    reader.read_until(lambda: len(found.ends) == 8, found.add)
    assert dict(found.rows) == written
    assert found.ends == {
        (topic, part): len(written.get((topic, part), ())) for topic in ("one", "two") for part in PARTITIONS
    }


def test_reading_begins_where_it_is_told_to(kafka: EmbeddedKafka, reader: Reader) -> None:
    write(kafka, "moved", {0: [(b"k", b"%d" % row, 1) for row in range(100)]})
    reader.take("moved", 0, at=70)
    found = Found()
    reader.read_until(lambda: bool(found.ends), found.add)
    assert [offset for *_, offset in found.rows["moved", 0]] == list(range(70, 100))


def test_a_time_that_cannot_be_is_none(kafka: EmbeddedKafka, reader: Reader) -> None:
    times = [1, 1_700_000_000_123, LATEST - 1, LATEST, 2**62]
    write(kafka, "times", {2: [(b"k", b"v", ms) for ms in times]})
    reader.take("times", 2)
    found = Found()
    reader.read_until(lambda: bool(found.ends), found.add)
    assert [ts for _, _, ts, _ in found.rows["times", 2]] == [
        1_000,
        1_700_000_000_123_000,
        (LATEST - 1) * 1_000,
        -1,
        -1,
    ]


def test_the_buffer_grows_with_what_is_read_and_is_used_again(kafka: EmbeddedKafka, reader: Reader) -> None:
    large = [(b"k", bytes([row]) * 1_500_000, 1) for row in range(3)]
    write(kafka, "large", {0: large})
    reader.take("large", 0)
    found = Found()
    buffers = {reader.queue._bytes.ctypes.data}
    held: list[tuple[Records, Records]] = []

    def told(batches: list[Records], events: list[Event]) -> None:
        held.extend((batch, replace(batch, values=batch.values.packed())) for batch in batches)
        for batch in batches:
            assert batch.values.data is batch.keys.data is reader.queue._bytes
        found.add(batches, events)
        buffers.add(reader.queue._bytes.ctypes.data)

    reader.read_until(lambda: bool(found.ends), told)
    assert [row[:2] for row in found.rows["large", 0]] == [(key, value) for key, value, _ in large]
    assert len(reader.queue._bytes) >= 1_500_000
    assert len(buffers) > 1
    size = len(reader.queue._bytes)
    write(kafka, "large", {0: [(b"k", b"small", 1)]})
    found.ends.clear()
    reader.read_until(lambda: bool(found.ends), told)
    assert len(reader.queue._bytes) == size
    assert held[-1][0].values.data is reader.queue._bytes


def test_more_than_is_taken_at_a_time_comes_with_the_next_read(
    kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST", 100)
    reader = Reader(kafka.brokers)
    write(kafka, "many", {part: [(b"k", b"%d" % row, 1) for row in range(1_000)] for part in (0, 3)})
    reader.take("many", 0, 3)
    found, sizes = Found(), []

    def told(batches: list[Records], events: list[Event]) -> None:
        sizes.append(sum(map(len, batches)))
        found.add(batches, events)

    reader.read_until(lambda: len(found.ends) == 2, told)
    reader.close()
    assert max(sizes) == 100
    for part in (0, 3):
        assert [(int(value or b""), at) for _, value, _, at in found.rows["many", part]] == [
            (at, at) for at in range(1_000)
        ]


def test_an_error_is_told_with_its_reason_and_its_shard(kafka: EmbeddedKafka) -> None:
    reader = Reader(kafka.brokers, **{"auto.offset.reset": "error"})
    reader.take("one", 1, at=10**9)
    events: list[Event] = []
    reader.read_until(lambda: bool(events), lambda _, told: events.extend(told))
    reader.close()
    assert (events[0].topic, events[0].partition) == ("one", 1)
    assert events[0].error.code() == KafkaError._AUTO_OFFSET_RESET
    assert "out of range" in events[0].error.str().lower()


def test_nothing_comes_of_a_shard_that_was_given_back(kafka: EmbeddedKafka, reader: Reader) -> None:
    write(kafka, "many", {part: [(b"k", b"v", 1)] * 20_000 for part in (0, 3)})
    reader.take("many", 0, 3)
    shards: list[Shard] = []
    reader.read_until(
        lambda: len(set(shards)) == 2, lambda batches, _: shards.extend((b.topic, b.partition) for b in batches)
    )
    reader.consumer.incremental_unassign([TopicPartition("many", 0)])
    deadline = time.monotonic() + 0.5
    reader.read()
    while time.monotonic() < deadline:
        batches, _ = reader.read()
        assert {batch.partition for batch in batches} <= {3}


def used() -> int:
    """Give the bytes of memory that this process holds, after what is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def of_a_kilobyte(kafka: EmbeddedKafka) -> tuple[str, int, int]:
    """Give a topic of messages of a kilobyte: a message that isn't freed is seen in the memory."""
    write(kafka, "kilo", {part: [(b"key", bytes(1_000), 1)] * 1_000 for part in PARTITIONS})
    return "kilo", 4_000, 1_000


def read_all(reader: Reader, topic: str) -> int:
    """Read a topic from its beginning to its end, and give its shards back; gives how many records it has."""
    reader.take(topic, *PARTITIONS)
    found = []
    ends: set[int] = set()

    def told(batches: list[Records], events: list[Event]) -> None:
        found.append(sum(map(len, batches)))
        ends.update(event.partition for event in events)

    reader.read_until(lambda: len(ends) == len(PARTITIONS), told)
    reader.consumer.incremental_unassign([TopicPartition(topic, partition) for partition in PARTITIONS])
    return sum(found)


def test_memory_stays_flat_over_many_reads(reader: Reader, of_a_kilobyte: tuple[str, int, int]) -> None:
    topic, count, size = of_a_kilobyte
    for _ in range(5):
        assert read_all(reader, topic) == count
    before = used()
    for _ in range(15):
        assert read_all(reader, topic) == count
    assert used() - before < count * size * 15 / 6, "less than a sixth of what was read"


def test_memory_stays_flat_over_a_hundred_rebalances(reader: Reader) -> None:
    """Shards come and go without a record between; a hold on a queue that isn't given up keeps its shard."""

    def rebalance(times: int) -> None:
        for _ in range(times):
            reader.take("two", *PARTITIONS)
            reader.read()
            reader.consumer.incremental_unassign([TopicPartition("two", partition) for partition in PARTITIONS])
            reader.read()

    rebalance(30)
    before = used()
    rebalance(100)
    assert used() - before < 2_000_000


def test_every_hold_on_a_queue_is_given_up(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    library, held = reader.queue._library, set()
    queue_of, queue_destroy = library.queue_of, library.queue_destroy

    def taken(*arguments: Any) -> int:
        queue: int = queue_of(*arguments)
        held.add(queue)
        return queue

    def given_up(queue: int) -> None:
        held.remove(queue)
        queue_destroy(queue)

    monkeypatch.setattr(library, "queue_of", taken)
    monkeypatch.setattr(library, "queue_destroy", given_up)
    reader.take("two", *PARTITIONS)
    assert held == set()
    monkeypatch.undo()


def test_a_consumer_whose_queue_was_closed_ends_with_its_threads(kafka: EmbeddedKafka) -> None:
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    for _ in range(3):
        made = Reader(kafka.brokers)
        made.take("one", 1)
        made.read()
        made.close()
        del made
    gc.collect()
    deadline = time.monotonic() + 10
    while threads() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


LEFT = """
from tests.connectors.kafka.test_intake import PARTITIONS, EmbeddedKafka, Reader, write

kafka = EmbeddedKafka(["in"])
write(kafka, "in", {0: [(b"k", b"v", 1)] * 1_000})
reader = Reader(kafka.brokers)
reader.take("in", *PARTITIONS)
read = []
reader.read_until(lambda: bool(read), lambda batches, _: read.extend(batches))
del reader
raise SystemExit(3)
"""


def test_a_process_that_fails_without_closing_its_queue_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT], cwd=ROOT, capture_output=True, text=True, check=False, timeout=40
    )
    assert done.returncode == 3, done.stderr[-3_000:]


def test_nothing_is_read_where_nothing_is(reader: Reader) -> None:
    assert reader.read() == ([], [])
