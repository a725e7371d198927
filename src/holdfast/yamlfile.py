"""YAML into a pydantic model, with errors that name the line and the nearest right key."""

from __future__ import annotations

import difflib
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from holdfast.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
_Place = tuple[str | int | float, ...]


def load_yaml(path: str | Path, model: type[Model]) -> Model:
    """Read `path` and validate it as `model` (which should forbid unknown keys).

    Raises:
        InputError: No such file, broken YAML, a key given twice, an unknown key or a wrong
            value; names the line and, for an unknown key, the nearest right one.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("no such file", path=path, fix="check the path") from None
    except IsADirectoryError:
        raise InputError("is a folder, not a YAML file", path=path) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", path=path, fix="save it as UTF-8") from None
    return parse_yaml(text, model, path=path)


def parse_yaml(text: str, model: type[Model], *, path: str | Path = "<text>") -> Model:
    """Like `load_yaml`, from text."""
    lines: dict[_Place, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = {} if node is None else _build(node, (), lines, path)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not valid YAML: {error.problem}", path=path, line=line) from None
    if not isinstance(value, dict):
        raise InputError("must hold 'key: value' lines", path=path, line=1)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _explain(error, model, lines, path) from None


def line_of(path: str | Path, place: tuple[str, ...]) -> int | None:
    """The line of the key that `place` leads to, or of the nearest one above it; None if there is none.

    Args:
        path: A file that `load_yaml` has read without an error.
        place: Keys from the top.
    """
    lines: dict[_Place, int] = {}
    node = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    if node is not None:
        _build(node, (), lines, path)
    return next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)


def _build(node: yaml.Node, place: _Place, lines: dict[_Place, int], path: str | Path) -> Any:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _build(key_node, (*place, "<key>"), lines, path)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str | int | float | bool):
                raise InputError("a key must be plain text", path=path, line=line)
            if key in mapping:
                raise InputError(f"key '{key}' is given twice", path=path, line=line, fix="remove one")
            mapping[key] = _build(value_node, (*place, key), lines, path)
            lines[(*place, key)] = line
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*place, index), lines, path) for index, child in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def _explain(
    error: ValidationError, model: type[BaseModel], lines: dict[_Place, int], path: str | Path
) -> InputError:
    details = error.errors()
    first = next((d for d in details if d["type"] == "extra_forbidden"), details[0])
    place = tuple(first["loc"])
    known = place
    while known not in lines and known:
        known = known[:-1]
    name = ".".join(str(part) for part in place) or "the file"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    if first["type"] == "extra_forbidden":
        return InputError(
            f"unknown key '{name}'{more}", path=path, line=lines.get(known), fix=_nearest(place, model)
        )
    if first["type"] == "missing":
        return InputError(
            f"missing key '{name}'{more}", path=path, line=lines.get(known), fix=f"add '{name}:'"
        )
    return InputError(f"'{name}': {_reason(first)}{more}", path=path, line=lines.get(known))


def _reason(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    shown = repr(detail.get("input"))
    return f"{message[:1].lower()}{message[1:]}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"


def _nearest(place: _Place, model: type[BaseModel]) -> str:
    owner: Any = model
    for part in place[:-1]:
        owner = _step(owner, part)
    names = [name for candidate in _models(owner) for name in candidate.model_fields]
    close = difflib.get_close_matches(str(place[-1]), names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known keys here: {', '.join(names)}" if names else "remove it"


def _step(annotation: Any, part: str | int | float) -> Any:
    """The annotation of what `part` names inside a value of type `annotation`."""
    for model in _models(annotation):
        if part in model.model_fields:
            return model.model_fields[str(part)].annotation
    for option in _options(annotation):
        arguments = get_args(option)
        if arguments and get_origin(option) is not None:
            return arguments[-1] if len(arguments) == 2 and arguments[1] is not Ellipsis else arguments[0]
    return None


def _models(annotation: Any) -> list[type[BaseModel]]:
    options = _options(annotation)
    return [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]


def _options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union (through `Annotated`), or the annotation alone."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _options(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(option for part in get_args(annotation) for option in _options(part))
    return (annotation,)
