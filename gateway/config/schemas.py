"""
JSON Schemas for editors, made from the structs: what the decoder takes, a schema takes, and hovering over a key shows its docs.

Draft 7, which is what yaml-language-server reads. Every custom type brings its own schema; every struct its docstring.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec import Struct

from .shapes import Anything, Choice, Custom, Either, Key, Keyed, ListOf, MapOf, Scalar, Tagged, homes, shape_of

DRAFT = "http://json-schema.org/draft-07/schema#"
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema(type: Any, *, id: str, title: str) -> dict[str, Any]:
    """The schema of a file that holds `type`. Keys in the order they are declared, definitions by name: the same each time."""
    schemas = _Schemas()
    root = schemas.of(type)
    name = root["$ref"].rsplit("/", 1)[1]
    return {
        "$schema": DRAFT,
        "$id": id,
        "title": title,
        **_unless_like(schemas.definitions.pop(name)),
        "definitions": dict(sorted(schemas.definitions.items())),
    }


def _unless_like(schema: dict[str, Any]) -> dict[str, Any]:
    """What a file made from another by `like:` leaves out, the other has."""
    if "like" not in schema["properties"] or "required" not in schema:
        return schema
    required = schema.pop("required")
    return {**schema, "if": {"required": ["like"]}, "else": {"required": required}}


class _Schemas:
    """The schema of each shape; what has a name is defined once and referred to."""

    def __init__(self) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}
        self.named: dict[str, Any] = {}

        self.makers: dict[type, Callable[[Any], dict[str, Any]]] = {
            Anything: lambda _: {},
            Scalar: lambda shape: {"type": _TYPES[shape.type]},
            Choice: lambda shape: {"enum": list(shape.values)},
            ListOf: lambda shape: {"type": "array", "items": self.of(shape.item)},
            MapOf: lambda shape: {"type": "object", "additionalProperties": self._value(shape)},
            Tagged: lambda shape: {"anyOf": [self.of(member) for member in shape.members.values()]},
            Either: lambda shape: {"anyOf": [self.of(member) for member in shape.members]},
            Custom: self._defined,
            Keyed: self._defined,
        }

    def of(self, annotation: Any) -> dict[str, Any]:
        shape = shape_of(annotation)
        return self.makers[type(shape)](shape)

    def _value(self, shape: MapOf) -> dict[str, Any]:
        value = self.of(shape.value)
        return {"anyOf": [value, {"type": "null"}]} if shape.nullable else value

    def _defined(self, shape: Custom | Keyed) -> dict[str, Any]:
        name = shape.type.__name__
        if self.named.setdefault(name, shape.type) is not shape.type:
            raise TypeError(f"two types are called {name}; their schemas need two names")
        if name not in self.definitions:
            self.definitions[name] = {}  # a struct may hold itself
            self.definitions[name] = shape.type.schema() if isinstance(shape, Custom) else self._object(shape)
        return {"$ref": f"#/definitions/{name}"}

    def _object(self, shape: Keyed) -> dict[str, Any]:
        properties = {key.name: self._property(key, shape.type) for key in shape.keys.values()}
        required = [key.name for key in shape.keys.values() if key.required]
        if shape.tag:
            name, word = shape.tag
            text = described(shape.type).get(name, "")
            properties = {name: _with_description({"const": word}, text), **properties}
            required = [name, *required]
        description = {"description": summary(shape.type)} if summary(shape.type) else {}
        needed = {"required": required} if required else {}
        closed = {"additionalProperties": False} if shape.type.__struct_config__.forbid_unknown_fields else {}
        return {**description, "type": "object", "properties": properties, **needed, **closed}

    def _property(self, key: Key, owner: type[Struct]) -> dict[str, Any]:
        schema = _with_description(self.of(key.type), described(owner).get(key.name, ""))
        plain = isinstance(key.default, str | bool | int | float) and type(key.default) in _TYPES
        return {**schema, "default": key.default} if plain and key.default != "" else schema


def _with_description(schema: dict[str, Any], text: str) -> dict[str, Any]:
    if not text:
        return schema
    return {"description": text, **({"allOf": [schema]} if "$ref" in schema else schema)}  # draft 7: nothing stands beside $ref


@cache
def summary(cls: type) -> str:
    """The first paragraph of a class's docstring, as one line."""
    lines: list[str] = []
    for line in inspect.cleandoc(vars(cls).get("__doc__") or "").splitlines():
        if not line or _key_of(line, cls):
            break
        lines.append(line)
    return " ".join(lines)


@cache
def described(cls: type[Struct]) -> dict[str, str]:
    """
    What a struct's docstring, and those of its bases, say of each key: the lines `key: text`.

    A line that is indented goes on with the text before it. A key that is no field of the struct is prose.
    """
    texts: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        current = ""
        for line in inspect.cleandoc(vars(owner).get("__doc__") or "").splitlines():
            if key := _key_of(line, cls):
                current, texts[key] = key, line.split(":", 1)[1].strip()
            elif current and line.startswith(" "):
                texts[current] += f" {line.strip()}"
            else:
                current = ""
    return texts


def _key_of(line: str, cls: Any) -> str:
    shape = shape_of(cls) if issubclass(cls, Struct) else None
    found = re.match(r"([a-z_][a-z0-9_]*): \S", line)
    if not found or not isinstance(shape, Keyed):
        return ""
    known = {*shape.keys, *(shape.tag[:1] if shape.tag else ())}
    return found[1] if found[1] in known else ""


def undescribed(root: Any) -> list[str]:
    """Every key under a type that its docstring does not describe, as `Class.key`, and every class without a first line."""
    missing: list[str] = []
    for cls in homes(root):
        missing += [] if summary(cls) else [cls.__name__]
        shape = shape_of(cls)
        keys = shape.keys if isinstance(shape, Keyed) else {}
        missing += [f"{cls.__name__}.{key}" for key in keys if key not in described(cls)]
    return missing
