"""YAML with the line of every key and value, and mistakes that are told with them.

YAML 1.2 with its core schema (section 10.3.2): `no` and `on` are text, only `true` and `false` are bools. Anchors,
aliases and merge keys (`<<`) work. `${VAR}` and `${VAR:-default}` are replaced from the environment in every value;
`$${` stands for a plain `${`. No tag is followed, so a file can't make Python objects.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

At: TypeAlias = tuple[str | int, ...]
"""A place in a file: keys and indices from its top."""

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}|\$\{")
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_DEEPEST = 50
_MOST = 100_000
_LONGEST_NUMBER = 400
_YAML = "tag:yaml.org,2002:"
_TAGS = {_YAML + name for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge", "timestamp")}


class Mistake(NamedTuple):
    """One mistake in a file: the line (from 1), what stands there, what was expected, what was given, a likely fix."""

    line: int
    where: str
    expected: str
    given: str | None
    fix: str | None


class ConfigError(Exception):
    """A pipeline file that can't be run. Its text has every mistake, each with file, line, and what to do."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        """Order the mistakes by line."""
        self.file = file
        self.mistakes = sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.line)
        lines = []
        for mistake in self.mistakes:
            lines.append(f"{file}:{mistake.line}: {mistake.where or 'the file'}")
            lines.append(f"    expected: {mistake.expected}")
            lines.append(f"    given:    {mistake.given or 'nothing'}")
            if mistake.fix:
                lines.append(f"    fix:      {mistake.fix}")
        count = len(self.mistakes)
        lines.append(f"{count} mistake{'s' if count != 1 else ''}; nothing was run")
        super().__init__("\n".join(lines))


@dataclass
class Located:
    """A YAML file as plain data, with the place of everything in it.

    Attributes:
        file: as it is named in errors.
        data: dicts, lists and scalars.
        mistakes: found so far; `refuse` adds to them.
    """

    file: str
    data: Any = None
    mistakes: list[Mistake] = field(default_factory=list)
    _lines: dict[At, int] = field(default_factory=dict)
    _raw: dict[At, str] = field(default_factory=dict)
    _text: dict[At, str] = field(default_factory=dict)
    _secrets: dict[At, list[tuple[str, str]]] = field(default_factory=dict)

    def line(self, at: At) -> int:
        """Give the line of a key or value; of what encloses it where it isn't in the file."""
        while at and at not in self._lines:
            at = at[:-1]
        return self._lines.get(at, 1)

    def text(self, at: At) -> str:
        """Give a scalar as it is written, variables put in, before it was taken for a number or a bool."""
        return self._text[at]

    def shown(self, at: At, value: object) -> str:
        """Give a value as it stands in the file; where a variable was put in, the variable and not what it holds."""
        return self._raw.get(at, _shown(value))

    def refuse(self, at: At, expected: str, given: str | None = None, fix: str | None = None) -> None:
        """Note a mistake. What the environment put in at this place is shown as the variable that it was."""
        told: list[str | None] = [expected, given, fix]
        for value, variable in self._secrets.get(at, ()):
            told = [text.replace(value, variable) if text else text for text in told]
        self.mistakes.append(Mistake(self.line(at), dotted(at), str(told[0]), told[1], told[2]))

    def check(self) -> None:
        """Raise a ConfigError if there are mistakes."""
        if self.mistakes:
            raise ConfigError(self.file, self.mistakes)


def load(file: Path, environ: Mapping[str, str] | None = None) -> Located:
    """Read a YAML file.

    Raises:
        ConfigError: if it can't be read or isn't YAML, names a variable that isn't set, or repeats a key.
    """
    located = Located(str(file))
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        located.refuse((), "a pipeline file that can be read", f"{file}: {error.strerror}", "check the path")
    except UnicodeDecodeError:
        located.refuse((), "a text file in UTF-8", "other bytes")
    located.check()
    if _brackets(text) > 4 * _DEEPEST:
        located.refuse((), f"at most {_DEEPEST} levels", "more brackets within each other")
    located.check()
    try:
        root = YAML(typ="rt", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        given = (error.problem or "").strip() or "something else"
        expected = "YAML" + (f" ({error.context})" if error.context else "")
        located.mistakes.append(Mistake(line, "", expected, given, "check the indentation, brackets and quotes here"))
    except (YAMLError, AssertionError) as error:  # an unknown version of YAML fails an assertion
        located.refuse((), "YAML", str(error).split("\n", 1)[0])
    located.check()
    if root is None:
        located.refuse((), "a pipeline", "an empty file", "see pipelines/examples/motes.yaml")
        located.check()
    located.data = _Reader(located, os.environ if environ is None else environ).read(root, ())
    located.check()
    return located


def _brackets(text: str) -> int:
    """Count how deep brackets stand within each other, at most: the YAML parser would take minutes over thousands."""
    depth = np.cumsum([(char in "[{") - (char in "]}") for char in text])
    return int(depth.max(initial=0))


class _Reader:
    def __init__(self, located: Located, environ: Mapping[str, str]) -> None:
        self._to = located
        self._environ = environ
        self._read = 0
        self._merging = 0

    def read(self, node: Node, at: At) -> Any:  # YAML
        self._to._lines.setdefault(at, node.start_mark.line + 1)  # noqa: SLF001  # it fills what it makes
        self._read += 1
        if self._read > _MOST:
            if self._read == _MOST + 1:
                self._to.refuse(at, f"at most {_MOST:,} values", "more", "aliases of aliases grow quickly")
            return None
        if len(at) > _DEEPEST:
            self._to.refuse(at, f"at most {_DEEPEST} levels", "more", "an alias may contain itself")
            self._read = _MOST + 1  # once is enough: nothing more is read
            return None
        if str(node.tag) not in _TAGS:
            self._to.refuse(at, "a value without a tag", str(node.tag).removeprefix(_YAML))
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, at)
        if isinstance(node, SequenceNode):
            return [self.read(item, (*at, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, at) if isinstance(node, ScalarNode) else None

    def _refuse(self, node: Node, at: At, expected: str, given: str) -> None:
        """Note a mistake at a node that isn't kept, so that its line isn't either."""
        self._to.mistakes.append(Mistake(node.start_mark.line + 1, dotted(at), expected, given, None))

    def _mapping(self, node: MappingNode, at: At, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Read a mapping, but for the keys to `skip`; what it merges counts where it doesn't have the key itself."""
        found: dict[str, Any] = {}
        parts: list[Node] = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._refuse(key, at, "keys that are text", "a list or mapping as a key")
            elif key.value == "<<" and key.style is None:
                parts += value.value if isinstance(value, SequenceNode) else [value]
            elif key.value in found:
                first = self._to.line((*at, key.value))
                self._refuse(
                    key, (*at, key.value), "each key once", f"`{key.value}`, which stands on line {first} already"
                )
            elif key.value not in skip:
                place = (*at, str(key.value))
                self._to._lines[place] = key.start_mark.line + 1  # noqa: SLF001  # as above
                found[str(key.value)] = self.read(value, place)
        merged: dict[str, Any] = {}
        for part in parts:
            if not isinstance(part, MappingNode):
                self._refuse(part, at, "a mapping to merge with `<<`", _shown(part.value))
                continue
            self._merging += 1
            if self._merging > _DEEPEST:
                self._refuse(part, at, f"at most {_DEEPEST} merges within each other", "more, as in a merge of itself")
            else:
                merged |= self._mapping(part, at, skip | found.keys() | merged.keys())
            self._merging -= 1
        return {**merged, **found}

    def _scalar(self, node: ScalarNode, at: At) -> Any:  # YAML
        text = str(node.value)
        if "${" in text:
            self._to._raw[at] = text  # noqa: SLF001  # as above
            text = _VARIABLE.sub(lambda match: self._variable(match, at), text)
        self._to._text[at] = text  # noqa: SLF001  # as above
        if node.style is None and len(text) > _LONGEST_NUMBER and _INT.fullmatch(text):
            self._to.refuse(at, f"a number of at most {_LONGEST_NUMBER} digits", f"{len(text)} digits", "quote it")
            return None
        return text if node.style is not None else _resolve(text)

    def _variable(self, match: re.Match[str], at: At) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            self._to.refuse(at, "`${NAME}` or `${NAME:-default}`", self._to.shown(at, None), "`$${` for a plain `${`")
            return ""
        value = self._environ.get(match[1])
        if value:
            self._to._secrets.setdefault(at, []).append((value, match[0]))  # noqa: SLF001  # as above
        if not value and match[2] is not None:
            value = match[2]
        if value is None:
            fix = f"set it (`export {match[1]}=...`), or give a default: `${{{match[1]}:-default}}`"
            self._to.refuse(at, f"the environment variable {match[1]} to be set", f"{match[0]}, which isn't", fix)
            return ""
        return value


def _resolve(text: str) -> Any:  # a scalar of any type
    """Give a plain scalar its type by the core schema."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def dotted(at: At) -> str:
    """Write a place as people do.

    >>> dotted(("steps", 2, "window"))
    'steps[2].window'
    """
    text = ""
    for key in at:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a mapping with {', '.join(f'`{key}`' for key in value)}" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = f"`{value}`" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
