"""Both ways into a producer take the same rows in the same order, and tell the same of what isn't delivered."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer, cimpl

from connectors.kafka.client import KafkaFailure, settings
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.librdkafka import Library, _function
from connectors.kafka.outlet import Batches, Objects, Outlet, Undelivered
from connectors.kafka.sink import KafkaSink
from operators.binary import Binary
from tests.connectors.kafka.reading import messages

pytestmark = pytest.mark.timeout(60)
FULL = KafkaError._QUEUE_FULL
NOWHERE = "127.0.0.1:1"

Way = Callable[..., Outlet]


@pytest.fixture(params=[Objects, Batches])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """Make outlets, one way or the other; they are closed at the end."""
    made: list[Outlet] = []

    def make(brokers: str, on_error: Callable[[KafkaError], None] = lambda _: None, **config: str) -> Outlet:
        own = {name.replace("_", "."): value for name, value in config.items()}
        producer = Producer(
            settings(
                brokers, {"linger.ms": "1", "partitioner": "murmur2_random", **own},
                enable_idempotence=True, error_cb=on_error, delivery_report_only_error=True,
            )
        )  # fmt: skip
        made.append(Objects(producer) if request.param is Objects else Batches(producer, on_error))
        return made[-1]

    yield make
    for outlet in made:
        outlet.close()


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka([]) as running:
        yield running


@pytest.fixture
def topic(kafka: EmbeddedKafka, request: pytest.FixtureRequest) -> str:
    """Make a topic of this test's own."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    client: Any = Producer(settings(kafka.brokers, {}))
    client.list_topics(name, timeout=10)
    return name


def served(outlet: Outlet) -> list[Undelivered]:
    """Serve a producer until nothing waits; gives what wasn't delivered."""
    found = []
    deadline = time.monotonic() + 20
    while outlet.waiting():
        assert time.monotonic() < deadline
        found += outlet.poll(0.05)
    return found + outlet.poll(0)


def refuse(kafka: EmbeddedKafka, code: int, times: int = 1) -> None:
    """Let the broker answer the next requests to write with an error."""
    library = ctypes.CDLL(str(cimpl.__file__))
    cluster = _function(library, "rd_kafka_handle_mock_cluster", ctypes.c_void_p, ctypes.c_void_p)
    push = _function(
        library, "rd_kafka_mock_push_request_errors_array", None, ctypes.c_void_p, ctypes.c_int16, ctypes.c_size_t, ctypes.c_void_p
    )  # fmt: skip
    push(cluster(Library().handle(kafka._owner)), 0, times, (ctypes.c_int * times)(*[code] * times))


def test_rows_with_one_key_stay_in_order_in_one_partition(way: Way, kafka: EmbeddedKafka, topic: str) -> None:
    outlet = way(kafka.brokers)
    keys = [b"k%d" % (row % 7) for row in range(2_100)]
    for begin in range(0, 2_100, 300):
        rows = range(begin, begin + 300)
        taken = outlet.write(topic, Binary.of(keys[begin : begin + 300]), Binary.of(b"%d" % row for row in rows))
        assert taken == (300, None)
    assert served(outlet) == []
    found = messages(kafka.brokers, topic, 2_100)
    for at in range(7):
        mine = [message for message in found if message.key() == b"k%d" % at]
        assert [int(message.value()) for message in mine] == list(range(at, 2_100, 7))
        assert len({message.partition() for message in mine}) == 1


def test_both_ways_put_a_key_into_the_same_partition(kafka: EmbeddedKafka, topic: str) -> None:
    keys = Binary.of(b"k%d" % row for row in range(50))
    producers = [Producer(settings(kafka.brokers, {"partitioner": "murmur2_random"})) for _ in range(2)]
    outlets: list[Outlet] = [Objects(producers[0]), Batches(producers[1], lambda _: None)]
    for outlet in outlets:
        outlet.write(topic, keys, keys)
        assert served(outlet) == []
        outlet.close()
    found = messages(kafka.brokers, topic, 100)
    assert len({(message.key(), message.partition()) for message in found}) == 50


def test_missing_and_empty_and_large_values_are_what_they_were(way: Way, kafka: EmbeddedKafka, topic: str) -> None:
    rows: list[tuple[bytes | None, bytes | None]] = [
        (b"a", b"v"), (b"b", None), (None, b"c"), (b"", b"d"), (b"e", b""), (None, None), (b"f" * 300, bytes(range(256)) * 2_000)
    ]  # fmt: skip
    outlet = way(kafka.brokers)
    assert outlet.write(topic, Binary.of(key for key, _ in rows), Binary.of(value for _, value in rows)) == (7, None)
    assert served(outlet) == []
    found = [(message.key(), message.value()) for message in messages(kafka.brokers, topic, 7)]
    assert sorted(found, key=repr) == sorted(rows, key=repr)


def test_rows_may_stand_anywhere_in_their_buffer(way: Way, kafka: EmbeddedKafka, topic: str) -> None:
    column = Binary.of(b"%d" % row for row in range(100))
    outlet = way(kafka.brokers)
    assert outlet.write(topic, column.take(slice(9, None, -3)), column.take(slice(50, 54))) == (4, None)
    assert outlet.write(topic, column.take(slice(0)), column.take(slice(0))) == (0, None)
    assert served(outlet) == []
    found = {(message.key(), message.value()) for message in messages(kafka.brokers, topic, 4)}
    assert found == {(b"9", b"50"), (b"6", b"51"), (b"3", b"52"), (b"0", b"53")}


def test_letters_have_their_headers(way: Way, kafka: EmbeddedKafka, topic: str) -> None:
    outlet = way(kafka.brokers)
    letters: list[tuple[bytes | None, bytes | None, dict[str, bytes | None]]] = [
        (b"k", b"\xff\0", {"reason": "é".encode(), "empty": b"", "zeros": bytes(3), "null": None}),
        (None, None, {"reason": b"gone"}),
        (b"", b"", {"ä": b"1"}),
        (b"k", b"v", {}),
    ]
    for number, letter in enumerate(letters, 1):
        assert outlet.write_letter(number, topic, *letter) is None
    assert served(outlet) == []
    found = [
        (message.key(), message.value(), dict(message.headers() or [])) for message in messages(kafka.brokers, topic, 4)
    ]
    assert sorted(found, key=repr) == sorted(letters, key=repr)


def test_what_a_full_queue_does_not_take_is_told_and_is_taken_later(way: Way, kafka: EmbeddedKafka, topic: str) -> None:
    outlet = way(kafka.brokers, queue_buffering_max_messages="100", linger_ms="20")
    values = Binary.of(b"%d" % row for row in range(1_000))
    keys = Binary.of([b"key"] * 1_000)
    refused = 0
    while len(values):
        taken, error = outlet.write(topic, keys, values)
        assert taken <= 100
        if error is not None:
            assert error.code() == FULL
            refused += 1
        keys, values = keys.take(slice(taken, None)), values.take(slice(taken, None))
        assert outlet.poll(0.01) == []
    assert refused
    assert served(outlet) == []
    found = messages(kafka.brokers, topic, 1_000)
    assert [int(message.value()) for message in found] == list(range(1_000)), "once each, in order"


def test_a_letter_that_a_full_queue_does_not_take_is_told(way: Way) -> None:
    outlet = way(NOWHERE, queue_buffering_max_messages="1")
    assert outlet.write_letter(1, "out", b"k", b"v", {}) is None
    error = outlet.write_letter(2, "out", b"k", b"v", {})
    assert error is not None
    assert error.code() == FULL


def test_what_is_larger_than_the_producer_takes_is_told_at_once(way: Way, kafka: EmbeddedKafka, topic: str) -> None:
    outlet = way(kafka.brokers, message_max_bytes="5000")
    taken, error = outlet.write(topic, Binary.of([b"k"] * 3), Binary.of([b"v", bytes(6_000), b"w"]))
    assert taken == 1
    assert error is not None
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    error = outlet.write_letter(1, topic, b"k", bytes(6_000), {})
    assert error is not None
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_rows_around_those_that_are_too_large_are_taken_once_and_in_order(
    way: Way, kafka: EmbeddedKafka, topic: str
) -> None:
    outlet = way(kafka.brokers, message_max_bytes="5000")
    large = {3, 4, 70, 99}
    values = [bytes(6_000) if row in large else b"%d" % row for row in range(100)]
    taken, error = outlet.write(topic, Binary.of([b"k"] * 100), Binary.of(values))
    assert taken == 3
    assert error is not None
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert outlet.waiting() == 96, "those behind are on their way too"
    assert served(outlet) == [], "it is told at once, and not once more"
    found = [int(message.value()) for message in messages(kafka.brokers, topic, 96)]
    assert found == [row for row in range(100) if row not in large]


@pytest.mark.parametrize(("large", "taken", "code"), [(5, 5, KafkaError.MSG_SIZE_TOO_LARGE), (50, 10, FULL)])
def test_of_a_full_queue_and_a_row_that_is_too_large_the_first_is_told(
    way: Way, kafka: EmbeddedKafka, topic: str, large: int, taken: int, code: int
) -> None:
    outlet = way(kafka.brokers, message_max_bytes="5000", queue_buffering_max_messages="10", linger_ms="20")
    values = Binary.of(bytes(6_000) if row == large else b"%d" % row for row in range(100))
    got, error = outlet.write(topic, Binary.of([b"k"] * 100), values)
    assert error is not None
    assert (got, error.code()) == (taken, code)
    assert served(outlet) == []
    rows = [row for row in range(11) if row != large][:10]
    assert [int(message.value()) for message in messages(kafka.brokers, topic, 10)] == rows, "none behind a full queue"


def test_what_no_broker_takes_in_time_is_told_with_its_topic_and_number(way: Way) -> None:
    errors: list[KafkaError] = []
    outlet = way(NOWHERE, errors.append, message_timeout_ms="200")
    outlet.write("out", Binary.of([b"k"] * 2_500), Binary.of([b"v"] * 2_500))
    for number in (7, 2**40):
        outlet.write_letter(number, "letters", b"k", b"v", {"reason": b"why"})
    found = served(outlet)
    assert (
        sorted((lost.topic, lost.letter) for lost in found)
        == [("letters", 7), ("letters", 2**40)] + [("out", 0)] * 2_500
    )
    assert {lost.error.code() for lost in found} == {KafkaError._MSG_TIMED_OUT}
    assert outlet.poll(0) == [], "once"
    assert KafkaError._TRANSPORT in {error.code() for error in errors}, "what is of no message is told too"


def test_what_the_broker_refuses_is_told_and_the_rest_is_delivered(way: Way, kafka: EmbeddedKafka, topic: str) -> None:
    outlet = way(kafka.brokers)
    refuse(kafka, KafkaError.MSG_SIZE_TOO_LARGE)
    outlet.write_letter(3, topic, b"k", b"large", {})
    assert [(lost.topic, lost.letter, lost.error.code()) for lost in served(outlet)] == [
        (topic, 3, KafkaError.MSG_SIZE_TOO_LARGE)
    ]
    outlet.write(topic, Binary.of([b"k"]), Binary.of([b"v"]))
    assert served(outlet) == []
    assert [message.value() for message in messages(kafka.brokers, topic, 1)] == [b"v"]


def test_a_letter_that_its_topic_does_not_take_whole_is_cut(kafka: EmbeddedKafka, topic: str) -> None:
    sink = KafkaSink(kafka.brokers, {})
    refuse(kafka, KafkaError.MSG_SIZE_TOO_LARGE)
    sink.write_letter(topic, b"k", b"x" * 200_000, {"telemill.reason": "why"})
    sink.flush()
    sink.close()
    (found,) = messages(kafka.brokers, topic, 1)
    assert found.value() == b"x" * 100_000
    assert dict(found.headers()) == {"telemill.reason": b"why", "telemill.truncated": b"200000"}


def test_a_row_that_its_topic_does_not_take_ends_the_run(kafka: EmbeddedKafka, topic: str) -> None:
    sink = KafkaSink(kafka.brokers, {})
    refuse(kafka, KafkaError.MSG_SIZE_TOO_LARGE)
    sink.write(topic, Binary.of([b"k"]), Binary.of([b"v"]))
    with pytest.raises(KafkaFailure, match=f"a row for topic `{topic}` couldn't be delivered: "):
        sink.flush()
    sink.close()


@pytest.mark.parametrize("way", [Objects, lambda producer: Batches(producer, lambda _: None)])
def test_closing_drops_what_waits(way: Callable[[Any], Outlet]) -> None:
    outlet = way(Producer(settings(NOWHERE, {})))
    outlet.write("out", Binary.of([b"k"] * 10), Binary.of([b"v"] * 10))
    assert outlet.waiting() >= 10
    begin = time.monotonic()
    outlet.close()
    assert time.monotonic() - begin < 0.9
