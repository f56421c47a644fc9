"""A real Kafka for tests: one that is given, one from Docker, or one that Java runs from its jars."""
