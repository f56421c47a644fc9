"""Rows into a producer: by librdkafka's batch call, or by confluent-kafka's objects where that can't be had.

Both ways take rows in order, keep the rows of one key in order, and tell what couldn't be delivered. Which way it is, a
sink doesn't see.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message

from connectors.kafka import memory
from connectors.kafka.librdkafka import ERR, KEY, KEY_LEN, LEN, MESSAGE, PAYLOAD, PRIVATE, TOPIC, Library
from operators.binary import Binary
from operators.kernel import kernel

_ANY_PARTITION, _COPY = -1, 2
"""Of rd_kafka_produce_batch: the partitioner chooses, and the bytes are copied."""
_DELIVERY, _ERROR = 0x1, 0x8
"""Types of librdkafka's events."""
_TOPIC, _VALUE, _KEY, _OPAQUE, _FLAGS, _HEADER = 1, 4, 5, 6, 7, 9
"""Types of what rd_kafka_produceva is given."""


class Undelivered(NamedTuple):
    """A message that wasn't delivered.

    Attributes:
        topic: it was for.
        error: why.
        letter: the number that it was given; 0 for a row.
    """

    topic: str
    error: KafkaError
    letter: int


class Outlet(Protocol):
    """A way into a producer."""

    def write(self, topic: str, keys: Binary, values: Binary) -> tuple[int, KafkaError | None]:
        """Hand rows over, in order: how many were taken, up to the first that wasn't; and why not that, if not.

        Where the queue is full none behind it was taken either; where that row is too large they may have been.
        """
        ...

    def write_letter(
        self, letter: int, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes | None]
    ) -> KafkaError | None:
        """Hand over one message with headers, under a number; gives why not, if not."""
        ...

    def poll(self, seconds: float) -> list[Undelivered]:
        """Serve the producer, for so long at most; gives what couldn't be delivered."""
        ...

    def waiting(self) -> int:
        """Count the messages that aren't delivered yet."""
        ...

    def close(self) -> None:
        """Drop what isn't delivered."""
        ...


class Objects:
    """By confluent-kafka's own calls."""

    def __init__(self, producer: Any) -> None:  # a Producer; it has no types
        """Use a producer."""
        self._producer = producer
        self._undelivered: list[Undelivered] = []

    def write(self, topic: str, keys: Binary, values: Binary) -> tuple[int, KafkaError | None]:
        """Hand rows over."""
        messages: list[dict[str, Any]] = [
            {"key": key, "value": value} for key, value in zip(keys.to_list(), values.to_list(), strict=True)
        ]
        taken = self._producer.produce_batch(topic, messages, on_delivery=partial(self._delivered, 0))
        if taken == len(messages):
            return taken, None
        first = next(at for at, message in enumerate(messages) if "_error" in message)
        return first, messages[first]["_error"]

    def write_letter(
        self, letter: int, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes | None]
    ) -> KafkaError | None:
        """Hand one message over."""
        try:
            self._producer.produce(
                topic, value, key, headers=list(headers.items()), on_delivery=partial(self._delivered, letter)
            )
        except BufferError:
            return KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001  # how confluent-kafka names librdkafka's own errors
        except KafkaException as error:
            return error.args[0]  # type: ignore[no-any-return]  # always a KafkaError
        return None

    def poll(self, seconds: float) -> list[Undelivered]:
        """Serve the producer."""
        self._producer.poll(seconds)
        found, self._undelivered = self._undelivered, []
        return found

    def waiting(self) -> int:
        """Count the messages that aren't delivered yet."""
        return len(self._producer)

    def close(self) -> None:
        """Drop what isn't delivered."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _delivered(self, letter: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._undelivered.append(Undelivered(str(message.topic()), error, letter))


class Batches:
    """By librdkafka's batch call.

    The producer's queue is served here alone, as events: confluent-kafka's callbacks may only be called from its own `poll`.

    Raises:
        Unavailable: where librdkafka can't be called directly.
    """

    def __init__(self, producer: Any, on_error: Callable[[KafkaError], None]) -> None:
        """Use a producer; `on_error` is told the errors that are of no message."""
        self._library = Library()
        self._client = self._library.handle(producer)
        self._producer = producer  # librdkafka's objects live as long as it does
        self._queue = self._library.main_queue(self._client)
        self._on_error = on_error
        self._failed = np.empty((3, 1_000), np.int64)
        # Compiled, or loaded, ahead of the first rows.
        none = Binary.missing(0)
        _fill(none.data, none.begin, none.size, none.data, none.begin, none.size, np.zeros((0, MESSAGE // 8), np.int64))
        _failed(0, 0, np.empty((3, 0), np.int64))
        self._topics: dict[str, int] = {}
        # Tokens are renewed by librdkafka's own thread; it says no where there are none to renew.
        self._library.error_destroy(self._library.sasl_in_background(self._client))

    def write(self, topic: str, keys: Binary, values: Binary) -> tuple[int, KafkaError | None]:
        """Hand rows over."""
        if topic not in self._topics:
            self._topics[topic] = self._library.topic_new(self._client, topic.encode(), None)
        count = len(values)
        messages = np.zeros((count, MESSAGE // 8), np.int64)
        _fill(keys.data, keys.begin, keys.size, values.data, values.begin, values.size, messages)
        taken = self._library.produce(self._topics[topic], _ANY_PARTITION, _COPY, messages.ctypes.data, count)
        if taken == count:
            return count, None
        errors = messages[:, ERR].astype(np.int32)
        first = int(np.flatnonzero(errors)[0])
        return first, KafkaError(int(errors[first]))

    def write_letter(
        self, letter: int, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes | None]
    ) -> KafkaError | None:
        """Hand one message over."""
        name = topic.encode()
        headed = [(header.encode(), data) for header, data in headers.items()]
        given = [_Given(_TOPIC, _place(name)), _Given(_OPAQUE, letter), _Given(_FLAGS, _COPY)]
        given += [
            _Given(kind, _place(data), len(data)) for kind, data in ((_KEY, key), (_VALUE, value)) if data is not None
        ]
        given += [
            _Given(_HEADER, _place(header), *((_place(data), len(data)) if data is not None else ()))
            for header, data in headed
        ]
        error = self._library.produce_one(self._client, (_Given * len(given))(*given), len(given))
        if not error:
            return None
        code = self._library.error_code(error)
        self._library.error_destroy(error)
        return KafkaError(code)

    def poll(self, seconds: float) -> list[Undelivered]:
        """Serve the producer."""
        found = []
        until = time.monotonic() + seconds
        event = self._library.queue_poll(self._queue, int(seconds * 1_000))
        while event:
            found += self._served(event)
            self._library.event_destroy(event)
            event = self._library.queue_poll(self._queue, 0) if time.monotonic() < until or seconds == 0 else None
        return found

    def waiting(self) -> int:
        """Count the messages that aren't delivered yet."""
        return int(self._library.waiting(self._client))

    def close(self) -> None:
        """Drop what isn't delivered."""
        self._producer.purge()
        until = time.monotonic() + 1
        while self.waiting() and time.monotonic() < until:
            self.poll(0.1)
        for topic in self._topics.values():
            self._library.topic_destroy(topic)
        self._topics.clear()
        self._library.queue_destroy(self._queue)

    def _served(self, event: int) -> list[Undelivered]:
        kind = self._library.event_type(event)
        if kind == _ERROR:
            text = (self._library.event_text(event) or b"").decode("utf-8", "replace")
            self._on_error(KafkaError(self._library.event_error(event), text, bool(self._library.event_fatal(event))))
        if kind != _DELIVERY:
            return []
        found: list[Undelivered] = []
        failed = self._failed
        count = failed.shape[1]
        while count == failed.shape[1]:
            count = _failed(event, self._library.event_message, failed)
            for code, topic, letter in failed[:, :count].T.tolist():
                found.append(Undelivered(self._library.topic_name(topic).decode(), KafkaError(code), letter))
        return found


class _Given(ctypes.Structure):
    """rd_kafka_vu_t: one thing that rd_kafka_produceva is given: a number, or bytes and their length, or a header."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("first", ctypes.c_void_p),
        ("second", ctypes.c_void_p),
        ("third", ctypes.c_ssize_t),
        ("rest", ctypes.c_char * 40),
    )


def _place(data: bytes) -> int:
    """Give the address of bytes, which have to be kept as long as it is used."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


@kernel
def _failed(event, following, failed):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the messages of an event that weren't delivered: code, topic, number; gives how many, at most what has room."""
    count = 0
    while count < failed.shape[1]:
        message = memory.call(following, event, 0)
        if message == 0:
            break
        code = memory.int32(message + ERR)
        if code != 0:
            failed[0, count], failed[1, count] = code, memory.int64(message + TOPIC)
            failed[2, count] = memory.int64(message + PRIVATE)
            count += 1
    return count


@kernel
def _fill(keys, key_begin, key_size, values, value_begin, value_size, messages):  # type: ignore[no-untyped-def]  # compiled
    """Say where the key and the value of each message stand."""
    for row in range(len(messages)):
        if value_size[row] >= 0:
            messages[row, PAYLOAD // 8] = memory.address(values) + value_begin[row]
            messages[row, LEN // 8] = value_size[row]
        if key_size[row] >= 0:
            messages[row, KEY // 8] = memory.address(keys) + key_begin[row]
            messages[row, KEY_LEN // 8] = key_size[row]
