"""`telemill demo`: the main job on real data, with nothing to install.

The readings of four sensor motes are put into a Kafka inside this process, the example pipeline `motes.yaml` runs over
them, and what it wrote is read back and held against the labelled anomalies.
"""

from __future__ import annotations

import csv
import gzip
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from connectors.kafka.client import settings
from connectors.kafka.embedded import EmbeddedKafka
from pipelines import config
from pipelines.rehearsal import rehearse
from pipelines.runtime import run
from pipelines.shard import Product
from pipelines.worker import Options, Run

EXAMPLES = Path(__file__).parent / "examples"
PIPELINE = EXAMPLES / "motes.yaml"
DATA = EXAMPLES / "data" / "motes.csv.gz"
START = datetime(2010, 5, 9, tzinfo=timezone.utc)
"""The data counts readings and has no times; this is the day they are given."""
PERIOD = 5
"""Seconds between the readings of a mote."""
AFTERGLOW = 60
"""Seconds behind a labelled anomaly in which an alert still counts as having found it."""
_APART = 20
"""Readings between two labelled ones that make them two anomalies."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a mote. `at` is in seconds since the epoch."""

    mote: str
    at: float
    humidity: float
    temperature: float
    anomaly: bool


@dataclass(slots=True)
class Alert:
    """An alert as read back from Kafka: when it was raised and cleared, seconds since the epoch."""

    mote: str
    raised: float
    cleared: float | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """Labelled readings of a mote that belong together, from the first to the last; seconds since the epoch."""

    mote: str
    start: float
    end: float


@dataclass(slots=True)
class Outcome:
    """What the demo came to."""

    run: Run
    found: list[Incident]
    missed: list[Incident]
    false: list[Alert]
    alerts: list[Alert] = field(default_factory=list)


def demo(picture: Path, out: Console) -> Outcome:
    """Run the demo, show it, and save the picture.

    Raises:
        RuntimeError: if the run fails.
    """
    readings = list(_readings())
    pipeline = config.read(PIPELINE, {})
    topics = [*pipeline.source.topics, *(sink.topic for sink in pipeline.sinks)]
    out.print(
        f"{len(readings):,} real readings of four sensor motes, one every {PERIOD} s; beside two of them a kettle boils"
    )
    with out.status("compiling the kernels; the first time takes some seconds"):
        rehearse(pipeline)
    with EmbeddedKafka(topics) as kafka, _progress(out) as progress:
        pipeline = config.read(PIPELINE, {"KAFKA_BROKERS": kafka.brokers})
        replay = progress.add_task("replay into Kafka", total=len(readings))
        for done in _replay(kafka.brokers, topics[0], readings):
            progress.update(replay, completed=done)
        mill = progress.add_task("clean, window, detect, alert", total=len(readings))

        def seen(product: Product) -> None:
            progress.advance(mill, product.records)

        with _following(kafka.brokers, "motes.alerts", progress.console) as alerts:
            handle = run(pipeline, Options(until_end=True, close_windows=True, on_product=seen))
        if handle.failure is not None:
            raise RuntimeError(str(handle.failure)) from handle.failure
    outcome = _judge(handle, _incidents(readings), alerts)
    out.print(_table(outcome))
    _draw(picture, readings, outcome)
    return outcome


def _readings() -> Iterator[Reading]:
    """Read the data, in the order in which the motes would have sent it."""
    with gzip.open(DATA, "rt", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["reading"]))
    for row in rows:
        at = START.timestamp() + PERIOD * int(row["reading"])
        humidity, temperature = float(row["humidity"]), float(row["temperature"])
        yield Reading(f"mote-{row['mote_id']}", at, humidity, temperature, row["label"] == "1")


def _replay(brokers: str, topic: str, readings: Sequence[Reading]) -> Iterator[int]:
    """Put the readings into a topic as fast as they go, keyed by mote; tells how many are delivered."""
    producer: Any = Producer(settings(brokers, {}))
    for count, reading in enumerate(readings, 1):
        value = {
            "mote_id": reading.mote,
            "ts": round(reading.at * 1_000),
            "humidity": reading.humidity,
            "temperature": reading.temperature,
        }
        producer.produce(topic, orjson.dumps(value), reading.mote.encode())
        if count % 1_000 == 0:
            producer.poll(0)
            yield count - len(producer)
    producer.flush(30)
    yield len(readings) - len(producer)


@contextmanager
def _following(brokers: str, topic: str, out: Console) -> Iterator[list[Alert]]:
    """Read a topic of alerts from its beginning while the block runs, and to its end; print each as it is raised."""
    alerts: list[Alert] = []
    own = settings(brokers, {}, group_id="telemill-demo", fetch_wait_max_ms=50)
    consumer: Any = Consumer(own)
    parts = [
        TopicPartition(topic, part, 0) for part in consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ]
    consumer.assign(parts)
    ending = threading.Event()
    read = dict.fromkeys((part.partition for part in parts), 0)

    def behind() -> bool:
        return any(consumer.get_watermark_offsets(part, timeout=10)[1] > read[part.partition] for part in parts)

    def follow() -> None:
        while not ending.is_set() or behind():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                read[message.partition()] = message.offset() + 1
                _take(alerts, orjson.loads(message.value()), out)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield alerts
    finally:
        ending.set()
        thread.join(10)
        consumer.close()


def _take(alerts: list[Alert], row: Mapping[str, Any], out: Console) -> None:
    at = _seconds(row["at"])
    clock = datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M:%S")
    what = f"humidity {row['humidity']:.0f} %, expected {row['expected']:.0f} %, score {row['score']:.1f}"
    if row["state"] == "raised":
        alerts.append(Alert(row["mote_id"], at))
        out.print(f"[bold red]raised [/] {clock} {row['mote_id']} {row['alert']}: {what}")
    elif row["state"] == "cleared":
        open_ = next(alert for alert in alerts if alert.mote == row["mote_id"] and alert.cleared is None)
        open_.cleared = at
        out.print(f"[green]cleared[/] {clock} {row['mote_id']} {row['alert']}: {what}")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _incidents(readings: Iterable[Reading]) -> list[Incident]:
    """Gather the labelled readings of each mote that lie close together."""
    incidents: dict[str, list[Incident]] = defaultdict(list)
    for reading in readings:
        if reading.anomaly:
            known = incidents[reading.mote]
            if known and reading.at - known[-1].end <= _APART * PERIOD:
                known[-1] = replace(known[-1], end=reading.at)
            else:
                known.append(Incident(reading.mote, reading.at, reading.at))
    return [incident for known in incidents.values() for incident in known]


def _judge(handle: Run, incidents: Sequence[Incident], alerts: Sequence[Alert]) -> Outcome:
    """Hold the alerts against the labels."""

    def finds(alert: Alert, incident: Incident) -> bool:
        return alert.mote == incident.mote and incident.start <= alert.raised <= incident.end + AFTERGLOW

    found = [incident for incident in incidents if any(finds(alert, incident) for alert in alerts)]
    missed = [incident for incident in incidents if incident not in found]
    false = [alert for alert in alerts if not any(finds(alert, incident) for incident in incidents)]
    return Outcome(handle, found, missed, false, list(alerts))


def _table(outcome: Outcome) -> Table:
    counts = outcome.run.total()
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("records in", f"{counts.records:,}")
    for sink in outcome.run.pipeline.sinks:
        rows = counts.dead if sink.stream == "dead" else counts.rows[sink.stream]
        table.add_row(f"rows out to {sink.topic}", f"{rows:,}")
    table.add_row("late", f"{sum(count for stream, count in counts.rows.items() if stream.endswith('.late')):,}")
    table.add_row("dead", f"{counts.dead:,}")
    table.add_row("events/s", f"{counts.records / outcome.run.seconds():,.0f}")
    table.add_row("labelled anomalies found", f"{len(outcome.found)}")
    table.add_row("labelled anomalies missed", f"{len(outcome.missed)}")
    table.add_row("false alerts", f"{len(outcome.false)}")
    return table


def _draw(picture: Path, readings: Iterable[Reading], outcome: Outcome) -> None:
    """Draw each mote's humidity, the labelled anomalies behind it, and the alerts on it."""
    from matplotlib.dates import DateFormatter
    from matplotlib.figure import Figure

    motes: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        motes[reading.mote].append(reading)
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(len(motes), 1, sharex=True)
    for axis, (mote, own) in zip(axes, sorted(motes.items()), strict=True):
        axis.plot([_day(reading.at) for reading in own], [reading.humidity for reading in own], color="#27506e", lw=0.9)
        for incident in [*outcome.found, *outcome.missed]:
            if incident.mote == mote:
                axis.axvspan(
                    _day(incident.start), _day(incident.end), color="#f2a541", alpha=0.45, label="labelled anomaly"
                )
        for alert in outcome.alerts:
            if alert.mote == mote:
                height = max(reading.humidity for reading in own if abs(reading.at - alert.raised) <= PERIOD)
                axis.plot(_day(alert.raised), height, "v", color="#c1292e", ms=9, label="alert raised")
                if alert.cleared is not None:
                    axis.axvline(_day(alert.cleared), color="#3a8f5c", lw=1.2, ls="--", label="alert cleared")
        axis.set_title(mote, loc="left", fontsize=10)
        axis.set_ylabel("humidity, %")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    labels = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    if labels:
        axes[0].legend(labels.values(), labels.keys(), loc="upper right", frameon=False)
    axes[-1].xaxis.set_major_formatter(DateFormatter("%H:%M"))  # type: ignore[no-untyped-call]  # matplotlib has no types there
    axes[-1].set_xlabel("time of day (event time)")
    figure.savefig(picture, dpi=110)


def _day(at: float) -> datetime:
    return datetime.fromtimestamp(at, timezone.utc)


def _progress(out: Console) -> Progress:
    columns = (TextColumn("{task.description:28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=out)
