"""Rows into Kafka: an idempotent producer that loses nothing in silence."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from connectors.kafka.client import KafkaFailure, open_client, settings
from operators.binary import Binary

log = logging.getLogger("telemill.sink")

_MOST_WAITING = 200_000
"""Messages handed to librdkafka and not delivered yet."""
_MOST_BYTES = 64_000_000
"""Bytes handed over since everything was last delivered."""
_KEPT_BYTES = 100_000
"""What is kept of a dead letter that its topic doesn't take whole."""


class KafkaSink:
    """Writes to the topics of one Kafka.

    Attributes:
        delivery_errors: messages that weren't delivered although librdkafka had tried for as long as it is set to.
    """

    def __init__(self, brokers: str, config: Mapping[str, str]) -> None:
        """Make the producer."""
        self._brokers = brokers
        self.delivery_errors = 0
        self._error: str | None = None
        self._bytes = 0
        own = settings(
            brokers,
            {
                "linger.ms": "5",
                "compression.type": "lz4",
                # The partition that Java's clients would choose, so that other readers find a key where they look.
                "partitioner": "murmur2_random",
                # The broker says what is too large for it; librdkafka's own limit would only come before.
                "message.max.bytes": "100000000",
                **config,
            },
            enable_idempotence=True,
            error_cb=self._on_error,
        )
        own |= {
            "delivery.report.only.error": True,
            "queue.buffering.max.messages": 2 * _MOST_WAITING,
            "queue.buffering.max.kbytes": 2_000_000,
        }
        self._producer: Any = open_client(Producer, own)

    def write(self, topic: str, keys: Binary, values: Binary) -> None:
        """Hand rows over, in order; rows with one key stay in order.

        Raises:
            KafkaFailure: if an earlier message couldn't be delivered.
        """
        self._make_room(int(values.size.sum()))
        messages: list[dict[str, Any]] = [
            {"key": key, "value": value} for key, value in zip(keys.values(), values.values(), strict=True)
        ]
        queued = self._producer.produce_batch(topic, messages, on_delivery=self._delivered)
        if queued < len(messages):
            failed = next(message["_error"] for message in messages if "_error" in message)
            message = f"a row for topic `{topic}` wasn't taken by librdkafka: {failed!s}"
            raise KafkaFailure(message)
        self._producer.poll(0)

    def write_letter(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, str], *, cut: bool = False
    ) -> None:
        """Hand a dead letter over. One that its topic doesn't take whole is cut, and its headers say so."""
        if cut and value is not None:
            headers = {**headers, "telemill.truncated": str(len(value))}
            value, key = value[:_KEPT_BYTES], None if key is None else key[:_KEPT_BYTES]

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE and not cut:
                log.warning(
                    "dead letter of %d bytes is too large for `%s`: cut to %d", len(value or b""), topic, _KEPT_BYTES
                )
                self.write_letter(topic, key, value, headers, cut=True)
                return
            self._delivered(error, message)

        if not cut:  # a cut one is written from inside a flush
            self._make_room(len(value or b""))
        encoded = [(name, text.encode()) for name, text in headers.items()]
        self._producer.produce(topic, value, key, headers=encoded, on_delivery=delivered)

    def flush(self) -> None:
        """Wait until everything handed over is delivered; as long as librdkafka keeps trying.

        Raises:
            KafkaFailure: if a message couldn't be delivered.
        """
        while self._producer.flush(1.0):
            self._raise()
        self._bytes = 0
        self._raise()

    def close(self) -> None:
        """Drop what wasn't delivered: this is for the end of a run that failed, or one that has flushed."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _make_room(self, size: int) -> None:
        self._raise()
        self._bytes += size
        if self._bytes > _MOST_BYTES:
            self.flush()
        while len(self._producer) > _MOST_WAITING:
            self._producer.poll(0.1)
            self._raise()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.delivery_errors += 1
            self._error = f"a row for topic `{message.topic()}` couldn't be delivered: {' '.join(error.str().split())}"

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._error = f"the producer at {self._brokers} has failed: {' '.join(error.str().split())}"
        else:
            log.warning("%s; going on", " ".join(error.str().split()))

    def _raise(self) -> None:
        if self._error is not None:
            raise KafkaFailure(self._error)
