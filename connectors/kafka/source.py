"""Records out of Kafka: a member of a consumer group that reads batches of one partition each."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.codec.base import Records
from connectors.kafka.client import KafkaFailure, open_client, settings
from connectors.kafka.intake import MOST, Event, Queue
from connectors.kafka.librdkafka import Unavailable
from connectors.kafka.messages import unpack

log = logging.getLogger("telemill.source")

Shard: TypeAlias = tuple[str, int]
"""A topic and a partition of it."""

_PATIENCE = 30.0
"""Seconds to wait for an answer that a run can't begin without."""
_PASSING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TRANSPORT,  # noqa: SLF001  # how confluent-kafka names librdkafka's own errors
    KafkaError._TIMED_OUT,  # noqa: SLF001  # as above
}
"""What a broker says while a partition moves, or a topic is new."""
_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001  # how confluent-kafka names librdkafka's own errors


class KafkaSource:
    """Reads the shards that the group gives to this member.

    Attributes:
        positions: the next offset to read of every shard that is held.
        at_end: the shards of which everything has been read.
        commit_failed: set where a commit failed that nobody waited for; whoever makes it up clears it.
    """

    def __init__(
        self,
        topics: Iterable[str],
        brokers: str,
        config: Mapping[str, str],
        group: str,
        instance: str,
        start: str,
        on_assign: Callable[[Mapping[Shard, int], bool], None],
        on_revoke: Callable[[Iterable[Shard], bool], None],
        headers: Sequence[str] = (),
    ) -> None:
        """Join the group.

        Args:
            topics: to read.
            brokers: host:port, separated by commas.
            config: further settings of librdkafka.
            group: the consumer group.
            instance: the member's name in it.
            start: earliest or latest, where the group has no position.
            on_assign: called with the shards that came and the position each begins at, and whether any of these is
                a position that the group had committed.
            on_revoke: called with the shards that go, before they are gone, and whether they are lost already.
            headers: the names of those that are read of each record.
        """
        self.positions: dict[Shard, int] = {}
        self.at_end: set[Shard] = set()
        self._ends: dict[Shard, int] | None = None
        self._ask_at = 0.0
        self._closing = False
        self.commit_failed = False
        self._start = start
        self._on_assign, self._on_revoke = on_assign, on_revoke
        self._fatal: KafkaError | None = None
        self._group = group
        own = settings(
            brokers,
            {
                "session.timeout.ms": "6000",
                # A member joins once its topics' metadata are there. Where librdkafka asks for them while a broker comes
                # back, it may lose the request with the connection it began with, and asks anew only at this interval:
                # for its five minutes the member would have no shards.
                "topic.metadata.refresh.interval.ms": "5000",
                # What is queued should be small enough to stay in the caches. While there is enough, the fetcher rests: for
                # librdkafka's second the queue would run dry, and without a rest it asks again and again, at a third of the
                # CPU.
                "max.partition.fetch.bytes": "524288",
                "queued.min.messages": "10000",
                "fetch.queue.backoff.ms": "2",
                **config,
            },
            group_id=group,
            group_instance_id=instance,
            partition_assignment_strategy="cooperative-sticky",
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            enable_partition_eof=True,
            # Positions are always given; where records are deleted before they are read, it is told and not skipped.
            auto_offset_reset="error",
            error_cb=self._on_error,
            on_commit=self._on_commit,
        )
        self._consumer: Any = open_client(Consumer, own)
        self._queue: Queue | None = None
        self._silent: set[Shard] = set()
        """The shards of which nothing has come since they were assigned."""
        try:
            self._queue = Queue(self._consumer, headers)
        except Unavailable as reason:
            log.warning("reading through confluent-kafka's objects, at a fraction of the speed: %s", reason)
        self._topics = list(topics)
        self._headers = headers

    def subscribe(self) -> None:
        """Ask the group for shards."""
        self._consumer.subscribe(
            self._topics,
            on_assign=lambda _, partitions: self._assigned(partitions),
            on_revoke=lambda _, partitions: self._revoked(partitions, lost=False),
            on_lost=lambda _, partitions: self._revoked(partitions, lost=True),
        )

    def stop_at_end(self) -> None:
        """Read no further than where the partitions end now."""
        self._ends = {}
        known = self._consumer.list_topics(timeout=10).topics
        for topic in self._topics:
            for partition in known[topic].partitions:
                _, self._ends[topic, partition] = self._bounds(TopicPartition(topic, partition))

    def ended(self) -> set[Shard]:
        """Give the shards held that have been read to the end that `stop_at_end` found."""
        if self._ends is None:
            return set()
        return {shard for shard, at in self.positions.items() if shard in self.at_end or at >= self._ends.get(shard, 0)}

    def finished(self) -> bool:
        """Say whether the whole group has read every shard to the end that `stop_at_end` found.

        A member whose own shards are done stays until the others have committed theirs: should one of them fail, its
        shards come here. The group is asked once a second.
        """
        if self._ends is None or self.ended() != set(self.positions) or time.monotonic() < self._ask_at:
            return False
        self._ask_at = time.monotonic() + 1
        others = [
            TopicPartition(*shard) for shard, end in self._ends.items() if shard not in self.positions and end > 0
        ]
        found = self._consumer.committed(others, timeout=_PATIENCE) if others else []
        return all(part.offset >= self._ends[part.topic, part.partition] for part in found)

    def read(self) -> list[Records]:
        """Read what is there, in batches of one shard each; doesn't wait. Records stay as they are until the next read.

        Raises:
            KafkaFailure: for an error that librdkafka doesn't get over by itself.
        """
        try:
            messages = self._consumer.consume(MOST, 0.0)  # serves the group too, whichever way records come
        except KafkaException as error:
            raise KafkaFailure(_line(error.args[0])) from None
        if self._fatal is not None:
            raise KafkaFailure(_line(self._fatal))
        read, events = unpack(messages, self._headers)
        if self._queue is not None:
            self._take(self._silent)
            more, told = self._queue.read()
            self._silent -= {(batch.topic, batch.partition) for batch in more}
            self._silent -= {(event.topic, event.partition) for event in told}
            read, events = [*read, *more], [*events, *told]
        batches = [self._cut(batch) for batch in read if (batch.topic, batch.partition) in self.positions]
        for event in events:  # behind the records, or the end of a partition would be taken back by them
            self._event(event)
        return [batch for batch in batches if len(batch)]

    def still_at_end(self, shard: Shard) -> bool:
        """Ask the broker whether a shard has nothing left to read; no, where the broker doesn't answer in a second."""
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*shard), timeout=1.0)
        except KafkaException:
            return False
        return bool(high <= self.positions[shard])

    def commit(self, positions: Mapping[Shard, int], *, wait: bool) -> None:
        """Commit positions: the next offset to process of each shard.

        Raises:
            KafkaFailure: if the group refuses them for good.
        """
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in positions.items()]
        if not offsets:
            return
        try:
            done = self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            if wait:
                message = f"positions weren't committed: {_line(error.args[0])}"
                raise KafkaFailure(message) from None
            self._on_commit(error.args[0], offsets)
            return
        failed = [part.error for part in done or () if part.error is not None]
        if wait and failed:
            message = f"positions weren't committed: {_line(failed[0])}"
            raise KafkaFailure(message)

    def close(self) -> None:
        """Leave Kafka. A member with a name stays in the group until its session ends, so it can come back."""
        self._closing = True
        # Shards that were given and not yet taken would let librdkafka's close hang: it takes the answer to them for that
        # to its own revocation, is done, and never serves the second. So none are given any more, and what waits is served.
        self._consumer.unsubscribe()
        with contextlib.suppress(KafkaException):
            self._consumer.consume(MOST, 0.0)
        if self._queue is not None:
            self._queue.close()
        self._consumer.close()
        self.positions.clear()
        self.at_end.clear()

    def _assigned(self, partitions: list[TopicPartition]) -> None:
        if self._closing:
            return  # a join that completes while the consumer is closed: there is nothing to begin
        committed = self._consumer.committed(partitions, timeout=_PATIENCE) if partitions else []
        resumed = any(found.offset >= 0 for found in committed)
        starts: dict[Shard, int] = {}
        for found in committed:
            starts[found.topic, found.partition] = self._start_of(found)
        self._take(starts)
        self._consumer.incremental_assign([TopicPartition(topic, part, at) for (topic, part), at in starts.items()])
        self.positions |= starts
        self._on_assign(starts, resumed)

    def _take(self, shards: Iterable[Shard]) -> None:
        """Let records of shards come through our queue.

        Where a shard was held before, librdkafka may be about to end that, and would then take the queue away again. So
        this is done anew until something comes.
        """
        if self._queue is not None:
            for shard in shards:
                self._queue.take(*shard)
            self._silent |= set(shards)

    def _start_of(self, committed: TopicPartition) -> int:
        """Give the offset to begin at: the committed one, unless there is none or its records are gone."""
        low, high = self._bounds(committed)
        if committed.offset < 0:
            return low if self._start == "earliest" else high
        if low <= committed.offset <= high:
            return int(committed.offset)
        log.warning(
            "%s[%d] holds offsets %d to %d, but the group %s is at %d: %s; going on at %d",
            committed.topic,
            committed.partition,
            low,
            high,
            self._group,
            committed.offset,
            "records were deleted before they were read" if committed.offset < low else "the topic was made anew",
            low,
        )
        return low

    def _bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Ask for the first offset of a partition and the one behind its last; a moving leader is waited for."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(partition, timeout=_PATIENCE)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING or time.monotonic() > deadline:
                    raise KafkaFailure(_line(error.args[0])) from None
                time.sleep(0.1)
            else:
                return int(low), int(high)

    def _revoked(self, partitions: list[TopicPartition], *, lost: bool) -> None:
        if self._closing:
            return
        shards = [(partition.topic, partition.partition) for partition in partitions]
        self._on_revoke(shards, lost)
        for shard in shards:
            self.positions.pop(shard, None)
            self._silent.discard(shard)
            self.at_end.discard(shard)

    def _event(self, event: Event) -> None:
        shard, error = (event.topic, event.partition), event.error
        if error.code() == _EOF:
            if event.offset >= self.positions.get(shard, event.offset + 1):
                self.at_end.add(shard)
                self.positions[shard] = event.offset
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # as above
            self._skip_deleted(shard)
            return
        if error.retriable():
            log.warning("%s", _line(error))
            return
        raise KafkaFailure(_line(error))

    def _skip_deleted(self, shard: Shard) -> None:
        """Go on at the first record that is still there, and say what was missed."""
        if shard not in self.positions:
            return
        low, _ = self._bounds(TopicPartition(*shard))
        log.error(
            "%s[%d]: the records from offset %d to %d were deleted before they were read: give the topic more retention, "
            "or this pipeline more workers",
            *shard,
            self.positions[shard],
            low - 1,
        )
        # librdkafka has stopped fetching this partition, and seeks only in one that it fetches.
        self._consumer.incremental_unassign([TopicPartition(*shard)])
        self._take([shard])
        self._consumer.incremental_assign([TopicPartition(*shard, low)])
        self.positions[shard] = low

    def _cut(self, batch: Records) -> Records:
        """Move the shard's position on, and leave out what lies behind its end."""
        shard = (batch.topic, batch.partition)
        self.at_end.discard(shard)
        if self._ends is not None:
            end = self._ends.get(shard, 0)
            rows = int(np.searchsorted(batch.offset, end))
            if rows < len(batch):
                self.at_end.add(shard)
                self.positions[shard] = max(self.positions[shard], end)
                self._consumer.pause([TopicPartition(*shard)])
                batch = batch.take(slice(rows))
        if len(batch):
            self.positions[shard] = max(self.positions[shard], int(batch.offset[-1]) + 1)
        return batch

    def _on_error(self, error: KafkaError) -> None:
        """Keep a fatal error for the next read; librdkafka gets over the others by itself and only tells."""
        if error.fatal() or error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001  # as above
            self._fatal = error
        else:
            log.warning("%s; going on", _line(error))

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        del partitions
        if error is None or error.code() == KafkaError._NO_OFFSET:  # noqa: SLF001  # as above
            return
        if error.fatal():
            self._fatal = error
        else:
            self.commit_failed = True
            log.warning("positions weren't committed: %s; the next commit carries them", _line(error))


def _line(error: KafkaError) -> str:
    text = " ".join(error.str().split())
    if error.code() == KafkaError.FENCED_INSTANCE_ID:
        return f"{text}: another worker has this worker's name in the group; give each its own with --instance"
    return text
