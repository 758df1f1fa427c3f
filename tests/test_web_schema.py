"""The interface against its own OpenAPI document: no answer that the document does not name, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from gateway.web import shapes
from tests.webschema import Served

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
MODES = [GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("served"))
    yield found
    found.close()


def asked(served: Served, operation: Any, name: str, draw: Any) -> None:
    """One request, half of them about what is there; the answer is one that the document names."""
    case = draw(operation.as_strategy(generation_mode=draw(st.sampled_from(MODES))))
    if draw(st.booleans()):
        for part in (case.path_parameters, case.body):
            if isinstance(part, dict):
                part |= {k: v for k, v in served.known.items() if k in part}
    response = case.call(headers=served.headers(name))
    case.validate_response(response, checks=CHECKS)


@settings(suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("name", ["", "viewer", "operator", "administrator", "elsewhere"])
def test_no_answer_is_undocumented(served: Served, name: str, data: st.DataObject) -> None:
    """Whatever is asked and by whom: no failure of ours, no status, type or shape but those of the document."""
    asked(served, data.draw(st.sampled_from(served.operations)), name, data.draw)


def test_what_is_there_has_its_shape(served: Served) -> None:
    """Every read of a house that has everything answers 200, with what the document says and nothing else."""
    seen = []
    for operation in served.operations:
        names = {p["name"] for p in operation.definition.raw.get("parameters", ()) if p["in"] == "path"}
        if operation.method != "get" or not names <= served.known.keys():
            continue
        case = operation.Case(path_parameters={n: served.known[n] for n in names})
        for name in ("administrator", "viewer", ""):
            response = case.call(headers=served.headers(name))
            case.validate_response(response, checks=CHECKS)
            seen += [operation.path] if response.status_code == 200 else []
    assert {p.rpartition("/")[2] for p in seen} >= {"board", "series", "latest", "{episode}", "journal", "devices"}


def test_the_document_is_one(served: Served) -> None:
    """Valid by its own meta-schema, every reference leads somewhere, and every answer says what it looks like."""
    document = served.app.openapi()
    assert document["openapi"].startswith("3.1")
    named = document["components"]["schemas"]
    there = {(m, p.removeprefix("/api/v1")) for p, methods in document["paths"].items() for m in methods}
    assert shapes.ANSWERS.keys() == there, "none is missing and none is of yesterday"
    for name, schema in named.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for target in _references(schema):
            assert target.removeprefix("#/components/schemas/") in named, (name, target)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content, *others = operation["responses"]["200"]["content"].values()
            assert all(x == content for x in others), "the same in every form"
            assert content["schema"], (method, path)
            for target in _references(operation["responses"]):
                assert target.removeprefix("#/components/schemas/") in named, (path, target)


def _references(x: Any) -> list[str]:
    if isinstance(x, list):
        return [r for inner in x for r in _references(inner)]
    if isinstance(x, dict):
        own = [x["$ref"]] if isinstance(x.get("$ref"), str) else []
        return own + [r for inner in x.values() for r in _references(inner)]
    return []
