"""Rules of sinks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .. import hints
from ..problems import legible
from ..schema import Sink
from .findings import CODE, Finding, expressions


def unknown_variables(sink: Sink) -> Iterator[Finding]:
    """
    A sink's expression takes a variable, a secret or a memory that nothing in the file puts there.

    `vars.url` stands under `vars`, `secrets.token` under `secrets`, and `memory.number` is what some step's `remember` keeps.

        url: "{{ vars.ulr }}/events"     # did you mean `url`?
    """
    known = {
        "vars": set(sink.vars),
        "secrets": set(sink.secrets),
        "memory": {name for step in sink.steps for name in step.remember},
    }
    for path, expression in expressions(sink):
        code = " ".join(CODE.findall(expression.text))
        for kind, name in dict.fromkeys(re.findall(r"(?<![\w.'\"])(vars|secrets|memory)\.(\w+)", code)):
            if name not in known[kind]:
                place = "the `remember` of a step" if kind == "memory" else f"`{kind}`"
                hint = hints.did_you_mean(name, sorted(known[kind])) or f"add `{name}` to {place}"
                yield Finding(path, f"there is no `{kind}.{name}` in this file", hint, f"{kind}.{name}")


def same_step_names(sink: Sink) -> Iterator[Finding]:
    """
    Two steps of a sink have the same name.

    How far a delivery has come is kept by the names of its steps, so that a retry goes on where it stopped. Of two steps with one
    name the second would be taken for done when the first is.
    """
    first: dict[str, int] = {}
    for index, step in enumerate(sink.steps):
        if step.name in first:
            message = f"steps[{first[step.name]}] is called `{legible(step.name)}` too"
            yield Finding(("steps", index, "name"), message, "give each step a name of its own")
        first.setdefault(step.name, index)
