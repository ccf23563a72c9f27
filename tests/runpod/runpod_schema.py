"""What the published OpenAPI document says of the requests and answers that are used here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_EXTRACT = json.loads((Path(__file__).parent / "openapi_extract.json").read_text())
OPERATIONS: dict[str, dict[str, Any]] = _EXTRACT["operations"]


def faults(where: str, value: Any) -> list[str]:
    """Say what of a value breaks a schema, such as ``#/components/schemas/Pod``."""
    schema = {"$ref": where, "components": _EXTRACT["components"]}
    found = Draft202012Validator(schema).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def query_faults(operation: str, query: Mapping[str, str]) -> list[str]:
    """Say what of a query breaks an operation's parameters; unknown ones count."""
    known, found = OPERATIONS[operation]["query"], []
    for name, text in query.items():
        if name not in known:
            found.append(f"query: unknown parameter {name!r}")
            continue
        schema = {**known[name]["schema"], "components": _EXTRACT["components"]}
        value: Any = text
        if schema.get("type") == "array":
            value = text.split(",")
        elif schema.get("type") == "integer":
            value = int(text) if text.isdigit() else text
        errors = Draft202012Validator(schema).iter_errors(value)
        found += [f"query: {name}: {error.message}" for error in errors]
    return found
