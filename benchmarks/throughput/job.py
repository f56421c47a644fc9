"""What a system is told, and what it tells: one line of JSON each way between the benchmark and the process it starts."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """What a system has to do.

    Attributes:
        workload: w1 to w4.
        servers: of Kafka.
        topic: where the readings are.
        partitions: of that topic.
        messages: how many it holds.
        format: of the readings: json, avro or stafford.
        windows: topic for the rows of windows, or for all that passes.
        alerts: topic for alerts.
        group: consumer group, of this run alone.
        lateness: how far behind a reading may come, ms.
    """

    workload: str
    servers: str
    topic: str
    partitions: int
    messages: int
    format: str
    windows: str
    alerts: str
    group: str
    lateness: int

    @staticmethod
    def read(text: str) -> Job:
        """Read a job as it is written."""
        return Job(**json.loads(text))

    def write(self) -> str:
        """Write it as JSON, in one line."""
        return json.dumps(asdict(self))


def given() -> Job:
    """Read the job from the command line of this process."""
    return Job.read(sys.argv[1])


def peak_rss_mb() -> float:
    """Give the most memory that this process has held, MB.

    `ru_maxrss` would on Linux begin with what the process that started this one held.
    """
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        scale = 1e6 if sys.platform == "darwin" else 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


class Meter:
    """Measures the steady part: from when the first quarter of the messages is processed to the end.

    Args:
        messages: how many there will be.
    """

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.seen = 0
        self._from = -1
        self._cpu = self._wall = 0.0

    def count(self, messages: int) -> bool:
        """Count messages that were processed; says whether there are more to come."""
        self.seen += messages
        if self._from < 0 and self.seen >= self.messages / 4:
            self._from, self._cpu, self._wall = self.seen, time.process_time(), time.perf_counter()
        return self.seen < self.messages

    def end(self, version: str, ended: float | None = None, **more: Any) -> None:
        """Print the line: the rows are delivered.

        Args:
            version: of the system.
            ended: when that was by `time.perf_counter`; now if None.
            more: what else to tell.
        """
        cpu, wall = time.process_time() - self._cpu, (ended or time.perf_counter()) - self._wall
        line = {
            "messages": self.seen,
            "steady": self.seen - self._from,
            "cpu_s": cpu,
            "wall_s": wall,
            "peak_rss_mb": peak_rss_mb(),
            "version": version,
            **more,
        }
        print(json.dumps(line), flush=True)  # noqa: T201  # it is the answer
