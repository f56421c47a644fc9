"""Topics for one test: under names that no other test has, there when the test begins, gone when it ends."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

CREATE_SECONDS = 30.0


class Topics:
    """Call it to create topics: `topics("raw", "out")["raw"]` is the name of a new topic with four partitions."""

    def __init__(self, servers: str) -> None:
        # One client for the whole life: one that is collected while its futures are pending fails them.
        self._admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self._created: list[str] = []

    def __call__(self, *names: str, partitions: int = 4, config: Mapping[str, str] | None = None) -> dict[str, str]:
        """Create a topic for each name and wait until all partitions can be used; gives name -> the topic's name.

        `config` is Kafka's topic configuration, for example `{"retention.ms": "-1"}`. Raises KafkaException if the
        broker refuses, TimeoutError if the partitions don't appear.
        """
        own = {name: f"{name}-{uuid.uuid4().hex[:8]}" for name in names}
        new = [NewTopic(topic, num_partitions=partitions, config=dict(config or {})) for topic in own.values()]
        self._created += own.values()
        for future in self._admin.create_topics(new).values():
            future.result(CREATE_SECONDS)
        self._wait_for(own.values(), partitions)
        return own

    def delete(self) -> None:
        """Delete all that were created here; a broker that a test has ended keeps them, and that is no error."""
        if self._created:
            for future in self._admin.delete_topics(self._created, request_timeout=5).values():
                with contextlib.suppress(KafkaException):
                    future.result()
            self._created = []

    def _wait_for(self, topics: Iterable[str], partitions: int) -> None:
        """Wait until every partition has a leader: that is a little after the broker says that it made the topic."""
        deadline = time.monotonic() + CREATE_SECONDS
        waiting = set(topics)
        while waiting:
            seen = self._admin.list_topics(timeout=CREATE_SECONDS).topics
            for topic in list(waiting):
                leaders = [each.leader for each in seen[topic].partitions.values()] if topic in seen else []
                if len(leaders) == partitions and min(leaders) >= 0:
                    waiting.remove(topic)
            if waiting and time.monotonic() > deadline:
                message = f"not all {partitions} partitions are seen after {CREATE_SECONDS:.0f} s: {sorted(waiting)}"
                raise TimeoutError(message)
            if waiting:
                time.sleep(0.02)
