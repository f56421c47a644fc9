"""How long `telemill run` takes from its start to its first rows, on a real broker: `python -m benchmarks.startup`.

The examples run over readings that stand in their topics already, a few thousand of four devices. A start is cold where no
kernel is compiled: its NUMBA_CACHE_DIR is a new folder; the warm one after it has what the cold one left there. What is
timed is from the start of the process until the first row of a sink is read back, so Kafka's part is in it: on this broker
a group begins at once, on one with Kafka's defaults the first member of a group waits 3 s for others. Readings before the
first row are processed, and a row is the proof of it. `compiled` counts kernels, those that others call among them.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from rich.table import Table

from benchmarks import command
from tests.integration.kafka.topics import Topics
from tests.integration.telemill import produce

ROOT = Path(__file__).parent.parent
READINGS = 4_000
PATIENCE = 120.0
"""Seconds to wait for a row; a cold start on a busy machine takes its time."""
_SAVED = "[cache] data saved"
"""What numba prints of a kernel that it compiled, under NUMBA_DEBUG_CACHE."""


@dataclass(frozen=True, slots=True)
class Example:
    """An example pipeline.

    Attributes:
        topics: that it names, without their prefix; the first is read.
        first: the one that is looked at for the first row.
        reading: makes the reading of a device at a second.
    """

    topics: tuple[str, ...]
    first: str
    reading: Callable[[str, int], Mapping[str, Any]]


EXAMPLES = {
    "motes": Example(
        ("raw", "processed", "alerts", "late", "dead"),
        "processed",
        lambda device, second: {
            "mote_id": device,
            "ts": second * 1_000,
            "temperature": 20 + second % 5 / 10,
            "humidity": 40 + second % 7 / 10,
        },
    ),
    "stafford": Example(
        ("raw", "clean", "minutes", "alerts", "late", "dead"),
        "minutes",
        lambda device, second: {
            "device_id": device,
            "ts": second,
            "data": {"temp": 20 + second % 5 / 10, "humidity": 40 + second % 7 / 10, "light": True},
        },
    ),
}


def readings(example: Example) -> Iterator[tuple[bytes, bytes]]:
    """Make readings, one a second in all, of four devices: key and value."""
    for number in range(READINGS):
        device = f"device-{number % 4}"
        yield device.encode(), json.dumps(example.reading(device, 1_600_000_000 + number)).encode()


def start(servers: str, name: str, cache: Path) -> tuple[float, int]:
    """Start an example, and stop it again after its first row.

    Args:
        servers: the broker.
        name: of the example.
        cache: where compiled kernels are kept.

    Returns:
        The seconds until its first row, and how many kernels it compiled.

    Raises:
        RuntimeError: if it ends, or no row comes.
    """
    example = EXAMPLES[name]
    topics = Topics(servers)
    own = topics(*example.topics)
    produce(servers, own["raw"], readings(example))
    text = (ROOT / "pipelines" / "examples" / f"{name}.yaml").read_text("utf-8")
    text = text.replace(f"name: {name}", f"name: startup-{uuid.uuid4().hex[:8]}", 1)
    for topic, unique in own.items():
        text = text.replace(f"{name}.{topic}", unique)
    consumer: Any = Consumer({"bootstrap.servers": servers, "group.id": "startup", "log_level": 0})
    consumer.assign([TopicPartition(own[example.first], partition, 0) for partition in range(4)])
    with tempfile.TemporaryDirectory() as folder:
        pipeline, log = Path(folder) / f"{name}.yaml", Path(folder) / "log"
        pipeline.write_text(text)
        environ = {"KAFKA_BROKERS": servers, "NUMBA_CACHE_DIR": str(cache), "NUMBA_DEBUG_CACHE": "1"}
        with log.open("wb") as said:
            began = time.monotonic()
            run = [sys.executable, "-m", "pipelines", "run", str(pipeline)]
            process = subprocess.Popen(run, cwd=ROOT, env={**os.environ, **environ}, stdout=said, stderr=said)
        try:
            while not _row(consumer):
                if process.poll() is not None or time.monotonic() - began > PATIENCE:
                    message = f"{name}: no row came:\n{log.read_text('utf-8', 'replace')}"
                    raise RuntimeError(message)
            seconds = time.monotonic() - began
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
            consumer.close()
            topics.delete()
        return seconds, log.read_text("utf-8", "replace").count(_SAVED)


def _row(consumer: Any) -> bool:
    message = consumer.poll(0.01)
    return message is not None and message.error() is None


def measure(servers: str, name: str, repeat: int) -> Iterator[dict[str, Any]]:
    """Measure cold and warm starts of an example; gives the figures of each."""
    starts: dict[str, list[tuple[float, int]]] = {"cold": [], "warm": []}
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as cache:
            for each in starts.values():
                each.append(start(servers, name, Path(cache)))
    for kind, each in starts.items():
        seconds, compiled = zip(*each, strict=True)
        yield {
            "example": name,
            "start": kind,
            "seconds": statistics.median(seconds),
            "seconds_worst": max(seconds),
            "compiled": max(compiled),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = command.parser("benchmarks.startup", "Seconds from the start of a run to its first row.")
    parser.add_argument("--only", metavar="TEXT", default="", help="measure the examples that have this in their name")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="starts of each kind; 3 if left out")
    options = parser.parse_args(arguments)
    out = command.console()
    table = Table(title=f"From the start to the first row; medians of {options.repeat} starts", title_justify="left")
    for column in ("example", "start"):
        table.add_column(column, no_wrap=True)
    for column in ("s", "s, the slowest", "kernels compiled"):
        table.add_column(column, justify="right")
    results: list[dict[str, Any]] = []
    with command.on_kafka() as (broker, _), out.status("starting"):
        for name in EXAMPLES:
            if options.only in name:
                results += measure(broker.servers, name, options.repeat)
    for row in results:
        seconds = (f"{row['seconds']:.1f}", f"{row['seconds_worst']:.1f}")
        table.add_row(row["example"], row["start"], *seconds, str(row["compiled"]))
    figures = {**command.machine(), "repeat": options.repeat}
    figures |= {"command": command.called("benchmarks.startup", arguments), "results": results}
    command.finish(out, table, figures, options.json)


if __name__ == "__main__":
    main()
