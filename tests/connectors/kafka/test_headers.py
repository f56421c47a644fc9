"""Headers come out of a consumer as they went in, whichever way records come, and nothing is kept of them."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition, cimpl

from connectors.codec.base import Records
from connectors.kafka import headers, intake, librdkafka
from connectors.kafka.client import settings
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.intake import Event
from connectors.kafka.librdkafka import Library
from connectors.kafka.messages import unpack
from connectors.kafka.outlet import _COPY, _FLAGS, _KEY, _TOPIC, _VALUE, _Given, _place
from connectors.kafka.source import KafkaSource
from tests.connectors.kafka.test_intake import PARTITIONS, Reader, read_all, used

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is asked for in Linux's way"),
]
Pairs = Sequence[tuple[bytes, bytes | None]]
"""Names and values of a record's headers, in order."""
_PARTITION, _HEADERS = 3, 10
"""Kinds of what rd_kafka_produceva is given."""
NAMES = ("site", "fw", "s", "sité")
LARGE = bytes(range(256)) * 4_000
HOSTILE: dict[str, Pairs] = {
    "none": [],
    "others": [(b"other", b"x")],
    "one": [(b"site", b"berlin")],
    "all": [(b"site", b"berlin"), (b"fw", b"3"), (b"s", b"t"), ("sité".encode(), "é".encode())],
    "twice": [(b"site", b"first"), (b"fw", b"1"), (b"site", b"last")],
    "twice, the last null": [(b"site", b"first"), (b"site", None)],
    "twice, the first null": [(b"site", None), (b"site", b"last")],
    "null": [(b"site", None), (b"fw", b"2")],
    "empty": [(b"site", b""), (b"fw", b"")],
    "an empty name": [(b"", b"x"), (b"site", b"y")],
    "names that begin alike": [(b"sit", b"1"), (b"sitex", b"2"), (b"si", b"3")],
    "zero bytes": [(b"site", b"\0a\0"), (b"fw", b"\0")],
    "not UTF-8": [(b"site", b"\xff\xfe"), (b"fw", b"\xc3\x28")],
    "a megabyte": [(b"fw", b"1"), (b"site", LARGE)],
    "another": [(b"s", LARGE[::-1])],
    "many": [(b"h%d" % number, b"x" * number) for number in range(2_000)] + [(b"site", b"behind them")],
    "a thousand times": [(b"site", b"%d" % number) for number in range(1_000)],
}


def expected(pairs: Pairs) -> tuple[bytes | None, ...]:
    """Give the last value of each name that is read."""
    return tuple(dict(pairs).get(name.encode()) for name in NAMES)


class Writer:
    """Produces with any bytes as the names of headers: confluent-kafka's own call takes texts, up to a zero byte."""

    def __init__(self, brokers: str) -> None:
        self._producer: Any = Producer(settings(brokers, {"linger.ms": "5", "message.max.bytes": "4000000"}))
        self._library = Library()
        self._client = self._library.handle(self._producer)
        rdkafka = ctypes.CDLL(str(cimpl.__file__))
        self._new = librdkafka._function(rdkafka, "rd_kafka_headers_new", ctypes.c_void_p, ctypes.c_size_t)
        sizes = (ctypes.c_char_p, ctypes.c_ssize_t, ctypes.c_char_p, ctypes.c_ssize_t)
        self._add = librdkafka._function(rdkafka, "rd_kafka_header_add", ctypes.c_int, ctypes.c_void_p, *sizes)

    def write(self, topic: str, partition: int, value: bytes, pairs: Pairs, key: bytes = b"k") -> None:
        made = self._new(len(pairs))
        for name, own in pairs:
            assert self._add(made, name, len(name), own, 0 if own is None else len(own)) == 0
        named = topic.encode()
        given = [
            _Given(_TOPIC, _place(named)), _Given(_FLAGS, _COPY), _Given(_PARTITION, partition),
            _Given(_VALUE, _place(value), len(value)), _Given(_KEY, _place(key), len(key)), _Given(_HEADERS, made),
        ]  # fmt: skip
        assert not self._library.produce_one(self._client, (_Given * len(given))(*given), len(given))

    def flush(self) -> None:
        assert self._producer.flush(20) == 0


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(["raw", "names", "many", "group"]) as running:
        yield running


@pytest.fixture(scope="module")
def raw(kafka: EmbeddedKafka) -> dict[int, list[Pairs]]:
    """Write every kind of headers into `raw`, mixed over its partitions."""
    writer = Writer(kafka.brokers)
    written: dict[int, list[Pairs]] = {partition: [] for partition in PARTITIONS}
    for number, pairs in enumerate(list(HOSTILE.values()) * 3):
        partition = number % 5 % 3  # nothing in the last
        writer.write("raw", partition, b"v%d" % number, pairs)
        written[partition].append(pairs)
    writer.flush()
    return written


Found = dict[int, list[tuple[int, tuple[bytes | None, ...]]]]


def told(batches: Sequence[Records], found: Found) -> None:
    """Add of each record its offset and its headers."""
    for batch in batches:
        assert set(batch.headers) == set(NAMES)
        columns = [batch.headers[name].to_list() for name in NAMES]
        rows = list(zip(*columns, strict=True))
        found.setdefault(batch.partition, []).extend(zip(batch.offset.tolist(), rows, strict=True))


def by_queue(brokers: str, topic: str, names: Sequence[str] = NAMES) -> Found:
    reader = Reader(brokers, names)
    reader.take(topic, *PARTITIONS)
    found: Found = {}
    ends: set[int] = set()

    def note(batches: list[Records], events: list[Event]) -> None:
        told(batches, found)
        ends.update(event.partition for event in events)

    reader.read_until(lambda: len(ends) == len(PARTITIONS), note)
    reader.close()
    return found


def by_objects(brokers: str, topic: str, count: int) -> Found:
    consumer: Any = Consumer(settings(brokers, {}, group_id="nobody"))
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in PARTITIONS])
    found: Found = {}
    while sum(map(len, found.values())) < count:
        batches, _ = unpack(consumer.consume(100, 1.0), NAMES)
        told(batches, found)
    consumer.close()
    return found


def test_each_record_has_the_last_header_of_each_name_either_way(
    kafka: EmbeddedKafka, raw: dict[int, list[Pairs]]
) -> None:
    wanted = {part: list(enumerate(map(expected, own))) for part, own in raw.items() if own}
    assert by_queue(kafka.brokers, "raw") == wanted
    assert by_objects(kafka.brokers, "raw", sum(map(len, raw.values()))) == wanted


def test_a_name_with_a_zero_byte_or_that_is_not_utf8_is_another_name(
    kafka: EmbeddedKafka, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(kafka.brokers)
    writer.write("names", 0, b"v", [(b"site", b"1"), (b"site\0", b"2"), (b"site\0x", b"3"), (b"\0site", b"4")])
    writer.write("names", 0, b"v", [(b"site", b"1"), (b"\xff", b"2"), (b"sit\xe9", b"3")])
    writer.write("names", 0, b"v", [(b"site", b"1")])
    writer.flush()
    only = (b"1", None, None, None)
    assert by_queue(kafka.brokers, "names") == {0: [(0, only), (1, only), (2, only)]}

    # confluent-kafka ends a name at a zero byte, and can't give headers of which a name isn't UTF-8.
    caplog.set_level(logging.WARNING)
    found = by_objects(kafka.brokers, "names", 3)
    assert found[0][1:] == [(1, (None,) * 4), (2, only)]
    assert [record.message for record in caplog.records] == [
        "names[0]@1: its headers can't be read, as the name of one isn't UTF-8; going on without them"
    ]


def rows_of(brokers: str, names: Sequence[str]) -> dict[int, list[Any]]:
    """Read values, keys, offsets and times."""
    reader = Reader(brokers, names)
    reader.take("raw", *PARTITIONS)
    rows: dict[int, list[Any]] = {partition: [] for partition in PARTITIONS}
    ends: set[int] = set()

    def note(batches: list[Records], events: list[Event]) -> None:
        for batch in batches:
            columns = (batch.values.to_list(), batch.keys.to_list(), batch.offset.tolist(), batch.timestamp.tolist())
            rows[batch.partition] += zip(*columns, strict=True)
            assert set(batch.headers) == set(names)
        ends.update(event.partition for event in events)

    reader.read_until(lambda: len(ends) == len(PARTITIONS), note)
    reader.close()
    return rows


def test_values_and_keys_are_what_they_are_without_headers(kafka: EmbeddedKafka, raw: dict[int, list[Pairs]]) -> None:
    rows = rows_of(kafka.brokers, NAMES)
    assert rows == rows_of(kafka.brokers, ())
    assert sum(map(len, rows.values())) == sum(map(len, raw.values()))


def test_more_than_is_taken_at_a_time_keeps_its_headers(
    kafka: EmbeddedKafka, raw: dict[int, list[Pairs]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST", 4)
    wanted = {part: list(enumerate(map(expected, own))) for part, own in raw.items() if own}
    assert by_queue(kafka.brokers, "raw") == wanted


def test_memory_stays_flat_over_many_records_with_headers(kafka: EmbeddedKafka) -> None:
    """What librdkafka makes of the headers is freed with the messages."""
    writer = Writer(kafka.brokers)
    size = 1_000
    for partition in PARTITIONS:
        for _ in range(1_000):
            writer.write("many", partition, b"v", [(b"site", bytes(size // 2)), (b"other", bytes(size // 2))])
    writer.flush()
    reader = Reader(kafka.brokers, NAMES)
    count = 1_000 * len(PARTITIONS)
    for _ in range(5):
        assert read_all(reader, "many") == count
    before = used()
    for _ in range(15):
        assert read_all(reader, "many") == count
    assert used() - before < count * size * 15 / 6, "less than a sixth of what was read"
    reader.close()


def test_nothing_is_asked_of_librdkafka_where_no_headers_are_read(
    kafka: EmbeddedKafka, raw: dict[int, list[Pairs]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> int:
        message = "headers were looked for"
        raise AssertionError(message)

    monkeypatch.setattr(headers, "_find", never)
    reader = Reader(kafka.brokers)
    reader.take("raw", *PARTITIONS)
    read: list[Records] = []
    reader.read_until(lambda: sum(map(len, read)) >= sum(map(len, raw.values())), lambda more, _: read.extend(more))
    assert not any(batch.headers for batch in read)
    reader.close()


MESSAGE = np.zeros(72, np.uint8)
"""A message that isn't an error."""


@pytest.mark.parametrize(("gives", "size"), [(0, 3), (2**32, 3), (-199, -1), (2**32 - 199, -1)])
def test_headers_that_cannot_be_parsed_are_none(gives: int, size: int) -> None:
    """A C function that gives an int says nothing with the upper half of the word that it gives."""
    value = ctypes.create_string_buffer(b"abc")

    def parse(message: int, out: int) -> int:
        assert message == MESSAGE.ctypes.data
        ctypes.c_int64.from_address(out).value = 77
        return gives

    def last(parsed: int, name: int, at: int, length: int) -> int:
        assert (parsed, ctypes.string_at(name)) == (77, b"site")
        ctypes.c_int64.from_address(at).value = ctypes.addressof(value)
        ctypes.c_int64.from_address(length).value = 3
        return 2**32  # 0, as an int

    word = ctypes.c_int64
    parsing, lasting = ctypes.CFUNCTYPE(word, word, word)(parse), ctypes.CFUNCTYPE(*[word] * 5)(last)
    library = Library()
    library.headers = ctypes.cast(parsing, ctypes.c_void_p).value or 0
    library.last_header = ctypes.cast(lasting, ctypes.c_void_p).value or 0
    own = headers.Headers(library, ["site"], 1)
    data = np.zeros(5, np.uint8)
    assert own.find(np.array([MESSAGE.ctypes.data])) == max(size, 0)
    assert own.copy(1, data, 2).tolist() == [[[2], [size]]]
    assert data.tobytes() == (b"\0\0abc" if size > 0 else bytes(5))


@pytest.mark.parametrize("fast", [True, False])
def test_a_source_gives_the_same_headers_either_way(
    kafka: EmbeddedKafka, fast: bool, monkeypatch: pytest.MonkeyPatch, raw: dict[int, list[Pairs]]
) -> None:
    if not fast:
        monkeypatch.setattr(librdkafka, "_is_mapped", lambda _: False)
    source = KafkaSource(
        ["raw"], kafka.brokers, {}, f"mill-{fast}", "m", "earliest", lambda _, __: None, lambda _, __: None, NAMES
    )
    assert (source._queue is not None) == fast
    source.stop_at_end()
    source.subscribe()
    found: Found = {}
    while sum(map(len, found.values())) < sum(map(len, raw.values())):
        told(source.read(), found)
    source.close()
    assert found == {part: list(enumerate(map(expected, own))) for part, own in raw.items() if own}
