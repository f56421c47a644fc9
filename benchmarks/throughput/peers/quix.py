"""Quix Streams: its tumbling windows and a stateful step, in RocksDB as it comes, without changelog topics.

It is started in a venv of its own (`requirements/quix.txt`): it wants an older confluent-kafka than telemill.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from typing import Any

import orjson
from quixstreams import Application
from quixstreams.dataframe.windows import Count, Latest, Max, Mean, Min, Sum
from quixstreams.models.serializers import JSONDeserializer
from quixstreams.models.serializers.avro import AvroDeserializer

from benchmarks.throughput.job import Job, Meter, given
from benchmarks.throughput.peers.device import MINUTE, Zscore
from benchmarks.throughput.schema import READING


def run(job: Job) -> None:
    """Do the job."""
    meter = Meter(job.messages)

    def counted(_: str, __: int, ___: int) -> None:
        if not meter.count(1):
            app.stop()

    def detect(reading: dict[str, Any], state: Any) -> dict[str, Any] | None:
        known = Zscore()
        known.n, known.mean, known.variance, known.raised = state.get("z", (0, 0.0, 0.0, False))
        alert = known.on_value(reading["ts"], reading["watts"])
        state.set("z", (known.n, known.mean, known.variance, known.raised))
        return {"id": reading["id"], **alert} if alert else None

    def row(value: dict[str, Any], key: bytes, _: int, __: Any) -> dict[str, Any]:
        return {"id": key.decode(), "window_start": value.pop("start"), **value}

    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=job.servers,
            consumer_group=job.group,
            auto_offset_reset="earliest",
            auto_create_topics=False,
            use_changelog_topics=False,
            state_dir=folder,
            on_message_processed=counted,
            producer_extra_config={"compression.type": "lz4", "linger.ms": 5},
            loglevel="ERROR",
        )
        read: Any = JSONDeserializer(loads=orjson.loads) if job.format == "json" else AvroDeserializer(READING)
        source = app.topic(
            job.topic, value_deserializer=read, timestamp_extractor=lambda value, *_: int(value["ts"])
        )  # fmt: skip
        readings = app.dataframe(source)
        minutes = readings.tumbling_window(duration_ms=MINUTE, grace_ms=job.lateness).agg(
            n=Count(), total=Sum("watts"), mean=Mean("watts"), low=Min("watts"), high=Max("watts"),
            last=Latest("watts"),
        )  # fmt: skip
        minutes.final().apply(row, metadata=True).to_topic(app.topic(job.windows, value_serializer="json"))
        alerts = readings.apply(detect, stateful=True)
        alerts = alerts[alerts.apply(lambda alert: alert is not None)]
        alerts.to_topic(app.topic(job.alerts, value_serializer="json"))
        app.run()
    meter.end(f"Quix Streams {version('quixstreams')}")


if __name__ == "__main__":
    run(given())
