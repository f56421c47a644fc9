"""Faust: an agent over a topic, with a dict of devices and windows.

Faust's own windowed tables say that a window is over by the wall clock, and its tables write every change to a changelog
topic; the dict is right and cheaper. It is started in a venv of its own (`requirements/faust.txt`).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from importlib.metadata import version
from typing import Any

import faust
import orjson

from benchmarks.throughput.job import Job, Meter, given
from benchmarks.throughput.peers.decode import decoder
from benchmarks.throughput.peers.device import Device


def run(job: Job) -> None:
    """Do the job."""
    meter = Meter(job.messages)
    decode = decoder(job.format)
    devices: dict[str, Device] = {}
    app = faust.App(
        job.group,
        broker=f"kafka://{job.servers}",
        consumer_auto_offset_reset="earliest",
        topic_partitions=job.partitions,
        topic_disable_leader=True,
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        stream_buffer_maxsize=16_384,
        producer_linger=5,
    )
    source = app.topic(job.topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
    windows = app.topic(job.windows, value_serializer="raw", key_serializer="raw", partitions=4)
    alerts = app.topic(job.alerts, value_serializer="raw", key_serializer="raw", partitions=4)

    @app.agent(source)  # type: ignore[untyped-decorator]  # not installed where types are checked
    async def watch(stream: Any) -> None:
        sent: list[Any] = []
        async for value in stream:
            reading = decode(value)
            name = reading["id"]
            device = devices.get(name)
            if device is None:
                device = devices[name] = Device(job.lateness)
            rows, alert = device.on_reading(reading["ts"], reading["watts"])
            sent.extend(
                [await windows.send(key=name.encode(), value=orjson.dumps({"id": name, **row})) for row in rows]
            )
            if alert is not None:
                sent.append(await alerts.send(key=name.encode(), value=orjson.dumps({"id": name, **alert})))
            if len(sent) > 10_000:
                await asyncio.gather(*sent)
                sent.clear()
            if not meter.count(1):
                await asyncio.gather(*sent)
                await app.producer.flush()
                meter.end(f"Faust {version('faust-streaming')}")
                sys.stdout.flush()
                os._exit(0)  # its worker would take seconds to stop

    app.finalize()
    worker = faust.Worker(app, loglevel="error", redirect_stdouts=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    run(given())
