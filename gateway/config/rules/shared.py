"""Rules of providers and sinks alike."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...expr import Expression
from ...model import Event
from ...stages.authorize import OAuth2
from ...values import Reference
from .. import hints
from ..decode import walk
from ..problems import Place, legible
from ..schema import Provider, Settings, Sink
from .findings import CODE, Finding, expressions, same_names


def unknown_names(thing: Provider | Sink) -> Iterator[Finding]:
    """
    An expression uses a name that is not known at its place.

    Which names there are depends on the key; the reference lists them. In a provider file a name from `let` is known in `map`,
    in `cases`, and in every `let` below its own; in a sink file `items` and `by` are known only in the request of a batch. A
    misspelt name would find nothing, on every webhook, as if the vendor had left a field out; so it is found at load.

        summary: "{{ itm.title }}"       # did you mean `item`?
    """
    for path, expression in expressions(thing):
        known = expression.scope | (_lets_above(thing, path) if isinstance(thing, Provider) else set())
        known -= _not_here(thing, path) if isinstance(thing, Sink) else _not_answered(path)
        for name in sorted(expression.names - known):
            yield Finding(path, f"the name `{name}` is not known here", _on_name(thing, name, expression, known), name)


def _on_name(thing: Provider | Sink, name: str, expression: Expression, known: set[str] | frozenset[str]) -> str:
    if isinstance(thing, Provider) and any(name in let for let in (thing.let, *(case.let for case in thing.cases))):
        return "a `let` is known in `map` and `cases`, and in the lets below it: move it up, or write out here what it stands for"
    if found := re.search(rf"\.([\w-]*-{re.escape(name)}\b[\w-]*)", expression.text):
        return f"a key with a hyphen stands in brackets and quotes: `['{legible(found[1])}']`"
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


def _not_answered(path: Place) -> set[str]:
    """Secrets are for challenges; what was accepted is known only in the answer to it."""
    return {"secrets"} if path[0] == "reply" else {"receipt"} if path[0] == "handshake" else set()


def _not_here(sink: Sink, path: Place) -> set[str]:
    assembled = sink.batch is not None and sink.batch.item is not None
    if path[0] == "request" and assembled:
        return {"event", "incident", "memory"} | (set() if sink.batch is not None and sink.batch.by else {"by"})
    if path[0] == "print":
        return {"items", "by", "secrets"}
    return {"items", "by"}


def forgotten_braces(thing: Provider | Sink) -> Iterator[Finding]:
    """
    A text looks like an expression, and is none: a text is read by how it begins, and without braces or `$` it is only itself.

    `dedup_key: item.id` gives every event the same dedup key, the seven letters, and a `when` that is a mere text always holds.
    `${NAME}` is no expression either: what comes from the environment stands in `vars` or `secrets`.

        dedup_key: item.id               # write `$.id`, or "{{ item.id }}"
        when: response.status == 409     # write "{{ response.status == 409 }}"
    """
    for path, expression in expressions(thing):
        text = expression.text
        if variable := hints.for_text(CODE.sub("", text)):
            yield Finding(path, "`${…}` is not replaced by anything", variable, "${")
        elif not text.startswith("$") and not CODE.search(text) and (_is_condition(path) or _is_bare(text, thing)):
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


def unknown_variables(thing: Provider | Sink) -> Iterator[Finding]:
    """
    An expression takes a variable, a secret or a memory that nothing in the file puts there.

    `vars.url` stands under `vars`, `secrets.token` under `secrets`, and `memory.number` is what some step's `remember` keeps.

        url: "{{ vars.ulr }}/events"     # did you mean `url`?
    """
    known = {"vars": set(thing.vars), "secrets": set(thing.secrets), "memory": set[str]()}
    if isinstance(thing, Sink):
        known["memory"] = {name for step in thing.steps for name in step.remember}
    for path, expression in expressions(thing):
        kinds = "|".join(known.keys() & expression.scope)
        code = " ".join(CODE.findall(expression.text))
        for kind, name in dict.fromkeys(re.findall(rf"(?<![\w.'\"])({kinds})\.(\w+)", code) if kinds else ()):
            if name not in known[kind]:
                place = "the `remember` of a step" if kind == "memory" else f"`{kind}`"
                hint = hints.did_you_mean(name, sorted(known[kind])) or f"add `{name}` to {place}"
                yield Finding(path, f"there is no `{kind}.{name}` in this file", hint, f"{kind}.{name}")


def unknown_tables(thing: Provider | Sink) -> Iterator[Finding]:
    """
    An expression looks a word up in a table that the file does not have.

    `table('priority')` means the table `priority` under `tables` in the same file.

        tables: { priority: { critical: P1, error: P2 } }
    """
    for path, expression in expressions(thing):
        for name in sorted(expression.tables - thing.tables.keys()):
            near = hints.did_you_mean(name, thing.tables)
            hint = near or f"add `tables: {{ {legible(name)}: {{ … }} }}` at the top of the file"
            yield Finding(path, f"there is no table `{legible(name)}`", hint, name)


def same_test_names(thing: Provider | Sink) -> Iterator[Finding]:
    """
    Two tests of a file have the same name.

    `gateway test` names what has failed by file and test, and nobody could tell the two apart. Say in each name what it shows.
    """
    yield from same_names("tests", thing.tests, "say in the name what each one shows")


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


def misplaced_options(thing: Provider | Sink | Settings) -> Iterator[Finding]:
    """
    A value is optional that nobody can do without.

    A sink's `vars`, `secrets` and the parts of its `auth` may be `optional: true`: while they are not set, the header or leaf
    that needs them is left out. A door without its secret would be open, a signature without its key could be anybody's, and a
    token cannot be asked for with half of what it takes: there a value is set, or the thing is off.

        vars: { tenant: { env: LOKI_TENANT, optional: true } }
    """
    free = {"vars", "secrets"} if isinstance(thing, Sink) else set()
    if isinstance(thing, Sink) and not isinstance(thing.auth, OAuth2):
        free.add("auth")
    for path, value in walk(thing):
        if isinstance(value, Reference) and value.optional and (path[0] not in free or path[-1] == "previous"):
            to_do = "set the variable where the gateway runs" if value.env else "put the file into the secrets directory"
            yield Finding((*path, "optional"), "this cannot be left out", f"take `optional` away, and {to_do}")
