"""The `steps` of a pipeline file: which operator each is, which stream it reads, and whether the two fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from operators.base import Operator, SpecError, did_you_mean, kinds
from operators.batch import Schema
from pipelines.located import At, Located
from pipelines.plan import DEAD, SOURCE, Step, streams_of
from pipelines.validate import refuse_problems, validate

_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMMON = ("id", "from")


def read_steps(located: Located, data: object, source: Schema | None) -> tuple[Step, ...]:
    """Read the steps in order, each on the one before it or on the one that `from` names.

    Args:
        located: the file; mistakes are noted in it.
        data: what stands under `steps`.
        source: the columns of the decoded records; None where the source has mistakes of its own, and then the
            steps are checked as far as they can be without it.

    Returns:
        The steps that are right.
    """
    at: At = ("steps",)
    if data is None:
        return ()
    if not isinstance(data, list):
        located.refuse(at, "a list of steps", located.shown(at, data), "begin each step with `- `")
        return ()
    reader = _Steps(located, source)
    for index, item in enumerate(data):
        reader.read((*at, index), item)
    return tuple(reader.steps)


class _Steps:
    """Reads step after step; knows the streams so far. A stream whose schema is None belongs to a broken step."""

    def __init__(self, located: Located, source: Schema | None) -> None:
        self._located = located
        self._streams: dict[str, Schema | None] = {SOURCE: source}
        self._last = SOURCE
        self.steps: list[Step] = []

    def read(self, at: At, item: object) -> None:
        key = self._key(at, item)
        if key is None or not isinstance(item, dict):
            # What goes on from a broken step isn't blamed for it.
            self._last = str(item.get("id", "")) if isinstance(item, dict) else ""
            self._streams.setdefault(self._last, None)
            return
        name = self._id(at, item, key)
        stream = self._from(at, item)
        found = self._spec(at, key, item[key])
        self._streams[name] = None
        if found is not None:
            kind, spec, place = found
            schema = self._streams.get(stream)
            if schema is not None:
                self._add(at, name, kind, spec, stream, schema, place)
        self._last = name

    def _add(
        self,
        at: At,
        name: str,
        kind: tuple[str, ...],
        spec: Operator,
        stream: str,
        schema: Schema,
        place: Callable[[At], At],
    ) -> None:
        try:
            schemas = spec.outputs(schema)
        except SpecError as error:
            refuse_problems(self._located, error.problems, place)
            return
        step = Step(name, kind, spec, stream, schemas, self._located.line(at))
        self.steps.append(step)
        self._streams |= {**streams_of(schema, [step]), SOURCE: self._streams[SOURCE]}

    def _key(self, at: At, item: object) -> str | None:
        """Find the one key that says what the step does."""
        known = sorted({path[0] for path in kinds()})
        if not isinstance(item, dict):
            fix = f"`- {item}: ...`" if item in known else None
            self._located.refuse(at, "a step such as `filter: temperature > 0`", self._located.shown(at, item), fix)
            return None
        keys = [key for key in item if key not in _COMMON]
        for key in keys:
            if key not in known:
                expected = f"one of the steps {', '.join(known)} (and `id`, `from`)"
                fix = did_you_mean(key, [*known, *_COMMON])
                self._located.refuse((*at, key), expected, f"unknown key `{key}`", fix)
        keys = [key for key in keys if key in known]
        if len(keys) > 1:
            given = " and ".join(f"`{key}`" for key in keys)
            self._located.refuse(at, "one operation a step", given, "make a step of each: begin each with `- `")
        if not keys and not set(item) - set(_COMMON):
            self._located.refuse(at, f"one of the steps {', '.join(known)}", "none of them")
        return keys[0] if len(keys) == 1 else None

    def _id(self, at: At, item: Mapping[str, Any], key: str) -> str:
        given = item.get("id")
        free = (f"{key}_{number}" if number > 1 else key for number in count(1))
        default = next(name for name in free if name not in self._streams)
        if given is None:
            return default
        place = (*at, "id")
        if not isinstance(given, str) or not _ID.fullmatch(given) or given in {SOURCE, DEAD}:
            expected = f"a name of letters, digits and _, not {SOURCE} or {DEAD}"
            self._located.refuse(place, expected, self._located.shown(place, given))
            return default
        if given in self._streams:
            self._located.refuse(place, "an id that no other step has", f"`{given}`, which a step above has")
            return default
        return given

    def _from(self, at: At, item: Mapping[str, Any]) -> str:
        if "from" not in item:
            return self._last
        stream = item["from"]
        if not isinstance(stream, str) or stream not in self._streams:
            place = (*at, "from")
            names = ", ".join(self._streams)
            fix = did_you_mean(str(stream), self._streams)
            self._located.refuse(place, f"a stream from above: {names}", self._located.shown(place, stream), fix)
            return ""
        return str(stream)

    def _spec(self, at: At, key: str, body: object) -> tuple[tuple[str, ...], Operator, Callable[[At], At]] | None:
        """Read an operator's options.

        `filter: ...` is the operator `filter`. `window: {tumbling: 1m, aggregate: ...}` names one of a group, whose
        options may stand beside its name or under it.
        """
        place: At = (*at, key)
        if (key,) in kinds():
            kind: tuple[str, ...] = (key,)
            return self._model(kind, body, place, {})
        group = [path[1] for path in kinds() if path[0] == key]
        expected = f"one of {', '.join(group)} under `{key}`"
        if not isinstance(body, dict):
            fix = f"`{key}: {{{body}: ...}}`" if body in group else did_you_mean(str(body), group)
            self._located.refuse(place, expected, self._located.shown(place, body), fix)
            return None
        named = [name for name in body if name in group]
        if len(named) != 1:
            options = {option for name in group for option in kinds()[key, name].model_fields}
            given = (
                " and ".join(f"`{name}`" for name in named or [other for other in body if other not in options] or body)
                or "nothing"
            )
            near = next((near for near in (did_you_mean(name, group) for name in body) if near), None)
            self._located.refuse(place, expected, given, None if named else near)
            return None
        kind = (key, named[0])
        beside = {name: value for name, value in body.items() if name != named[0]}
        return self._model(kind, body[named[0]], (*place, named[0]), {name: (*place, name) for name in beside}, beside)

    def _model(
        self,
        kind: tuple[str, ...],
        body: object,
        at: At,
        places: dict[str, At],
        beside: Mapping[str, Any] | None = None,
    ) -> tuple[tuple[str, ...], Operator, Callable[[At], At]] | None:
        operator = kinds()[kind]
        home = at if beside is None else at[:-1]
        data: dict[str, Any] = dict(beside or {})
        given: Mapping[str, Any] = {}
        if operator.whole is not None:
            given = {operator.whole: body}
        elif isinstance(body, dict):
            given = body
        elif operator.primary is not None and body is not None:
            given = {operator.primary: body}
        elif body is not None:
            expected = f"the options of `{kind[-1]}` as a mapping"
            self._located.refuse(at, expected, self._located.shown(at, body))
            return None

        for name, value in given.items():
            here = (*at, name) if isinstance(body, dict) and operator.whole is None else at
            if name in data:
                twice = f"`{name}`, which stands beside `{kind[-1]}` too"
                fix = f"`{kind[-1]}: {body}` says the {name}: take `{name}` out" if here == at else None
                self._located.refuse(here, "each option once", twice, fix)
            data[name] = value
            places[name] = here

        def place(inner: At) -> At:
            if not inner:
                return home
            return (*places.get(str(inner[0]), (*home, inner[0])), *inner[1:])

        spec = validate(self._located, operator, data, at, place)
        return None if spec is None else (kind, spec, place)
