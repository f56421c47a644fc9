"""What happens to a batch of device data: pure state machines over numpy arrays, one operator a file.

An operator knows no Kafka, no Bytewax, no clock and no network. What it puts out depends on the rows it has seen and
on nothing else, least of all on where one batch ends and the next begins: replay, and so delivery, stands on that.
"""
