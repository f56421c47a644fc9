"""A loop in plain Python over confluent-kafka's `consume`, with a dict of windows: what one writes without a framework.

It keeps no state and no promise but at-least-once, and its watermark is each device's own, as telemill's is.
"""

from __future__ import annotations

import platform
from typing import Any

import confluent_kafka
import orjson
from confluent_kafka import Consumer, Producer

from benchmarks.throughput.job import Job, Meter, given
from benchmarks.throughput.peers.decode import decoder
from benchmarks.throughput.peers.device import Device, device


def passes(message: Any) -> bool:
    """Say whether a message of W1 is in range."""
    data = message["data"]
    return bool(10 <= data["temp"] <= 50 and data["humidity"] <= 100)


def clean(message: Any) -> dict[str, Any]:
    """Give the row of a message of W1."""
    data = message["data"]
    kept = {name: data[name] for name in ("temp", "humidity", "light")}
    return {"device_id": message["device_id"], "ts": message["ts"], **kept}


def consumer_of(job: Job) -> Any:
    """Make a consumer in the job's group; it commits by itself, every 5 s."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.servers,
            "group.id": job.group,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 0,
        }
    )
    consumer.subscribe([job.topic])
    return consumer


def producer_of(job: Job) -> Any:
    """Make a producer that loses nothing."""
    return Producer(
        {
            "bootstrap.servers": job.servers,
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )


class Loop:
    """What is done with each reading: the rows and the alert go out at once."""

    def __init__(self, job: Job, producer: Any) -> None:
        self._job = job
        self._produce = producer.produce
        self._devices: dict[str, Device] = {}

    def on_nested(self, message: Any) -> None:
        """Take a message of W1 in."""
        if passes(message):
            self._produce(self._job.windows, orjson.dumps(clean(message)), message["device_id"])

    def on_reading(self, reading: Any) -> None:
        """Take a reading in."""
        name = reading["id"]
        known = self._devices.get(name)
        if known is None:
            known = self._devices[name] = device(self._job.workload, self._job.lateness)
        rows, alert = known.on_reading(reading["ts"], reading["watts"])
        for row in rows:
            self._produce(self._job.windows, orjson.dumps({"id": name, **row}), name)
        if alert is not None:
            self._produce(self._job.alerts, orjson.dumps({"id": name, **alert}), name)


def run(job: Job) -> None:
    """Do the job."""
    consumer, producer = consumer_of(job), producer_of(job)
    decode = decoder(job.format)
    loop = Loop(job, producer)
    take = loop.on_nested if job.format == "stafford" else loop.on_reading
    meter = Meter(job.messages)
    while meter.seen < job.messages:
        # It waits until it has all that it is asked for, so at the end it is asked for no more than there is.
        messages = consumer.consume(min(10_000, job.messages - meter.seen), 1.0)
        for message in messages:
            value = message.value()
            if message.error() is not None:
                raise confluent_kafka.KafkaException(message.error())
            take(decode(value))
        meter.count(len(messages))
        producer.poll(0)
        while len(producer) > 500_000:
            producer.poll(0.1)
    producer.flush()
    meter.end(f"Python {platform.python_version()}, confluent-kafka {confluent_kafka.__version__}")
    consumer.close()


if __name__ == "__main__":
    run(given())
