"""Records through librdkafka's own batch call, past confluent-kafka's objects.

The Consumer stays confluent-kafka's: the group, its rebalances, positions, security and errors go through it. Only the
records don't: the queue of each partition that the group gives is forwarded to one queue of our own before it is fetched,
`rd_kafka_consume_batch_queue` takes messages from there, and a kernel copies them into one buffer and frees them. That
costs a tenth of a Python object a message.

The library is the one that confluent-kafka itself has loaded, found through its extension module, and the handle is the
`rd_kafka_t *` that stands behind the object's head. Both are looked at before anything is done with them; where they
aren't what they should be, `Unavailable` says why and the plain API serves. Of `rd_kafka_message_t` what stands in
librdkafka's header is read, which is the same on every 64-bit machine since version 0.9.
"""

from __future__ import annotations

import contextlib
import ctypes
import struct
import sys
from ctypes import c_char_p, c_int, c_int32, c_size_t, c_ssize_t, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Consumer, KafkaError, cimpl

from connectors.codec.base import Records
from connectors.kafka import memory
from operators.binary import Binary
from operators.kernel import kernel

MOST = 10_000
"""Messages taken at a time."""
LATEST = 253_402_300_800_000
"""The year 10000, ms since the epoch: a record that says it is from then has no time."""
# Of rd_kafka_message_t, where each member stands.
_ERR, _TOPIC, _PARTITION, _PAYLOAD, _LEN, _KEY, _KEY_LEN, _OFFSET = 0, 8, 16, 24, 32, 40, 48, 56
# What is noted of a message: its group, the length of its value and of its key (-1: none), offset, time.
_GROUP, _VALUE_SIZE, _KEY_SIZE, _AT, _TIME, _NOTES = range(6)


class Unavailable(Exception):  # noqa: N818  # it is no error: the plain API serves
    """Why librdkafka can't be called directly."""


@dataclass(frozen=True, slots=True)
class Event:
    """What comes in place of a record: an error, or the end of a partition."""

    topic: str
    partition: int
    offset: int
    error: KafkaError


class Library:
    """The functions of librdkafka that are called."""

    def __init__(self) -> None:
        """Find the library that confluent-kafka has loaded.

        Raises:
            Unavailable: where it can't be found, or this isn't a machine whose structs are known.
        """
        if sys.implementation.name != "cpython" or ctypes.sizeof(c_void_p) != 8 or sys.byteorder != "little":
            message = f"{sys.implementation.name} on a machine of {8 * ctypes.sizeof(c_void_p)} bits isn't known to it"
            raise Unavailable(message)
        try:
            # Looking a name up in a module finds it in the libraries too that the module has loaded.
            library = ctypes.CDLL(str(cimpl.__file__))
            self.name = _function(library, "rd_kafka_name", c_char_p, c_void_p)
            self.queue_new = _function(library, "rd_kafka_queue_new", c_void_p, c_void_p)
            self.queue_of = _function(library, "rd_kafka_queue_get_partition", c_void_p, c_void_p, c_char_p, c_int32)
            self.queue_forward = _function(library, "rd_kafka_queue_forward", None, c_void_p, c_void_p)
            self.queue_destroy = _function(library, "rd_kafka_queue_destroy", None, c_void_p)
            self.consume = _function(
                library, "rd_kafka_consume_batch_queue", c_ssize_t, c_void_p, c_int, c_void_p, c_size_t
            )
            self.topic_name = _function(library, "rd_kafka_topic_name", c_char_p, c_void_p)
            self.message_errstr = _function(library, "rd_kafka_message_errstr", c_char_p, c_void_p)
            self.destroy = _address(library, "rd_kafka_message_destroy")
            self.timestamp = _address(library, "rd_kafka_message_timestamp")
        except (OSError, AttributeError) as error:
            message = f"{error}"
            raise Unavailable(message) from None

    def handle(self, client: Any) -> int:
        """Give the `rd_kafka_t *` of one of confluent-kafka's clients.

        Raises:
            Unavailable: where it isn't where it should be.
        """
        handle = c_void_p.from_address(id(client) + object.__basicsize__).value or 0
        kind = "consumer" if isinstance(client, Consumer) else "producer"
        if handle % 8 or not _is_mapped(handle) or f"#{kind}-".encode() not in (self.name(handle) or b""):
            message = "confluent-kafka keeps its handle elsewhere"
            raise Unavailable(message)
        return handle


class Queue:
    """Takes the records of partitions from a consumer.

    Records that were read stay where they are until the next read, which uses the same buffer again.
    """

    def __init__(self, consumer: Consumer) -> None:
        """Make the queue.

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
        messages = self._messages[:count]
        groups, size = _note(messages, self._library.timestamp, np.empty(2, np.int64), self._notes, self._groups)
        if size > len(self._bytes):
            self._bytes = np.empty(2 * size, np.uint8)
        events = [self._event(message) for message in messages[self._notes[_GROUP, :count] < 0].tolist()]
        names = [
            (self._library.topic_name(topic).decode(), partition)
            for topic, partition in self._groups[:, :groups].T.tolist()
        ]
        ends = np.zeros(groups + 1, np.int64)
        places = np.empty((4, count), np.int64)
        times = np.empty((2, count), np.int64)
        _gather(messages, self._notes, ends, self._library.destroy, self._bytes, places, times)
        batches = []
        for (topic, partition), begin, end in zip(names, ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            begins, sizes, keys, key_sizes = places[:, begin:end]
            values, own = Binary(self._bytes, begins, sizes), Binary(self._bytes, keys, key_sizes)
            batches.append(Records(topic, partition, values, own, *times[:, begin:end]))
        return batches, events

    def close(self) -> None:
        """Drop what is in the queue. To be called before the consumer is closed."""
        self._library.queue_destroy(self._queue)

    def _event(self, message: int) -> Event:
        head = ctypes.string_at(message, 64)
        code, partition = struct.unpack_from("<i", head, _ERR)[0], struct.unpack_from("<i", head, _PARTITION)[0]
        topic, offset = struct.unpack_from("<Q", head, _TOPIC)[0], struct.unpack_from("<q", head, _OFFSET)[0]
        reason = (self._library.message_errstr(message) or b"").decode("utf-8", "replace")
        name = self._library.topic_name(topic).decode() if topic else ""
        return Event(name, partition, offset, KafkaError(code, reason))


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


def _address(library: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), c_void_p).value or 0


def _is_mapped(address: int) -> bool:
    """Say whether memory that can be written stands at an address; where that can't be told, whether there may be some."""
    if not address:
        return False
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if begin <= address < end:
                return "w" in rights
        return False
    return True


@kernel
def _note(messages, timestamp, scratch, notes, groups):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Note what each message is; gives how many groups of one partition there are, and how many bytes."""
    count, size, group = 0, 0, 0
    for row in range(len(messages)):
        message = messages[row]
        if memory.int32(message + _ERR) != 0:
            notes[_GROUP, row] = -1
            continue
        topic, partition = memory.int64(message + _TOPIC), memory.int32(message + _PARTITION)
        # Messages of one partition come in runs.
        if not (group < count and groups[0, group] == topic and groups[1, group] == partition):
            group = 0
            while group < count and not (groups[0, group] == topic and groups[1, group] == partition):
                group += 1
            if group == count:
                groups[0, group], groups[1, group] = topic, partition
                count += 1
        notes[_GROUP, row] = group
        value = memory.int64(message + _LEN) if memory.int64(message + _PAYLOAD) != 0 else -1
        key = memory.int64(message + _KEY_LEN) if memory.int64(message + _KEY) != 0 else -1
        notes[_VALUE_SIZE, row], notes[_KEY_SIZE, row] = value, key
        size += max(value, 0) + max(key, 0)
        notes[_AT, row] = memory.int64(message + _OFFSET)
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
                    memory.copy(memory.int64(message + (_PAYLOAD if what == 0 else _KEY)), size, data, filled)
                    filled += size
            times[0, at], times[1, at] = notes[_TIME, row], notes[_AT, row]
        memory.call(destroy, message, 0)
    for group in range(len(ends) - 1, 0, -1):
        ends[group] = ends[group - 1]
    ends[0] = 0
