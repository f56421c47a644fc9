"""A day of three real sensors, and what the example pipeline must make of it, by brute force in polars."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pytest

from tests.integration.telemill import ROOT

DATA = Path(os.environ.get("TELEMILL_DATA", ROOT.parent / "shared" / "data")) / "stafford" / "telemetry.json.gz"
SCHEMA = Path(__file__).parent / "stafford.avsc"
MINUTE = 60_000_000
LATENESS = 10_000_000


def messages() -> list[dict[str, Any]]:
    """Give the messages in order, a few of them held back for some twenty seconds as a network does."""
    if not DATA.exists():
        pytest.skip(f"the data of the stafford sensors isn't at {DATA}; set TELEMILL_DATA")
    found: list[dict[str, Any]] = json.loads(gzip.decompress(DATA.read_bytes()))
    for index in range(0, len(found) - 50, 400):
        found.insert(index + 40, found.pop(index))
    return found


def as_json(message: dict[str, Any]) -> tuple[bytes, bytes]:
    """Give key and value."""
    return message["device_id"].encode(), json.dumps(message).encode()


def as_avro(message: dict[str, Any]) -> tuple[bytes, bytes]:
    """Give key and value."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(SCHEMA.read_text())), message)
    return message["device_id"].encode(), stream.getvalue()


def expected(found: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    """Compute the rows of every stream.

    A row is late if its minute had ended by the device's newest time minus the lateness, before it.
    """
    rows = pl.DataFrame(
        {
            "device_id": [message["device_id"] for message in found],
            "ts": pl.Series([message["ts"] for message in found], dtype=pl.Float64),
            "temp": [message["data"]["temp"] for message in found],
            "humidity": [message["data"]["humidity"] for message in found],
            "light": [message["data"]["light"] for message in found],
        }
    ).with_columns(ts=(pl.col("ts") * 1e6).round().cast(pl.Int64))
    newest = pl.col("ts").cum_max().shift(1).over("device_id")
    rows = rows.with_columns(
        start=pl.col("ts") // MINUTE * MINUTE,
        watermark=newest - LATENESS,
        after=pl.col("ts").cum_max().over("device_id") - LATENESS,
    )
    clean = rows.filter((pl.col("temp") > 1) & (pl.col("humidity") <= 100))
    clean = clean.with_columns(dew_point=pl.col("temp") - (100 - pl.col("humidity")) / 5)
    late = pl.col("start") + MINUTE <= pl.col("watermark").fill_null(-(2**60))
    minutes = (
        clean.filter(~late)
        .group_by("device_id", "start")
        .agg(
            n=pl.len(),
            total=pl.col("humidity").sum(),
            mean=pl.col("temp").mean(),
            low=pl.col("temp").min(),
            high=pl.col("dew_point").max(),
            first=pl.col("temp").sort_by("ts", maintain_order=True).first(),
            last=pl.col("humidity").sort_by("ts", maintain_order=True).last(),
        )
        .sort("device_id", "start")
    )
    return {"clean": clean, "minutes": minutes, "late": clean.filter(late), "alerts": _alerts(clean)}


def _alerts(clean: pl.DataFrame) -> pl.DataFrame:
    """Follow every device by hand: raise above 26 degrees for 5 s, clear below 25.5."""
    found = []
    for device in clean["device_id"].unique(maintain_order=True):
        since, raised, newest = None, False, -(2**60)
        for ts, temp in clean.filter(pl.col("device_id") == device).select("ts", "temp").iter_rows():
            if ts < newest:
                continue
            newest = ts
            if raised:
                if temp < 25.5:
                    found.append((device, "cleared", since, ts))
                    since, raised = None, False
            elif temp > 26:
                since = ts if since is None else since
                if ts - since >= 5_000_000:
                    raised = True
                    found.append((device, "raised", since, ts))
            else:
                since = None
    return pl.DataFrame(found, schema=["device_id", "state", "since", "at"], orient="row")
