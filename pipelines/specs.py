"""What may stand in a pipeline file besides the steps: the specs of source, sinks and tests, as pydantic models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictStr,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from connectors.codec.base import Unit, formats, written
from operators.base import unfit
from operators.duration import UNITS, Duration, PositiveDuration


@dataclass(frozen=True)
class _Pattern:
    """What a text has to look like, in the JSON Schema too.

    Attributes:
        pattern: that the whole text matches.
        expected: the same in words.
    """

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the text behind what it is annotated to."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say the pattern."""
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise unfit(self.expected)
        return value


NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""What the name of a column looks like."""
Name = Annotated[StrictStr, _Pattern(NAME, "a name of letters, digits and _ that doesn't begin with a digit")]
Header = Annotated[StrictStr, _Pattern(r"[^\x00]+", "the name of a header")]
Topic = Annotated[
    StrictStr, _Pattern(r"[A-Za-z0-9._-]{1,249}", "the name of a topic: letters, digits, `.`, `_` and `-`")
]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_text(config: object) -> object:
    if isinstance(config, dict):
        for key, value in config.items():
            if value is None or value == "" or isinstance(value, list | dict):
                expected = "a value"
                raise unfit(expected, at=key)
        return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in config.items()}
    return config


Settings = Annotated[dict[str, str], BeforeValidator(_as_text)]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Start(str, Enum):
    """Where a group without positions begins."""

    EARLIEST = "earliest"
    LATEST = "latest"


class KafkaSourceSpec(_Spec):
    """The topics to read."""

    topics: Annotated[list[Topic], BeforeValidator(_as_list)] = Field(
        min_length=1, description="topic or topics to read"
    )
    brokers: Annotated[StrictStr, _Pattern(r".*\S.*", "host:port of a broker")] = Field(
        "localhost:9092", description="host:port of one or more brokers, separated by commas"
    )
    group: StrictStr | None = Field(None, description="consumer group; the pipeline's name if left out")
    start: Start = Field(Start.EARLIEST, description="where to begin where the group has no position: earliest, latest")
    config: Settings = Field({}, description="further settings of librdkafka, such as security.protocol")


def _as_device(value: object) -> object:
    if isinstance(value, str):
        return {"fields": [value]}
    return {"fields": value} if isinstance(value, list) else value


class DeviceSpec(_Spec):
    """What names a device: a field, several fields, the record's key, or a header."""

    fields: list[StrictStr] = Field([], description="the field, or the fields together, that name a device")
    key: Name | None = Field(None, description="take the record's key; the name that it gets in rows")
    header: Header | None = Field(None, description="take a header of the record")
    name: Name | None = Field(None, description="the name that a header gets in rows; the header's if left out")


class TimeSpec(_Spec):
    """Event time."""

    field: StrictStr | None = Field(None, description="the field with the event time; left out, the record's own time")
    unit: Unit | None = Field(None, description="how the field is written: s, ms, us, ns or iso")
    name: Name | None = Field(None, description="the column's name; the field's if left out")
    lateness: Duration = Field(0, description="how far behind its newest reading a device's readings may come")
    idle: PositiveDuration = Field(5 * UNITS["m"], description="how long a device may be silent before it is moved on")
    future: PositiveDuration = Field(10 * UNITS["m"], description="how far ahead of the record's own time it may be")
    forget: PositiveDuration = Field(
        30 * UNITS["d"], description="how long a device may be silent before all that is kept of it is dropped"
    )


def _as_field(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


class FieldSpec(_Spec):
    """A field to read."""

    type: Literal["float", "int", "bool", "text"] = Field(description="float, int, bool or text")
    path: StrictStr | None = Field(None, description="where it stands in the record, such as data.temp")
    header: Header | None = Field(None, description="the record header that holds it, in place of `path`")


class SourceSpec(_Spec):
    """Where records come from, and what is read of each."""

    kafka: KafkaSourceSpec = Field(description="the topics to read")
    format: Any = Field("json", description=f"one of {', '.join(formats())}, or one with options")
    each: StrictStr | None = Field(
        None, description="the path of a list of readings in the record; paths of their fields go through it"
    )
    device: Annotated[DeviceSpec, BeforeValidator(_as_device)] = Field(
        description="the field or fields that name a device"
    )
    time: TimeSpec = Field(description="the event time")
    fields: dict[Name, Annotated[FieldSpec, BeforeValidator(_as_field)]] = Field(
        min_length=1, description="the columns to read: name to type"
    )


class KafkaSinkSpec(_Spec):
    """The topic to write."""

    topic: Topic = Field(description="topic to write to")
    brokers: StrictStr | None = Field(None, description="the source's brokers if left out")
    config: Settings | None = Field(None, description="the source's settings if left out")


class SinkSpec(_Spec):
    """Where a stream goes."""

    from_: StrictStr = Field(alias="from", description="the stream: a step's id, `ID.late`, `source` or `dead`")
    when: StrictStr | None = Field(
        None, description="SQL condition over the columns of the row; only rows for which it holds are written"
    )
    kafka: KafkaSinkSpec = Field(description="the topic to write to")
    format: Any = Field("json", description=f"one of {', '.join(written())}, or one with options")


class TestSpec(_Spec):
    """Rows in, and the rows that a stream should give for them."""

    name: StrictStr = Field(description="what the test shows")
    at: StrictStr = Field(description="the stream to look at")
    input: list[dict[str, Any]] = Field(description="records, in order")
    expect: list[dict[str, Any]] = Field(description="rows, in order, each with the columns to compare")
    close_windows: StrictBool = Field(default=False, description="close what is open behind the last record")


class PipelineSpec(_Spec):
    """The whole file."""

    name: Annotated[StrictStr, _Pattern(r"[A-Za-z0-9._-]+", "a name of letters, digits, `.`, `_` and `-`")] = Field(
        description="the pipeline's name; also its consumer group"
    )
    source: SourceSpec = Field(description="where records come from")
    steps: Any = Field(None, description="what happens to them")
    sinks: list[SinkSpec] = Field(min_length=1, description="where rows go")
    tests: list[TestSpec] = Field([], description="examples that `telemill test` runs")
    delivery: Literal["at_least_once"] = Field("at_least_once", description="at_least_once")
    commit: PositiveDuration = Field(100 * UNITS["ms"], description="how often positions are committed")
    anchors: Any = Field(None, description="a place for YAML anchors; not read")
