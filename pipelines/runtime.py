"""A pipeline as a Bytewax dataflow: read, process, write, all three on the same worker. Alone in knowing Bytewax.

What flows are batches of records, then what the shards made of them, and marks. A mark carries the positions of all
that was read before it; when it reaches the sink, the rows of those records have been handed over, so once they are
delivered the positions are committed. Nothing is committed anywhere else but where a shard leaves, which happens
between batches, when the flow is empty.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import TypeAlias

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from connectors.codec.base import Encoder, Records
from connectors.kafka.client import check as check_kafka
from connectors.kafka.instance import Instance
from connectors.kafka.sink import KafkaSink
from connectors.kafka.source import KafkaSource
from connectors.kafka.source import Shard as Name
from pipelines.plan import DEAD, Pipeline
from pipelines.shard import Counts, Letter, Product, Shard

log = logging.getLogger("telemill")


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
        counts: of the shards that the workers hold or held.
        failure: what ended the run, or None.
        stopping: set to end the run in good order.
        delivery_errors: rows that couldn't be delivered.
        began: when the first records came, by `time.perf_counter`; None before.
        ended: when rows were last handed over.
    """

    pipeline: Pipeline
    options: Options
    counts: Counts = field(default_factory=Counts)
    failure: BaseException | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    delivery_errors: int = 0
    began: float | None = None
    ended: float = 0.0
    _workers: dict[int, Worker] = field(default_factory=dict)

    def total(self) -> Counts:
        """Add up what all shards have counted so far."""
        total = Counts()
        total.add(self.counts)
        for worker in self._workers.values():
            for shard in list(worker.shards.values()):
                total.add(shard.counts)
        return total

    def seconds(self) -> float:
        """Give how long it took from the first records to the last rows."""
        return 0.0 if self.began is None else max(self.ended - self.began, 1e-9)

    def worker(self, index: int) -> Worker:
        """Give the worker of this index; its source and its sink share it."""
        if index not in self._workers:
            self._workers[index] = Worker(self)
        return self._workers[index]

    def fail(self, error: BaseException) -> None:
        """Note what ended the run; the first counts."""
        if self.failure is None:
            self.failure = error


class Worker:
    """One member of the consumer group: the shards it holds, how it reads and how it writes."""

    def __init__(self, run: Run) -> None:
        """Join the group."""
        self.run = run
        self.in_flow = 0
        """Items that were read and not yet written."""
        self._closed = False
        pipeline = run.pipeline
        source = pipeline.source
        self.shards: dict[Name, Shard] = {}
        self._decoder = source.format.decoder(source.reading)
        self._instance = Instance(source.group, run.options.instance)
        kafkas = {sink.kafka.brokers + repr(sink.kafka.config): sink.kafka for sink in pipeline.sinks}
        self._sinks = {name: KafkaSink(kafka.brokers, kafka.config) for name, kafka in kafkas.items()}
        self._routes: dict[str, list[tuple[str, KafkaSink, Encoder | None]]] = {}
        for sink in pipeline.sinks:
            encoder = None if sink.schema is None else sink.format.encoder(sink.schema, sink.stream.replace(".", "_"))
            to = self._sinks[sink.kafka.brokers + repr(sink.kafka.config)]
            self._routes.setdefault(sink.stream, []).append((sink.topic, to, encoder))
        self.source = KafkaSource(
            source.topics,
            source.kafka.brokers,
            source.kafka.config,
            source.group,
            self._instance.name,
            source.start,
            self._assigned,
            self._revoked,
        )
        if run.options.until_end:
            self.source.stop_at_end()
        log.info("member %s of group %s", self._instance.name, source.group)
        self.source.subscribe()

    def process(self, items: Iterable[Read]) -> list[Written]:
        """Let the shards take in what was read."""
        made: list[Written] = []
        try:
            for item in items:
                out = self._process(item)
                self.in_flow += len(out) - 1
                made += out
        except Exception as error:
            log.exception("while processing")
            self.run.fail(error)
            return []
        return made

    def _process(self, item: Read) -> list[Written]:
        if isinstance(item, Mark):
            return [item]
        if isinstance(item, Close):
            return [self.shards[item.shard].close()]
        if isinstance(item, Idle):
            return [self.shards[item.shard].on_idle(item.elapsed)]
        if self.run.began is None:
            self.run.began = time.perf_counter()
        return [self.shards[item.topic, item.partition].process(item)]

    def write(self, items: Iterable[Written]) -> None:
        """Hand rows over to Kafka; at a mark, wait until they are delivered and commit."""
        try:
            for item in items:
                if self.run.failure is None:
                    self._write(item)
                self.in_flow -= 1
            self.run.ended = time.perf_counter()
        except Exception as error:  # noqa: BLE001  # whatever it is ends the run; the reader raises it
            self.run.fail(error)

    def _write(self, item: Written) -> None:
        if isinstance(item, Mark):
            for sink in self._sinks.values():
                sink.flush()
            self.source.commit(item.positions, wait=item.last)
            return
        if self.run.options.on_product is not None:
            self.run.options.on_product(item)
        for stream, batch in item.rows.items():
            keys = item.devices.ids(batch.device)
            for topic, sink, encoder in self._routes.get(stream, ()):
                if encoder is not None:
                    sink.write(topic, keys, encoder.encode(batch, item.devices))
        self._write_letters(item.letters)

    def close(self) -> None:
        """Leave Kafka; what wasn't committed comes again. Bytewax calls this however the flow ends."""
        self._closed = True
        self.run.counts = self.run.total()
        self.shards.clear()
        for sink in self._sinks.values():
            self.run.delivery_errors += sink.delivery_errors
            sink.close()
        self.source.close()
        self._instance.release()

    def _write_letters(self, letters: Iterable[Letter]) -> None:
        routes = self._routes.get(DEAD, ())
        for letter in letters:
            where = f"{letter.topic}[{letter.partition}]@{letter.offset}"
            log.log(logging.DEBUG if routes else logging.WARNING, "dead: %s: %s", where, letter.reason)
            headers = {
                "telemill.reason": letter.reason,
                "telemill.pipeline": self.run.pipeline.name,
                "telemill.topic": letter.topic,
                "telemill.partition": str(letter.partition),
                "telemill.offset": str(letter.offset),
            }
            for topic, sink, _ in routes:
                sink.write_letter(topic, letter.key, letter.value, headers)

    def _assigned(self, starts: Mapping[Name, int], resumed: bool) -> None:  # noqa: FBT001  # a callback's shape
        watch = [sink.stream for sink in self.run.pipeline.sinks]
        for (topic, partition), at in starts.items():
            self.shards[topic, partition] = Shard(self.run.pipeline, self._decoder, watch, at)
            log.info("shard %s[%d] from offset %d", topic, partition, at)
        stateful = next(iter(self.shards.values())).stateful if self.shards else ()
        if resumed and stateful:
            log.warning(
                "going on from committed positions with empty state in %s: what open windows, detectors and alerts held "
                "isn't kept across a restart or a move yet",
                ", ".join(stateful),
            )

    def _revoked(self, shards: Iterable[Name], lost: bool) -> None:  # noqa: FBT001  # a callback's shape
        """Hand shards over. The flow is empty here: all that was read has been written."""
        if self._closed:
            return  # a good end has committed with its last mark, and another must not commit
        mine = {shard: self.source.positions[shard] for shard in shards if shard in self.source.positions}
        if mine and not lost:
            for sink in self._sinks.values():
                sink.flush()
            self.source.commit(mine, wait=True)
        for shard, position in mine.items():
            gone = self.shards.pop(shard, None)
            if gone is not None:
                self.run.counts.add(gone.counts)
            log.info("shard %s[%d] %s at offset %d", *shard, "lost" if lost else "handed over", position)


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker read, and the worker: Bytewax doesn't tell the step between source and sink on which it runs."""

    worker: Worker
    items: list[Read]


class _Reader(StatelessSourcePartition[_Work]):
    """Polls Kafka, only while the flow is empty, so that a shard never leaves with records of it under way."""

    def __init__(self, run: Run, index: int) -> None:
        self._run = run
        self._worker = run.worker(index)
        self._marked: dict[Name, int] = {}
        self._mark_at = 0.0
        self._heard: dict[Name, float] = {}
        self._idled: dict[Name, float] = {}
        self._closed: set[Name] = set()
        self._done = False

    def next_batch(self) -> list[_Work]:
        if self._done or self._run.failure is not None:
            if self._run.failure is not None and not self._run.options.quiet_failure:
                raise self._run.failure
            raise StopIteration
        if self._worker.in_flow:
            return []
        try:
            items = self._next()
        except Exception as error:  # noqa: BLE001  # whatever it is ends the run, with one line
            self._run.fail(error)
            return []
        self._worker.in_flow += len(items)
        return [_Work(self._worker, items)] if items else []

    def next_awake(self) -> None:
        return None

    def close(self) -> None:
        self._worker.close()

    def _next(self) -> list[Read]:
        source = self._worker.source
        items: list[Read] = [*source.read()]
        now = time.monotonic()
        items += self._idle(items, now)
        if self._run.options.close_windows:
            items += [Close(shard) for shard in source.ended() - self._closed]
            self._closed |= source.ended()
        self._done = source.finished() or self._run.stopping.is_set()
        if self._done or (now >= self._mark_at and source.positions != self._marked):
            moved = {shard: at for shard, at in source.positions.items() if self._marked.get(shard) != at}
            self._marked = dict(source.positions)
            self._mark_at = now + self._run.pipeline.commit / 1_000_000
            if moved or self._done:
                items.append(Mark(moved, self._done))
        return items

    def _idle(self, items: Iterable[Read], now: float) -> list[Read]:
        """Find the shards that have been silent for `idle` of wall time; a finite run has no wall time."""
        for item in items:
            if isinstance(item, Records):
                self._heard[item.topic, item.partition] = self._idled[item.topic, item.partition] = now
        idle = self._run.pipeline.source.idle / 1_000_000
        found: list[Read] = []
        if self._run.options.until_end:
            return found
        for shard in self._worker.source.at_end:
            heard = self._heard.setdefault(shard, now)
            if now - self._idled.setdefault(shard, now) >= idle:
                self._idled[shard] = now
                found.append(Idle(shard, int((now - heard) * 1_000_000)))
        return found


class _Writer(StatelessSinkPartition[Written]):
    def __init__(self, run: Run, index: int) -> None:
        self._worker = run.worker(index)

    def write_batch(self, items: list[Written]) -> None:
        self._worker.write(items)


class _Source(DynamicSource[_Work]):
    def __init__(self, run: Run) -> None:
        self._run = run

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Reader:
        del step_id, worker_count
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._stop)
        return _Reader(self._run, worker_index)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """End in good order; a second signal ends at once."""
        del frame
        log.info("%s: stopping once what was read is delivered", signal.Signals(number).name)
        self._run.stopping.set()
        signal.signal(number, signal.SIG_DFL)


class _Sink(DynamicSink[Written]):
    def __init__(self, run: Run) -> None:
        self._run = run

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Writer:
        del step_id, worker_count
        return _Writer(self._run, worker_index)


def _process(works: list[_Work]) -> list[Written]:
    return [made for work in works for made in work.worker.process(work.items)]


def dataflow(pipeline: Pipeline, options: Options | None = None) -> tuple[Dataflow, Run]:
    """Make the dataflow of a pipeline, and the handle to look at its run.

    With several Bytewax workers each is a member of the consumer group of its own.
    """
    run = Run(pipeline, options or Options())

    # One item goes in and out of each step as a list, so Bytewax costs microseconds a batch and nothing an event.
    flow = Dataflow(pipeline.name.replace(".", "_"))
    read = op.input("read", flow, _Source(run))
    written = op.flat_map_batch("process", read, _process)
    op.output("write", written, _Sink(run))
    return flow, run


def check(pipeline: Pipeline) -> None:
    """Make sure that every Kafka of a pipeline answers and has its topics.

    Raises:
        KafkaFailure: within ten seconds, if not.
    """
    source = pipeline.source
    wanted: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = {}
    for kafka, topics in [(source.kafka, source.topics), *((sink.kafka, (sink.topic,)) for sink in pipeline.sinks)]:
        wanted.setdefault((kafka.brokers, tuple(sorted(kafka.config.items()))), set()).update(topics)
    for (brokers, config), topics_of in wanted.items():
        check_kafka(brokers, dict(config), topics_of)


def run(pipeline: Pipeline, options: Options) -> Run:
    """Run a pipeline on one worker until it is stopped, fails, or comes to its end.

    Returns:
        The run; `failure` says what ended it, None for a good end.

    Raises:
        KafkaFailure: if Kafka can't be used from the beginning.
    """
    check(pipeline)
    flow, handle = dataflow(pipeline, replace(options, quiet_failure=True))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        cli_main(flow)  # type: ignore[no-untyped-call]  # Bytewax has no types there
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return handle
