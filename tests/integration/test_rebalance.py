"""Real rebalances of a group: shards and their records come and go, and a member keeps nothing of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from connectors.kafka.source import KafkaSource, Shard
from tests.connectors.kafka.test_intake import used
from tests.integration.kafka.broker import Broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import produce

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is asked for in Linux's way")
PARTITIONS, RECORDS, SIZE = 4, 1_000, 1_000
QUICK = {"heartbeat.interval.ms": "50", "fetch.wait.max.ms": "10"}
"""How soon a member hears that another has come or gone, and that there is nothing to fetch."""
HEADER = "site"


class Member:
    """A member of a group.

    Attributes:
        shards: what it holds.
        rebalances: how often shards came.
        records: how many it has read.
    """

    def __init__(self, kafka: Broker, group: str, name: str, topics: Sequence[str]) -> None:
        self.shards: set[Shard] = set()
        self.rebalances = self.records = 0
        self.source = KafkaSource(
            topics, kafka.servers, QUICK, group, name, "earliest", self._assigned, self._revoked, [HEADER]
        )
        self.source.subscribe()

    def read(self) -> None:
        for batch in self.source.read():
            assert set(batch.headers) == {HEADER}
            self.records += len(batch)

    def change(self, topics: Sequence[str]) -> None:
        """Read other topics: the group is rebalanced for it."""
        self.source._topics = list(topics)
        self.source.subscribe()

    def leave(self) -> None:
        """Leave the group at once: a member with a name would be waited for."""
        self.source._consumer.unsubscribe()

    def _assigned(self, starts: Mapping[Shard, int], resumed: bool) -> None:
        assert not resumed, "nothing is committed here"
        self.shards |= set(starts)
        self.rebalances += 1

    def _revoked(self, shards: Iterable[Shard], lost: bool) -> None:
        assert not lost
        self.shards -= set(shards)


def read_until(done: Callable[[], bool], *members: Member) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        for member in members:
            member.read()
        time.sleep(0.001)


def fill(kafka: Broker, topic: str) -> None:
    produce(kafka.servers, topic, [(b"%d" % row, bytes(SIZE)) for row in range(RECORDS)])


def test_memory_stays_flat_over_a_hundred_rebalances_in_which_topics_come_and_go(kafka: Broker, topics: Topics) -> None:
    names = topics("stays", "comes", partitions=PARTITIONS)
    both = [names["stays"], names["comes"]]
    for topic in both:
        fill(kafka, topic)
    member = Member(kafka, names["stays"], "first", both[:1])
    read_until(lambda: member.records == RECORDS, member)

    def rebalance(times: int) -> None:
        """Let a topic come, read it to its end, and let it go."""
        for _ in range(times):
            read = member.records
            member.change(both)
            read_until(lambda read=read: member.records == read + RECORDS, member)  # type: ignore[misc]  # mypy: a default
            member.change(both[:1])
            read_until(lambda: len(member.shards) == PARTITIONS, member)

    rebalance(20)
    before, had = used(), member.rebalances
    rebalance(50)
    assert used() - before < 500_000, "of 50 MB that were read"
    assert member.rebalances - had == 100
    assert member.records == 71 * RECORDS
    member.source.close()


def test_memory_stays_flat_while_a_second_member_comes_and_goes(kafka: Broker, topics: Topics) -> None:
    name = topics("raw", partitions=PARTITIONS)["raw"]
    fill(kafka, name)
    first = Member(kafka, name, "first", [name])
    read_until(lambda: first.records == RECORDS, first)

    def visit(times: int) -> None:
        """Let a second member take half of the shards, and leave them again."""
        for _ in range(times):
            second = Member(kafka, name, "second", [name])
            read_until(lambda second=second: len(first.shards) == len(second.shards) == 2, first, second)  # type: ignore[misc]  # as above
            assert not first.shards & second.shards
            second.leave()
            read_until(lambda second=second: len(first.shards) == 4 and not second.shards, first, second)  # type: ignore[misc]  # as above
            second.source.close()

    visit(3)
    before = used()
    visit(8)
    assert used() - before < 2_000_000
    first.source.close()
