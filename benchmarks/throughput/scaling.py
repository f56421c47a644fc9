"""How telemill's rate goes with devices, partitions and processes: `python -m benchmarks.throughput.scaling` (W5).

The work is W2's. With one process each point is a run as in `benchmarks.throughput`. Processes that share the
partitions are started on an empty topic; when each has its share, the readings are put there in one transaction, so all
of them are there at once; and the rate is of all processes together. Broker and processes share the machine: on one with
two cores two processes aren't twice as fast.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks import command
from benchmarks.throughput import allocators
from benchmarks.throughput.bench import Bench
from benchmarks.throughput.job import Job
from benchmarks.throughput.librdkafka import Driver
from benchmarks.throughput.readings import Shape
from benchmarks.throughput.systems import ROOT, SYSTEMS, SystemFailed
from benchmarks.throughput.workloads import WORKLOADS
from tests.integration.kafka.topics import Topics

DEVICES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
PARTITIONS = (1, 4, 16, 64)
PROCESSES = (1, 2)
PATIENCE = 600.0
"""s"""

Sample = Mapping[str, float]


def together(samples: Sequence[Sequence[Sample]], messages: int) -> dict[str, float]:
    """Compute the figures of processes that work together, from when they have done a quarter to the end.

    Args:
        samples: of each process, in order of time: `at` (s), `seen`, `cpu_s`, `peak_rss_mb`.
        messages: that there are for all of them.

    Returns:
        `events_per_s`, `cpu_ns_per_event`, and `peak_rss_mb`, added up.
    """
    known = [{"seen": 0.0, "cpu_s": 0.0} for _ in samples]
    begin: tuple[float, float, float] | None = None
    for at, process, sample in sorted(
        (sample["at"], process, sample) for process, own in enumerate(samples) for sample in own
    ):
        known[process] = dict(sample)
        seen, cpu = (sum(each[name] for each in known) for name in ("seen", "cpu_s"))
        if begin is None and seen >= messages / 4:
            begin = (at, seen, cpu)
        if begin is not None and seen >= messages and seen > begin[1]:
            steady = seen - begin[1]
            return {
                "events_per_s": steady / (at - begin[0]),
                "cpu_ns_per_event": (cpu - begin[2]) / steady * 1e9,
                "peak_rss_mb": sum(own[-1]["peak_rss_mb"] for own in samples),
            }
    message = f"the processes came to {sum(each['seen'] for each in known):,.0f} messages of {messages:,}"
    raise SystemFailed(message)


class Member:
    """A telemill process that shares the work of a job."""

    def __init__(self, job: Job, allocator: str, folder: Path, number: int) -> None:
        self._log, self._out = folder / f"member-{number}.log", folder / f"member-{number}.out"
        environ = {**os.environ, **allocators.environment(allocator)}
        member = [sys.executable, "-m", "benchmarks.throughput.peers.member", job.write()]
        with self._log.open("wb") as said, self._out.open("wb") as out:
            self._process = subprocess.Popen(member, cwd=ROOT, env=environ, stdout=out, stderr=said)

    def shards(self) -> int:
        """Count the partitions that it has, by its log."""
        log = self._log.read_text("utf-8")
        if self._process.poll() is not None:
            message = f"a process ended with {self._process.returncode}: {log[-2000:]}"
            raise SystemFailed(message)
        return log.count("from offset") - log.count("handed over")

    def samples(self) -> list[Sample]:
        """Give what it has said so far."""
        return [json.loads(line) for line in self._out.read_text("utf-8").splitlines() if line.endswith("}")]

    def stop(self) -> None:
        """End it in good order; nothing happens where it has ended."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


def _until(members: Sequence[Member], share: int) -> None:
    """Wait until each has its share of the partitions."""
    deadline = time.monotonic() + 60
    while [member.shards() for member in members] != [share] * len(members):
        if time.monotonic() > deadline:
            message = f"the processes don't share the partitions: {[member.shards() for member in members]}"
            raise SystemFailed(message)
        time.sleep(0.1)


def run_members(
    servers: str, folder: Path, shape: Shape, processes: int, options: argparse.Namespace, partitions: int = 4
) -> dict[str, float]:
    """Let processes share the partitions of a topic; gives the figures of `together` and the rows checked."""
    bench = Bench(servers, folder, WORKLOADS["w2"], options.format, partitions)
    given = bench.empty(WORKLOADS["w2"].shaped(shape))
    topics = Topics(servers)
    with ExitStack() as stack:
        stack.callback(given.topics.delete)
        stack.callback(topics.delete)
        job = bench.job(given, topics, "members")
        members = []
        for number in range(processes):
            members.append(Member(job, options.allocator, folder, number))
            stack.callback(members[-1].stop)
        _until(members, partitions // processes)
        name = {"transactional.id": uuid.uuid4().hex, "transaction.timeout.ms": "600000"}
        with Driver(servers, name) as driver, driver.transaction():
            driver.produce(given.topic, partitions, given.readings, options.format)
        deadline = time.monotonic() + PATIENCE
        while sum(member.samples()[-1]["seen"] for member in members) < job.messages and time.monotonic() < deadline:
            time.sleep(0.2)
        for member in members:
            member.stop()
        figures = together([member.samples() for member in members], job.messages)
        rows = bench.check(given, job)
    return {**figures, "rows_checked": rows}


def run_one(servers: str, folder: Path, shape: Shape, options: argparse.Namespace, partitions: int) -> dict[str, float]:
    """Run telemill alone; gives the medians of its runs."""
    telemill = next(system for system in SYSTEMS if system.name == "telemill")
    with Bench(servers, folder, WORKLOADS["w2"], options.format, partitions) as bench:
        runs = [bench.run(telemill, shape, options.allocator) for _ in range(options.repeat)]
    lines = [line for line, _ in runs]
    return {
        "events_per_s": median(line["steady"] / line["wall_s"] for line in lines),
        "cpu_ns_per_event": median(line["cpu_s"] / line["steady"] * 1e9 for line in lines),
        "peak_rss_mb": median(line["peak_rss_mb"] for line in lines),
        "rows_checked": runs[0][1],
    }


def points(servers: str, folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all points."""
    usual = options.usual_devices
    found = []
    for devices in options.devices:
        shape = Shape(devices, options.events, options.seed)
        found.append({"devices": devices, "partitions": 4, "processes": 1})
        found[-1] |= run_one(servers, folder, shape, options, 4)
    shape = Shape(usual, options.events, options.seed)
    for partitions in options.partitions:
        found.append({"devices": usual, "partitions": partitions, "processes": 1})
        found[-1] |= run_one(servers, folder, shape, options, partitions)
    for processes in options.processes:
        found.append({"devices": usual, "partitions": 4, "processes": processes, "shared": True})
        runs = [run_members(servers, folder, shape, processes, options) for _ in range(options.repeat)]
        found[-1] |= {name: median(run[name] for run in runs) for name in runs[0]}
    return found


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command.parser("benchmarks.throughput.scaling", __doc__.splitlines()[0])
    parser.add_argument("--format", choices=["json", "avro"], default="json", help="of the readings; json if left out")
    parser.add_argument("--events", type=int, default=4_000_000, metavar="N", help="readings a point; 4,000,000")
    parser.add_argument("--devices", type=int, nargs="*", default=DEVICES, metavar="N", help="points; 10 to 1,000,000")
    parser.add_argument("--partitions", type=int, nargs="*", default=PARTITIONS, metavar="N", help="points; 1 to 64")
    parser.add_argument("--processes", type=int, nargs="*", default=PROCESSES, metavar="N", help="points; 1 and 2")
    parser.add_argument("--usual-devices", type=int, default=10_000, metavar="N", help="at the other points; 10,000")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of a point; 3 if left out")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the readings; 1 if left out")
    allocators.add_option(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    options = parsed(arguments)
    out = command.console()
    with command.on_kafka() as (broker, folder):
        found = points(broker.servers, folder, options)
    about = {**command.machine(), "cores": os.cpu_count(), "allocator": options.allocator, "events": options.events}
    about |= {"format": options.format, "repeat": options.repeat, "seed": options.seed}
    about |= {"command": command.called("benchmarks.throughput.scaling", arguments)}
    title = f"telemill, W2 in {options.format}: {about['machine']}, {about['cores']} cores, {options.allocator}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("devices", "partitions", "processes", "events/s", "CPU, ns/event", "peak MB", "rows checked"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in found:
        names = (
            "devices",
            "partitions",
            "processes",
            "events_per_s",
            "cpu_ns_per_event",
            "peak_rss_mb",
            "rows_checked",
        )
        table.add_row(*(f"{each[name]:,.0f}" for name in names))
    command.finish(out, table, {**about, "results": found}, options.json)


if __name__ == "__main__":
    main()
