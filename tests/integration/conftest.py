"""Fixtures of the tests on a real Kafka."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest

from tests.integration.kafka.broker import Broker, BrokerFailed, JavaBroker, Unavailable, running_broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import Process

SomeBroker = TypeVar("SomeBroker", bound=Broker)


def entered(stack: ExitStack, broker: AbstractContextManager[SomeBroker], hint: str = "") -> SomeBroker:
    """Start a broker. If this machine can't, skip the test, except in CI: there, one that never runs goes unnoticed."""
    failed = bool(os.environ.get("CI"))
    try:
        return stack.enter_context(broker)
    except Unavailable as reason:
        message = f"{hint} ({reason})" if hint else str(reason)
    except BrokerFailed as reason:
        message = str(reason)
        failed = True
    if failed:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """One broker for all tests; `kafka.servers` is its address. Don't stop it: take `java_broker` for that."""
    with ExitStack() as stack:
        yield entered(stack, running_broker())


@pytest.fixture
def java_broker() -> Iterator[JavaBroker]:
    """Give a broker of the test's own, to stop, kill and start again."""
    with ExitStack() as stack:
        yield entered(stack, JavaBroker(), "this test breaks its broker, so it needs Java 17+ and Maven")


@pytest.fixture
def topics(kafka: Broker) -> Iterator[Topics]:
    """Create topics on `kafka`: `topics("raw", "out", partitions=4, config={...})` gives name -> unique topic name."""
    topics = Topics(kafka.servers)
    yield topics
    topics.delete()


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    """End what a failed test has left running."""
    yield
    for process in Process.running:
        if process.popen.poll() is None:
            process.kill()
    Process.running.clear()
