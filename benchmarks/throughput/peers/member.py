"""telemill as one of several processes that share the partitions: it runs until it is stopped and says how far it is.

Every 20 ms it prints a line with the time, what it has processed and the CPU that it has taken; the rest is in its log.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.throughput.job import given, peak_rss_mb
from benchmarks.throughput.peers.telemill import environment, written
from pipelines.config import read
from pipelines.runtime import run
from pipelines.shard import Product
from pipelines.worker import Options

EVERY = 0.02
"""s"""


def main() -> None:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    job = given()
    seen = 0
    ended = threading.Event()

    def count(product: Product) -> None:
        nonlocal seen
        seen += product.records

    def tell() -> None:
        while not ended.wait(EVERY):
            line = {"at": time.monotonic(), "seen": seen, "cpu_s": time.process_time(), "peak_rss_mb": peak_rss_mb()}
            print(json.dumps(line), flush=True)  # noqa: T201  # it is the answer

    threading.Thread(target=tell, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        pipeline = read(written(job, Path(folder)), environment(job))
    made = run(pipeline, Options(on_product=count))
    ended.set()
    if made.failure is not None:
        raise made.failure


if __name__ == "__main__":
    main()
