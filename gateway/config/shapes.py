"""
What a struct's annotation asks of a YAML value, said once: the decoder, the JSON Schemas and the reference all read shapes.

To allow another kind of annotation: a shape here, then how it is read in `decode.py` and described in `schemas.py`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from msgspec import NODEFAULT, Struct, structs


class Anything(Struct, frozen=True):
    """Any YAML value: `Any`."""


class Scalar(Struct, frozen=True):
    """`str`, `int`, `float` or `bool`."""

    type: type


class Choice(Struct, frozen=True):
    """One of a few words: `Literal`."""

    values: tuple[Any, ...]


class ListOf(Struct, frozen=True):
    """`list[item]`, `tuple[item, ...]` or `frozenset[item]`."""

    item: Any
    build: type


class MapOf(Struct, frozen=True):
    """`dict[str, value]`: the keys are the author's. `nullable`: a value may be null, `dict[str, value | None]`."""

    value: Any
    nullable: bool = False


class Key(Struct, frozen=True):
    """One key of a struct: its name in YAML and in Python."""

    name: str
    field: str
    type: Any
    required: bool
    default: Any


class Keyed(Struct, frozen=True):
    """A struct: the keys are ours. `tag` is the key and the word that choose it in a union, if it is in one."""

    type: type[Struct]
    keys: dict[str, Key]
    tag: tuple[str, str] | None


class Tagged(Struct, frozen=True):
    """A union of structs, told apart by the word under one key."""

    key: str
    members: dict[str, type[Struct]]


class Custom(Struct, frozen=True):
    """A type with `read` and `schema`."""

    type: Any


class Either(Struct, frozen=True):
    """A union of kinds that can be told apart by looking at the value."""

    members: tuple[Any, ...]


Shape = Anything | Scalar | Choice | ListOf | MapOf | Keyed | Tagged | Custom | Either


def is_custom(type_: Any) -> bool:
    """Whether a type reads itself, as those in `values` do."""
    return isinstance(type_, type) and callable(getattr(type_, "read", None))


@cache
def shape_of(type_: Any) -> Shape:
    """The shape of an annotation; `X | None` has that of X. TypeError for an annotation that YAML has no words for."""
    if type_ is Any:
        return Anything()
    if is_custom(type_):
        return Custom(type_)
    if type_ in (str, int, float, bool):
        return Scalar(type_)
    if isinstance(type_, type) and issubclass(type_, Struct):
        return _keyed(type_)
    return _composed(type_)


def _composed(type_: Any) -> Shape:
    origin, args = get_origin(type_), get_args(type_)
    if origin in (Union, types.UnionType):
        return _either(tuple(member for member in args if member is not type(None)))
    if origin is Literal:
        return Choice(args)
    if origin in (list, Sequence):
        return ListOf(args[0], list)
    if origin in (tuple, frozenset) and args[1:] in ((), (...,)):
        return ListOf(args[0], origin)
    if origin in (dict, Mapping) and args[0] is str:
        return MapOf(args[1], type(None) in get_args(args[1]))
    raise TypeError(f"{type_} has no words in YAML")


def _keyed(type_: type[Struct]) -> Keyed:
    config = type_.__struct_config__
    keys = {
        field.encode_name: Key(field.encode_name, field.name, field.type, field.required, _default(field))
        for field in structs.fields(type_)
    }
    return Keyed(type_, keys, (str(config.tag_field), str(config.tag)) if config.tag_field else None)


def _default(field: structs.FieldInfo) -> Any:
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    return None if field.default is NODEFAULT else field.default


def _either(members: tuple[Any, ...]) -> Shape:
    if len(members) == 1:
        return shape_of(members[0])
    shapes = [shape_of(member) for member in members]
    if all(isinstance(shape, Choice) for shape in shapes):
        return Choice(tuple(value for shape in shapes if isinstance(shape, Choice) for value in shape.values))
    tags = {shape.tag[1]: shape for shape in shapes if isinstance(shape, Keyed) and shape.tag}
    if len(tags) == len(members):
        (key,) = {shape.tag[0] for shape in tags.values() if shape.tag}
        return Tagged(key, {word: shape.type for word, shape in tags.items()})
    return Either(members)


def children(shape: Shape) -> dict[str, Any]:
    """The annotations within a shape, each with the step that leads to it as people write it."""
    match shape:
        case ListOf(item=item):
            return {"[]": item}
        case MapOf(value=value):
            return {".*": value}
        case Keyed(keys=keys):
            return {f".{key.name}": key.type for key in keys.values()}
        case Tagged(members=members):
            return {f"({word})": member for word, member in members.items()}
        case Either(members=several):
            return {f"({number})": member for number, member in enumerate(several)}
    return {}


@cache
def homes(root: Any) -> dict[type[Struct], str]:
    """Every struct under an annotation, and the shortest way to it: `cases[].map`."""
    found: dict[type[Struct], str] = {}
    waiting = [("", root)]
    while waiting:
        way, type_ = waiting.pop(0)
        shape = shape_of(type_)
        if isinstance(shape, Keyed):
            if shape.type in found:
                continue
            found[shape.type] = way.lstrip(".")
        waiting += [(way if step.startswith("(") else way + step, child) for step, child in children(shape).items()]
    return found
