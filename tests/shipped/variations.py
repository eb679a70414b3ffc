"""
Two webhooks of one incident differ in some places: its trigger with one of these changed to what the other says must still be the
same incident. Where it is not, the dedup key is made of something that does not stay.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from .corpus import came, expectations, read, sample, webhook

GONE = object()
Step = str | int


def incidents(provider: str) -> dict[str, list[tuple[str, int]]]:
    """Where in the corpus each incident is told of: the case, and the number of its event."""
    found: dict[str, list[tuple[str, int]]] = {}
    for case, expected in expectations(provider).items():
        for number, event in enumerate(expected.get("events") or []):
            if event["action"] != "notice":
                found.setdefault(event["group"], []).append((case, number))
    return found


def pairs(provider: str) -> Iterator[tuple[str, str, int, int]]:
    """Two cases that tell of one incident, and the number of its event in each."""
    for places in incidents(provider).values():
        for case, number in places:
            for other, of_other in places:
                if case != other:
                    yield case, other, number, of_other


def broken(provider: str, case: str, other: str, number: int) -> list[str]:
    """The places of a case which, said as the other says it, make another incident of it."""
    one, two = document(provider, case), document(provider, other)
    if not are_alike(one, two):
        return []
    key = came(provider, case).events[number].dedup_key
    found = []
    for way in differences(one, two):
        events = read(provider, webhook(provider, case, changed(one, way, at(two, way)))).events
        told = next((event for event in events if event.id == came(provider, case).events[number].id), None)
        if told is not None and told.action != "notice" and told.dedup_key != key:
            found.append(written(way))
    return found


def identity(provider: str, case: str, number: int) -> list[str]:
    """The places of a case that its dedup key is made of: with another value there, it is another incident."""
    whole, event = document(provider, case), came(provider, case).events[number]
    found = []
    for way, value in leaves(whole):
        events = read(provider, webhook(provider, case, changed(whole, way, another(value)))).events
        told = next((each for each in events if each.id == event.id), None)
        if told is not None and told.dedup_key != event.dedup_key:
            found.append(written(way))
    return found


def document(provider: str, case: str) -> Any:
    """The body as data; None where it is no JSON."""
    stored = sample(provider, case)
    if "body" in stored:
        return stored["body"]
    try:
        return json.loads(stored["body_text"])
    except ValueError:
        return None


def are_alike(one: Any, two: Any) -> bool:
    """Whether two documents are of one form: one in an envelope and one without say the same in different places."""
    if isinstance(one, dict) and isinstance(two, dict):
        return 2 * len(one.keys() & two.keys()) >= max(len(one), len(two))
    return isinstance(one, list) and isinstance(two, list)


def another(value: Any) -> Any:
    """A value like this one, and not this one."""
    return value + 1 if isinstance(value, int | float) and not isinstance(value, bool) else f"{value}x"


def leaves(value: Any, way: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Every text and number, and where it stands."""
    if isinstance(value, dict | list):
        for step, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*way, step))
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield way, value


def differences(one: Any, two: Any, way: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Where two documents differ, as deep down as both have the same kind of thing."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in {**one, **two}:
            yield from differences(one.get(key, GONE), two.get(key, GONE), (*way, key))
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, (left, right) in enumerate(zip(one, two, strict=True)):
            yield from differences(left, right, (*way, index))
    elif way and (one is GONE or two is GONE or one != two or type(one) is not type(two)):
        yield way


def at(document: Any, way: tuple[Step, ...]) -> Any:
    """What stands there; GONE where nothing does."""
    for step in way:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return GONE
    return document


def changed(document: Any, way: tuple[Step, ...], value: Any) -> Any:
    """The document with something else in that place."""
    whole = copy.deepcopy(document)
    *way_there, last = way
    within = at(whole, tuple(way_there))
    if value is GONE:
        del within[last]
    else:
        within[last] = value
    return whole


def written(way: tuple[Step, ...]) -> str:
    """A place as people write it."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way)
