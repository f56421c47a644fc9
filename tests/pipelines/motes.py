"""The readings of the example `motes.yaml` as records, as the motes would have sent them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import pipelines
from connectors.codec.base import Records
from connectors.codec.json import Json, TimeText
from pipelines import config
from pipelines.plan import DEAD, Pipeline
from pipelines.shard import Product, Shard

EXAMPLES = Path(pipelines.__file__).parent / "examples"


def pipeline() -> Pipeline:
    """Give the example."""
    return config.read(EXAMPLES / "motes.yaml", {})


def shard(of: Pipeline, watch: Sequence[str] = (), position: int = 0) -> Shard:
    """Make a shard that watches streams; all of them if none is named."""
    return Shard(of, of.source.decoder(), watch or [*of.streams(), DEAD], position)


def readings(count: int) -> list[dict[str, Any]]:
    """Give the first readings, in order of time; a mote measures every 5 s."""
    with gzip.open(EXAMPLES / "data" / "motes.csv.gz", "rt", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["reading"]))[:count]
    return [
        {
            "mote_id": f"mote-{row['mote_id']}",
            "ts": 1_273_363_200_000 + 5_000 * int(row["reading"]),
            "humidity": float(row["humidity"]),
            "temperature": float(row["temperature"]),
        }
        for row in rows
    ]


def records(values: Sequence[bytes | None], first: int = 0) -> Records:
    """Make records whose offsets begin at `first`."""
    times, offsets = np.full(len(values), -1, np.int64), np.arange(first, first + len(values))
    return Records.of("raw", 3, values, [None] * len(values), times, offsets)


def cut(whole: Records, at: Sequence[int]) -> list[Records]:
    """Cut records into several batches."""
    ends = [0, *at, len(whole)]
    return [whole.take(slice(start, end)) for start, end in pairwise(ends)]


def seen(of: Pipeline, products: Sequence[Product]) -> dict[str, list[Any]]:
    """Give all that products hold as plain values: of each stream its rows, each with its offset; and the letters."""
    schemas = of.streams()
    rows: dict[str, list[Any]] = {name: [] for name in schemas}
    for product in products:
        for name, batch in product.rows.items():
            assert len(batch) > 0
            assert batch.live.all()
            encoded = Json(time=TimeText.US).encoder(schemas[name], name).encode(batch, product.devices)
            documents = map(orjson.loads, encoded.values())
            rows[name] += zip(batch.offset.tolist(), batch.ts.tolist(), documents, strict=True)
    return {**rows, DEAD: [letter for product in products for letter in product.letters]}
