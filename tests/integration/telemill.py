"""What the tests on a real Kafka do over and over: put records into topics, run telemill beside, read topics."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0


class Message(NamedTuple):
    """A message as it stands in a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]


class Process:
    """A telemill that runs beside the test; what it says goes to a file. The fixture `_no_process_left` ends it."""

    running: ClassVar[list[Process]] = []

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env={**os.environ, **environ}, stdout=out, stderr=out
            )
        self.running.append(self)

    def log(self) -> str:
        """Give what it has said so far."""
        return self._log.read_text(errors="replace")

    def wait(self, seconds: float = _PATIENCE) -> int:
        """Wait for its end; gives the exit code."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            message = f"still running after {seconds:.0f} s:\n{self.log()}"
            raise AssertionError(message) from None

    def terminate(self) -> None:
        """Ask it to end, as an orchestrator does."""
        self.popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.popen.kill()
        self.popen.wait()

    def wait_for(self, text: str, seconds: float = _PATIENCE) -> None:
        """Wait until it has said something."""
        deadline = time.monotonic() + seconds
        while text not in self.log():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                message = f"no `{text}` in:\n{self.log()}"
                raise AssertionError(message)
            time.sleep(0.02)


def produce(servers: str, topic: str, records: Iterable[tuple[bytes | None, bytes | None]], **config: str) -> None:
    """Put records (key, value) into a topic, and wait until they are there."""
    producer: Any = Producer({"bootstrap.servers": servers, "linger.ms": 5, "log_level": 0, **config})
    for key, value in records:
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(30) == 0


def read(servers: str, topic: str) -> list[Message]:
    """Read a topic from its beginning to where it ends now; in order of partition and offset."""
    settings = {"bootstrap.servers": servers, "group.id": "reading-tests", "log_level": 0, "enable.auto.commit": False}
    consumer: Any = Consumer(settings)
    try:
        parts = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
        ends = {part: _bounds(consumer, TopicPartition(topic, part)) for part in parts}
        waiting = {part for part, (low, high) in ends.items() if high > low}
        consumer.assign([TopicPartition(topic, part, ends[part][0]) for part in waiting])
        found = []
        deadline = time.monotonic() + _PATIENCE
        while waiting and time.monotonic() < deadline:
            for message in consumer.consume(10_000, 0.2):
                assert message.error() is None, message.error()
                headers = {
                    name: (value or b"").decode(errors="backslashreplace") for name, value in message.headers() or ()
                }
                found.append(Message(message.partition(), message.offset(), message.key(), message.value(), headers))
                if message.offset() + 1 >= ends[message.partition()][1]:
                    waiting.discard(message.partition())
        assert not waiting
        return sorted(found, key=lambda message: message[:2])
    finally:
        consumer.close()


def _bounds(consumer: Any, partition: TopicPartition) -> tuple[int, int]:
    """Ask for a partition's bounds; a new topic may not have found its leader yet."""
    for _ in range(100):
        try:
            low, high = consumer.get_watermark_offsets(partition, timeout=10)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise
            time.sleep(0.1)
        else:
            return low, high
    message = f"{partition} has no leader"
    raise AssertionError(message)


def committed(servers: str, group: str, topic: str, partitions: int = 4) -> int:
    """Add up the positions that a group has committed."""
    consumer: Any = Consumer({"bootstrap.servers": servers, "group.id": group, "log_level": 0})
    try:
        found = consumer.committed([TopicPartition(topic, part) for part in range(partitions)], timeout=10)
        return sum(max(0, part.offset) for part in found)
    finally:
        consumer.close()


def wait_until(condition: Any, what: str, seconds: float = _PATIENCE) -> None:
    """Wait until a condition holds; if it doesn't, show what each telemill has said."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            logs = "".join(f"\n--- process {process.popen.pid}\n{process.log()}" for process in Process.running)
            message = f"{what}: not within {seconds:.0f} s{logs}"
            raise AssertionError(message)
        time.sleep(0.1)
