"""Tests of what talks to Kafka, with the Kafka inside this process."""
