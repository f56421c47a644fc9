"""telemill: the pipeline of the workload, run to the end of its topic as `telemill run --until-end` does."""

from __future__ import annotations

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.throughput.job import Job, Meter, given
from benchmarks.throughput.schema import FILE
from pipelines.config import read
from pipelines.runtime import run as run_pipeline
from pipelines.shard import Product
from pipelines.worker import Options

PIPELINES = Path(__file__).parents[1] / "pipelines"


def written(job: Job, folder: Path) -> Path:
    """Write the pipeline of a job: the one that stands beside, in the format that the readings have."""
    text = (PIPELINES / f"{job.workload}.yaml").read_text("utf-8")
    if job.format == "avro":
        text = text.replace("  format: json\n", f"  format: {{avro: {{schema: {FILE}}}}}\n", 1)
    file = folder / f"{job.workload}.yaml"
    file.write_text(text, "utf-8")
    return file


def environment(job: Job) -> dict[str, str]:
    """Give what the pipelines take from the environment."""
    return {
        **os.environ,
        "BENCH_GROUP": job.group,
        "BENCH_INPUT": job.topic,
        "BENCH_SERVERS": job.servers,
        "BENCH_WINDOWS": job.windows,
        "BENCH_ALERTS": job.alerts,
    }


def run(job: Job) -> None:
    """Do the job."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = read(written(job, Path(folder)), environment(job))
    meter = Meter(job.messages)

    def count(product: Product) -> None:
        meter.count(product.records)

    made = run_pipeline(pipeline, Options(until_end=True, on_product=count))
    if made.failure is not None:
        raise made.failure
    # Handing the group back takes no CPU but a while; the rows were delivered before it.
    meter.end(f"telemill {version('telemill')}", made.ended, undelivered=made.delivery_errors)


if __name__ == "__main__":
    run(given())
