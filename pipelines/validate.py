"""Hold a part of a pipeline file against its pydantic model, and tell every mistake at its line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from operators.base import Problem, did_you_mean
from pipelines.located import At, Located

_Model = TypeVar("_Model", bound=BaseModel)
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping of options",
    "too_short": "at least one",
}


def validate(
    located: Located,
    model: type[_Model],
    data: object,
    at: At,
    place: Callable[[At], At] | None = None,
) -> _Model | None:
    """Make a model from a part of the file.

    Args:
        located: the file; mistakes are noted in it.
        model: what the part should be.
        data: the part.
        at: where it stands.
        place: turns a place in the model's data into the place in the file, where the two aren't alike.

    Returns:
        The model, or None where there are mistakes.
    """
    to_file = place or (lambda inner: (*at, *inner))
    try:
        return model.model_validate(data, context={"folder": Path(located.file).parent})
    except ValidationError as error:
        details = error.errors(include_url=False)
        misspelt = {
            (*found["loc"][:-1], _nearest(str(found["loc"][-1]), _names_at(model, found["loc"][:-1])))
            for found in details
            if found["type"] == "extra_forbidden"
        }
        for detail in details:
            if detail["type"] != "missing" or detail["loc"] not in misspelt:  # told once: what is there in its place
                _refuse(located, model, detail, to_file)
        return None


def refuse_problems(located: Located, problems: Iterable[Problem], place: Callable[[At], At]) -> None:
    """Note an operator's problems at their places in the file."""
    for problem in problems:
        located.refuse(place(problem.at), problem.expected, problem.given, problem.fix)


def _nearest(given: str, names: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(given, list(names), 1)), None)


def _refuse(located: Located, model: type[BaseModel], detail: ErrorDetails, to_file: Callable[[At], At]) -> None:
    inner: At = tuple(key for key in detail["loc"] if key != "[key]")
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        names = _names_at(model, inner[:-1])
        key = str(inner[-1])
        place = to_file(inner[:-1])
        place = (*place, key)
        located.refuse(place, f"one of the keys {', '.join(names)}", f"unknown key `{key}`", did_you_mean(key, names))
        return
    if kind == "missing":
        located.refuse(to_file(inner), f"a key `{inner[-1]}`{_about(model, inner)}")
        return
    place = to_file(inner)
    if "at" in context:
        place = (*place, context["at"])
        given = given.get(context["at"]) if isinstance(given, dict) else given
    if kind in {"enum", "literal_error"}:
        choices = [choice.strip("'") for choice in str(context["expected"]).replace(" or ", ", ").split(", ")]
        expected, fix = f"one of {', '.join(choices)}", did_you_mean(str(given), choices)
    elif "expected" in context:
        expected, fix = str(context["expected"]), context.get("fix")
    elif kind in {"greater_than", "greater_than_equal"}:
        expected, fix = (
            f"a number {'above' if kind == 'greater_than' else 'of at least'} {next(iter(context.values()))}",
            None,
        )
    else:
        expected, fix = _EXPECTED.get(kind, detail["msg"]), None
    if kind == "string_type" and isinstance(given, int | float):
        fix = f'quote it: "{str(given).lower() if isinstance(given, bool) else given}"'
    located.refuse(place, expected, located.shown(place, given), fix)


def _model_at(model: type[BaseModel], inner: At) -> type[BaseModel] | None:
    """Find the model of a place inside a model, through lists, options and mappings."""
    found: Any = model
    for key in inner:
        if isinstance(found, type) and issubclass(found, BaseModel):
            fields = {field.alias or name: field for name, field in found.model_fields.items()}
            found = _core(fields[str(key)].annotation) if key in fields else None
        else:
            found = _core(get_args(found)[-1]) if get_args(found) else None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _core(annotation: Any) -> Any:
    """Give the model, list or mapping that an annotation is about, without validators and options around it."""
    if get_origin(annotation) in {list, dict} or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return annotation
    return next((core for core in map(_core, get_args(annotation)) if core is not None), None)


def _names_at(model: type[BaseModel], inner: At) -> list[str]:
    found = _model_at(model, inner)
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _about(model: type[BaseModel], inner: At) -> str:
    """Say what a missing key is for."""
    found = _model_at(model, inner[:-1])
    if found is None:
        return ""
    fields = {field.alias or name: field for name, field in found.model_fields.items()}
    field = fields.get(str(inner[-1]))
    return f": {field.description}" if field and field.description else ""
