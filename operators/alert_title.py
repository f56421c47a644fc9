"""Titles of alerts: a text with columns in braces, such as `{device}: {watts:.0f} W since {since}`.

A number may have a format behind a colon, as Python writes them (`:.1f`, `:,`, `:.0%`). Without one it is written with six
digits, and a large one whole. A time is written as ISO 8601 to the second, in UTC; what is missing as `?`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from string import Formatter

import numpy as np

from operators.base import Problem, SpecError, did_you_mean
from operators.batch import Column, Text, Type, is_missing

_EXPECTED = "a text with columns in braces, such as `{device}: {score:.1f} since {since}`"
_MISSING = "?"
_WHOLE = 1e6
"""From where on a float is written whole."""


class Title:
    """A template, checked against the columns that it names.

    Attributes:
        columns: the columns that it names.

    >>> title = Title("{n:03d} of {{{of}}}", {"n": Type.INT, "of": Type.FLOAT})
    >>> title.texts({"n": np.array([7, 8]), "of": np.array([0.5, np.nan])}, 2)
    ['007 of {0.5}', '008 of {?}']
    """

    def __init__(self, template: str, types: Mapping[str, Type]) -> None:
        """Read the template.

        Raises:
            SpecError: if it names a column that isn't there, a format that doesn't fit, or can't be read; with every mistake.
        """
        try:
            parts = list(Formatter().parse(template))
        except ValueError as error:
            fix = "write `{{` and `}}` for braces that are to stay"
            raise SpecError([Problem(("title",), f"{_EXPECTED} ({error})", f"`{template}`", fix)]) from None
        problems = [
            problem
            for _, name, spec, conversion in parts
            if name is not None and (problem := _problem(name, spec or "", conversion, types)) is not None
        ]
        if problems:
            raise SpecError(problems)
        self._fields = [(name, _writer(types[name], spec or "")) for _, name, spec, _ in parts if name is not None]
        self._template = "".join(
            text.replace("{", "{{").replace("}", "}}") + ("" if name is None else "{}") for text, name, _, _ in parts
        )
        self.columns = {name for name, _ in self._fields}

    def texts(self, columns: Mapping[str, Column], rows: int) -> list[str]:
        """Write the title of each row."""
        written = [write(columns[name]) for name, write in self._fields]
        return list(map(self._template.format, *written)) if written else [self._template.format()] * rows


def _problem(name: str, spec: str, conversion: str | None, types: Mapping[str, Type]) -> Problem | None:
    if name not in types:
        expected = f"a column of the alert's rows: {', '.join(types)}"
        return Problem(("title",), expected, f"`{{{name}}}`", did_you_mean(name, types))
    if conversion:
        return Problem(("title",), _EXPECTED, f"`{{{name}!{conversion}}}`", f"`{{{name}}}`")
    if not spec:
        return None
    if types[name] not in {Type.FLOAT, Type.INT}:
        expected = "a format for a float or int alone"
        return Problem(("title",), expected, f"`{{{name}:{spec}}}`, which is {types[name]}", f"`{{{name}}}`")
    try:
        format(0.5 if types[name] is Type.FLOAT else 1, spec)
    except ValueError:
        expected = "a format of a number, such as `:.1f`, `:,` or `:03d`"
        expected += " (the last for an int alone)"
        return Problem(("title",), expected, f"`{{{name}:{spec}}}`, which is {types[name]}", f"`{{{name}}}`")
    return None


def _writer(type_: Type, spec: str) -> Callable[[Column], Sequence[str]]:
    """Give what writes a column of this type."""

    def write(column: Column) -> Sequence[str]:
        if isinstance(column, Text):
            texts: Iterable[str] = (_MISSING if text is None else text for text in column.to_list())
        elif type_ is Type.TIME:
            texts = (f"{time}Z" for time in np.datetime_as_string(column.astype("M8[us]"), "s").tolist())
        elif type_ is Type.BOOL:
            texts = map(["false", "true"].__getitem__, (column == 1).tolist())
        elif spec or type_ is Type.INT:
            texts = map(format, column.tolist(), repeat(spec))
        else:
            texts = (f"{value:.6g}" if abs(value) < _WHOLE else f"{value:.15g}" for value in column.tolist())
        if isinstance(column, Text):
            return list(texts)
        return [_MISSING if gone else text for text, gone in zip(texts, is_missing(column).tolist(), strict=True)]

    return write
