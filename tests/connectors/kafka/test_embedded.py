"""The Kafka inside this process carries messages, for the demo."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Producer

from connectors.kafka.client import check, settings
from connectors.kafka.embedded import EmbeddedKafka
from tests.connectors.kafka.reading import messages


@pytest.mark.timeout(60)
def test_a_message_goes_in_and_comes_out() -> None:
    with EmbeddedKafka(["in", "out"]) as kafka:
        check(kafka.brokers, {}, ["in", "out"])
        producer: Any = Producer(settings(kafka.brokers, {}))
        for row in range(100):
            producer.produce("in", f"value-{row}".encode(), b"key")
        assert producer.flush(10) == 0

        found = messages(kafka.brokers, "in", 100)
    assert [message.value() for message in found] == [f"value-{row}".encode() for row in range(100)], "in order"
