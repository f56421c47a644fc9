"""From a reading made to its alert read, at several rates: `python -m benchmarks.latency`.

The driver follows a schedule: when a reading is due it is sent, whether the pipeline keeps up or not, and what counts is
the time from when it was *due*. So a stall counts for every reading that fell into it (Gil Tene calls the mistake of a
driver that waits for its answer "coordinated omission"). The pipeline is that of workload W2; of some hundred readings a
second, far off what their device sends, it must make an alert each.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from confluent_kafka import Consumer, TopicPartition
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks import command
from benchmarks.throughput import allocators
from benchmarks.throughput.bench import KEPT, Bench
from benchmarks.throughput.librdkafka import Driver, Sender
from benchmarks.throughput.readings import NOISE, Readings, Shape
from benchmarks.throughput.systems import SYSTEMS
from benchmarks.throughput.workloads import WORKLOADS
from tests.integration.kafka.topics import Topics

ROOT = Path(__file__).parents[1]
PIPELINE = Path(__file__).parent / "throughput" / "pipelines" / "latency.yaml"
WARM = 30
"""Readings of a device before a spike: its z-score must know it."""
ALERTS = 500
"""A second, about."""
SHARES = (0.1, 0.5, 0.8)
"""Of the maximum rate."""
TICK = 0.001
"""s"""
PATIENCE = 30.0
"""How long to wait for the last alert, s."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Readings and when each is due.

    Attributes:
        rate: a second.
        devices: that send in turn.
        events: readings in all.
        begin: when the first is due, us since the epoch.
    """

    rate: int
    devices: int
    events: int
    begin: int

    def readings(self, seed: int) -> Readings:
        """Make the readings; their time is when they are due, in us."""
        random = np.random.default_rng(seed)
        at = np.arange(self.events, dtype=np.int64)
        noise = np.clip(random.normal(0, NOISE, self.events), -3 * NOISE, 3 * NOISE)
        device = (at % self.devices).astype(np.uint32)
        centi = random.integers(10_000, 100_000, self.devices)[device] + np.rint(noise).astype(np.int64)
        # A step without a common divisor goes through the devices, so none is odd twice running.
        step = max(self.rate // ALERTS, 1)
        while np.gcd(step, self.devices) > 1:
            step += 1
        spike = (at >= WARM * self.devices) & (at % step == 0)
        centi[spike] += 50 * NOISE
        return Readings(device, self.begin + at * 1_000_000 // self.rate, centi, spike)


def percentiles(latencies: NDArray[np.float64]) -> dict[str, float]:
    """Give p50, p99, p99.9 and the longest of latencies, in the unit that they are in."""
    found = np.percentile(latencies, [50, 99, 99.9, 100]) if len(latencies) else np.full(4, np.nan)
    return dict(zip(("p50", "p99", "p99_9", "max"), map(float, found), strict=True))


def histogram(latencies: NDArray[np.float64]) -> list[tuple[float, int]]:
    """Count latencies (ms) in bins, each a quarter wider than the one before: upper end and count, empty ones left out."""
    ends = 0.1 * 1.25 ** np.arange(80)
    counts = np.bincount(np.searchsorted(ends, latencies), minlength=len(ends) + 1)
    return [(round(float(end), 3), int(count)) for end, count in zip(ends, counts, strict=False) if count]


class Watcher(threading.Thread):
    """Reads alerts as they come: `seen` has when each was due and when it was read, us."""

    def __init__(self, servers: str, topic: str) -> None:
        super().__init__(daemon=True)
        settings: Mapping[str, Any] = {
            "bootstrap.servers": servers,
            "group.id": "latency",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 5,
            "fetch.min.bytes": 1,
        }
        self.seen: list[tuple[int, int]] = []
        self.stopping = threading.Event()
        self._consumer: Any = Consumer(dict(settings))
        self._consumer.assign([TopicPartition(topic, part, 0) for part in range(4)])

    def run(self) -> None:
        """Read until told to stop."""
        while not self.stopping.is_set():
            message = self._consumer.poll(0.05)
            if message is None or message.error() is not None:
                continue
            now = time.time_ns() // 1000
            row = orjson.loads(message.value())
            if row["state"] == "raised":
                self.seen.append((_us(row["at"]), now))
        self._consumer.close()


def _us(text: str) -> int:
    """Read a time as telemill writes it."""
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))


def drive(servers: str, topic: str, partitions: int, schedule: Schedule, readings: Readings) -> float:
    """Send readings when they are due; gives by how much the driver itself was late at most, s."""
    worst = 0.0
    with Driver(servers, {"linger.ms": "0", "acks": "all"}) as driver:
        sender = Sender(driver, topic, partitions, "json")
        sender.send(readings, 0, 0)  # so that its kernels are loaded
        sent = 0
        while sent < len(readings):
            now = time.time_ns() // 1000
            due = min((now - schedule.begin) * schedule.rate // 1_000_000 + 1, len(readings), sent + 20_000)
            if due > sent:
                worst = max(worst, (now - int(readings.ts[sent])) / 1e6)
                sender.send(readings, sent, due)
                sent = due
            time.sleep(TICK)
        driver.wait(0)
    return worst


@contextmanager
def pipeline(environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the pipeline, from when it has its partitions to when it is stopped."""
    with log.open("wb") as said:
        command = [sys.executable, "-m", "pipelines", "run", str(PIPELINE)]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + PATIENCE
        while "from offset" not in log.read_text("utf-8") and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def measure(servers: str, folder: Path, rate: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure at one rate.

    Returns:
        The percentiles (ms) and the histogram; how many alerts were due and how many came; by how much the driver was
        late.
    """
    topics = Topics(servers)
    own = topics("readings", "windows", "alerts", partitions=options.partitions, config=KEPT)
    environ = {
        "BENCH_GROUP": f"latency-{uuid.uuid4().hex[:8]}",
        "BENCH_INPUT": own["readings"],
        "BENCH_SERVERS": servers,
        "BENCH_WINDOWS": own["windows"],
        "BENCH_ALERTS": own["alerts"],
        "TELEMILL_ALLOCATOR": options.allocator,
    }
    watcher = Watcher(servers, own["alerts"])
    watcher.start()
    try:
        with pipeline(environ, folder / "telemill.log"):
            events = WARM * options.devices + int(rate * options.seconds)
            schedule = Schedule(rate, options.devices, events, time.time_ns() // 1000 + 1_500_000)
            readings = schedule.readings(options.seed)
            late = drive(servers, own["readings"], options.partitions, schedule, readings)
            due = int(readings.spike.sum())
            deadline = time.monotonic() + PATIENCE
            while len(watcher.seen) < due and time.monotonic() < deadline:
                time.sleep(0.1)
    finally:
        watcher.stopping.set()
        watcher.join()
        topics.delete()
    latencies = np.array([(read - made) / 1000 for made, read in watcher.seen])
    return {
        "rate": rate,
        "alerts_due": due,
        "alerts": len(latencies),
        "driver_late_ms": late * 1000,
        **percentiles(latencies),
        "histogram": histogram(latencies),
    }


def maximum(servers: str, folder: Path, options: argparse.Namespace) -> int:
    """Measure how many readings a second telemill takes at most, without anybody waiting."""
    telemill = next(system for system in SYSTEMS if system.name == "telemill")
    shape = Shape(options.devices, 2_000_000, options.seed)
    with Bench(servers, folder, WORKLOADS["w2"], "json", options.partitions) as bench:
        line, _ = bench.run(telemill, shape, options.allocator)
    return int(line["steady"] / line["wall_s"])


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command.parser("benchmarks.latency", __doc__.splitlines()[0])
    parser.add_argument("--max-rate", type=int, metavar="N", help="readings a second; measured first if left out")
    parser.add_argument(
        "--rates", type=int, nargs="+", metavar="N", help="these rates, in place of shares of the maximum"
    )
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="at each rate, after a warm-up; 20")
    parser.add_argument("--devices", type=int, default=2_000, metavar="N", help="that send; 2,000 if left out")
    parser.add_argument("--partitions", type=int, default=4, metavar="N", help="of the topics; 4 if left out")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the readings; 1 if left out")
    allocators.add_option(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit code: 1 if an alert is missing or came twice."""
    options = parsed(arguments)
    out = command.console()
    with command.on_kafka() as (broker, folder):
        most = options.max_rate
        if not options.rates and not most:
            most = maximum(broker.servers, folder, options)
        rates = options.rates or [int(most * share) for share in SHARES]
        results = [measure(broker.servers, folder, rate, options) for rate in rates]
    about = {**command.machine(), "allocator": options.allocator, "seed": options.seed, "max_rate": most}
    about |= {"command": command.called("benchmarks.latency", arguments)}
    title = (
        f"ms from a reading due to its alert read; {about['machine']}, Python {about['python']}, {options.allocator}"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("readings/s", "share of max", "p50", "p99", "p99.9", "max", "alerts", "driver late, ms"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in results:
        share = f"{each['rate'] / most:.0%}" if most else ""
        numbers = [f"{each[name]:.1f}" for name in ("p50", "p99", "p99_9", "max")]
        alerts = f"{each['alerts']:,} of {each['alerts_due']:,}"
        table.add_row(f"{each['rate']:,}", share, *numbers, alerts, f"{each['driver_late_ms']:.1f}")
    command.finish(out, table, {**about, "results": results}, options.json)
    return 0 if all(each["alerts"] == each["alerts_due"] for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
