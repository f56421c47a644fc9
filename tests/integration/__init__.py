"""Tests that need a real Kafka. They find or start one themselves; see `tests/integration/kafka/broker.py`."""
