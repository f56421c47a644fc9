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
from benchmarks.throughput.peers.device import Device


def run(job: Job) -> None:
    """Do the job."""
    consumer: Any = Consumer(
        {
            "bootstrap.servers": job.servers,
            "group.id": job.group,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 0,
        }
    )
    producer: Any = Producer(
        {
            "bootstrap.servers": job.servers,
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    consumer.subscribe([job.topic])
    decode = decoder(job.format)
    devices: dict[str, Device] = {}
    meter = Meter(job.messages)
    more = True
    while more:
        # It waits until it has all that it is asked for, so at the end it is asked for no more than there is.
        messages = consumer.consume(min(10_000, job.messages - meter.seen), 1.0)
        for message in messages:
            value = message.value()
            if message.error() is not None:
                raise confluent_kafka.KafkaException(message.error())
            reading = decode(value)
            name = reading["id"]
            device = devices.get(name)
            if device is None:
                device = devices[name] = Device(job.lateness)
            rows, alert = device.on_reading(reading["ts"], reading["watts"])
            for row in rows:
                producer.produce(job.windows, orjson.dumps({"id": name, **row}), name)
            if alert is not None:
                producer.produce(job.alerts, orjson.dumps({"id": name, **alert}), name)
        producer.poll(0)
        if messages:
            more = meter.count(len(messages))
    producer.flush()
    meter.end(f"Python {platform.python_version()}, confluent-kafka {confluent_kafka.__version__}")
    consumer.close()


if __name__ == "__main__":
    run(given())
