"""A worker: one member of the consumer group. It reads, lets its shards process, and writes; it knows no Bytewax.

What flows are batches of records, then what the shards made of them, and marks. A mark carries the positions of all
that was read before it; when it is written, the rows of those records have been handed over, so once they are delivered
the positions are committed. Work goes on meanwhile, until the next mark, which waits. Nothing is committed anywhere else
but where a shard leaves, which happens while reading, when the flow is empty.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from connectors.codec.base import Encoder, Records
from connectors.kafka.instance import Instance
from connectors.kafka.sink import KafkaSink
from connectors.kafka.source import KafkaSource
from connectors.kafka.source import Shard as Name
from pipelines.plan import DEAD, Kafka, Pipeline
from pipelines.shard import Counts, Letter, Product, Shard

log = logging.getLogger("telemill")

_PIECE = 8 << 20
"""Bytes of records that are taken in at a time, about: where each holds many readings, rows need far more memory."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything before these positions has been put into the flow."""

    positions: Mapping[Name, int]
    last: bool


@dataclass(frozen=True, slots=True)
class Idle:
    """A shard has had no record for `elapsed` us of wall time, and there is none left to read."""

    shard: Name
    elapsed: int


@dataclass(frozen=True, slots=True)
class Close:
    """A finite run has come to the end of a shard, and what is open in it is to be closed."""

    shard: Name


Read: TypeAlias = Records | Idle | Close | Mark
Written: TypeAlias = Product | Mark


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    Attributes:
        until_end: stop where the partitions ended when the run began.
        close_windows: close what is open at that end.
        instance: the worker's name in the group; one of its own if None.
        on_product: called with all that leaves the shards.
        quiet_failure: end the flow without an exception when something fails; the caller looks at `Run.failure`.
    """

    until_end: bool = False
    close_windows: bool = False
    instance: str | None = None
    on_product: Callable[[Product], None] | None = None
    quiet_failure: bool = False


@dataclass(slots=True)
class Run:
    """What can be seen of a run from outside.

    Attributes:
        failure: what ended the run, or None.
        stopping: set to end the run in good order.
        delivery_errors: rows that couldn't be delivered.
        began: when the first records came, by `time.perf_counter`; None before.
        ended: when rows were last handed over.
    """

    pipeline: Pipeline
    options: Options
    failure: BaseException | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    delivery_errors: int = 0
    began: float | None = None
    ended: float = 0.0
    _workers: dict[int, Worker] = field(default_factory=dict)

    def total(self) -> Counts:
        """Add up what all shards have counted so far."""
        total = Counts()
        for worker in self._workers.values():
            total.add(worker.counted())
        return total

    def seconds(self) -> float:
        """Give how long it took from the first records to the last rows."""
        return 0.0 if self.began is None else max(self.ended - self.began, 1e-9)

    def worker(self, index: int) -> Worker:
        """Give the worker of this index; its source and its sink share it."""
        if index not in self._workers:
            try:
                self._workers[index] = Worker(self, index)
            except Exception as error:
                self.fail(error)
                raise
        return self._workers[index]

    def fail(self, error: BaseException) -> None:
        """Note what ended the run; the first counts."""
        if self.failure is None:
            self.failure = error


@dataclass(slots=True)
class _Held:
    """A shard that is held, and what the worker knows of it.

    Attributes:
        marked: the position that the last mark carried, or None.
        heard: when it last had a record, by the monotonic clock; s.
        idled: when its silence was last told; s.
        closed: whether its windows were closed at the end of a finite run.
    """

    shard: Shard
    heard: float
    idled: float
    marked: int | None = None
    closed: bool = False


class Worker:
    """One member of the consumer group: the shards it holds, how it reads and how it writes."""

    def __init__(self, run: Run, index: int) -> None:
        """Join the group."""
        self._done = False
        self._run = run
        self._pipeline = run.pipeline
        self._held: dict[Name, _Held] = {}
        self._counts = Counts()
        self._in_flow = 0
        self._due: dict[Name, int] = {}
        """The positions of marks that were written; the rows before them may not be delivered yet."""
        self._mark_at = 0.0
        self._closing = False
        source = self._pipeline.source
        self._decoder = source.decoder()
        name = run.options.instance
        self._instance = Instance(source.group, f"{name}-{index}" if name and index else name)
        self._sinks, self._routes = _routes(self._pipeline)
        self._source = KafkaSource(
            source.topics,
            source.kafka.brokers,
            source.kafka.config,
            source.group,
            self._instance.name,
            source.start,
            self._assigned,
            self._revoked,
            source.reading.header_names(),
        )
        if run.options.until_end:
            self._source.stop_at_end()
        log.info("member %s of group %s", self._instance.name, source.group)
        self._source.subscribe()

    def finished(self) -> bool:
        """Say whether the last mark has been written."""
        return self._done and not self._in_flow

    def counted(self) -> Counts:
        """Add up what the shards have counted, those that have left too."""
        total = Counts()
        total.add(self._counts)
        for held in list(self._held.values()):
            total.add(held.shard.counts)
        return total

    def read(self) -> list[Read]:
        """Read what is there; nothing while something is in the flow, so that no shard leaves with records under way."""
        if self._in_flow or self._done:
            return []
        try:
            items = self._read()
        except Exception as error:  # noqa: BLE001  # whatever it is ends the run, with one line
            self._run.fail(error)
            return []
        self._in_flow += len(items)
        return items

    def process(self, items: Iterable[Read]) -> list[Written]:
        """Let the shards take in what was read."""
        made: list[Written] = []
        try:
            for item in items:
                out = item if isinstance(item, Mark) else self._process(item)
                made.append(out)
        except Exception as error:
            log.debug("while processing", exc_info=True)
            self._run.fail(error)
        return made

    def write(self, items: Iterable[Written]) -> None:
        """Hand rows over to Kafka, and see to what marks say."""
        try:
            for item in items:
                if self._run.failure is None:
                    self._write(item)
                self._in_flow -= 1
            self._run.ended = time.perf_counter()
        except Exception as error:  # noqa: BLE001  # whatever it is ends the run; the reader raises it
            self._run.fail(error)

    def close(self) -> None:
        """Leave Kafka; what wasn't committed comes again. This is called however the flow ends, so it never commits."""
        self._closing = True
        self._counts = self.counted()
        self._held.clear()
        for sink in self._sinks:
            self._run.delivery_errors += sink.delivery_errors
            sink.close()
        self._source.close()
        self._instance.release()

    def _read(self) -> list[Read]:
        self._settle(wait=False)
        items: list[Read] = [piece for batch in self._source.read() for piece in batch.pieces(_PIECE)]
        now = time.monotonic()
        for item in items:
            if isinstance(item, Records):
                held = self._held[item.topic, item.partition]
                held.heard = held.idled = now
        items += self._ended() if self._run.options.until_end else self._silent(now)
        self._done = self._source.finished() or self._run.stopping.is_set()
        return [*items, *self._mark(now)]

    def _mark(self, now: float) -> list[Read]:
        """Make a mark where it is time for one, or the last one."""
        if self._source.commit_failed:
            self._source.commit_failed = False
            for held in self._held.values():
                held.marked = None
        if not self._done and now < self._mark_at:
            return []
        positions = self._source.positions
        moved = {name: at for name, at in positions.items() if self._done or self._held[name].marked != at}
        if not moved and not self._done:
            return []
        self._mark_at = now + self._pipeline.commit / 1_000_000
        for name, at in moved.items():
            self._held[name].marked = at
        return [Mark(moved, self._done)]

    def _ended(self) -> list[Read]:
        """Find the shards that are at the end of a finite run."""
        if not self._run.options.close_windows:
            return []
        ended = [name for name in sorted(self._source.ended()) if not self._held[name].closed]
        for name in ended:
            self._held[name].closed = True
        return [Close(name) for name in ended]

    def _silent(self, now: float) -> list[Read]:
        """Find the shards that have been silent for `idle` of wall time, though the broker can be reached."""
        idle = self._pipeline.source.idle / 1_000_000
        found: list[Read] = []
        for name in sorted(self._source.at_end):
            held = self._held[name]
            if now - held.idled >= idle:
                held.idled = now
                if self._source.still_at_end(name):
                    found.append(Idle(name, int((now - held.heard) * 1_000_000)))
        return found

    def _process(self, item: Records | Idle | Close) -> Product:
        if isinstance(item, Close):
            return self._held[item.shard].shard.close()
        if isinstance(item, Idle):
            return self._held[item.shard].shard.on_idle(item.elapsed)
        if self._run.began is None:
            self._run.began = time.perf_counter()
        return self._held[item.topic, item.partition].shard.process(item)

    def _write(self, item: Written) -> None:
        if isinstance(item, Mark):
            if self._due or item.last:
                self._deliver()
            self._due |= item.positions
            self._settle(wait=item.last)
            return
        if self._run.options.on_product is not None:
            self._run.options.on_product(item)
        for stream, batch in item.rows.items():
            keys = item.devices.ids(batch.device)
            for topic, sink, encoder in self._routes.get(stream, ()):
                if encoder is not None:
                    sink.write(topic, keys, encoder.encode(batch, item.devices))
        self._write_letters(item.letters)

    def _deliver(self) -> None:
        """Wait until all rows are delivered."""
        for sink in self._sinks:
            sink.flush()

    def _settle(self, *, wait: bool) -> None:
        """Commit the positions that are due, if all rows are delivered."""
        if self._due and all(sink.delivered() for sink in self._sinks):
            self._source.commit(self._due, wait=wait)
            self._due = {}

    def _write_letters(self, letters: Iterable[Letter]) -> None:
        routes = self._routes.get(DEAD, ())
        for letter in letters:
            where = f"{letter.topic}[{letter.partition}]@{letter.offset}"
            log.log(logging.DEBUG if routes else logging.WARNING, "dead: %s: %s", where, letter.reason)
            headers = {
                **letter.headers,
                "telemill.reason": letter.reason,
                "telemill.pipeline": self._pipeline.name,
                "telemill.topic": letter.topic,
                "telemill.partition": str(letter.partition),
                "telemill.offset": str(letter.offset),
            }
            for topic, sink, _ in routes:
                sink.write_letter(topic, letter.key, letter.value, headers)

    def _assigned(self, starts: Mapping[Name, int], resumed: bool) -> None:  # noqa: FBT001  # a callback's shape
        watch = [sink.written for sink in self._pipeline.sinks]
        now = time.monotonic()
        stateful: tuple[str, ...] = ()
        for (topic, partition), at in starts.items():
            shard = Shard(self._pipeline, self._decoder, watch, at)
            self._held[topic, partition] = _Held(shard, now, now)
            stateful = shard.stateful
            log.info("shard %s[%d] from offset %d", topic, partition, at)
        if resumed and stateful:
            log.warning(
                "going on from committed positions with empty state in %s: what open windows, detectors and alerts held "
                "isn't kept across a restart or a move yet",
                ", ".join(stateful),
            )

    def _revoked(self, names: Iterable[Name], lost: bool) -> None:  # noqa: FBT001  # a callback's shape
        """Hand shards over. The flow is empty here: all that was read has been written."""
        if self._closing:
            return  # a good end has committed with its last mark, and another must not commit
        mine = {name: self._source.positions[name] for name in names if name in self._held}
        if mine and not lost:
            self._deliver()
            self._source.commit(mine, wait=True)
        for name, position in mine.items():
            self._due.pop(name, None)
            self._counts.add(self._held.pop(name).shard.counts)
            log.info("shard %s[%d] %s at offset %d", *name, "lost" if lost else "handed over", position)


_Routes: TypeAlias = dict[str, list[tuple[str, KafkaSink, Encoder | None]]]


def _routes(pipeline: Pipeline) -> tuple[list[KafkaSink], _Routes]:
    """Make a producer for each Kafka that is written to, and say which topics each stream goes to, how encoded."""
    kafkas: list[Kafka] = []
    sinks: list[KafkaSink] = []
    routes: _Routes = {}
    for sink in pipeline.sinks:
        if sink.kafka not in kafkas:
            kafkas.append(sink.kafka)
            sinks.append(KafkaSink(sink.kafka.brokers, sink.kafka.config))
        encoder = None
        if sink.schema is not None:
            encoder = sink.format.encoder(sink.schema, sink.stream.replace(".", "_"), sink.topic)
        routes.setdefault(sink.written, []).append((sink.topic, sinks[kafkas.index(sink.kafka)], encoder))
    return sinks, routes
