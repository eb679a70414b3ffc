"""Rules of providers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...expr import Inbound
from ...stages.mapping import Case
from ...stages.words import Words
from ..problems import Place, legible
from ..schema import Provider
from .findings import CODE, Finding, expressions

LONGEST_EXPRESSION = 80  # characters
REQUIRED = ("action", "dedup_key", "severity", "summary")
JINJA = frozenset(
    {"and", "or", "not", "in", "is", "if", "elif", "else", "endif", "for", "endfor", "true", "false", "none", "loop"}
)


def let_names(provider: Provider) -> Iterator[Finding]:
    """
    A name in `let` cannot be used, or takes the place of one that every expression has.

    A name is letters, digits and `_`, beginning with a letter, so that `{{ name }}` can say it; and `item`, `payload`, `headers`
    and the others keep their meaning.
    """
    places: list[tuple[Place, Mapping[str, Any]]] = [(("let",), provider.let)]
    places += [(("cases", index, "let"), case.let) for index, case in enumerate(provider.cases)]
    for path, lets in places:
        for name in lets:
            if name in Inbound.scope:
                message = f"`{name}` has its meaning in every expression, and cannot have another"
                yield Finding((*path, name), message, "choose another name", key=True)
            elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name.lower() in JINJA:
                message = "an expression cannot say this name"
                yield Finding((*path, name), message, "use letters, digits and `_`, and no word such as `in` or `not`", key=True)


def missing_fields(provider: Provider) -> Iterator[Finding]:
    """
    An event has no action, severity, summary or dedup key.

    Each kind of message needs the four, in its own `map` or in the shared one at the top of the file; a message that is only
    ever a `notice` opens no incident, and needs no dedup key. What is always the same is said with `default` alone.

        severity: { default: error }
    """
    for index, case in enumerate(provider.spoken):
        path: Place = ("cases", index, "map") if provider.cases else ("map",)
        for name in REQUIRED:
            if getattr(case.map, name) is None and not (name == "dedup_key" and _only_notices(case)):
                where = "here, or in the `map` that all cases share" if provider.cases else "here"
                yield Finding((*path, name), "is missing", f"add `{name}` {where}", key=True)


def _only_notices(case: Case) -> bool:
    action = case.map.action
    return action is not None and {*action.table.values(), action.absent, action.default} <= {"notice", "ignore", None}


def one_key_for_all(provider: Provider) -> Iterator[Finding]:
    """
    A dedup key is the same for every event.

    Two events with one dedup key are the same incident; a key that names nothing of the item makes one incident of everything
    this provider ever says.

        dedup_key: $.check_id
    """
    places: list[tuple[Place, Inbound | None]] = [(("map", "dedup_key"), provider.map.dedup_key)]
    places += [(("cases", index, "map", "dedup_key"), case.map.dedup_key) for index, case in enumerate(provider.cases)]
    for path, key in places:
        forgotten = key is not None and "." in key.text  # `item.id`: braces are missing, and another rule says so
        if key is not None and not key.names and not CODE.search(key.text) and not forgotten:
            hint = "name what tells incidents apart"
            if key.text.isidentifier():
                hint += f': `$.{key.text}` or "{{{{ item.{key.text} }}}}"'
            yield Finding(path, f"`{legible(key.text)}` is the same for every event", hint)


def expressions_in_tables(provider: Provider) -> Iterator[Finding]:
    """
    A look-up's table gives an expression, where only a literal can stand.

    What a row gives is text as it is written, braces included. Where the value depends on the word, say so in an expression.

        table: { resolved: "{{ item.ended }}" }                            # would give these letters
        let: { at: "{{ item.ended if state == 'resolved' else item.started }}" }
    """
    places: list[tuple[Place, Mapping[str, Any]]] = [(("let",), provider.let)]
    places += [(("cases", index, "let"), case.let) for index, case in enumerate(provider.cases)]
    for path, lets in places:
        for name, let in lets.items():
            look = let.value
            if isinstance(look, Words):
                rows: list[tuple[Place, Any]] = [(("table", word), given) for word, given in look.table.items()]
                for place, given in [*rows, (("absent",), look.absent), (("default",), look.default)]:
                    if isinstance(given, str) and (CODE.search(given) or given.startswith(("$.", "$["))):
                        message = f"`{legible(given, 60)}` is only text here: a table gives literals"
                        yield Finding((*path, name, *place), message, 'write an expression: "{{ … if … else … }}"')


def unreachable_headers(provider: Provider) -> Iterator[Finding]:
    """
    An expression asks for a header by a name that no header has.

    Header names know no capitals, so senders and proxies write them as they like; in `headers` they are all in small letters. A
    name with a capital would find nothing, on every webhook.

        when: "{{ headers['x-kind'] == 'run' }}"
    """
    for path, expression in expressions(provider):
        for name in re.findall(r"headers\[['\"]([^'\"]*[A-Z][^'\"]*)['\"]\]", expression.text):
            yield Finding(
                path, f"no header is called `{legible(name)}` here", f"write it in small letters: `{name.lower()}`", name
            )


def deaf_cases(provider: Provider) -> Iterator[Finding]:
    """
    A case can never speak, because the one before it always does.

    The first case whose `when` holds speaks, and a case without `when` always holds. It belongs at the end, for what no other
    case has taken.
    """
    for index, case in enumerate(provider.cases[:-1]):
        if case.when is None:
            message = "a case without `when` always speaks, so those behind it never do"
            yield Finding(("cases", index), message, "put it last, or give it a `when`")


def long_expressions(provider: Provider) -> Iterator[Finding]:
    """
    An expression has more than 80 characters, where a `let` could name its parts.

    Nobody reviews such a line. In `let` its parts have names, each is shown by `gateway try --explain`, and the expression that
    remains says what it does. Expressions within `let` may be as long as they need to be.
    """
    for path, expression in expressions(provider):
        named = path[0] == "map" or (path[0] == "cases" and path[2] != "let")
        if named and len(expression.text) > LONGEST_EXPRESSION:
            message = f"an expression of {len(expression.text)} characters; {LONGEST_EXPRESSION} are readable"
            yield Finding(path, message, "give its parts names in `let`")


def early_handshakes(provider: Provider) -> Iterator[Finding]:
    """
    A handshake that may be answered before the sender has proved who it is will never be.

    Before that only GET and OPTIONS are answered, because their answer changes nothing; and this provider takes neither. Where
    the sender checks a URL with one of them, add that to `methods`; where the handshake is a signed POST, take `before_auth`
    away.
    """
    for index, handshake in enumerate(provider.handshake):
        if handshake.before_auth and not {"GET", "OPTIONS"} & set(provider.methods):
            message = "before the sender is verified only GET and OPTIONS are answered, and neither is in `methods`"
            yield Finding(
                ("handshake", index, "before_auth"), message, "add one of them to `methods`, or take `before_auth` away", key=True
            )


def unreachable_redactions(provider: Provider) -> Iterator[Finding]:
    """
    `redact` names what it cannot reach.

    Its paths name parts of the body as it is received, before anything is mapped or stored. They do not reach into what `unwrap`
    takes out of it, which would be stored as it came, nor into a plain text, which has no parts.

        redact: [ $.user.token ]
    """
    if provider.redact and provider.body.unwrap is not None:
        yield Finding(("redact",), "cannot see inside what `body.unwrap` takes out", "do without `unwrap`, or without `redact`")
    if provider.redact and provider.body.format == "text":
        yield Finding(("redact",), "a body of plain text has no parts", "say its `format`, or take `redact` away")


def poll_is_later(provider: Provider) -> Iterator[Finding]:
    """
    The file asks for what this version of the gateway cannot do yet.

    `poll`, for sources that are asked instead of sending, is in the language so that files need not change later. Until then let
    the source send, or ask it from outside and post what it says to this provider's URL.
    """
    if provider.poll is not None:
        hint = "let the source send, or ask it from outside and post to us what it says"
        yield Finding(("poll",), "this version of the gateway cannot poll yet", hint, key=True)
