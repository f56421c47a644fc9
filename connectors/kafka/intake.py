"""Records out of a consumer by librdkafka's batch call.

The Consumer stays confluent-kafka's: the group, its rebalances, positions, security and errors go through it. Only the
records don't: the queue of each partition that the group gives is forwarded to one queue of our own before it is fetched,
`rd_kafka_consume_batch_queue` takes messages from there, and a kernel copies them into one buffer and frees them. No
Python object is made of a message.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from confluent_kafka import Consumer, KafkaError

from connectors.codec.base import Records
from connectors.kafka import memory
from connectors.kafka.headers import Headers
from connectors.kafka.librdkafka import ERR, KEY, KEY_LEN, LEN, MESSAGE, OFFSET, PARTITION, PAYLOAD, TOPIC, Library
from operators.binary import Binary
from operators.kernel import kernel

MOST = 10_000
"""Messages taken at a time."""
LATEST = 253_402_300_800_000
"""The year 10000, ms since the epoch: a record that says it is from then has no time."""
# What is noted of a message: its group, the length of its value and of its key (-1: none), offset, time.
_GROUP, _VALUE_SIZE, _KEY_SIZE, _AT, _TIME, _NOTES = range(6)


@dataclass(frozen=True, slots=True)
class Event:
    """What comes in place of a record: an error, or the end of a partition."""

    topic: str
    partition: int
    offset: int
    error: KafkaError


class Queue:
    """Takes the records of partitions from a consumer.

    Records that were read stay where they are until the next read, which uses the same buffer again.
    """

    def __init__(self, consumer: Consumer, headers: Sequence[str] = ()) -> None:
        """Make the queue.

        Args:
            consumer: to read with.
            headers: the names of those that are read of each record.

        Raises:
            Unavailable: where librdkafka can't be called directly.
        """
        self._library = Library()
        self._client = self._library.handle(consumer)
        self._consumer = consumer  # librdkafka's objects live as long as it does
        self._queue: int = self._library.queue_new(self._client)
        self._messages = np.empty(MOST, np.int64)
        self._notes = np.empty((_NOTES, MOST), np.int64)
        self._groups = np.empty((2, MOST), np.int64)
        self._bytes = np.empty(1 << 20, np.uint8)
        self._names = headers
        self._headers = Headers(self._library, headers, MOST) if headers else None
        self._unpack(0)  # compiled, or loaded, ahead of the first records

    def take(self, topic: str, partition: int) -> None:
        """Let the records of a partition come here. To be called before it is assigned: its first records count too."""
        queue = self._library.queue_of(self._client, topic.encode(), partition)
        self._library.queue_forward(queue, self._queue)
        self._library.queue_destroy(queue)  # that is our hold on it, not the queue

    def read(self) -> tuple[list[Records], list[Event]]:
        """Read what is there, in batches of one partition each; and what isn't a record."""
        count = self._library.consume(self._queue, 0, self._messages.ctypes.data, MOST)
        if count <= 0:
            return [], []
        return self._unpack(count)

    def _unpack(self, count: int) -> tuple[list[Records], list[Event]]:
        """Copy the messages that were taken, and free them."""
        messages = self._messages[:count]
        groups, size = _note(messages, self._library.timestamp, np.empty(2, np.int64), self._notes, self._groups)
        more = self._headers.find(messages) if self._headers else 0
        if size + more > len(self._bytes):
            self._bytes = np.empty(2 * (size + more), np.uint8)
        events = [self._event(message) for message in messages[self._notes[_GROUP, :count] < 0].tolist()]
        names = [
            (self._library.topic_name(topic).decode(), partition)
            for topic, partition in self._groups[:, :groups].T.tolist()
        ]
        headers = self._headers.copy(count, self._bytes, size) if self._headers else None
        ends = np.zeros(groups + 1, np.int64)
        places = np.empty((4, count), np.int64)
        times = np.empty((2, count), np.int64)
        _gather(messages, self._notes, ends, self._library.destroy, self._bytes, places, times)
        if headers is not None:  # as the records: those of one group behind each other
            headers = headers.take(np.argsort(self._notes[_GROUP, :count], kind="stable")[len(events) :], axis=2)
        batches = []
        for (topic, partition), begin, end in zip(names, ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            begins, sizes, keys, key_sizes = places[:, begin:end]
            values, own = Binary(self._bytes, begins, sizes), Binary(self._bytes, keys, key_sizes)
            batch = Records(topic, partition, values, own, *times[:, begin:end])
            if headers is not None:
                found = (Binary(self._bytes, *places) for places in headers[:, :, begin:end])
                batch = replace(batch, headers=dict(zip(self._names, found, strict=True)))
            batches.append(batch)
        return batches, events

    def close(self) -> None:
        """Drop what is in the queue. To be called before the consumer is closed."""
        if self._queue:
            self._library.queue_destroy(self._queue)
        self._queue = 0

    def __del__(self) -> None:
        """Close it: a consumer that ends while its records are held elsewhere waits for them for ever."""
        if hasattr(self, "_queue"):
            self.close()

    def _event(self, message: int) -> Event:
        head = ctypes.string_at(message, MESSAGE)
        code, partition = struct.unpack_from("<i", head, ERR)[0], struct.unpack_from("<i", head, PARTITION)[0]
        topic, offset = struct.unpack_from("<Q", head, TOPIC)[0], struct.unpack_from("<q", head, OFFSET)[0]
        reason = (self._library.message_errstr(message) or b"").decode("utf-8", "replace")
        name = self._library.topic_name(topic).decode() if topic else ""
        return Event(name, partition, offset, KafkaError(code, reason))


@kernel
def _note(messages, timestamp, scratch, notes, groups):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Note what each message is; gives how many groups of one partition there are, and how many bytes."""
    count, size, group = 0, 0, 0
    for row in range(len(messages)):
        message = messages[row]
        if memory.int32(message + ERR) != 0:
            notes[_GROUP, row] = -1
            continue
        topic, partition = memory.int64(message + TOPIC), memory.int32(message + PARTITION)
        # Messages of one partition come in runs.
        if not (group < count and groups[0, group] == topic and groups[1, group] == partition):
            group = 0
            while group < count and not (groups[0, group] == topic and groups[1, group] == partition):
                group += 1
            if group == count:
                groups[0, group], groups[1, group] = topic, partition
                count += 1
        notes[_GROUP, row] = group
        value = memory.int64(message + LEN) if memory.int64(message + PAYLOAD) != 0 else -1
        key = memory.int64(message + KEY_LEN) if memory.int64(message + KEY) != 0 else -1
        notes[_VALUE_SIZE, row], notes[_KEY_SIZE, row] = value, key
        size += max(value, 0) + max(key, 0)
        notes[_AT, row] = memory.int64(message + OFFSET)
        ms = memory.call(timestamp, message, memory.address(scratch))
        kind = memory.int32(memory.address(scratch))
        notes[_TIME, row] = ms * 1_000 if kind != 0 and 0 <= ms < LATEST else -1
    return count, size


@kernel
def _gather(messages, notes, ends, destroy, data, places, times):  # type: ignore[no-untyped-def]  # compiled
    """Copy the messages into `data`, those of one group behind each other, and free them; `ends` bounds the groups."""
    for row in range(len(messages)):
        if notes[_GROUP, row] >= 0:
            ends[notes[_GROUP, row] + 1] += 1
    for group in range(1, len(ends)):
        ends[group] += ends[group - 1]
    filled = 0
    for row in range(len(messages)):
        message, group = messages[row], notes[_GROUP, row]
        if group >= 0:
            at = ends[group]
            ends[group] += 1
            for what in range(2):
                size = notes[_VALUE_SIZE + what, row]
                places[2 * what, at], places[2 * what + 1, at] = filled, size
                if size > 0:
                    memory.copy(memory.int64(message + (PAYLOAD if what == 0 else KEY)), size, data, filled)
                    filled += size
            times[0, at], times[1, at] = notes[_TIME, row], notes[_AT, row]
        memory.call(destroy, message, 0)
    for group in range(len(ends) - 1, 0, -1):
        ends[group] = ends[group - 1]
    ends[0] = 0
