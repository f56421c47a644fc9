"""Get a real Kafka broker for tests on whatever this machine has.

In this order: the one that KAFKA_BOOTSTRAP_SERVERS names, one from Docker, one that Java runs from Kafka's jars.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.integration.kafka.compose import ComposeBroker
from tests.integration.kafka.java import SASL_PASSWORD, SASL_USER, JavaBroker
from tests.integration.kafka.ways import Broker, BrokerFailed, Unavailable, wait_until_ready

__all__ = ["SASL_PASSWORD", "SASL_USER", "Broker", "BrokerFailed", "JavaBroker", "Unavailable", "running_broker"]


class GivenBroker(Broker):
    """A broker that somebody else runs; it is used as it is and left as it is."""

    way = "KAFKA_BOOTSTRAP_SERVERS"

    def start(self) -> None:
        """Make sure that it answers."""
        servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        if not servers:
            message = "KAFKA_BOOTSTRAP_SERVERS is not set"
            raise Unavailable(message)
        self.servers = servers
        wait_until_ready(servers, groups=False)  # its rules may not let us ask about groups

    def close(self) -> None:
        """Leave it alone."""


@contextmanager
def running_broker() -> Iterator[Broker]:
    """Give a broker that answers, and end it afterwards if it was started here.

    Raises Unavailable, with one line for the user, if this machine offers no way at all; BrokerFailed if one should
    have worked and did not.
    """
    missing: list[str] = []
    ways: tuple[Broker, ...] = (GivenBroker(), ComposeBroker(), JavaBroker())
    for broker in ways:
        with ExitStack() as stack:
            try:
                stack.enter_context(broker)
            except Unavailable as reason:
                missing.append(str(reason))
                continue
            yield broker
            return
    _, docker, java = missing
    message = (
        "no Kafka for the integration tests: set KAFKA_BOOTSTRAP_SERVERS, "
        f"or start Docker ({docker}), or install Java 17+ and Maven ({java})"
    )
    raise Unavailable(message)
