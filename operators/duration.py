"""Durations as people write them (`30s`, `1h30m`), kept as microseconds."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from operators.base import unfit

UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
"""Microseconds in each unit."""
LONGEST = 100 * 366 * UNITS["d"]
"""The longest duration that makes sense (a hundred years), which keeps sums with times inside 64 bits."""

_PART = re.compile(r"(\d+(?:\.\d+)?) *(us|ms|s|m|h|d) *")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_NAMED = re.compile(r"(?<=[\d ])(min|sec|hour|hr|day)[a-z]*", re.IGNORECASE)
_LETTERS = {"mi": "m", "se": "s", "ho": "h", "hr": "h", "da": "d"}
_EXPECTED = "a duration such as 500ms, 30s, 5m, 1h30m or 1d"


def parse_duration(value: object) -> int:
    """Read a duration.

    Args:
        value: a text such as `1h30m`. A number alone is refused: it doesn't say its unit.

    Returns:
        Microseconds.

    Raises:
        PydanticCustomError: with what was expected, and a fix where one can be guessed.

    >>> parse_duration("1m30s")
    90000000
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise unfit(_EXPECTED, fix=f"say the unit: `{value}s`?")
    if not isinstance(value, str) or not _WHOLE.fullmatch(value.strip(" ")):
        raise unfit(_EXPECTED, fix=_meant(value) if isinstance(value, str) else None)
    us = sum(float(number) * UNITS[unit] for number, unit in _PART.findall(value))
    if us > LONGEST:
        expected = "a duration of at most 100 years"
        raise unfit(expected)
    return round(us)


def _meant(text: str) -> str | None:
    """Guess what duration a text with other names of units means."""
    meant = _NAMED.sub(lambda found: _LETTERS[found[1][:2].lower()], text.strip())
    return f"did you mean `{meant}`?" if _WHOLE.fullmatch(meant) else None


def format_duration(us: int) -> str:
    """Write microseconds as a duration.

    >>> format_duration(90_000_000)
    '1m30s'
    """
    parts = []
    for unit, size in sorted(UNITS.items(), key=lambda item: -item[1]):
        number, us = divmod(us, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_WHOLE.pattern}$", "examples": ["30s", "1h30m"]}),
]
"""A duration in a spec: text in YAML, microseconds (int) in the code."""


def _above_zero(us: int) -> int:
    if us <= 0:
        expected = "a duration above zero"
        raise unfit(expected)
    return us


PositiveDuration = Annotated[Duration, AfterValidator(_above_zero)]
"""A `Duration` that isn't zero."""
