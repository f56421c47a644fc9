"""Librdkafka behind confluent-kafka's objects: found where it stands, and done without where it isn't there."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from connectors.kafka import librdkafka
from connectors.kafka.client import settings
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.librdkafka import Library, Unavailable
from connectors.kafka.outlet import Objects
from connectors.kafka.sink import KafkaSink
from connectors.kafka.source import KafkaSource
from operators.binary import Binary
from tests.connectors.kafka.reading import messages

pytestmark = pytest.mark.timeout(60)


def consumer() -> Any:
    return Consumer(settings("127.0.0.1:1", {}, group_id="nobody"))


def producer() -> Any:
    return Producer(settings("127.0.0.1:1", {}))


class Other(ctypes.Structure):
    """An object that has something else where a client has its handle."""

    _fields_ = (("word", ctypes.c_uint64),)


def test_the_handle_of_a_client_knows_its_name() -> None:
    library = Library()
    clients = [consumer(), producer(), producer()]
    names = [library.name(library.handle(client)) for client in clients]
    assert b"telemill#consumer-" in names[0]
    assert all(b"telemill#producer-" in name for name in names[1:])
    assert len(set(names)) == 3


def test_the_handle_of_a_client_of_a_derived_class_is_found() -> None:
    class Mine(Producer):
        """A client of somebody's own."""

    assert b"#producer-" in Library().name(Library().handle(Mine(settings("127.0.0.1:1", {}))))


@pytest.mark.parametrize("word", [0, 1, 8, 2**48, 2**64 - 8, 2**64 - 1])
def test_a_word_that_is_no_address_is_not_followed(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands where the handle should: nothing is read there before it is known to be memory."""
    held = producer()
    monkeypatch.setattr(librdkafka, "c_void_p", SimpleNamespace(from_address=lambda _: SimpleNamespace(value=word)))
    with pytest.raises(Unavailable, match="keeps its handle elsewhere"):
        Library.handle(_LIBRARY, held)


def test_memory_that_is_no_handle_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = ctypes.create_string_buffer(100_000)
    word = ctypes.addressof(memory) + 16 & ~7
    held = producer()
    monkeypatch.setattr(librdkafka, "c_void_p", SimpleNamespace(from_address=lambda _: SimpleNamespace(value=word)))
    with pytest.raises(Unavailable, match="keeps its handle elsewhere"):
        Library.handle(_LIBRARY, held)


def test_a_handle_of_the_other_kind_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    held, other = consumer(), producer()
    word = _LIBRARY.handle(other)
    monkeypatch.setattr(librdkafka, "c_void_p", SimpleNamespace(from_address=lambda _: SimpleNamespace(value=word)))
    with pytest.raises(Unavailable, match="keeps its handle elsewhere"):
        Library.handle(_LIBRARY, held)


@pytest.mark.parametrize("client", [object(), SimpleNamespace(), Other(2**40), [1], "text", 5], ids=repr)
def test_what_is_no_client_of_confluent_kafka_has_no_handle(client: Any) -> None:
    with pytest.raises(Unavailable, match="keeps its handle elsewhere"):
        _LIBRARY.handle(client)


@pytest.mark.parametrize(
    "mapping",
    ["7000-8000 rw-p 0 00:00 0", "7000-8000 r--p 0 00:00 0 file", "8000-9000 rw-p 0 00:00 0 [heap]"],
)
def test_memory_is_there_that_can_be_written(mapping: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        librdkafka, "Path", lambda _: SimpleNamespace(read_text=lambda: f"1000-2000 rw-p 0\n{mapping}\n")
    )
    assert librdkafka._is_mapped(0x7000) == mapping.startswith("7000-8000 rw")
    assert not librdkafka._is_mapped(0)


def test_where_memory_cannot_be_asked_for_there_may_be_some(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: str) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(librdkafka, "Path", nowhere)
    assert librdkafka._is_mapped(0x7000)


def test_a_machine_that_is_not_known_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    with pytest.raises(Unavailable, match="isn't known"):
        Library()


def test_a_library_that_is_elsewhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(librdkafka, "cimpl", SimpleNamespace(__file__="/nowhere/cimpl.so"))
    with pytest.raises(Unavailable, match="nowhere"):
        Library()


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let librdkafka lack a function, as an older one would."""
    real = librdkafka._function

    def function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
        return real(library, name.replace("rd_kafka_queue_poll", "rd_kafka_no_such_function"), result, *arguments)

    monkeypatch.setattr(librdkafka, "_function", function)


@pytest.fixture
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(["in"]) as running:
        yield running


@pytest.mark.usefixtures("lacking")
def test_a_function_that_it_lacks_is_told() -> None:
    with pytest.raises(Unavailable, match="rd_kafka_no_such_function"):
        Library()


@pytest.mark.usefixtures("lacking")
def test_without_it_rows_go_in_and_come_out_all_the_same(
    kafka: EmbeddedKafka, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sink = KafkaSink(kafka.brokers, {})
    assert isinstance(sink._outlet, Objects)
    for begin in (0, 50):
        rows = range(begin, begin + 50)
        sink.write("in", Binary.of(b"k%d" % (row % 3) for row in rows), Binary.of(b"%d" % row for row in rows))
    sink.flush()
    sink.close()
    assert len(messages(kafka.brokers, "in", 100)) == 100

    source = KafkaSource(
        ["in"], kafka.brokers, {}, "mill", "mill-0", "earliest", lambda _, __: None, lambda _, __: None
    )
    assert source._queue is None
    source.stop_at_end()
    source.subscribe()
    found: list[bytes] = []
    while len(found) < 100:
        for batch in source.read():
            found += batch.values.values()
    source.close()
    assert sorted(found, key=int) == [b"%d" % row for row in range(100)]
    told = [record.message for record in caplog.records if "confluent-kafka's objects" in record.message]
    assert len(told) == 2, "once each"
    assert told[0].startswith("writing through")
    assert told[1].startswith("reading through")


_LIBRARY = Library()
