"""A benchmark on one broker: makes the readings that are asked for, runs systems over them, and checks what comes out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.throughput import expected, outputs
from benchmarks.throughput.job import Job
from benchmarks.throughput.librdkafka import Driver
from benchmarks.throughput.readings import Readings, Shape, make
from benchmarks.throughput.systems import System, SystemFailed, run
from benchmarks.throughput.workloads import Workload
from tests.integration.kafka.topics import Topics

KEPT = {"retention.ms": "-1", "retention.bytes": "-1"}
"""Rows carry event time, and Kafka would delete old ones while they are looked at."""
ENOUGH = 200
"""Readings of a device that a system with fewer readings in all is given, so that windows close and spikes come."""


@dataclass(frozen=True)
class Input:
    """Readings in a topic, and what must come of them."""

    shape: Shape
    workload: Workload
    topics: Topics
    topic: str
    readings: Readings

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The rows that must come."""
        return self.workload.rows(self.readings, self.shape)

    @cached_property
    def alerts(self) -> pl.DataFrame:
        """The alerts that must be raised."""
        return expected.alerts(self.readings)


def fitted(shape: Shape, least: int, most: int | None) -> Shape:
    """Give the shape for one system: more readings where it needs them to warm up, or fewer where it is slow.

    Of fewer readings there are so many devices that each sends enough.
    """
    if shape.events < least:
        return replace(shape, events=least)
    if most is None or shape.events <= most:
        return shape
    return replace(shape, events=most, devices=min(shape.devices, max(most // ENOUGH, 1)))


class Bench:
    """Runs systems over a workload. Use it in a `with` statement: at the end the topics go.

    Args:
        servers: of Kafka.
        folder: for logs.
        workload: what is asked.
        format_: of the readings.
        partitions: of their topic.
    """

    def __init__(self, servers: str, folder: Path, workload: Workload, format_: str, partitions: int) -> None:
        self._servers, self._folder = servers, folder
        self._workload, self._format, self._partitions = workload, workload.encoded(format_), partitions
        self._inputs: dict[Shape, Input] = {}

    def __enter__(self) -> Bench:  # noqa: PYI034  # nobody inherits
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the readings."""
        for made in self._inputs.values():
            made.topics.delete()

    def input(self, shape: Shape) -> Input:
        """Give the readings of a shape in a topic; made on the first call."""
        shape = self._workload.shaped(shape)
        if shape not in self._inputs:
            made = self._inputs[shape] = self.empty(shape)
            with Driver(self._servers) as driver:
                driver.produce(made.topic, self._partitions, made.readings, self._format)
        return self._inputs[shape]

    def empty(self, shape: Shape) -> Input:
        """Give the readings of a shape, and a topic that they aren't in yet; it is the caller's to delete."""
        topics = Topics(self._servers)
        topic = topics("readings", partitions=self._partitions, config=KEPT)["readings"]
        return Input(shape, self._workload, topics, topic, make(shape))

    def job(self, given: Input, topics: Topics, name: str) -> Job:
        """Make the job of one run, with topics and a group of its own."""
        out = topics("windows", "alerts", partitions=4, config=KEPT)
        return Job(
            workload=self._workload.name,
            servers=self._servers,
            topic=given.topic,
            partitions=self._partitions,
            messages=given.shape.messages,
            format=self._format,
            windows=out["windows"],
            alerts=out["alerts"],
            group=f"bench-{name}-{uuid.uuid4().hex[:8]}",
            lateness=self._workload.lateness,
        )

    def run(self, system: System, shape: Shape, allocator: str) -> tuple[Mapping[str, Any], int]:
        """Run a system once.

        Returns:
            The line that it printed, and how many rows were right.

        Raises:
            SystemFailed: if it fails, or a row is wrong, missing or too many.
        """
        given = self.input(shape)
        topics = Topics(self._servers)
        job = self.job(given, topics, system.name)
        try:
            line = run(system, job, allocator, self._folder)
            return line, self.check(given, job) if system.checked else 0
        finally:
            topics.delete()

    def check(self, given: Input, job: Job) -> int:
        """Hold what was written against brute force; gives how many rows there were."""
        keys = list(self._workload.keys)
        rows = outputs.table(outputs.values(self._servers, job.windows), keys)
        end = pl.col("window_end") if "window_end" in rows.columns else pl.col(keys[1]) + self._workload.ends
        rows = rows.filter(end < given.shape.closing)
        _agree("rows", given.rows, rows, keys)
        if not self._workload.alerts:
            return len(rows)
        raised = outputs.table(outputs.values(self._servers, job.alerts), ["device", "at"])
        if len(raised):
            raised = raised.filter(pl.col("state") == "raised").drop("state")
        _agree("alerts", given.alerts, raised, ["device", "at"])
        return len(rows) + len(raised)


def _agree(what: str, want: pl.DataFrame, got: pl.DataFrame, keys: list[str]) -> None:
    wrong = expected.differences(want, got, keys)
    if wrong:
        message = f"{what}: {wrong}"
        raise SystemFailed(message)
