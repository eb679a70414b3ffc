"""
What the types cannot say: one function per rule, and its docstring is its page: what is wrong, why that matters, how to mend it.

To add a rule, write it here and name it in one of the three tables at the end; golden folders in tests/config/problems show it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..expr import Expression, Inbound
from ..model import Event
from ..stages.mapping import Case
from ..values import Reference
from . import hints
from .decode import walk
from .problems import SEALED, Place, legible
from .schema import Provider, ProviderTest, Settings, Sink, SinkTest
from .yaml import MOST_PROBLEMS, Document

LONGEST_EXPRESSION = 80  # characters
LAST_PORT = 65_535
STORES = ("sqlite:///",)  # as in gateway/store, which this layer does not know
JINJA = frozenset(
    {"and", "or", "not", "in", "is", "if", "elif", "else", "endif", "for", "endfor", "true", "false", "none", "loop"}
)
_CODE = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)  # what is an expression in a text
REQUIRED = ("action", "dedup_key", "severity", "summary")


class Finding(NamedTuple):
    """Where, what, and how to mend it. `word`: the part of the text there that is wrong; `key`: the key is, not its value."""

    path: Place
    message: str
    hint: str
    word: str = ""
    key: bool = False


Rule = Callable[[Any], Iterator[Finding]]


def lint(document: Document, thing: Any) -> None:
    """Report what breaks a rule."""
    for name, rule in RULES.get(type(thing), {}).items():
        for finding in islice(rule(thing), MOST_PROBLEMS):
            document.report(finding.path, name, finding.message, finding.hint, key=finding.key, word=finding.word)


def _expressions(thing: Any) -> Iterator[tuple[Place, Expression]]:
    for path, value in walk(thing):
        if isinstance(value, Expression):
            yield path, value
        elif hasattr(value, "expressions"):
            yield from ((path + inner, expression) for inner, expression in value.expressions())


def unknown_names(thing: Provider | Sink) -> Iterator[Finding]:
    """
    An expression uses a name that is not known at its place.

    Which names there are depends on the key; the reference lists them. In a provider file a name from `let` is known in `map`,
    in `cases`, and in every `let` below its own; in a sink file `items` and `by` are known only in the request of a batch. A
    misspelt name would find nothing, on every webhook, as if the vendor had left a field out; so it is found at load.

        summary: "{{ itm.title }}"       # did you mean `item`?
    """
    for path, expression in _expressions(thing):
        known = expression.scope | (_lets_above(thing, path) if isinstance(thing, Provider) else set())
        known -= _not_here(thing, path) if isinstance(thing, Sink) else set()
        for name in sorted(expression.names - known):
            yield Finding(path, f"the name `{name}` is not known here", _on_name(thing, name, expression, known), name)


def _on_name(thing: Provider | Sink, name: str, expression: Expression, known: set[str] | frozenset[str]) -> str:
    if isinstance(thing, Provider) and any(name in let for let in (thing.let, *(case.let for case in thing.cases))):
        return "a `let` is known in `map` and `cases`, and in the lets below it: move it up, or write out here what it stands for"
    if isinstance(thing, Sink) and name in expression.scope & {"items", "by"}:
        return f"`{name}` is for the request of a `batch` that has {'an `item`' if name == 'items' else 'a `by`'}"
    return hints.did_you_mean(name, sorted(known)) or f"the names here are {hints.listed(sorted(known))}"


def _lets_above(provider: Provider, path: Place) -> set[str]:
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


def _not_here(sink: Sink, path: Place) -> set[str]:
    assembled = sink.batch is not None and sink.batch.item is not None
    if path[0] == "request" and assembled:
        return {"event", "incident", "memory"} | (set() if sink.batch is not None and sink.batch.by else {"by"})
    if path[0] == "print":
        return {"items", "by", "secrets"}
    return {"items", "by"}


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
    for path, expression in _expressions(sink):
        code = " ".join(_CODE.findall(expression.text))
        for kind, name in dict.fromkeys(re.findall(r"(?<![\w.'\"])(vars|secrets|memory)\.(\w+)", code)):
            if name not in known[kind]:
                place = "the `remember` of a step" if kind == "memory" else f"`{kind}`"
                hint = hints.did_you_mean(name, sorted(known[kind])) or f"add `{name}` to {place}"
                yield Finding(path, f"there is no `{kind}.{name}` in this file", hint, f"{kind}.{name}")


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


def forgotten_braces(thing: Provider | Sink) -> Iterator[Finding]:
    """
    A text looks like an expression, and is none: a text is read by how it begins, and without braces or `$` it is only itself.

    `dedup_key: item.id` gives every event the same dedup key, the seven letters, and a `when` that is a mere text always holds.
    `${NAME}` is no expression either: what comes from the environment stands in `vars` or `secrets`.

        dedup_key: item.id               # write `$.id`, or "{{ item.id }}"
        when: response.status == 409     # write "{{ response.status == 409 }}"
    """
    for path, expression in _expressions(thing):
        text = expression.text
        if variable := hints.for_text(_CODE.sub("", text)):
            yield Finding(path, "`${…}` is not replaced by anything", variable, "${")
        elif not text.startswith("$") and not _CODE.search(text) and (_is_condition(path) or _is_bare(text, thing)):
            shown = legible(text, 60)
            yield Finding(path, f"`{shown}` is only text here", f'an expression is written "{{{{ {shown} }}}}"')


def _is_condition(path: Place) -> bool:
    return path[-1] == "when" and not {"map", "let", "request", "reply", "batch", "remember"} & set(path)


def _is_bare(text: str, thing: Provider | Sink) -> bool:
    found = re.fullmatch(r"(\w+)\.(\w+)[\w.\[\]'\"-]*", text)
    if found is None:
        return False
    if isinstance(thing, Provider):
        return found[1] in {"item", "payload", "envelope", "headers", "query", *thing.let}
    return found[1] in {"vars", "secrets", "memory"} or (found[1] == "event" and found[2] in Event.__struct_fields__)


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
    An expression has more than 80 characters.

    Nobody reviews such a line. In `let` its parts have names, each is shown by `gateway try --explain`, and the expression that
    remains says what it does. Expressions within `let` may be as long as they need to be.
    """
    for path, expression in _expressions(provider):
        in_let = path[0] == "let" or (path[0] == "cases" and path[2] == "let")
        if not in_let and len(expression.text) > LONGEST_EXPRESSION:
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


def rows_alike(thing: Provider | Sink) -> Iterator[Finding]:
    """
    Two rows of a table differ only in upper and lower case.

    Words are looked up in lower case, since vendors change the case of theirs between versions. Of two such rows only one would
    ever be found, so keep that one.
    """
    for name, rows in thing.tables.items():
        first: dict[str, str] = {}
        for row in rows:
            if other := first.get(row.lower()):
                message = f"the same row as `{legible(other)}`: upper and lower case make no difference"
                yield Finding(("tables", name, row), message, "keep one of them", key=True)
            first.setdefault(row.lower(), row)


def unknown_tables(thing: Provider | Sink) -> Iterator[Finding]:
    """
    An expression looks a word up in a table that the file does not have.

    `table('priority')` means the table `priority` under `tables` in the same file.

        tables: { priority: { critical: P1, error: P2 } }
    """
    for path, expression in _expressions(thing):
        for name in sorted(expression.tables - thing.tables.keys()):
            near = hints.did_you_mean(name, thing.tables)
            hint = near or f"add `tables: {{ {legible(name)}: {{ … }} }}` at the top of the file"
            yield Finding(path, f"there is no table `{legible(name)}`", hint, name)


def same_test_names(thing: Provider | Sink) -> Iterator[Finding]:
    """
    Two tests of a file have the same name.

    `gateway test` names what has failed by file and test, and nobody could tell the two apart. Say in each name what it shows.
    """
    first: dict[str, int] = {}
    tests: Sequence[ProviderTest | SinkTest] = thing.tests
    for index, test in enumerate(tests):
        if test.name in first:
            message = f"tests[{first[test.name]}] is called `{legible(test.name)}` too"
            yield Finding(("tests", index, "name"), message, "say in the name what each one shows")
        first.setdefault(test.name, index)


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


def secrets_written_out(thing: Provider | Sink | Settings) -> Iterator[Finding]:
    """
    A secret stands in a file.

    A file says only where a secret is kept: `{ env: NAME }`, an environment variable, or `{ file: NAME }`, a file in the secrets
    directory; for files are committed, reviewed and pasted into chats. What stands where a variable's name belongs and is no
    such name is taken for a secret, and is not shown; so is a `default`, which only `vars` may have. A secret that has been in a
    file is known to others: replace it.

        token: { env: EXAMPLE_TOKEN }
    """
    for path, value in walk(thing):
        if not isinstance(value, Reference):
            continue
        if value.env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value.env):
            hint = "letters, digits and `_`, as in `{ env: EXAMPLE_TOKEN }`; a secret itself never stands in a file"
            yield Finding((*path, "env"), "not the name of an environment variable", hint)
        if value.default is not None and path[0] != "vars":
            hint = "take it away, and set the variable where the gateway runs; only `vars` have defaults"
            yield Finding((*path, "default"), "a secret has no default", hint)


def wrong_settings(settings: Settings) -> Iterator[Finding]:
    """
    A setting is of the right kind, and cannot be.

    A port is between 0 and 65535; 0 lets the system choose one. The scheme of `store` says which store it is.

        store: sqlite:///gateway.db
    """
    if not 0 <= settings.port <= LAST_PORT:
        yield Finding(("port",), f"there is no port {settings.port}", f"give one from 1 to {LAST_PORT}")
    if not settings.store.startswith(STORES):
        hint = "write `sqlite:///gateway.db`, or `sqlite:////var/lib/gateway/gateway.db` for an absolute path"
        yield Finding(("store",), "there is no such store", hint)


_BOTH: Mapping[str, Rule] = {
    "unknown-name": unknown_names,
    "unknown-table": unknown_tables,
    "no-braces": forgotten_braces,
    "table": rows_alike,
    "test-name": same_test_names,
    SEALED: secrets_written_out,
}
PROVIDER_RULES: Mapping[str, Rule] = {
    **_BOTH,
    "let-name": let_names,
    "missing-key": missing_fields,
    "deaf-case": deaf_cases,
    "long-expression": long_expressions,
    "early-handshake": early_handshakes,
    "redact": unreachable_redactions,
    "not-yet": poll_is_later,
}
SINK_RULES: Mapping[str, Rule] = {**_BOTH, "unknown-variable": unknown_variables, "step-name": same_step_names}
SETTINGS_RULES: Mapping[str, Rule] = {"setting": wrong_settings, SEALED: secrets_written_out}

RULES: Mapping[type, Mapping[str, Rule]] = {Provider: PROVIDER_RULES, Sink: SINK_RULES, Settings: SETTINGS_RULES}
