"""A worker on a source and a sink that the test plays: what is marked and committed when, and what is told of silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.codec.base import Records
from connectors.kafka.client import KafkaFailure
from pipelines import config, worker
from pipelines.worker import Close, Idle, Mark, Options, Run, Worker

PIPELINE = """
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: ms, idle: 1s}
  fields: {x: float}
steps:
  - window: {tumbling: 1s, aggregate: {n: count()}}
sinks:
  - {from: window, kafka: {topic: out}}
commit: 1us
"""
CONDITIONS = PIPELINE.replace(
    "  - {from: window, kafka: {topic: out}}\n",
    """\
  - {from: window, when: n > 1, kafka: {topic: many}, format: avro}
  - {from: window, when: n = 1, kafka: {topic: one}}
  - {from: window, when: n > 9, kafka: {topic: most}}
  - {from: source, when: x > 1, kafka: {topic: high}}
  - {from: source, when: x > 1, kafka: {topic: high_too, brokers: "elsewhere:9092"}}
  - {from: source, kafka: {topic: all}}
""",
)
ZERO, ONE = ("raw", 0), ("raw", 1)


class Source:
    """Plays connectors.kafka.source.KafkaSource."""

    def __init__(self, *args: Any) -> None:
        self.assign: Callable[[Mapping[Any, int], bool], None] = args[6]
        self.revoke: Callable[[Sequence[Any], bool], None] = args[7]
        self.positions: dict[tuple[str, int], int] = {}
        self.at_end: set[tuple[str, int]] = set()
        self.commit_failed = False
        self.coming: list[Records] = []
        self.committed: list[tuple[dict[tuple[str, int], int], bool]] = []
        self.answers = True
        self.refuses = False
        self.over = False

    def subscribe(self) -> None: ...

    def stop_at_end(self) -> None: ...

    def close(self) -> None:
        self.revoke(list(self.positions), False)

    def hand(self, *shards: tuple[str, int]) -> None:
        self.positions |= dict.fromkeys(shards, 0)
        self.assign(dict.fromkeys(shards, 0), False)

    def read(self) -> list[Records]:
        coming, self.coming = self.coming, []
        for records in coming:
            self.positions[records.topic, records.partition] = int(records.offset[-1]) + 1
        return coming

    def commit(self, positions: Mapping[tuple[str, int], int], *, wait: bool) -> None:
        if self.refuses:
            message = "no"
            raise KafkaFailure(message)
        self.committed.append((dict(positions), wait))

    def still_at_end(self, shard: tuple[str, int]) -> bool:
        del shard
        return self.answers

    def ended(self) -> set[tuple[str, int]]:
        return self.at_end

    def finished(self) -> bool:
        return self.over


class Sink:
    """Plays connectors.kafka.sink.KafkaSink."""

    delivery_errors = 0

    def __init__(self, *args: Any) -> None:
        del args
        self.rows: list[bytes] = []
        self.topics: dict[str, list[bytes]] = {}
        self.failure: str | None = None
        self.waiting = False
        self.flushes = 0

    def write(self, topic: str, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        assert len(keys) == len(values)
        self.rows += values
        self.topics.setdefault(topic, []).extend(values)

    def flush(self) -> None:
        self.flushes += 1
        self.waiting = False
        self.delivered()

    def delivered(self) -> bool:
        if self.failure is not None:
            raise KafkaFailure(self.failure)
        return not self.waiting

    def close(self) -> None: ...


class Played:
    """A worker with its source, its sink and a clock that the test turns."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, options: Options, pipeline: str = PIPELINE
    ) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(worker, "KafkaSource", Source)
        monkeypatch.setattr(worker, "KafkaSink", Sink)
        monkeypatch.setattr("pipelines.worker.time.monotonic", lambda: self.now)
        file = folder / "mill.yaml"
        file.write_text(pipeline)
        self.run = Run(config.read(file, {}), options)
        self.worker = Worker(self.run, 0)
        self.source: Any = self.worker._source
        self.sink: Any = self.worker._sinks[0]

    def turn(self) -> list[Any]:
        """Read, process and write once; gives what was read."""
        self.now += 0.01
        items = self.worker.read()
        self.worker.write(self.worker.process(items))
        return items


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Played]:
    return lambda pipeline=PIPELINE, **options: Played(
        tmp_path, monkeypatch, Options(instance="me", **options), pipeline
    )


def records(shard: tuple[str, int], first: int, *seconds: float) -> Records:
    values = [b'{"dev": "a", "ts": %d, "x": 1}' % int(second * 1_000) for second in seconds]
    none = [None] * len(values)
    return Records.of(*shard, values, none, np.full(len(values), -1), np.arange(first, first + len(values)))


def marks(items: Sequence[Any]) -> list[dict[tuple[str, int], int]]:
    return [dict(item.positions) for item in items if isinstance(item, Mark)]


def test_a_mark_carries_what_has_moved_since_the_one_before(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO, ONE)
    assert marks(played.turn()) == [{ZERO: 0, ONE: 0}]
    played.source.coming = [records(ONE, 0, 0.1, 0.2)]
    assert marks(played.turn()) == [{ONE: 2}]
    assert marks(played.turn()) == []
    assert [positions for positions, _ in played.source.committed] == [{ZERO: 0, ONE: 0}, {ONE: 2}]


def test_positions_are_committed_once_their_rows_are_delivered_and_work_goes_on_meanwhile(
    play: Callable[..., Played],
) -> None:
    played = play(PIPELINE.replace("1us", "100ms"))
    played.source.hand(ZERO, ONE)
    played.turn()
    played.source.committed.clear()
    played.sink.waiting = True
    played.now += 1
    played.source.coming = [records(ZERO, 0, 0.1, 1.5)]
    assert marks(played.turn()) == [{ZERO: 2}]
    played.source.coming = [records(ZERO, 2, 1.6)]
    played.turn()
    assert (played.source.committed, played.sink.flushes) == ([], 0), "the second batch didn't wait"
    played.sink.waiting = False
    played.turn()
    assert played.source.committed == [({ZERO: 2}, False)]


def test_a_mark_waits_for_the_rows_of_the_one_before(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO)
    played.turn()
    played.source.committed.clear()
    for at in range(2):
        played.sink.waiting = True
        played.now += 1
        played.source.coming = [records(ZERO, at, 0.1)]
        played.turn()
        assert played.sink.flushes == at
    assert played.source.committed == [({ZERO: 2}, False)]


def test_positions_that_are_due_go_with_a_shard_that_is_lost(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO, ONE)
    played.turn()
    played.source.committed.clear()
    played.sink.waiting = True
    played.now += 1
    played.source.coming = [records(ZERO, 0, 0.1), records(ONE, 0, 0.1)]
    played.turn()
    played.source.revoke([ONE], True)
    played.sink.waiting = False
    played.turn()
    assert played.source.committed == [({ZERO: 1}, False)]


def test_a_commit_that_failed_is_made_up_by_the_next_mark(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO, ONE)
    played.source.coming = [records(ZERO, 0, 0.1)]
    played.turn()
    played.source.commit_failed = True
    assert marks(played.turn()) == [{ZERO: 1, ONE: 0}]
    assert marks(played.turn()) == []


def test_the_last_mark_carries_every_position_and_is_waited_for(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO, ONE)
    played.source.coming = [records(ZERO, 0, 0.1)]
    played.turn()
    played.run.stopping.set()
    assert marks(played.turn()) == [{ZERO: 1, ONE: 0}]
    assert played.source.committed[-1] == ({ZERO: 1, ONE: 0}, True)
    assert played.worker.finished()
    assert played.turn() == []


def test_a_last_commit_that_is_refused_fails_the_run(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO)
    played.source.refuses = True
    played.run.stopping.set()
    played.turn()
    assert isinstance(played.run.failure, KafkaFailure)


def test_nothing_is_committed_when_rows_could_not_be_delivered(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO)
    played.source.coming = [records(ZERO, 0, 0.1, 1.5)]
    played.sink.failure = "the topic is gone"
    played.turn()
    assert str(played.run.failure) == "the topic is gone"
    played.worker.close()
    assert played.source.committed == []


def test_nothing_is_read_while_something_is_in_the_flow(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO)
    played.source.coming = [records(ZERO, 0, 0.1)]
    items = played.worker.read()
    assert len(items) == 2
    assert played.worker.read() == []
    played.worker.write(played.worker.process(items))
    played.source.coming = [records(ZERO, 1, 0.2)]
    played.now += 1
    assert len(played.worker.read()) == 2


def test_a_shard_that_leaves_is_delivered_and_committed_first_but_not_one_that_is_lost(
    play: Callable[..., Played],
) -> None:
    played = play()
    played.source.hand(ZERO, ONE)
    played.source.coming = [records(ZERO, 0, 0.1), records(ONE, 0, 0.1)]
    played.turn()
    played.source.committed.clear()
    played.source.revoke([ZERO], False)
    assert played.source.committed == [({ZERO: 1}, True)]
    played.source.revoke([ONE], True)
    assert len(played.source.committed) == 1
    assert played.worker.counted().records == 2


def test_silence_is_told_once_it_is_long_enough_and_only_if_the_broker_answers(play: Callable[..., Played]) -> None:
    played = play()
    played.source.hand(ZERO)
    played.source.coming = [records(ZERO, 0, 0.5)]
    played.turn()
    played.source.at_end = {ZERO}
    played.now += 0.5
    assert not any(isinstance(item, Idle) for item in played.turn())
    played.source.answers = False
    played.now += 1
    assert not any(isinstance(item, Idle) for item in played.turn())  # an outage is no silence of devices
    played.source.answers = True
    played.now += 1
    (idle,) = [item for item in played.turn() if isinstance(item, Idle)]
    assert idle.elapsed == pytest.approx(2_530_000, abs=20_000)
    assert len(played.sink.rows) == 1


def test_windows_are_closed_once_at_the_end_of_a_finite_run(play: Callable[..., Played]) -> None:
    played = play(until_end=True, close_windows=True)
    played.source.hand(ZERO)
    played.source.coming = [records(ZERO, 0, 0.5)]
    played.turn()
    played.source.at_end = {ZERO}
    assert [item for item in played.turn() if isinstance(item, Close)] == [Close(ZERO)]
    assert [item for item in played.turn() if isinstance(item, Close)] == []
    played.source.over = True
    played.turn()
    assert len(played.sink.rows) == 1
    assert played.worker.finished()


def test_each_sink_gets_the_rows_for_which_its_own_condition_holds(play: Callable[..., Played]) -> None:
    played = play(CONDITIONS, until_end=True, close_windows=True)
    played.source.hand(ZERO)
    values: list[bytes | None] = [
        b'{"dev": "a", "ts": %d, "x": %d}' % (ts, x) for ts, x in [(0, 1), (500, 2), (1_000, 3), (9_000, 1)]
    ]
    played.source.coming = [Records.of(*ZERO, values, [None] * 4, np.full(4, -1), np.arange(4))]
    played.turn()
    played.source.at_end = {ZERO}
    played.turn()
    elsewhere: Any = played.worker._sinks[1]
    written = {topic: len(values) for sink in (played.sink, elsewhere) for topic, values in sink.topics.items()}
    assert written == {"many": 1, "one": 2, "high": 2, "high_too": 2, "all": 4}
    assert set(elsewhere.topics) == {"high_too"}
    assert all(b'"n":1' in row for row in played.sink.topics["one"])


def test_what_each_sink_has_written_is_counted(play: Callable[..., Played]) -> None:
    played = play(CONDITIONS, until_end=True, close_windows=True)
    played.source.hand(ZERO)
    played.source.coming = [records(ZERO, 0, 0.1, 0.2, 1.5)]
    played.turn()
    played.source.at_end = {ZERO}
    played.turn()
    counts = played.worker.counted()
    found = {sink.topic: counts.rows[sink.written] for sink in played.run.pipeline.sinks}
    assert found == {"many": 1, "one": 1, "most": 0, "high": 0, "high_too": 0, "all": 3}


def test_an_avro_record_is_named_by_its_stream_whatever_the_condition(
    play: Callable[..., Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    monkeypatch.setattr("connectors.codec.avro.Avro.encoder", lambda _self, _schema, name, _topic: names.append(name))
    play(CONDITIONS)
    assert names == ["window"]
