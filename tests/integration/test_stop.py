"""How a run ends: asked to, killed, and killed again; what is delivered and committed then."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.integration.kafka.broker import Broker
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import Process, committed, produce, read, wait_until

PIPELINE = """
name: {raw}
source:
  kafka: {{topics: [{raw}], brokers: "${{KAFKA_BROKERS}}"}}
  device: id
  time: {{field: n, unit: ms}}
  fields: {{x: float}}
steps:
  - derive: {{y: x * 2}}
  - id: sums
    window: {{tumbling: 1s, aggregate: {{total: sum(x)}}}}
sinks:
  - {{from: derive, kafka: {{topic: {out}}}}}
  - {{from: sums, kafka: {{topic: {sums}}}}}
"""
RECORDS = 200_000


def records() -> Iterator[tuple[bytes, bytes]]:
    for n in range(RECORDS):
        device = f"device-{n % 50}"
        yield device.encode(), json.dumps({"id": device, "n": n, "x": float(n)}).encode()


def start(kafka: Broker, names: dict[str, str], folder: Path, *more: str) -> Process:
    file = folder / "pipeline.yaml"
    file.write_text(PIPELINE.format(**names))
    return Process(["-m", "pipelines", "run", str(file), *more], {"KAFKA_BROKERS": kafka.servers}, folder / "log")


def numbers(kafka: Broker, topic: str) -> list[float]:
    return [json.loads(message.value or b"")["y"] / 2 for message in read(kafka.servers, topic)]


def test_sigterm_delivers_what_was_read_commits_it_and_exits_with_0(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    names = topics("raw", "out", "sums")
    feeding = threading.Thread(target=produce, args=(kafka.servers, names["raw"], records()))
    run = start(kafka, names, tmp_path)
    run.wait_for("shard ")
    feeding.start()
    wait_until(lambda: committed(kafka.servers, names["raw"], names["raw"]) > 1_000, "it is under way")
    run.terminate()
    assert run.wait() == 0, run.log()
    position = committed(kafka.servers, names["raw"], names["raw"])
    feeding.join()
    assert len(numbers(kafka, names["out"])) == position  # nothing twice, nothing missing
    assert position < RECORDS

    again = start(kafka, names, tmp_path, "--until-end")
    assert again.wait() == 0, again.log()
    assert sorted(numbers(kafka, names["out"])) == list(range(RECORDS))
    assert "empty state in sums" in again.log()  # until there are snapshots, the start says what is missing


def test_records_that_a_killed_worker_had_not_processed_are_processed_by_the_next(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    names = topics("raw", "out", "sums")
    readings = list(records())
    for kills, part in enumerate(np.array_split(np.arange(RECORDS), 3)):  # each has something to do, however fast it is
        produce(kafka.servers, names["raw"], readings[part[0] : part[-1] + 1])
        run = start(kafka, names, tmp_path)
        before = committed(kafka.servers, names["raw"], names["raw"])
        wait_until(lambda before=before: committed(kafka.servers, names["raw"], names["raw"]) > before, f"run {kills}")
        run.kill()
    begin = time.monotonic()
    last = start(kafka, names, tmp_path, "--until-end")
    assert last.wait() == 0, last.log()
    assert time.monotonic() - begin < 30
    out = numbers(kafka, names["out"])
    assert set(out) == set(range(RECORDS))
    assert committed(kafka.servers, names["raw"], names["raw"]) == RECORDS


def test_a_row_that_its_topic_does_not_take_ends_the_run_and_its_record_is_not_committed(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    small = topics("out", config={"max.message.bytes": "400"})
    names = {**topics("raw", "sums"), **small}
    produce(kafka.servers, names["raw"], [(b"a", b'{"id": "a", "n": 1, "x": 7}')])
    first = start(kafka, names, tmp_path, "--until-end")
    assert first.wait() == 0, first.log()
    long = random.Random(1).randbytes(450).hex()  # nothing that compression makes small
    produce(kafka.servers, names["raw"], [(b"a", json.dumps({"id": long, "n": 2, "x": 8}).encode())])
    run = start(kafka, names, tmp_path)
    assert run.wait() == 1, run.log()
    assert f"a row for topic `{names['out']}` couldn't be delivered" in run.log()
    assert "Traceback" not in run.log()
    assert committed(kafka.servers, names["raw"], names["raw"]) == 1


def test_records_deleted_before_they_were_read_are_told(kafka: Broker, topics: Topics, tmp_path: Path) -> None:
    names = topics("raw", "out", "sums", partitions=1)
    readings = [(b"a", json.dumps({"id": "a", "n": n, "x": float(n)}).encode()) for n in range(10)]
    produce(kafka.servers, names["raw"], readings[:4])
    assert start(kafka, names, tmp_path, "--until-end").wait() == 0
    produce(kafka.servers, names["raw"], readings[4:])
    admin = AdminClient({"bootstrap.servers": kafka.servers, "log_level": 0})
    for future in admin.delete_records([TopicPartition(names["raw"], 0, 7)]).values():
        future.result(30)
    run = start(kafka, names, tmp_path, "--until-end")
    assert run.wait() == 0, run.log()
    assert "holds offsets 7 to 10, but the group" in run.log()
    assert "is at 4: records were deleted before they were read; going on at 7" in run.log()
    assert numbers(kafka, names["out"]) == [0, 1, 2, 3, 7, 8, 9]


def test_records_deleted_under_a_running_reader_are_told_and_it_goes_on(
    kafka: Broker, topics: Topics, tmp_path: Path
) -> None:
    names = topics("raw", "out", "sums", partitions=1)
    readings = [(b"a", json.dumps({"id": "a", "n": n, "x": float(n)}).encode()) for n in range(12)]
    produce(kafka.servers, names["raw"], readings[:4])
    run = start(kafka, names, tmp_path)
    wait_until(lambda: committed(kafka.servers, names["raw"], names["raw"], 1) == 4, "it is under way")
    run.popen.send_signal(signal.SIGSTOP)
    for reading in readings[4:]:  # a fetch that is under way may still be answered with the first of them
        produce(kafka.servers, names["raw"], [reading])
    admin = AdminClient({"bootstrap.servers": kafka.servers, "log_level": 0})
    for future in admin.delete_records([TopicPartition(names["raw"], 0, 10)]).values():
        future.result(30)
    run.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: committed(kafka.servers, names["raw"], names["raw"], 1) == 12, "it goes on")
    run.terminate()
    assert run.wait() == 0, run.log()
    assert "to 9 were deleted before they were read" in run.log()
    assert numbers(kafka, names["out"])[-2:] == [10, 11]


def test_a_shard_without_records_is_moved_on_by_wall_time(kafka: Broker, topics: Topics, tmp_path: Path) -> None:
    names = topics("raw", "out", "sums")
    text = PIPELINE.format(**names).replace("unit: ms", "unit: ms, idle: 1s")
    file = tmp_path / "pipeline.yaml"
    file.write_text(text)
    run = Process(["-m", "pipelines", "run", str(file)], {"KAFKA_BROKERS": kafka.servers}, tmp_path / "log")
    produce(kafka.servers, names["raw"], [(b"a", b'{"id": "a", "n": 1500, "x": 7}')])
    wait_until(lambda: read(kafka.servers, names["sums"]), "the window of a silent device closes", 30)
    run.terminate()
    assert run.wait() == 0, run.log()
    (row,) = read(kafka.servers, names["sums"])
    assert json.loads(row.value or b"") == {
        "id": "a",
        "window_start": "1970-01-01T00:00:01Z",
        "window_end": "1970-01-01T00:00:02Z",
        "total": 7.0,
    }
