"""Tests of the two ways into a producer: they do the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from connectors.kafka.client import settings
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.outlet import Batches, Objects, Outlet, Undelivered
from operators.binary import Binary
from tests.connectors.kafka.reading import messages

pytestmark = pytest.mark.timeout(60)


def batches(producer: Any) -> Outlet:
    return Batches(producer, lambda _: None)


WAYS = pytest.mark.parametrize("way", [Objects, batches], ids=["objects", "batches"])
Way = Callable[[Any], Outlet]


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(["objects", "batches", "full-objects", "full-batches"]) as running:
        yield running


def drain(outlet: Outlet) -> list[Undelivered]:
    found = []
    deadline = time.monotonic() + 30
    while outlet.waiting():
        assert time.monotonic() < deadline
        found += outlet.poll(0.05)
    return [*found, *outlet.poll(0)]


@WAYS
def test_rows_and_letters_are_delivered(way: Way, kafka: EmbeddedKafka) -> None:
    topic = "objects" if way is Objects else "batches"
    outlet = way(Producer(settings(kafka.brokers, {})))
    rows = [(b"k%d" % (number % 7), b"v%d" % number) for number in range(2_000)]
    taken = outlet.write(topic, Binary.of([key for key, _ in rows]), Binary.of([value for _, value in rows]))
    assert taken == (2_000, None)
    assert outlet.write_letter(1, topic, None, None, {"why": "é".encode(), "empty": b""}) is None
    assert outlet.write_letter(2, topic, b"letter", b"", {}) is None
    assert drain(outlet) == []
    found = messages(kafka.brokers, topic, 2_002)
    for key in {key for key, _ in rows}:
        assert [message.value() for message in found if message.key() == key] == [v for k, v in rows if k == key]
    letters = {message.key(): (message.value(), message.headers()) for message in found if not message.value()}
    assert letters == {None: (None, [("why", "é".encode()), ("empty", b"")]), b"letter": (b"", None)}
    outlet.close()


@WAYS
def test_a_full_queue_takes_the_first_rows_and_says_so(way: Way, kafka: EmbeddedKafka) -> None:
    topic = "full-objects" if way is Objects else "full-batches"
    own = {"queue.buffering.max.messages": 100, "linger.ms": 50}
    outlet = way(Producer(settings(kafka.brokers, {}) | own))
    keys, values = Binary.of([b"k"] * 250), Binary.of([b"%d" % number for number in range(250)])
    rounds = 0
    while len(values):
        taken, error = outlet.write(topic, keys, values)
        assert (error is None) == (taken == len(values))
        if error is not None:
            assert error.code() == KafkaError._QUEUE_FULL
            rounds += 1
        keys, values = keys.take(slice(taken, None)), values.take(slice(taken, None))
        outlet.poll(0.1)
    assert rounds >= 2
    assert drain(outlet) == []
    assert [int(message.value()) for message in messages(kafka.brokers, topic, 250)] == list(range(250))
    outlet.close()


@WAYS
def test_what_is_not_delivered_is_told(way: Way) -> None:
    outlet = way(Producer(settings("127.0.0.1:1", {"message.timeout.ms": "100"})))
    outlet.write("gone", Binary.of([b"k", b"k"]), Binary.of([b"1", b"2"]))
    outlet.write_letter(7, "gone", b"k", b"v", {})
    found = drain(outlet)
    assert sorted(undelivered.letter for undelivered in found) == [0, 0, 7]
    assert {undelivered.topic for undelivered in found} == {"gone"}
    assert {undelivered.error.code() for undelivered in found} == {KafkaError._MSG_TIMED_OUT}
    outlet.close()
