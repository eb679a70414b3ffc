"""Rules of sinks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from ...expr import Outbound
from ...model import Action, Event, Incident, Severity
from .. import hints
from ..problems import Place, legible
from ..schema import Sink
from .findings import CODE, Finding, expressions, same_names

FIELDS: Mapping[str, Sequence[str]] = {"event": Event.__struct_fields__, "incident": Incident.__struct_fields__}
WORDS: Mapping[str, Sequence[str]] = {"action": get_args(Action), "severity": get_args(Severity)}


def unknown_fields(sink: Sink) -> Iterator[Finding]:
    """
    A sink's expression takes a field that no event, or no incident, has.

    What an event holds is ours and the same for every provider: `gateway schema event` prints it. A misspelt field would find
    nothing, and be left out without a word. What `labels` and `details` hold is the provider's, and is not looked at.

        summary: $.sumary                # did you mean `summary`?
    """
    for path, expression in expressions(sink):
        code = " ".join(CODE.findall(expression.text))
        found = [(noun, name, f"{noun}.{name}") for noun, name in re.findall(r"(?<![\w.'\"])(event|incident)\.(\w+)", code)]
        if isinstance(expression, Outbound):
            found += [("event", name, f"$.{name}") for name in re.findall(r"^\$\.(\w+)", expression.text)]
        for noun, name, word in dict.fromkeys(found):
            if name not in FIELDS[noun]:
                yield Finding(path, f"no {noun} has `{name}`", _on_field(noun, name), word)


def _on_field(noun: str, name: str) -> str:
    return hints.did_you_mean(name, FIELDS[noun]) or f"the fields are {hints.listed(FIELDS[noun])}"


def meaningless_tests(sink: Sink) -> Iterator[Finding]:
    """
    A test of a sink gives an event a field, or a word, that no event has, or a variable that the file does not have.

    It would be passed over, and the test would be about another event than its author thinks. Fields that are not given are
    filled in: a trigger of severity error from the provider `test`.
    """
    for index, test in enumerate(sink.tests):
        place: Place = ("tests", index)
        if test.event is not None:
            yield from _unlike_an_event((*place, "event"), test.event)
        for number, event in enumerate(test.events or []):
            yield from _unlike_an_event((*place, "events", number), event)
        known = {*sink.vars, *sink.secrets}
        for name in test.vars.keys() - known:
            hint = hints.did_you_mean(name, known) or f"the file has {hints.listed(sorted(known)) or 'none'}"
            yield Finding((*place, "vars", name), f"this file has no variable or secret `{name}`", hint, key=True)


def _unlike_an_event(place: Place, given: Mapping[str, Any]) -> Iterator[Finding]:
    for name, value in given.items():
        if name not in FIELDS["event"]:
            yield Finding((*place, name), f"no event has `{name}`", _on_field("event", name), key=True)
        elif name in WORDS and value not in WORDS[name]:
            message = f"`{legible(str(value))}` is not one of {hints.listed(WORDS[name])}"
            yield Finding((*place, name), message, hints.did_you_mean(str(value), WORDS[name]))


def same_step_names(sink: Sink) -> Iterator[Finding]:
    """
    Two steps of a sink have the same name.

    How far a delivery has come is kept by the names of its steps, so that a retry goes on where it stopped. Of two steps with one
    name the second would be taken for done when the first is.
    """
    yield from same_names("steps", sink.steps, "give each step a name of its own")
