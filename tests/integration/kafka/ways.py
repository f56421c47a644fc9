"""What every way to a broker has in common: how it is started and ended, and how to tell that it is ready."""

from __future__ import annotations

import random
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

if TYPE_CHECKING:
    from typing_extensions import Self

READY_SECONDS = 60.0


class Unavailable(Exception):  # noqa: N818  (not a fault: this machine lacks something)
    """A way to a broker is closed on this machine; the message says in a few words what is missing."""


class BrokerFailed(Exception):  # noqa: N818  (reads as what happened)
    """A broker that should have come up did not; the message says why, as far as can be known."""


class Broker(ABC):
    """A Kafka broker for tests. Use it in a `with` statement: `start()` on entry, `close()` at the end.

    `way` says in words where it is from, `servers` is what clients take as bootstrap.servers, and `sasl_servers` the
    same for a listener that asks for a password (SASL_PLAINTEXT, PLAIN), or None if there is none.
    """

    way: str
    servers: str
    sasl_servers: str | None = None

    @abstractmethod
    def start(self) -> None:
        """Bring it up and wait until it answers; raises Unavailable or BrokerFailed."""

    @abstractmethod
    def close(self) -> None:
        """End it and remove its data; may be called at any time, and more than once."""

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:  # also Ctrl-C
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()


def wait_until_ready(
    servers: str, seconds: float = READY_SECONDS, *, ended: Callable[[], bool] | None = None, groups: bool = True
) -> None:
    """Return when the broker answers; raises BrokerFailed after `seconds`, or as soon as `ended()` is true.

    With `groups`, also wait until it serves groups. A new broker makes its topic for them when the first one asks, and
    a consumer that asks first tries again only after 3 s: a delay that would end up in some test's timing.
    """
    # Quick to try again, and silent: that nobody answers at first is what we expect here.
    settings: dict[str, str | int | float | bool] = {
        "bootstrap.servers": servers,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 100,
        "log_level": 0,
    }
    admin = AdminClient(settings)
    deadline = time.monotonic() + seconds
    while problem := _ask(admin, groups=groups):
        if ended and ended():
            message = f"the Kafka broker at {servers} ended before it was ready: {problem}"
            raise BrokerFailed(message)
        if time.monotonic() > deadline:
            message = f"no Kafka broker is ready at {servers} after {seconds:.0f} s: {problem}"
            raise BrokerFailed(message)
        time.sleep(0.02)


def _ask(admin: AdminClient, *, groups: bool) -> str:
    """Ask for the brokers and, if told so, about a group; what is wrong with the answers, or an empty string.

    Asking for a group's offsets (list_consumer_group_offsets) was rejected: librdkafka 2.16 dereferences NULL when the
    broker answers "not the coordinator", as it may here (confluentinc/librdkafka issue 5040).
    """
    try:
        if not admin.list_topics(timeout=1).brokers:
            return "it lists no broker"
        if groups:
            for answer in admin.describe_consumer_groups(["telemill-warm-up"], request_timeout=2).values():
                answer.result()
    except KafkaException as error:
        return str(error.args[0])
    return ""


def free_ports(count: int) -> list[int]:
    """Give TCP ports that nobody listens on now on loopback.

    They are below the range that systems give to outgoing connections (from 32768 on Linux, 49152 on macOS). From
    within it, a client that tries again and again to reach a stopped broker is some day given the broker's own port,
    connects to itself, and the broker can't come back.
    """
    ports: list[int] = []
    with ExitStack() as taken:
        while len(ports) < count:
            probe = taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            port = random.randrange(20_000, 32_000)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
    return ports
