"""A pipeline as a Bytewax dataflow: read, process, write, all three on the same worker. Alone in knowing Bytewax."""

from __future__ import annotations

import logging
import signal
import threading
from dataclasses import dataclass, replace
from types import FrameType

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from connectors.kafka.client import check as check_kafka
from pipelines.compiling import ending
from pipelines.plan import Pipeline
from pipelines.rehearsal import rehearse
from pipelines.worker import Options, Read, Run, Worker, Written

log = logging.getLogger("telemill")


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker read, and the worker: Bytewax doesn't tell the step between source and sink on which it runs."""

    worker: Worker
    items: list[Read]


class _Reader(StatelessSourcePartition[_Work]):
    def __init__(self, run: Run, index: int) -> None:
        self._run = run
        self._worker = run.worker(index)

    def next_batch(self) -> list[_Work]:
        if self._run.failure is not None:
            if not self._run.options.quiet_failure:
                raise self._run.failure
            raise StopIteration
        if self._worker.finished():
            raise StopIteration
        items = self._worker.read()
        return [_Work(self._worker, items)] if items else []

    def next_awake(self) -> None:
        return None

    def close(self) -> None:
        self._worker.close()


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
        return _Reader(self._run, worker_index)


class _Sink(DynamicSink[Written]):
    def __init__(self, run: Run) -> None:
        self._run = run

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Writer:
        del step_id, worker_count
        return _Writer(self._run, worker_index)


def _process(works: list[_Work]) -> list[Written]:
    return [made for work in works for made in work.worker.process(work.items)]


def dataflow(pipeline: Pipeline, options: Options | None = None) -> tuple[Dataflow, Run]:
    """Make the dataflow of a pipeline, once its kernels are there, and the handle to look at its run.

    With several Bytewax workers each is a member of the consumer group of its own. From now on SIGTERM and SIGINT end
    the run in good order, and a second one at once.

    Raises:
        SystemExit: 0 if it is asked to stop while the kernels are made ready.
    """
    run = Run(pipeline, options or Options())
    ready = False

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        run.stopping.set()
        when = "once what was read is delivered" if ready else "before anything is read"
        log.info("%s: stopping %s", signal.Signals(number).name, when)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
    with ending(run.stopping):
        rehearse(pipeline)
    ready = True

    # One item goes through each step as a whole read, so Bytewax costs microseconds a batch and nothing an event.
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
        SystemExit: see `dataflow`.
    """
    check(pipeline)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        flow, handle = dataflow(pipeline, replace(options, quiet_failure=True))
        try:
            cli_main(flow)  # type: ignore[no-untyped-call]  # Bytewax has no types there
        except BytewaxRuntimeError as error:
            handle.fail(error)  # what the worker noted itself, more precisely, counts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return handle
