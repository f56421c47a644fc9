"""What a topic refuses for its size: a broker refuses all that goes together, and the sink has to see to that."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from connectors.kafka.client import KafkaFailure
from connectors.kafka.sink import KafkaSink
from operators.binary import Binary
from tests.integration.kafka.broker import Broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import read

LIMIT = 120_000
"""Of the topic: a letter that is cut is less, and two are more."""
NOISE = random.Random(1)
"""Makes what compression doesn't make small."""


@pytest.fixture
def topic(topics: Topics) -> str:
    return topics("small", partitions=1, config={"max.message.bytes": str(LIMIT)})["small"]


def deliver(sink: KafkaSink, topic: str, keys: Binary, values: Binary) -> None:
    sink.write(topic, keys, values)
    sink.flush()


def test_letters_that_are_too_large_take_neither_rows_nor_letters_with_them(kafka: Broker, topic: str) -> None:
    large = [NOISE.randbytes(300_000) for _ in range(4)]
    sent: list[tuple[bytes | None, bytes | None]] = []
    with closing(KafkaSink(kafka.servers, {"linger.ms": "50"})) as sink:  # time to go together
        for number, value in enumerate(large):
            row, letter = (b"device", b"row %d" % number), (b"key", b"letter %d" % number)
            sink.write(topic, Binary.of(row[:1]), Binary.of(row[1:]))
            sink.write_letter(topic, *letter, {"telemill.reason": "small"})
            sink.write_letter(topic, b"key", value, {"telemill.reason": "large"})
            sent += [row, letter, (b"key", value[:100_000])]
        deliver(sink, topic, Binary.of([b"device"]), Binary.of([b"last"]))
        assert sink.delivery_errors == 0
    found = read(kafka.servers, topic)
    assert [(message.key, message.value) for message in found] == [*sent, (b"device", b"last")], "once each, in order"
    cut = [message for message in found if "telemill.truncated" in message.headers]
    assert [message.value for message in cut] == [value[:100_000] for value in large]
    assert {message.headers["telemill.truncated"] for message in cut} == {"300000"}


def test_a_large_letter_that_its_topic_takes_is_left_whole(kafka: Broker, topic: str) -> None:
    value = NOISE.randbytes(110_000)
    with closing(KafkaSink(kafka.servers, {})) as sink:
        sink.write_letter(topic, b"key", value, {"telemill.reason": "large"})
        sink.flush()
    (letter,) = read(kafka.servers, topic)
    assert letter.value == value
    assert letter.headers == {"telemill.reason": "large"}


def test_small_rows_that_are_refused_together_end_the_run_and_it_is_said_what_to_set(kafka: Broker, topic: str) -> None:
    keys = Binary.of([b"device"] * 500)
    values = Binary.of(b"%d " % row + NOISE.randbytes(500).hex().encode() for row in range(500))
    expected = f"a row for topic `{topic}` couldn't be delivered: .* set `batch.size`"
    with closing(KafkaSink(kafka.servers, {})) as sink:
        with pytest.raises(KafkaFailure, match=expected):
            deliver(sink, topic, keys, values)
        assert sink.delivery_errors > 1
    with closing(KafkaSink(kafka.servers, {"batch.size": str(LIMIT // 2)})) as sink:
        deliver(sink, topic, keys, values)
    numbers = [int((message.value or b"").split()[0]) for message in read(kafka.servers, topic)]
    assert numbers[-500:] == list(range(500))
