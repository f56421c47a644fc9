"""A Kafka inside this process: librdkafka's mock cluster, for the demo and nothing else.

Other clients connect to it over loopback as to any broker. It keeps little (5 MB a partition), makes four partitions of
every topic it hears of, and isolates no transactions: it says nothing about delivery.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any

from confluent_kafka import Producer
from typing_extensions import Self

from connectors.kafka.client import open_client, settings


class EmbeddedKafka:
    """A Kafka for as long as the `with` block runs.

    Attributes:
        brokers: where it listens.
    """

    def __init__(self, topics: Iterable[str]) -> None:
        """Start it, and make topics."""
        self._owner: Any = open_client(Producer, settings("", {}, test_mock_num_brokers=1))
        known = self._owner.list_topics(timeout=10)
        self.brokers = ",".join(f"{broker.host}:{broker.port}" for broker in known.brokers.values())
        client: Any = open_client(Producer, settings(self.brokers, {}))
        for topic in topics:
            client.list_topics(topic, timeout=10)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it; what it held is gone."""
        self._owner = None
