"""Rows into Kafka, on the Kafka inside this process; what a real one does to it stands in tests/integration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.kafka.client import KafkaFailure
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.sink import KafkaSink
from operators.binary import Binary
from tests.connectors.kafka.reading import messages

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(["out"]) as running:
        yield running


def test_rows_are_delivered_once_flushed_and_a_key_stays_in_order(kafka: EmbeddedKafka) -> None:
    sink = KafkaSink(kafka.brokers, {})
    keys = [f"k{row % 3}".encode() for row in range(300)]
    sink.write("out", Binary.of(keys), Binary.of(str(row).encode() for row in range(300)))
    sink.flush()
    found = messages(kafka.brokers, "out", 300)
    for key in (b"k0", b"k1", b"k2"):
        mine = [int(message.value()) for message in found if message.key() == key]
        assert mine == list(range(int(key[1:]), 300, 3))
        assert len({message.partition() for message in found if message.key() == key}) == 1
    assert sink.delivery_errors == 0
    sink.close()


def test_a_letter_has_its_bytes_and_headers(kafka: EmbeddedKafka) -> None:
    sink = KafkaSink(kafka.brokers, {})
    sink.write_letter("out", b"k", b"\xff\0", {"telemill.reason": "é"})
    sink.write_letter("out", None, None, {"telemill.reason": "gone"})
    sink.flush()
    found = {message.key(): message for message in messages(kafka.brokers, "out", 2)}
    assert found[b"k"].value() == b"\xff\0"
    assert found[b"k"].headers() == [("telemill.reason", "é".encode())]
    assert found[None].value() is None
    sink.close()


def test_a_letter_that_librdkafka_itself_does_not_take_is_cut(kafka: EmbeddedKafka) -> None:
    sink = KafkaSink(kafka.brokers, {"message.max.bytes": "200000"})
    sink.write_letter("out", b"large", b"v" * 300_000, {"telemill.reason": "x"})
    sink.flush()
    found = next(message for message in messages(kafka.brokers, "out", 1) if message.key() == b"large")
    assert len(found.value()) == 100_000
    assert dict(found.headers())["telemill.truncated"] == b"300000"
    sink.close()


def test_the_headers_of_its_record_are_cut_with_a_letter(kafka: EmbeddedKafka) -> None:
    sink = KafkaSink(kafka.brokers, {"message.max.bytes": "200000"})
    own = {"site": b"s" * 300_000, "fw": b"\xff", "gone": None, "telemill.reason": "x" * 2_000}
    sink.write_letter("out", b"large", b"v", own)
    sink.write_letter("out", b"small", b"v", {"site": b"s" * 100_000})
    sink.flush()
    found = {message.key(): message for message in messages(kafka.brokers, "out", 2)}
    expected = {"site": b"s" * 1_000, "fw": b"\xff", "gone": None, "telemill.reason": b"x" * 2_000}
    assert dict(found[b"large"].headers()) == {**expected, "telemill.truncated": b"1"}
    assert found[b"large"].value() == b"v"
    assert found[b"small"].headers() == [("site", b"s" * 100_000)]
    sink.close()


def test_a_letter_that_is_too_large_when_it_is_cut_ends_the_run(kafka: EmbeddedKafka) -> None:
    sink = KafkaSink(kafka.brokers, {"message.max.bytes": "150000"})
    with pytest.raises(KafkaFailure, match=r"a dead letter for topic `out` wasn't taken by librdkafka: .*too large"):
        sink.write_letter("out", b"k" * 200_000, b"v" * 200_000, {})
    sink.close()


def test_a_row_that_could_not_be_delivered_is_told_and_counted() -> None:
    sink = KafkaSink("127.0.0.1:1", {"message.timeout.ms": "100"})
    sink.write("out", Binary.of([b"k"]), Binary.of([b"v"]))
    with pytest.raises(KafkaFailure, match="a row for topic `out` couldn't be delivered: "):
        sink.flush()
    assert sink.delivery_errors == 1
    sink.close()


def test_a_row_that_librdkafka_itself_does_not_take_ends_the_run_and_what_waits_is_dropped(
    kafka: EmbeddedKafka,
) -> None:
    sink = KafkaSink(kafka.brokers, {"message.max.bytes": "5000", "linger.ms": "50"})
    values = Binary.of([b"v", bytes(6_000), b"w"])
    expected = (
        r"a row of 6,001 bytes for topic `out` wasn't taken by librdkafka: .*too large\. Raise `max\.message\.bytes`"
    )
    with pytest.raises(KafkaFailure, match=expected):
        sink.write("out", Binary.of([b"k"] * 3), values)
    sink.close()


@pytest.mark.parametrize("name", ["linger.ms", "queue.buffering.max.ms"])
def test_a_flush_does_not_wait_for_what_should_linger_long(kafka: EmbeddedKafka, name: str) -> None:
    sink = KafkaSink(kafka.brokers, {name: "60000"})
    sink.write("out", Binary.of([b"k"]), Binary.of([b"v"]))
    sink.flush()  # within the test's limit of time
    sink.close()
