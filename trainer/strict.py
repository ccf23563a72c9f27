"""Read a YAML file into a strict pydantic model, and say every fault at once.

YAML is read by version 1.2's core rules (``yes`` is a text, ``1e-4`` a number, no dates), and a
key written twice is an error.
"""

import copy
import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from polyid.errors import PolyIDError

ModelT = TypeVar("ModelT", bound=BaseModel)


class ConfigError(PolyIDError):
    """A configuration file or an override that cannot be used; the message lists all faults."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core schema; duplicate keys are errors."""

    yaml_implicit_resolvers: typing.ClassVar[dict[str, list[Any]]] = {}  # type: ignore[misc]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if isinstance(key, list | dict):
                raise ConfigError(f"line {line}: a key must be a text, received {key!r}")
            if key in seen:
                raise ConfigError(f"line {line}: key {key!r} is already given in line {seen[key]}")
            seen[key] = line
        return super().construct_mapping(node, deep=deep)


for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)", "~nN"),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    # The empty scalar is null; PyYAML looks it up under the key "".
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        [*_first, ""] if _tag == "null" else list(_first),
    )


def parse_yaml(text: str) -> Any:
    """Return the YAML value of ``text``.

    Raises
    ------
    ConfigError
        If it is no YAML, or gives a key twice; the message has the line.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 -- a SafeLoader
    except yaml.YAMLError as fault:
        raise ConfigError(f"it is no YAML: {fault}") from fault


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in the YAML file ``path``.

    Raises
    ------
    ConfigError
        If the file is missing, empty, no YAML, no mapping, or gives a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read ({fault.strerror}).") from fault
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{path}: is not UTF-8 text ({fault.reason}).") from fault
    try:
        data = parse_yaml(text)
    except ConfigError as fault:
        raise ConfigError(f"{path}: {fault}") from fault
    if not isinstance(data, dict):
        what = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigError(f"{path}: received {what}, expected keys with values.")
    return data


def load_strict(path: Path, model: type[ModelT], overrides: Sequence[str] = ()) -> ModelT:
    """Read ``path`` into ``model``, after the ``overrides`` (see :func:`apply_overrides`).

    Raises
    ------
    ConfigError
        With every fault: dotted key, what was received, what was expected, and a suggestion.
    """
    data = apply_overrides(read_yaml(path), overrides, model)
    return validate_strict(data, model, source=str(path))


def validate_strict(data: Mapping[str, Any], model: type[ModelT], source: str) -> ModelT:
    """Return ``data`` as ``model``; ``source`` names its origin in the error.

    Raises
    ------
    ConfigError
        As in :func:`load_strict`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as fault:
        errors = fault.errors(include_url=False)
        lines = [line for error in errors for line in _sentences(error, model)]
        count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
        listed = "\n".join(f"  - {line}" for line in lines)
        raise ConfigError(f"{source}: {count}\n{listed}") from fault


def suggest(word: object, known: Iterable[object]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest of ``known``, or all of them if few."""
    names = [str(name) for name in known]
    lower = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(str(word).lower(), list(lower), n=1, cutoff=0.55)
    if near:
        return f"; did you mean {lower[near[0]]!r}?"
    return f"; known here: {', '.join(names)}" if 0 < len(names) <= 20 else ""


def apply_overrides(
    data: Mapping[str, Any], overrides: Sequence[str], model: type[BaseModel] | None = None
) -> dict[str, Any]:
    """Return ``data`` with overrides such as ``"training.epochs=5"`` applied.

    Parameters
    ----------
    data
        Parsed YAML; left as it is.
    overrides
        ``dotted.key=value`` each; the value is YAML, so ``5`` is a number and ``null`` is None.
    model
        If given, keys that ``data`` leaves to the model's defaults may be set, too.

    Raises
    ------
    ConfigError
        If an override has no ``=``, or its key is unknown (with a suggestion); all at once.
    """
    result = copy.deepcopy(dict(data))
    faults = []
    for override in overrides:
        try:
            _apply(result, override, model)
        except ConfigError as fault:
            faults.append(f"  - {fault}")
    if faults:
        raise ConfigError("--set: cannot be applied\n" + "\n".join(faults))
    return result


def _apply(data: dict[str, Any], override: str, model: type[BaseModel] | None) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"received {override!r}, expected key=value such as training.epochs=5")
    value = parse_yaml(text)
    place: Any = data
    for depth, part in enumerate(parts):
        here = ".".join(parts[:depth])
        if not isinstance(place, dict):
            raise ConfigError(f"{key}: {here} is the value {place!r} and has no keys")
        known, open_keys = _known_keys(model, parts[:depth])
        known = list(dict.fromkeys([*place, *known]))
        if part not in known and not open_keys:
            where = f" in {here}" if here else ""
            raise ConfigError(f"{key}: unknown key {part!r}{where}{suggest(part, known)}")
        if depth == len(parts) - 1:
            place[part] = value
        else:
            if place.get(part) is None:
                place[part] = {}
            place = place[part]


def _known_keys(model: type[BaseModel] | None, path: Sequence[object]) -> tuple[list[str], bool]:
    """Return the keys the model has at ``path``, and whether any key is allowed there."""
    found: list[Any] = [model] if model else []
    for step in path:
        found = [inner for kind in found for inner in _step(kind, step)]
    names = [name for kind in found if _is_model(kind) for name in kind.model_fields]
    free = any(typing.get_origin(kind) is dict for kind in found)
    return list(dict.fromkeys(names)), free


def _step(kind: Any, step: object) -> list[Any]:
    """Return the types that stand one step below ``kind``."""
    if _is_model(kind):
        field = kind.model_fields.get(step)
        # A step that is no field is pydantic's name of a member of a union: stay.
        return _spread(field.annotation) if field else [kind]
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is dict and len(arguments) == 2:
        return _spread(arguments[1])
    if isinstance(step, int) and arguments:
        return _spread(arguments[0])
    return [kind]


def _spread(annotation: Any) -> list[Any]:
    """Return the members of a union, or the annotation itself."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _spread(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [one for member in typing.get_args(annotation) for one in _spread(member)]
    return [annotation]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _sentences(error: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """Return a fault as sentences: key, received, expected, suggestion.

    It is one sentence, except for a validator of our own that reports several lines.
    """
    path = [part for part in error["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in path)
    received = error["input"]
    if error["type"] == "extra_forbidden":
        return [f"{key}: unknown key{suggest(path[-1], _known_keys(model, path[:-1])[0])}"]
    if error["type"] == "missing":
        return [f"{key}: missing; expected a value"]
    if error["type"] == "value_error":
        lines = error["msg"].removeprefix("Value error, ").splitlines()
        # A line such as "name.unit: …" goes on with the key; any other stands behind it.
        joined = [
            f"{key}.{line}" if re.match(r"[\w.]+: ", line) else f"{key}: {line}" for line in lines
        ]
        return [line.lstrip(".: ") for line in joined]
    expected = error["msg"].removeprefix("Input should be ")
    hint = ""
    if error["type"] == "literal_error":
        hint = suggest(received, re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    return [f"{key or '(file)'}: received {_short(received)}, expected {expected}{hint}"]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
