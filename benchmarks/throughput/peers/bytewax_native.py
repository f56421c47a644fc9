"""Bytewax with its own windows and its own Kafka connector: `fold_window` by event time, and a stateful step.

Messages are decoded a batch at a time, for steps cost by the item.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.run import cli_main

from benchmarks.throughput.job import Job, Meter, given
from benchmarks.throughput.peers.decode import decoder
from benchmarks.throughput.peers.device import MINUTE, Zscore, add, row

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def flow(job: Job, meter: Meter) -> Dataflow:
    """Make the dataflow of a job."""
    decode = decoder(job.format)

    def readings(messages: list[Any]) -> list[tuple[str, tuple[datetime, int, float]]]:
        found = []
        for message in messages:
            reading = decode(message.value)
            ts = reading["ts"]
            found.append((reading["id"], (datetime.fromtimestamp(ts / 1000, timezone.utc), ts, reading["watts"])))
        meter.count(len(messages))
        return found

    def fold(window: list[Any] | None, value: tuple[datetime, int, float]) -> list[Any]:
        _, ts, watts = value
        if window is None:
            return [1, watts, watts, watts, watts, ts]
        add(window, ts, watts)
        return window

    def detect(known: Zscore | None, value: tuple[datetime, int, float]) -> tuple[Zscore, list[dict[str, Any]]]:
        known = known or Zscore()
        alert = known.on_value(value[1], value[2])
        return known, [alert] if alert else []

    def encoded(keyed: tuple[str, dict[str, Any]]) -> KafkaSinkMessage[Any, Any]:
        name, made = keyed
        return KafkaSinkMessage(name, orjson.dumps({"id": name, **made}))

    made = Dataflow("w2")
    source = KafkaSource([job.servers], [job.topic], tail=False, batch_size=1_000)
    keyed: Any = op.flat_map_batch("decode", op.input("read", made, source), readings)
    clock: Any = windowing.EventClock(
        ts_getter=lambda value: value[0], wait_for_system_duration=timedelta(milliseconds=job.lateness)
    )
    windower = windowing.TumblingWindower(length=timedelta(milliseconds=MINUTE), align_to=EPOCH)
    # `ordered` would hold readings back and sort them; the fold takes them as they come.
    windows: Any = windowing.fold_window(
        "minute", keyed, clock, windower, builder=lambda: None, folder=fold, merger=lambda one, _: one, ordered=False
    )
    rows: Any = op.map("row", windows.down, lambda item: (item[0], row(item[1][0] * MINUTE, item[1][1])))
    alerts: Any = op.stateful_flat_map("zscore", keyed, detect)
    op.output("minutes", op.map("encode minutes", rows, encoded), KafkaSink([job.servers], job.windows))
    op.output("alerts", op.map("encode alerts", alerts, encoded), KafkaSink([job.servers], job.alerts))
    return made


def run(job: Job) -> None:
    """Do the job."""
    meter = Meter(job.messages)
    cli_main(flow(job, meter))  # type: ignore[no-untyped-call]  # Bytewax has no types there
    meter.end(f"Bytewax {version('bytewax')}")


if __name__ == "__main__":
    run(given())
