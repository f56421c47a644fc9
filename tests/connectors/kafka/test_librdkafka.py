"""Tests of how librdkafka is found behind confluent-kafka's clients."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from connectors.kafka import intake, librdkafka, outlet
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.librdkafka import Library, Unavailable
from connectors.kafka.sink import KafkaSink
from operators.binary import Binary
from tests.connectors.kafka.reading import messages

NOWHERE: Mapping[str, Any] = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}


def test_the_handle_of_a_client_is_the_one_that_librdkafka_names_so() -> None:
    library = Library()
    assert b"#consumer-" in library.name(library.handle(Consumer(dict(NOWHERE))))
    assert b"#producer-" in library.name(library.handle(Producer({**NOWHERE, "client.id": "me"})))


class Other:
    """An object that has something else behind its head."""

    __slots__ = ("first",)

    def __init__(self) -> None:
        self.first = 5


def test_what_is_no_client_has_no_handle() -> None:
    with pytest.raises(Unavailable, match="keeps its handle elsewhere"):
        Library().handle(Other())


def test_an_address_at_which_nothing_stands_is_no_handle() -> None:
    here = ctypes.create_string_buffer(8)
    assert librdkafka._is_mapped(ctypes.addressof(here))
    assert not librdkafka._is_mapped(0)
    assert not librdkafka._is_mapped(8)


def test_a_library_that_lacks_a_function_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("confluent_kafka.cimpl.__file__", None)  # the program itself, which has none of them
    with pytest.raises(Unavailable):
        Library()


def test_another_machine_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.byteorder", "big")
    with pytest.raises(Unavailable, match="isn't known"):
        Library()


def unavailable() -> None:
    message = "no library here"
    raise Unavailable(message)


def test_without_it_rows_go_by_objects_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outlet, "Library", unavailable)
    monkeypatch.setattr(intake, "Library", unavailable)
    with EmbeddedKafka(["out"]) as kafka, caplog.at_level(logging.WARNING):
        sink = KafkaSink(kafka.brokers, {})
        sink.write("out", Binary.of([b"k", b"k"]), Binary.of([b"1", b"2"]))
        sink.write_letter("out", None, b"letter", {"why": "x"})
        sink.flush()
        found = {message.value(): (message.key(), message.headers()) for message in messages(kafka.brokers, "out", 3)}
        sink.close()
    assert found == {b"1": (b"k", None), b"2": (b"k", None), b"letter": (None, [("why", b"x")])}
    assert [record.message for record in caplog.records] == [
        "writing through confluent-kafka's objects, at a fraction of the speed: no library here"
    ]
