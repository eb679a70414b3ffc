from __future__ import annotations

import json
from typing import Any, Literal

import jsonschema
import pytest
from msgspec import Struct

from gateway.config.schemas import described, json_schema, summary, undescribed
from gateway.values import Keys, Reference

from .things import Fields, Hmac, Open, Reply, Thing

SCHEMA = json_schema(Thing, id="https://example.org/thing.schema.json", title="A thing")
RIGHT: dict[str, Any] = {"title": "x", "auth": {"scheme": "none", "because": "y"}}


def test_a_schema_describes_what_the_structs_say():
    definitions = SCHEMA["definitions"]
    assert {key: value for key, value in SCHEMA.items() if key not in ("definitions", "properties")} == {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://example.org/thing.schema.json",
        "title": "A thing",
        "description": "One file of things.",
        "type": "object",
        "additionalProperties": False,
        "if": {"required": ["like"]},
        "else": {"required": ["title", "auth"]},
    }
    assert list(definitions) == ["Duration", "Fields", "Hmac", "Open", "Rate", "Reference", "Reply"]
    assert definitions["Hmac"] == {
        "description": "A shared secret signs the body.",
        "type": "object",
        "properties": {
            "scheme": {"description": "How a sender proves who it is.", "const": "hmac"},
            "secret": {"description": "Where the secret is kept.", "allOf": [{"$ref": "#/definitions/Reference"}]},
            "hash": {
                "description": "The hash function, as its standard calls it.",
                "enum": ["sha1", "sha256"],
                "default": "sha256",
            },
        },
        "required": ["scheme", "secret"],
        "additionalProperties": False,
    }
    assert SCHEMA["properties"] == {
        "title": {"description": "The product's name.", "type": "string"},
        "auth": {
            "description": "How a sender proves who it is.",
            "anyOf": [{"$ref": "#/definitions/Hmac"}, {"$ref": "#/definitions/Open"}],
        },
        "like": {"description": "The thing it is made from.", "type": "string"},
        "map": {"description": "What the fields are made from.", "allOf": [{"$ref": "#/definitions/Fields"}]},
        "reply": {"description": "The answer.", "allOf": [{"$ref": "#/definitions/Reply"}]},
        "methods": {"description": "The methods it may use.", "type": "array", "items": {"enum": ["GET", "POST"]}},
        "networks": {"description": "Where it may come from.", "type": "array", "items": {"type": "string"}},
        "tables": {
            "description": "Words for words.",
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "start": {"description": "Where it begins.", "anyOf": [{"enum": ["now"]}, {"$ref": "#/definitions/Duration"}]},
        "timeout": {"description": "How long it waits.", "allOf": [{"$ref": "#/definitions/Duration"}]},
        "rate_limit": {"description": "How much it takes.", "allOf": [{"$ref": "#/definitions/Rate"}]},
        "ratio": {"description": "A share.", "type": "number", "default": 1.0},
        "enabled": {"description": "Whether it is on.", "type": "boolean", "default": True},
        "tests": {
            "description": "Tests that travel with the file.",
            "type": "array",
            "items": {"type": "object", "additionalProperties": {}},
        },
    }


def test_a_schema_is_a_valid_draft_7_schema_and_the_same_each_time():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    again = json_schema(Thing, id="https://example.org/thing.schema.json", title="A thing")
    assert json.dumps(SCHEMA) == json.dumps(again)


@pytest.mark.parametrize(
    "data,taken",
    [
        (RIGHT, True),
        ({"title": "x"}, False),
        ({"like": "other"}, True),
        (RIGHT | {"methods": ["GET"], "timeout": "5s", "start": "now"}, True),
        (RIGHT | {"methods": ["get"]}, False),
        (RIGHT | {"start": "soon"}, False),
        (RIGHT | {"nothing": 1}, False),
        (RIGHT | {"auth": {"scheme": "hmac", "secret": {"env": "A", "previous": {"env": "B"}}}}, True),
        (RIGHT | {"auth": {"scheme": "hmac", "secret": "hunter2"}}, False),
        (RIGHT | {"auth": {"scheme": "hmac", "because": "x"}}, False),
        (RIGHT | {"map": {"from": "x"}}, True),
        (RIGHT | {"map": {"from_": "x"}}, False),
    ],
)
def test_an_editor_takes_and_refuses_what_the_decoder_does(data: dict[str, Any], taken: bool):
    assert jsonschema.Draft7Validator(SCHEMA).is_valid(data) is taken


def test_each_line_of_a_docstring_describes_its_key():
    assert described(Hmac) == {
        "scheme": "How a sender proves who it is.",
        "secret": "Where the secret is kept.",
        "hash": "The hash function, as its standard calls it.",
    }
    assert summary(Reference) == "Where a value is kept. A secret never stands in a file we read."
    assert described(Fields)["from"] == "Where it is from."


class Answer(Reply, frozen=True):
    """
    An answer of one's own, said in two
    lines.

    One thing: this is prose, and so is nothing: of it.

    retries: How many times.
      At most ten.
    """

    retries: int = 0
    silent: bool = False


class Bare(Keys, frozen=True):
    answer: Answer = Answer()


def test_descriptions_are_inherited_and_prose_is_prose():
    assert summary(Answer) == "An answer of one's own, said in two lines."
    assert described(Answer) == {
        "status": "The HTTP status.",
        "text": "The body.",
        "json": "The body as data.",
        "retries": "How many times. At most ten.",
    }


def test_every_key_without_a_description_is_named():
    assert undescribed(Thing) == []
    assert undescribed(Bare) == ["Bare", "Bare.answer", "Answer.silent"]
    assert undescribed(Hmac | Open) == []


class Public(Struct, frozen=True):
    """What others read: they must bear keys that come later."""

    version: Literal[1] = 1


def test_a_struct_that_others_read_leaves_room_for_keys_to_come():
    assert json_schema(Public, id="x", title="y") == {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "x",
        "title": "y",
        "description": "What others read: they must bear keys that come later.",
        "type": "object",
        "properties": {"version": {"enum": [1], "default": 1}},
        "definitions": {},
    }


def test_two_types_of_one_name_are_a_mistake_of_ours():
    other = type("Reply", (Keys,), {"__annotations__": {"x": int}}, frozen=True)
    both = type("Both", (Keys,), {"__annotations__": {"one": Reply, "two": other}}, frozen=True)
    with pytest.raises(TypeError, match="two types are called Reply"):
        json_schema(both, id="x", title="x")
