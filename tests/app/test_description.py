"""The API against its own description: generated requests, no 5xx, nothing undocumented."""

import copy
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup

from app.server import Settings, create

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

schemathesis.serializer.alias("text/csv", "text/plain")


#: The same description as a running service gives, without one: tests are made from it.
DESCRIPTION = create(Settings("nowhere", Path("nowhere"))).openapi()
schema = schemathesis.openapi.from_dict(DESCRIPTION)


def limited(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@schema.parametrize()
@limited(15)
def test_generated_requests(case, server):
    case.call_and_validate(server.url, checks=CHECKS, timeout=120)


@pytest.mark.slow
@schema.parametrize()
@limited(250)
def test_many_generated_requests(case, server):
    case.call_and_validate(server.url, checks=CHECKS, timeout=120)


def test_a_running_service_describes_itself_so(server):
    assert server.get("/openapi.json").json() == DESCRIPTION


def test_the_checks_see_an_undocumented_status(server):
    poorer = copy.deepcopy(DESCRIPTION)
    del poorer["paths"]["/predict"]["post"]["responses"]["422"]
    operation = schemathesis.openapi.from_dict(poorer)["/predict"]["POST"]
    case = operation.Case(body={"smiles": "*CC("}, media_type="application/json")
    with pytest.raises(FailureGroup) as found:
        case.call_and_validate(server.url, checks=CHECKS)
    assert "Undocumented status code" in str(found.value.exceptions[0])
