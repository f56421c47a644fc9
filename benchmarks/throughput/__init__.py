"""Whole pipelines from Kafka to Kafka, on a real broker, beside other systems: `python -m benchmarks.throughput`."""
