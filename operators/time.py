"""Points in time as people write them in a pipeline (`2026-01-05`, `2026-01-01T06:00Z`), kept as us since the epoch."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema

from operators.base import unfit

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DATETIME = TypeAdapter(datetime)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EXPECTED = "a date such as 2026-01-05, or a time with its offset such as 2026-01-05T06:00:00Z"


def parse_instant(value: object) -> int:
    """Read a date (its midnight, UTC) or a time with an offset.

    Raises:
        PydanticCustomError: with what was expected.

    >>> parse_instant("1970-01-02")
    86400000000
    """
    if value == 0:
        return 0
    if isinstance(value, datetime):
        at = value
    elif isinstance(value, date):
        at = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    else:
        text = str(value).strip()
        try:
            # Python 3.10's own `fromisoformat` reads neither `Z` nor a tenth of a second.
            at = _DATETIME.validate_python(text if _DATE.match(text) else "")
        except ValidationError:
            raise unfit(_EXPECTED) from None
        if len(text) == len("2026-01-05"):
            at = at.replace(tzinfo=timezone.utc)
    if at.tzinfo is None:
        raise unfit(_EXPECTED, fix=f"add its offset: `{value}Z` is UTC")
    return (at - _EPOCH) // timedelta(microseconds=1)


def format_instant(us: int) -> str:
    """Write a point in time.

    >>> format_instant(86_400_000_000)
    '1970-01-02T00:00:00Z'
    """
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


Instant = Annotated[
    int,
    BeforeValidator(parse_instant),
    PlainSerializer(format_instant),
    WithJsonSchema({"type": "string", "examples": ["2026-01-05", "2026-01-05T06:00:00Z"]}),
]
"""A point in time in a spec: text in YAML, us since the epoch (int) in the code."""
