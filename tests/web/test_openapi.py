"""The OpenAPI document is right, says everything, and what it says holds; the docs page shows it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import jsonschema
import pytest
from jsonschema.validators import validator_for

from .house_stand import house

pytestmark = pytest.mark.anyio
DOWN = {"id": "db-1", "state": "down", "level": "bad", "text": "db-1 is down"}
PAGE = ["cursor", "limit"]
PARAMETERS = {
    "/api/v1/events": [*PAGE, "action", "dedup_key", "incident", "outcome", "project", "provider", "severity"],
    "/api/v1/incidents": [*PAGE, "dedup_key", "project", "provider", "severity", "status"],
    "/api/v1/deliveries": [*PAGE, "event", "incident", "sink", "state"],
    "/api/v1/dead-letters": [*PAGE, "kind", "provider", "sink"],
}
OPERATIONS = {
    *[("get", path) for path in PARAMETERS],
    *[("get", f"{path}/{{id}}") for path in PARAMETERS],
    *[("post", f"/api/v1/{what}/{{id}}/replay") for what in ("dead-letters", "deliveries", "webhooks")],
    *[(method, path) for method in ("get", "head") for path in ("/healthz", "/health", "/readyz", "/metrics")],
    *[("get", f"/api/v1/{what}") for what in ("sinks", "providers", "configuration")],
    ("post", "/api/v1/reload"),
    ("post", "/webhooks/{provider}"),
}


async def document(here) -> dict:
    answer = await here.call("GET", "/api/v1/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.oai.openapi+json")
    return answer.json()


def resolved(node, root):
    """The document with every reference followed."""
    if isinstance(node, dict):
        if "$ref" in node:
            target = root
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step.replace("~1", "/")]
            return resolved(target, root)
        return {key: resolved(value, root) for key, value in node.items()}
    return [resolved(value, root) for value in node] if isinstance(node, list) else node


async def test_the_document_names_every_operation_and_each_says_what_it_is_and_answers(tmp_path):
    async with house(tmp_path) as here:
        found = await document(here)
    assert found["openapi"].startswith("3.1")
    assert {(method, path) for path, item in found["paths"].items() for method in item} == OPERATIONS
    ids = [operation["operationId"] for item in found["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
    for path, item in resolved(found["paths"], found).items():
        for method, operation in item.items():
            assert operation["summary"], path
            assert sorted(re.findall("{(.+?)}", path)) == [
                each["name"] for each in operation.get("parameters", []) if each["in"] == "path"
            ]
            assert path.startswith(("/api/v1", "/webhooks")) is bool(set(operation["responses"]) & {"401"}), (method, path)
            for status, response in operation["responses"].items():
                assert response["description"], (path, status)
                for media in response.get("content", {}).values():
                    validator_for(media["schema"], jsonschema.Draft202012Validator).check_schema(media["schema"])


async def test_every_filter_of_a_list_is_described_and_works(tmp_path):
    async with house(tmp_path) as here:
        paths = (await document(here))["paths"]
        for path, names in PARAMETERS.items():
            parameters = {each["name"]: each for each in paths[path]["get"]["parameters"]}
            assert sorted(parameters) == sorted(names)
            for name, parameter in parameters.items():
                assert (parameter["in"], parameter["required"], bool(parameter["description"])) == ("query", False, True)
                value = parameter["schema"].get("enum", ["5"])[0] if name != "cursor" else ""
                assert (await here.api(f"{path.removeprefix('/api/v1')}?{name}={value}")).status_code == 200, (path, name)
        limit = next(each["schema"] for each in paths["/api/v1/events"]["get"]["parameters"] if each["name"] == "limit")
        assert {key: limit[key] for key in ("type", "minimum", "maximum")} == {"type": "integer", "minimum": 1, "maximum": 200}


async def test_what_is_answered_is_what_the_document_says(tmp_path):
    async with house(tmp_path) as here:
        found = await document(here)
        receipt = await here.told({**DOWN, "id": "a"}, {"id": "b", "state": "odd", "text": "b"})
        await here.bury()
        event = receipt["events"][0]["id"]
        ids = {
            "events": event,
            "incidents": event,
            "deliveries": f"{event}.main",
            "dead-letters": f"{event}.main",
            "webhooks": receipt["webhook_id"],
        }
        for method, path in sorted(OPERATIONS, key=lambda each: "replay" in each[1]):
            if path in ("/metrics", "/webhooks/{provider}") or method == "head":
                continue
            real = path.replace("{id}", ids.get(path.split("/")[3], "")) if "{id}" in path else path
            for headers in ({"authorization": "Bearer adm1n-t0ken"}, {}):
                answer = await here.call(method.upper(), real, headers=headers)
                described = found["paths"][path][method]["responses"][str(answer.status_code)]
                ((media, content),) = described["content"].items()
                assert media == answer.headers["content-type"]
                schema = {**content["schema"], "components": found["components"]}
                jsonschema.validate(answer.json(), schema, jsonschema.Draft202012Validator)
        schema = {"$ref": "#/components/schemas/Receipt", "components": found["components"]}
        jsonschema.validate(receipt, schema, jsonschema.Draft202012Validator)


async def test_an_order_is_described_and_its_body_may_be_left_out(tmp_path):
    async with house(tmp_path) as here:
        found = await document(here)
    for what in ("dead-letters", "deliveries", "webhooks"):
        body = found["paths"][f"/api/v1/{what}/{{id}}/replay"]["post"]["requestBody"]
        assert body["required"] is False
        text = str(resolved(body, found))
        assert "as_delivered" in text
        assert "remapped" in text
        assert "force" in text


async def test_the_api_says_that_it_wants_the_token_and_the_rest_that_it_does_not(tmp_path):
    async with house(tmp_path) as here:
        found = await document(here)
    assert found["components"]["securitySchemes"] == {
        "admin token": {"type": "http", "description": "GATEWAY_ADMIN_TOKEN", "scheme": "bearer"}
    }
    for path, item in found["paths"].items():
        for operation in item.values():
            assert operation.get("security", []) == ([{"admin token": []}] if path.startswith("/api/v1") else []), path


class Page(HTMLParser):
    """What a page holds: its text, and every address it names."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.links = "", []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text += data


async def test_the_docs_page_shows_every_operation_and_asks_no_other_host(tmp_path):
    async with house(tmp_path) as here:
        answer = await here.call("GET", "/api/v1/docs")
        page = Page()
        page.feed(answer.text)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert (
            answer.headers["content-security-policy"]
            == "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert page.links == ["/api/v1/docs.css", "/api/v1/openapi.json"]
        for path in {path for _, path in OPERATIONS}:
            assert path in page.text
        for link in page.links:
            assert (await here.call("GET", link)).status_code == 200
        style = await here.call("GET", "/api/v1/docs.css")
        assert (style.headers["content-type"], style.headers["x-content-type-options"]) == ("text/css; charset=utf-8", "nosniff")
        assert "url(" not in style.text
