"""The way to and from Kafka, by confluent-kafka (librdkafka)."""
