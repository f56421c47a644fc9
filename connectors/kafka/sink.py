"""Rows into Kafka: an idempotent producer that loses nothing in silence."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, Producer

from connectors.kafka.client import KafkaFailure, open_client, settings
from connectors.kafka.librdkafka import Unavailable
from connectors.kafka.outlet import Batches, Objects, Outlet, Undelivered
from operators.binary import Binary

log = logging.getLogger("telemill.sink")

_MOST_WAITING = 200_000
"""Messages handed to librdkafka and not delivered yet."""
_MOST_BYTES = 64_000_000
"""Bytes handed over since everything was last delivered."""
_KEPT_BYTES = 100_000
"""What is kept of a dead letter that its topic doesn't take whole."""
_KEPT_OF_HEADER = 1_000
"""What is kept of each header that its record had."""
_QUEUE_FULL = KafkaError._QUEUE_FULL  # noqa: SLF001  # how confluent-kafka names librdkafka's own errors


_MOST_LINGER = 50.0
"""How long rows may linger, ms: each mark waits for them."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """A dead letter that isn't known to be delivered."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str | bytes | None]
    cut: bool = False

    def large(self) -> bool:
        """Say whether there is something to cut."""
        own = (self.key, self.value, *self.headers.values())
        return not self.cut and sum(len(part) for part in own if part) > _KEPT_BYTES


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
        self._letters: list[_Letter] = []
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
            **_linger(own),
            "delivery.report.only.error": True,
            "queue.buffering.max.messages": 2 * _MOST_WAITING,
            "queue.buffering.max.kbytes": 2_000_000,
        }
        producer = open_client(Producer, own)
        self._outlet: Outlet = Objects(producer)
        try:
            self._outlet = Batches(producer, self._on_error)
        except Unavailable as reason:
            log.warning("writing through confluent-kafka's objects, at a fraction of the speed: %s", reason)

    def write(self, topic: str, keys: Binary, values: Binary) -> None:
        """Hand rows over, in order; rows with one key stay in order.

        Raises:
            KafkaFailure: if an earlier message couldn't be delivered.
        """
        self._make_room(int(values.size.sum()))
        while len(values):
            taken, error = self._outlet.write(topic, keys, values)
            if error is not None and error.code() != _QUEUE_FULL:
                # Those behind it may be on their way; none is committed, and closing drops what waits.
                size = sum(max(int(part.size[taken]), 0) for part in (keys, values))
                message = f"a row of {size:,} bytes for topic `{topic}` wasn't taken by librdkafka: {_told(error)}"
                raise KafkaFailure(message)
            keys, values = keys.take(slice(taken, None)), values.take(slice(taken, None))
            self._poll(0 if error is None else 0.1)

    def write_letter(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, str | bytes | None]
    ) -> None:
        """Hand a dead letter over. One that its topic doesn't take whole is cut, and its headers say so.

        Headers that are bytes are its record's own, and are cut with it.

        Raises:
            KafkaFailure: if an earlier message couldn't be delivered.
        """
        self._make_room(len(value or b""))
        letter = _Letter(topic, key, value, headers)
        if not letter.large():
            self._send(letter)
            return
        # Alone: what goes together is refused together.
        self.flush()
        self._send(letter)
        self.flush()

    def flush(self) -> None:
        """Wait until everything handed over is delivered; as long as librdkafka keeps trying.

        Raises:
            KafkaFailure: if a message couldn't be delivered.
        """
        while not self.delivered():
            self._poll(0.01)

    def delivered(self) -> bool:
        """Say whether everything handed over is delivered; doesn't wait.

        Raises:
            KafkaFailure: if a message couldn't be delivered.
        """
        self._poll(0)
        if self._outlet.waiting():  # a letter that is cut is sent again
            return False
        self._bytes = 0
        self._letters.clear()
        return True

    def close(self) -> None:
        """Drop what wasn't delivered: this is for the end of a run that failed, or one that has flushed."""
        self._outlet.close()

    def _make_room(self, size: int) -> None:
        self._raise()
        self._bytes += size
        if self._bytes > _MOST_BYTES:
            self.flush()
        while self._outlet.waiting() > _MOST_WAITING:
            self._poll(0.1)

    def _send(self, letter: _Letter) -> None:
        self._letters.append(letter)
        headers = {name: own.encode() if isinstance(own, str) else own for name, own in letter.headers.items()}
        number = len(self._letters)
        while error := self._outlet.write_letter(number, letter.topic, letter.key, letter.value, headers):
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE and letter.large():
                self._cut(letter)
                return
            if error.code() != _QUEUE_FULL:
                message = f"a dead letter for topic `{letter.topic}` wasn't taken by librdkafka: {_told(error)}"
                raise KafkaFailure(message)
            self._poll(0.1)

    def _poll(self, seconds: float) -> None:
        """Serve the producer, and see to what couldn't be delivered."""
        for undelivered in self._outlet.poll(seconds):
            letter = self._letters[undelivered.letter - 1] if undelivered.letter else None
            if letter is not None and letter.large() and undelivered.error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                self._cut(letter)
            else:
                self._give_up(undelivered)
        self._raise()

    def _cut(self, letter: _Letter) -> None:
        """Send what there is room for of a letter that is too large."""
        size = len(letter.value or b"")
        log.warning("dead letter of %d bytes is too large for `%s`: cut to %d", size, letter.topic, _KEPT_BYTES)
        key, value = (None if part is None else part[:_KEPT_BYTES] for part in (letter.key, letter.value))
        headers = {
            name: own[:_KEPT_OF_HEADER] if isinstance(own, bytes) else own for name, own in letter.headers.items()
        }
        headers |= {} if value is None else {"telemill.truncated": str(size)}
        self._send(_Letter(letter.topic, key, value, headers, cut=True))

    def _give_up(self, undelivered: Undelivered) -> None:
        self.delivery_errors += 1
        what = "a dead letter" if undelivered.letter else "a row"
        self._error = f"{what} for topic `{undelivered.topic}` couldn't be delivered: {_told(undelivered.error)}"

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._error = f"the producer at {self._brokers} has failed: {' '.join(error.str().split())}"
        else:
            log.warning("%s; going on", " ".join(error.str().split()))

    def _raise(self) -> None:
        if self._error is not None:
            raise KafkaFailure(self._error)


def _told(error: KafkaError) -> str:
    """Give an error in one line, with what to do where that is known."""
    text = " ".join(error.str().split())
    if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
        return text
    return (
        f"{text}. Raise `max.message.bytes` of the topic, and `message.max.bytes` where the sink's `config` sets it; or, as "
        "messages go together and are refused together, set `batch.size` there below what the topic takes"
    )


def _linger(config: Mapping[str, object]) -> dict[str, str]:
    """Give the settings of how long rows linger, none beyond what a mark can wait for."""
    found = {}
    for name in ("linger.ms", "queue.buffering.max.ms"):
        with contextlib.suppress(KeyError, ValueError):  # what is no number librdkafka refuses
            found[name] = str(min(float(str(config[name])), _MOST_LINGER))
    return found
