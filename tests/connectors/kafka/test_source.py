"""Records out of Kafka, on the Kafka inside this process; what a real one does to it stands in tests/integration."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.codec.base import Records
from connectors.kafka.client import settings
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.sink import KafkaSink
from connectors.kafka.source import KafkaSource, Shard
from operators.binary import Binary

pytestmark = pytest.mark.timeout(60)


class Member:
    """A member of the group, with all that it was told and has read."""

    def __init__(self, brokers: str, **config: str) -> None:
        self.assigned: dict[Shard, int] = {}
        self.resumed = False
        self.ends: dict[Shard, int] = {}
        self.read: dict[Shard, list[Records]] = defaultdict(list)
        own = {name.replace("_", "."): value for name, value in config.items()}
        self.source = KafkaSource(["in"], brokers, own, "mill", "mill-0", "earliest", self._on_assign, self._on_revoke)
        self.source.stop_at_end()
        self.source.subscribe()

    def _on_assign(self, starts: Mapping[Shard, int], resumed: bool) -> None:
        self.assigned |= starts
        self.resumed |= resumed

    def _on_revoke(self, shards: Iterable[Shard], lost: bool) -> None:
        assert not lost
        self.ends |= {shard: self.source.positions[shard] for shard in shards}

    def read_to_the_end(self) -> None:
        deadline = time.monotonic() + 30
        while not (self.source.finished() and self.assigned):
            assert time.monotonic() < deadline
            for batch in self.source.read():
                kept = replace(batch, values=batch.values.packed(), keys=batch.keys.packed())
                self.read[batch.topic, batch.partition].append(kept)


def test_a_group_reads_to_the_end_and_commits_where_it_is() -> None:
    with EmbeddedKafka(["in"]) as kafka:
        sink = KafkaSink(kafka.brokers, {})
        keys = [f"k{row % 40}".encode() for row in range(1_000)]
        sink.write("in", Binary.of(keys), Binary.of(f"v{row}".encode() for row in range(1_000)))
        sink.flush()

        first = Member(kafka.brokers)
        first.read_to_the_end()
        assert set(first.assigned.values()) == {0}
        assert not first.resumed
        found = []
        for (topic, partition), batches in first.read.items():
            offsets = [offset for batch in batches for offset in batch.offset.tolist()]
            assert offsets == list(range(len(offsets)))
            assert first.source.positions[topic, partition] == len(offsets)
            for batch in batches:
                assert (batch.topic, batch.partition) == (topic, partition)
                assert (abs(batch.timestamp / 1e6 - time.time()) < 60).all(), "us since the epoch"
                found += list(zip(batch.keys.to_list(), batch.values.to_list(), strict=True))
        assert sorted(found) == sorted((key, f"v{row}".encode()) for row, key in enumerate(keys))
        ends = dict(first.source.positions)
        first.source.commit(ends, wait=True)
        first.source.close()
        sink.close()

        asking: Any = Consumer(settings(kafka.brokers, {}, group_id="mill"))
        committed = asking.committed([TopicPartition(*shard) for shard in first.assigned], timeout=10)
        assert {(part.topic, part.partition): part.offset for part in committed} == ends
        asking.close()


def test_a_shard_that_begins_anew_is_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Librdkafka ends the reading of a shard in the background, and may take its queue away when it is given anew."""
    with EmbeddedKafka(["in"]) as kafka:
        sink = KafkaSink(kafka.brokers, {})
        sink.write("in", Binary.of([b"key"] * 1_000), Binary.of([b"v"] * 1_000))
        sink.flush()
        sink.close()
        member = Member(kafka.brokers, fetch_wait_max_ms="10")
        member.read_to_the_end()
        ((shard, end),) = ((shard, end) for shard, end in member.source.positions.items() if end)
        member.source._ends = None
        queue: Any = member.source._queue
        taken: list[Shard] = []
        take = queue.take

        def noted(topic: str, partition: int) -> None:
            taken.append((topic, partition))
            take(topic, partition)

        monkeypatch.setattr(queue, "take", noted)
        for turn in range(20):
            taken.clear()
            member.source._skip_deleted(shard)
            assert member.source.positions[shard] == 0
            member.source.read()
            assert taken == [shard] * 2, turn
            deadline = time.monotonic() + 5
            while member.source.positions[shard] < end:
                assert time.monotonic() < deadline
                if not member.source.read():
                    time.sleep(0.001)
        taken.clear()
        member.source.read()
        assert not taken, "something has come"
        member.source.close()


_METADATA = 3
"""The key of Kafka's request for metadata."""


def _frames(sender: socket.socket) -> Iterator[bytes]:
    stream = sender.makefile("rb")
    while len(size := stream.read(4)) == 4:
        yield size + stream.read(*struct.unpack(">i", size))


@contextmanager
def losing_metadata(broker: str, lost: int) -> Iterator[str]:
    """Stand before a broker and pass everything on but its first answers about metadata; gives where to connect."""
    host, port = broker.rsplit(":", 1)
    listener = socket.create_server(("127.0.0.1", 0))

    def ask(client: socket.socket, server: socket.socket, dropped: set[bytes]) -> None:
        with suppress(OSError), client:
            for frame in _frames(client):
                if struct.unpack_from(">h", frame, 4) == (_METADATA,) and len(dropped) < lost:
                    dropped.add(frame[8:12])
                server.sendall(frame)
            server.shutdown(socket.SHUT_RDWR)

    def answer(client: socket.socket, server: socket.socket, dropped: set[bytes]) -> None:
        with suppress(OSError), server:
            for frame in _frames(server):
                if frame[4:8] not in dropped:
                    client.sendall(frame)
            client.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                both = client, socket.create_connection((host, int(port))), set[bytes]()
                for side in (ask, answer):
                    threading.Thread(target=side, args=both, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_member_whose_request_for_metadata_is_lost_joins_with_the_next() -> None:
    """Librdkafka loses it with the connection it began with, where it learns of the broker from elsewhere meanwhile."""
    # It asks once when it has connected, and once to join.
    with EmbeddedKafka(["in"]) as kafka, losing_metadata(kafka.brokers, 2) as brokers:
        assigned: dict[Shard, int] = {}
        source = KafkaSource(
            ["in"],
            brokers,
            {},
            "mill",
            "mill-0",
            "earliest",
            lambda starts, _: assigned.update(starts),
            lambda *_: None,
        )
        source.subscribe()
        deadline = time.monotonic() + 30
        while not assigned:
            assert time.monotonic() < deadline
            source.read()
            time.sleep(0.01)
        source.close()


CLOSED_WHILE_JOINING = """
import sys, time
from connectors.kafka.source import KafkaSource
source = KafkaSource(["in"], sys.argv[1], {}, "mill", "mill-0", "earliest", lambda *_: None, lambda *_: None)
source.subscribe()
time.sleep(4)  # Kafka inside this process gives shards after 3 s; nobody asks for them
source.close()
"""


def test_a_source_is_closed_though_shards_wait_for_it() -> None:
    """In a process of its own: librdkafka would keep the whole interpreter waiting."""
    with EmbeddedKafka(["in"]) as kafka:
        done = subprocess.run([sys.executable, "-c", CLOSED_WHILE_JOINING, kafka.brokers], check=False, timeout=30)
        assert done.returncode == 0
