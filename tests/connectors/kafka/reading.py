"""Read a topic of the Kafka inside this process from its beginning, without a group: joining one takes seconds."""

from __future__ import annotations

from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from connectors.kafka.client import settings


def messages(brokers: str, topic: str, count: int) -> list[Any]:
    """Wait for so many messages."""
    consumer: Any = Consumer(settings(brokers, {}, group_id="nobody"))
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    found: list[Any] = []
    while len(found) < count:
        found += [message for message in consumer.consume(count, 1.0) if message.error() is None]
    consumer.close()
    return found
