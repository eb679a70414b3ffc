"""
`gateway reference`: every key, function, rule, metric, log line and command, made from the docstrings of the code that does them.
`docs/reference.md` is what it prints; a test holds it to that.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec
from msgspec import Struct

from ..config.effective import plain
from ..config.rules import RULES
from ..config.schema import Provider, Settings, Sink
from ..config.schemas import described, summary
from ..config.shapes import Anything, Choice, Custom, Either, Key, Keyed, ListOf, MapOf, Scalar, Shape, Tagged, homes, shape_of
from ..expr.documents import Document
from ..expr.expressions import Answer, Expression, Inbound, Outbound, Remembered, Replying
from ..expr.functions import FUNCTIONS
from ..model import Event, Incident, Receipt, Response
from ..values import Reference

SCOPES: dict[str, type[Expression]] = {
    "a provider's expressions": Inbound,
    "a provider's `reply`": Replying,
    "a sink's `request`, `print`, `batch` and `steps`": Outbound,
    "a sink's `response`": Answer,
    "a step's `remember`": Remembered,
}
NOUNS: dict[str, type[Struct]] = {"event": Event, "incident": Incident, "response": Response, "receipt": Receipt}
_PLAIN = {str: "text", int: "number", float: "number", bool: "true or false"}


_KINDS: dict[type, str] = {Expression: "an expression", Document: "a document", Reference: "`{ env: NAME }` or `{ file: NAME }`"}


@click.command()
@click.argument("section", required=False)
def reference(section: str | None) -> int:
    """
    Print the reference, or one SECTION of it: providers, sinks, settings, names, functions, rules, telemetry, commands.

    \b
      gateway reference functions
      gateway reference sinks | less
    """
    if section is not None and section not in SECTIONS:
        raise click.UsageError(f"there is no section {section!r}; there are {', '.join(SECTIONS)}")
    click.echo("\n\n".join(SECTIONS[section]()) if section else everything(), nl=bool(section))
    return 0


def everything() -> str:
    """The whole page."""
    said = "Made by `gateway reference` from the docstrings of the code; `make docs` renews it. dialect.md explains the language."
    return "\n\n".join(["# Reference", said, *(part for section in SECTIONS.values() for part in section())]) + "\n"


def _keys_of(root: type[Struct], title: str) -> Iterator[str]:
    yield f"## {title}"
    for cls, way in homes(root).items():
        shape = shape_of(cls)
        assert isinstance(shape, Keyed)
        yield f"### {_heading(cls, shape, way)}"
        yield summary(cls)
        if shape.keys:
            rows = "\n".join(
                f"| `{key.name}` | {_kind(key)} | {described(cls).get(key.name, '')} |" for key in shape.keys.values()
            )
            yield f"| key | is | meaning |\n| --- | --- | --- |\n{rows}"


def _heading(cls: type[Struct], shape: Keyed, way: str) -> str:
    if shape.tag:
        return f"`{way}`: `{shape.tag[0]}: {shape.tag[1]}`"
    return f"`{way}`" if way else f"The file ({cls.__name__.lower()})"


def _kind(key: Key) -> str:
    default = f", default `{_spelled(key.default)}`" if _is_told(key.default) else ""
    return f"{_words(shape_of(key.type))}{', required' if key.required else ''}{default}".replace("|", "\\|")


def _is_told(default: Any) -> bool:
    return isinstance(default, str | int | float | bool) and default != ""


def _spelled(default: Any) -> str:
    written = plain(default)
    return str(written).lower() if isinstance(written, bool) else f"{written:g}" if isinstance(written, float) else str(written)


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def _words(shape: Shape) -> str:
    match shape:
        case Scalar(type=type_):
            return _PLAIN[type_]
        case Choice(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case ListOf(item=item):
            return f"a list of {_words(shape_of(item))}"
        case MapOf(value=value, nullable=nullable):
            return f"a mapping to {_words(shape_of(value))}{' or null' if nullable else ''}"
        case Custom(type=type_) | Keyed(type=type_):
            return next((word for kind, word in _KINDS.items() if issubclass(type_, kind)), _spaced(type_.__name__))
        case Tagged(key=key, members=members):
            return f"one of {', '.join(f'`{key}: {word}`' for word in members)}"
        case Either(members=members):
            return " or ".join(_words(shape_of(member)) for member in members)
        case Anything():
            return "anything"


def _names() -> Iterator[str]:
    yield "## Names in scope"
    yield "\n".join(f"- In {where}: {expression.said()}" for where, expression in SCOPES.items())
    for noun, struct in NOUNS.items():
        yield f"### `{noun}`"
        yield _summary(struct)
        keys = [field.encode_name for field in msgspec.structs.fields(struct)]
        told = described(struct)
        yield "\n".join(f"- `{noun}.{key}`{f': {told[key]}' if key in told else ''}" for key in keys)


def _summary(struct: type[Struct]) -> str:
    return inspect.cleandoc(struct.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


def _functions() -> Iterator[str]:
    yield "## Functions"
    yield "Written as filters: `{{ item.tags | split(',') }}`. What finds nothing stays nothing, unless a function handles that."
    for name, function in sorted(FUNCTIONS.items()):
        prose, _, example = inspect.cleandoc(function.__doc__ or "").partition("\n\n>>> ")
        yield f"### `{name}{_arguments(function)}`"
        yield " ".join(prose.split())
        if example:
            yield f"```\n>>> {example}\n```"


def _arguments(function: Callable[..., Any]) -> str:
    names = [
        str(parameter.replace(annotation=inspect.Parameter.empty))
        for parameter in inspect.signature(inspect.unwrap(function)).parameters.values()
    ]
    given = [name for name in names if name not in ("value", "context")]
    return f"({', '.join(given)})" if given else ""


def _rules() -> Iterator[str]:
    yield "## Rules"
    yield "What `gateway validate` finds besides keys and values of the wrong kind."
    rules = {name: rule for each in RULES.values() for name, rule in each.items()}
    for name, rule in sorted(rules.items()):
        yield f"### `{name}`"
        yield inspect.cleandoc(rule.__doc__ or "")


def _telemetry() -> Iterator[str]:
    from prometheus_client.metrics import MetricWrapperBase  # noqa: PLC0415 - only this section needs them, and they take long

    from .. import telemetry  # noqa: PLC0415

    yield "## Metrics"
    metrics: list[Any] = [metric for _, metric in inspect.getmembers(telemetry, lambda each: isinstance(each, MetricWrapperBase))]
    rows = "\n".join(sorted(map(_metric, metrics)))
    yield f"| metric | is | labels | meaning |\n| --- | --- | --- | --- |\n{rows}"
    yield "## Log lines"
    lines = [
        f"- `{found[1]}`: {' '.join((function.__doc__ or '').split())}"
        for _, function in inspect.getmembers(telemetry, inspect.isfunction)
        if (found := re.search(r'\(\s*"([a-z]+\.[a-z]+)"', inspect.getsource(function)))
    ]
    yield "\n".join(sorted(lines))


def _metric(metric: Any) -> str:
    (family,) = metric.collect()
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - it has no public name
    return f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def _commands() -> Iterator[str]:
    from . import gateway  # noqa: PLC0415 - the group knows its commands, this one among them

    yield "## Commands"
    names = gateway.context_settings["help_option_names"]
    with click.Context(
        gateway, info_name="gateway", max_content_width=110, terminal_width=110, help_option_names=names
    ) as context:
        for name, command in sorted(gateway.commands.items()):
            yield f"### `gateway {name}`"
            with click.Context(command, info_name=name, parent=context, max_content_width=110, terminal_width=110) as inner:
                yield f"```\n{command.get_help(inner)}\n```"


SECTIONS: dict[str, Callable[[], Iterator[str]]] = {
    "providers": lambda: _keys_of(Provider, "Providers: the keys of a file in providers.d"),
    "sinks": lambda: _keys_of(Sink, "Sinks: the keys of a file in sinks.d"),
    "settings": lambda: _keys_of(Settings, "Settings: the keys of gateway.yaml"),
    "names": _names,
    "functions": _functions,
    "rules": _rules,
    "telemetry": _telemetry,
    "commands": _commands,
}
