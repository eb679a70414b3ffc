"""
What the types cannot say: one function per rule, and its docstring is its page. To add a rule, write it here and name it in
PROVIDER_RULES or SINK_RULES; a golden folder in tests/config/problems shows it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..expr import Expression
from ..stages.mapping import Case
from .decode import walk
from .schema import Provider, ProviderTest, Sink, SinkTest
from .yaml import Document

Path = tuple[str | int, ...]
Finding = tuple[Path, str, str]  # where, what, how to mend it

LONGEST_EXPRESSION = 80


def lint(document: Document, thing: Any) -> None:
    """Report what breaks a rule."""
    for name, rule in (PROVIDER_RULES if isinstance(thing, Provider) else SINK_RULES if isinstance(thing, Sink) else {}).items():
        for path, message, hint in rule(thing):
            document.report(path, name, message, hint=hint)


def _expressions(thing: Any) -> Iterator[tuple[Path, Expression]]:
    for path, value in walk(thing):
        if isinstance(value, Expression):
            yield path, value
        elif hasattr(value, "expressions"):
            yield from ((path + inner, expression) for inner, expression in value.expressions())


def unknown_names(thing: Provider | Sink) -> Iterator[Finding]:
    """An expression may use the names in scope at its place and no others."""
    for path, expression in _expressions(thing):
        known = expression.scope | (_lets_above(thing, path) if isinstance(thing, Provider) else set())
        if isinstance(thing, Sink):
            known = known - _not_here(thing, path)
        for name in sorted(expression.names - known):
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"names here: {', '.join(sorted(known))}"
            yield path, f"unknown name {name!r}", hint


def _lets_above(provider: Provider, path: Path) -> set[str]:
    shared = list(provider.let)
    match path:
        case ("let", name, *_):
            return set(shared[: shared.index(str(name))])
        case ("cases", int(index), "let", name, *_):
            own = list(provider.cases[index].let)
            return set(shared) | set(own[: own.index(str(name))])
        case ("cases", int(index), "map", *_):
            return set(shared) | set(provider.cases[index].let)
        case ("cases" | "map", *_):
            return set(shared)
    return set()


def _not_here(sink: Sink, path: Path) -> set[str]:
    assembled = sink.batch is not None and sink.batch.item is not None
    if path[0] == "request" and assembled:
        return {"event", "incident", "memory"} | (set() if sink.batch is not None and sink.batch.by else {"by"})
    if path[0] == "print":
        return {"items", "by", "secrets"}
    return {"items", "by"}


def missing_fields(provider: Provider) -> Iterator[Finding]:
    """Each kind of message needs an action, a severity and a summary, and a dedup key unless it is only a notice."""
    for index, case in enumerate(provider.spoken):
        path: Path = ("cases", index, "map") if provider.cases else ("map",)
        wanted = ["action", "severity", "summary"] + ([] if _only_notices(case) else ["dedup_key"])
        for name in wanted:
            if getattr(case.map, name) is None:
                yield path, f"missing {name!r}", f"add `{name}:` here or in the shared `map`"


def _only_notices(case: Case) -> bool:
    action = case.map.action
    return action is not None and {*action.table.values(), action.absent, action.default} <= {"notice", "ignore", None}


def deaf_cases(provider: Provider) -> Iterator[Finding]:
    """A case without `when` always speaks, so nothing behind it is ever heard."""
    for index, case in enumerate(provider.cases[:-1]):
        if case.when is None:
            yield (
                ("cases", index),
                "a case without `when` always speaks; the cases behind it never do",
                "put it last or give it a `when`",
            )


def long_expressions(provider: Provider) -> Iterator[Finding]:
    """An expression over 80 characters belongs in `let`, where it has a name."""
    for path, expression in _expressions(provider):
        if "let" not in path and len(expression.text) > LONGEST_EXPRESSION:
            yield path, f"an expression of {len(expression.text)} characters", "give its parts names in `let`"


def early_handshakes(provider: Provider) -> Iterator[Finding]:
    """Before the sender has proved who it is, only GET and OPTIONS are answered."""
    for index, handshake in enumerate(provider.handshake):
        if handshake.before_auth and not {"GET", "OPTIONS"} & set(provider.methods):
            yield (
                ("handshake", index, "before_auth"),
                "no GET or OPTIONS comes here",
                "add it to `methods`, or take before_auth away",
            )


def poll_is_later(provider: Provider) -> Iterator[Finding]:
    """`poll` is in the language from the start; this version cannot ask yet."""
    if provider.poll is not None:
        yield ("poll",), "this version of the gateway cannot poll yet", "let the source send, or poll from outside and post to us"


def unknown_tables(thing: Provider | Sink) -> Iterator[Finding]:
    """A table's rows must not differ only in upper and lower case, which do not count."""
    for name, rows in thing.tables.items():
        if len({str(key).lower() for key in rows}) < len(rows):
            yield ("tables", name), "two rows differ only in upper and lower case, which do not count", "keep one of them"


def same_test_names(thing: Provider | Sink) -> Iterator[Finding]:
    """Tests are told apart by their names."""
    seen: set[str] = set()
    tests: Sequence[ProviderTest | SinkTest] = thing.tests
    for index, test in enumerate(tests):
        if test.name in seen:
            yield ("tests", index, "name"), f"two tests are called {test.name!r}", "say in the name what each one shows"
        seen.add(test.name)


PROVIDER_RULES: dict[str, Callable[[Any], Iterator[Finding]]] = {
    "unknown-name": unknown_names,
    "missing-key": missing_fields,
    "deaf-case": deaf_cases,
    "long-expression": long_expressions,
    "early-handshake": early_handshakes,
    "not-yet": poll_is_later,
    "table": unknown_tables,
    "test-name": same_test_names,
}

SINK_RULES: dict[str, Callable[[Any], Iterator[Finding]]] = {
    "unknown-name": unknown_names,
    "table": unknown_tables,
    "test-name": same_test_names,
}
