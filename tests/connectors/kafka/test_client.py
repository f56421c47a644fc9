"""What every client of Kafka has in common: settings, and one clear line when it can't work."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from connectors.kafka.client import KafkaFailure, check, open_client, settings
from connectors.kafka.embedded import EmbeddedKafka


def test_what_telemill_sets_stands_above_what_the_user_sets() -> None:
    made = settings("here:9092", {"client.id": "mine", "acks": "1", "linger.ms": "9"}, acks="all", error_cb=print)
    assert made["bootstrap.servers"] == "here:9092"
    assert made["client.id"] == "mine"
    assert made["acks"] == "all"
    assert made["linger.ms"] == "9"
    assert made["error_cb"] is print


def test_a_setting_that_librdkafka_does_not_know_is_told_in_one_line() -> None:
    with pytest.raises(
        KafkaFailure, match=r'librdkafka doesn\'t take these settings: .*"colour".*see `config`'
    ) as caught:
        open_client(Producer, settings("here:9092", {"colour": "red"}))
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(60)
def test_brokers_that_answer_and_have_the_topics_are_fine() -> None:
    with EmbeddedKafka(["in"]) as kafka:
        check(kafka.brokers, {}, ["in"])
