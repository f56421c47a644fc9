"""The systems: what can run here, how each is started, and how many readings it is given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.throughput import allocators, java, librdkafka, venvs
from benchmarks.throughput.job import Job

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "throughput"
PEERS = Path(__file__).with_name("peers")
BASELINE = "consumer"
"""The system whose figure stands as `consumer_cpu_ns_per_event`."""


WARM_JVM = 16_000_000
"""Readings after a quarter of which a JVM has compiled what runs often."""


class SystemFailed(Exception):  # noqa: N818  # reads as what happened
    """A system ended without an answer, or with a wrong one; the message says which."""


@dataclass(frozen=True, slots=True)
class System:
    """A system under test.

    Attributes:
        name: for `--systems`.
        title: for the table.
        command: gives what to start for a job.
        missing: says why it can't run here; None if it can.
        workloads: that it can do.
        formats: that it can read.
        least: readings that it is given at least, for one that compiles itself while it runs.
        most: readings that it is given at most, so that a run ends within minutes; None for all.
        checked: whether it writes rows to check.
        preload: whether it is also measured with another allocator.
    """

    name: str
    title: str
    command: Callable[[Job], Sequence[str]]
    missing: Callable[[], str | None] = lambda: None
    workloads: tuple[str, ...] = ("w2",)
    formats: tuple[str, ...] = ("json", "avro")
    least: int = 0
    most: int | None = None
    checked: bool = True
    preload: bool = False


def module(name: str) -> Callable[[Job], Sequence[str]]:
    """Start a peer that is a module of Python."""
    return lambda job: [sys.executable, "-m", f"benchmarks.throughput.peers.{name}", job.write()]


def _consumer(job: Job) -> Sequence[str]:
    """Compile the bare consumer where that isn't done, and start it."""
    source, made = PEERS / "consumer.c", CACHE / "consumer"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([_cc() or "cc", "-O2", "-o", str(made), str(source), "-ldl"], check=True)
    return [str(made), str(librdkafka.find()), job.servers, job.topic, str(job.partitions), str(job.messages)]


def _cc() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


NO_PATHWAY = (
    "its stateful reducers are given the rows of a small batch without their order, and the z-score follows the order "
    "in which a device's readings came"
)
EVERY = ("w1", "w2", "w3", "w4")

SYSTEMS: tuple[System, ...] = (
    System("telemill", "telemill", module("telemill"), workloads=EVERY, preload=True),
    System(
        BASELINE,
        "bare consumer in C, no work",
        _consumer,
        lambda: None if _cc() else "no C compiler (cc) on the PATH",
        workloads=EVERY,
        checked=False,
        preload=True,
    ),
    System("loop", "plain Python loop", module("loop"), workloads=EVERY, most=2_000_000),
    System("bytewax", "Bytewax, its own windows", module("bytewax_native"), most=200_000),
    System("quix", "Quix Streams", venvs.module("quix", "quix"), venvs.missing("quix"), most=200_000),
    System("faust", "Faust", venvs.module("faust_agent", "faust"), venvs.missing("faust"), most=60_000),
    System("pathway", "Pathway", module("pathway"), lambda: NO_PATHWAY),
    System(
        "flink-stream",
        "Flink, DataStream by hand",
        java.program("FlinkStream"),
        java.missing,
        workloads=("w2", "w3"),
        least=WARM_JVM,
    ),
    System("flink-sql", "Flink, SQL", java.program("FlinkSql"), java.missing, least=WARM_JVM),
    System("kafka-streams", "Kafka Streams", java.program("Streams"), java.missing, ("w2", "w3"), least=WARM_JVM),
)


def run(system: System, job: Job, allocator: str, folder: Path, seconds: float = 3600) -> Mapping[str, Any]:
    """Start a system, wait for its end, and give the line that it printed.

    Raises:
        SystemFailed: if it fails, or doesn't end in time; the message has the end of what it said.
    """
    log = folder / f"{system.name}.log"
    environ = {**os.environ, **allocators.environment(allocator)}
    with log.open("wb") as said:
        try:
            done = subprocess.run(
                system.command(job), cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=said, timeout=seconds,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            message = f"{system.name} didn't end within {seconds:.0f} s"
            raise SystemFailed(message) from None
    lines = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
    if done.returncode or not lines:
        end = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-15:])
        message = f"{system.name} ended with {done.returncode}:\n{end}"
        raise SystemFailed(message)
    answer: Mapping[str, Any] = json.loads(lines[-1])
    if answer["messages"] != job.messages:
        message = f"{system.name} counted {answer['messages']:,} messages of {job.messages:,}"
        raise SystemFailed(message)
    return answer
