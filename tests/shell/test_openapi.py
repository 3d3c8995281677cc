"""The description of the API says what the routes are, and what comes from them is what it says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from jsonschema import Draft202012Validator

from headgate.api.callers import hash_key
from headgate.api.objects import of, schemas
from headgate.api.openapi import SAID, parameters
from headgate.app import App, create_app
from headgate.configfile import parse
from headgate.dialects import dialects
from headgate.events import NAMES
from headgate.gateway import Gateway
from tests.shell.scene import run
from tests.unit.goldens import ROOT, cases, lines

KEY: Final = "hg-key"
CONFIG: Final = """\
[store]
url = "memory:"
[[providers]]
name = "sim"
base_url = "simulator:"
[[routes]]
model = "*"
to = ["sim/*"]
"""
KEYED: Final = CONFIG + f'[[keys]]\nname = "app"\nhash = "{hash_key(KEY)}"\n'
METHODS: Final = frozenset({"get", "post", "delete", "head"})


@asynccontextmanager
async def opened(config: str = CONFIG, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    async with Gateway(parse(config, environ={})) as gateway:
        transport = httpx.ASGITransport(app=create_app(gateway))
        async with httpx.AsyncClient(transport=transport, base_url="http://gate.example", headers=headers) as client:
            yield client


async def described(config: str = CONFIG) -> dict[str, Any]:
    async with opened(config) as client:
        answer = await client.get("/openapi.json")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        document: dict[str, Any] = answer.json()
        return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def values(value: Any, key: str) -> Iterator[Any]:
    """Everything that stands under `key`, at any depth."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from values(item, key)


def checker(document: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


# the routes


def test_every_route_is_described_and_nothing_else_is() -> None:
    async def scene() -> None:
        async with Gateway(parse(CONFIG, environ={})) as gateway:
            app = App(gateway)
            routed = {(method, path) for path, (_, methods) in app._routes.items() for method in methods}
            assert routed == set(SAID)
            administered = {(method, path) for path, names in app._admin.endpoints.items() for method in names}
        document = await described()
        assert {(method.upper(), path) for path, method, _ in operations(document)} == routed | administered

    run(scene)


def test_routes_say_who_needs_a_key_and_whose_errors_are_shown() -> None:
    async def scene() -> None:
        for config, free in ((CONFIG, True), (KEYED, False)):
            paths = (await described(config))["paths"]
            chat, health = paths["/v1/chat/completions"]["post"], paths["/healthz"]["get"]
            assert {"bearer": []} in chat["security"]
            assert ({} in chat["security"]) is free
            assert health["security"] == []
            events, receipt = paths["/v1/responses/{id}/events"]["get"], paths["/v1/responses/{id}/receipt"]["get"]
            assert {"link": []} in events["security"]
            assert {"link": []} not in receipt["security"]
            assert paths["/admin/v1/policies"]["get"]["security"] == [{"admin": []}]
            message = paths["/v1/messages"]["post"]["responses"]["default"]["content"]["application/json"]
            assert message["schema"] == {"$ref": "#/components/schemas/Error.anthropic-messages"}
            assert "application/problem+json" in events["responses"]["default"]["content"]
            models = paths["/v1/models"]["get"]["responses"]["default"]["content"]["application/json"]
            assert len(models["schema"]["anyOf"]) == len(dialects()) - 1

    run(scene)


def test_server_is_where_the_app_is_mounted() -> None:
    async def scene() -> None:
        async with Gateway(parse(CONFIG, environ={})) as gateway:
            transport = httpx.ASGITransport(app=create_app(gateway), root_path="/llm")
            async with httpx.AsyncClient(transport=transport, base_url="http://gate.example") as client:
                assert (await client.get("/llm/openapi.json")).json()["servers"] == [{"url": "/llm"}]
        assert (await described())["servers"] == [{"url": "/"}]

    run(scene)


# the document


def test_references_parameters_and_names_hold_together() -> None:
    async def scene() -> None:
        document = await described()
        assert document["openapi"].startswith("3.1.")
        for reference in values(document, "$ref"):
            assert reference.startswith("#/")
            there = document
            for step in reference[2:].split("/"):
                there = there[step]
        ids = [operation["operationId"] for _, _, operation in operations(document)]
        assert len(ids) == len(set(ids))
        for path, _, operation in operations(document):
            named = [step["name"] for step in document["paths"][path].get("parameters", ())]
            assert [f"{{{name}}}" for name in named] == [step for step in path.split("/") if step.startswith("{")]
            assert operation["responses"]
            assert all(answer["description"] for answer in operation["responses"].values())
            for scheme in operation["security"]:
                assert scheme.keys() <= document["components"]["securitySchemes"].keys()
        used = {name.rpartition("/")[2] for name in values(document, "$ref")}
        assert parameters().keys() <= used
        for schema in document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)

    run(scene)


# what comes


def test_objects_that_come_are_as_described() -> None:
    async def scene() -> None:
        document = await described()
        async with opened(KEYED, authorization=f"Bearer {KEY}") as client:
            for model, status in (("sim-fast", 200), ("sim-fast-refusal", 200), ("sim-fast+cut@3", 502)):
                made = await client.post("/v1/responses", json={"model": model, "input": "Hi", "tools": []})
                assert made.status_code == status
                at = f"/v1/responses/{made.headers['headgate-response-id']}"
                checker(document, "Response").validate((await client.get(at)).json())
                checker(document, "Receipt").validate((await client.get(at + "/receipt")).json())
                link = (await client.post(at + "/links")).json()
                checker(document, "Link").validate(link)
                assert link.keys() == document["components"]["schemas"]["Link"]["properties"].keys()
                log = (await client.get(at + "/events?format=ndjson")).text
                for line in log.splitlines():
                    checker(document, "Event").validate(json.loads(line))
            refused = await client.post("/v1/messages", json={"model": "m"})
            checker(document, "Error.anthropic-messages").validate(refused.json())

    run(scene)


@pytest.mark.parametrize("case", cases("logs"))
def test_every_event_of_every_kind_is_as_described(case: str) -> None:
    document = {"components": {"schemas": schemas()}}
    for line in lines(ROOT / "logs" / case / "log.ndjson"):
        event = json.loads(line)
        checker(document, "Event").validate(event)
        kind = next(kind.__name__ for kind, name in NAMES.items() if name == event["type"])
        assert event.keys() <= schemas()[kind]["properties"].keys()


def test_event_that_lacks_a_field_or_has_a_wrong_one_is_none() -> None:
    document = {"components": {"schemas": schemas()}}
    good = {"seq": 3, "type": "delta", "choice": 0, "part": 0, "text": "Hi"}
    checker(document, "Event").validate(good)
    for bad in ({**good, "text": 7}, {**good, "type": "nothing"}, {key: good[key] for key in ("seq", "type", "text")}):
        assert not checker(document, "Event").is_valid(bad)


def test_schema_of_samples_is_what_they_have_in_common() -> None:
    found = of([{"a": 1, "b": None, "c": [1, 2.5]}, {"a": 2, "b": {"d": ""}}])
    assert found["required"] == ["a", "b"]
    assert found["properties"]["a"] == {"type": "integer"}
    assert found["properties"]["b"]["type"] == ["null", "object"]
    assert found["properties"]["c"]["items"] == {"type": "number"}
