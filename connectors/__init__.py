"""How batches come in and go out: codecs between bytes and columns, and the way to and from Kafka."""
