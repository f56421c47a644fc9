"""What a pipeline file comes to once it is checked: frozen values that the shard and the runtime are built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.codec.base import Decoder, Format, Reading
from connectors.codec.headers import with_headers
from operators.base import Operator
from operators.batch import Schema
from operators.filter import Filter

SOURCE = "source"
"""The stream of decoded records."""
DEAD = "dead"
"""The stream of records that can't be processed."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step: an operator on a stream.

    Attributes:
        id: names its main output; side outputs are `id.late`.
        kind: the operator's place in the package, such as `("window", "tumbling")`.
        spec: the operator.
        source: the stream it reads.
        schemas: of its outputs; the main one under "".
        line: in the pipeline's file.
    """

    id: str
    kind: tuple[str, ...]
    spec: Operator
    source: str
    schemas: Mapping[str, Schema]
    line: int


@dataclass(frozen=True, slots=True)
class Kafka:
    """How to reach a Kafka: the brokers, and further settings of librdkafka."""

    brokers: str
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a stream goes.

    Attributes:
        stream: as `from` names it.
        topic: it goes there.
        kafka: of the topic.
        format: of the records.
        schema: of the rows; None for the dead letters, which go out as they came in.
        when: which rows are written; None for all.
    """

    stream: str
    topic: str
    kafka: Kafka
    format: Format
    schema: Schema | None
    when: Filter | None = None

    @property
    def written(self) -> str:
        """Name the rows that are written: the stream, or what the condition leaves of it."""
        return self.stream if self.when is None else f"{self.stream} when {self.when.where}"


@dataclass(frozen=True, slots=True)
class Test:
    """A test that stands in the pipeline's file."""

    name: str
    at: str
    input: Sequence[Mapping[str, Any]]
    expect: Sequence[Mapping[str, Any]]
    close_windows: bool
    line: int


@dataclass(frozen=True, slots=True)
class Source:
    """What is read: topics, the consumer group, and how a record is decoded."""

    topics: tuple[str, ...]
    group: str
    start: str
    kafka: Kafka
    format: Format
    reading: Reading
    schema: Schema
    lateness: int
    idle: int
    forget: int

    def decoder(self) -> Decoder:
        """Make a decoder of its records, of their values and headers."""
        return with_headers(self.format.decoder(self.reading), self.reading)

    def offline(self) -> Source:
        """Give the source as it can be read where only its file is there: for a rehearsal, and for tests of a pipeline."""
        return replace(self, format=self.format.offline())


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A whole pipeline."""

    file: str
    name: str
    source: Source
    steps: tuple[Step, ...]
    sinks: tuple[Sink, ...]
    tests: tuple[Test, ...]
    commit: int

    def streams(self) -> dict[str, Schema]:
        """Give the schema of every stream of rows."""
        return streams_of(self.source.schema, self.steps)


def streams_of(source: Schema, steps: Iterable[Step]) -> dict[str, Schema]:
    """Give the schema of every stream: `source`, each step's `id`, and its side outputs as `id.side`."""
    streams = {SOURCE: source}
    for step in steps:
        streams |= {f"{step.id}.{side}" if side else step.id: schema for side, schema in step.schemas.items()}
    return streams
