"""
What the files say, checked and compiled: one frozen snapshot, replaced whole and never changed.

`load` reads a configuration directory and the shipped catalogue for running; `check` only reads, for `gateway validate`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ..errors import ConfigError, SecretUnset
from ..expr import Sealed
from ..model import Event
from ..stages.authorize import Auth
from ..values import Reference, Secrets
from .files import KINDS, Source, below, catalogue_sources, is_idle, misplaced, read_sources, sources_in, sources_of, twins
from .problems import Problem
from .schema import Provider, Settings, Sink
from .settings import read_settings, unknown_aliases
from .shelf import Shelf


class Config(Struct, frozen=True, dict=True, kw_only=True):
    """A snapshot. `sinks` are those that are on; `off` says of each other one why it is not; `known_sinks` are both."""

    settings: Settings
    secrets: Secrets
    providers: Mapping[str, Provider]
    sinks: dict[str, Sink]
    marks: dict[str, str] = {}  # of each sink that is on: another one where its file or a secret of it says something else
    known_sinks: Mapping[str, Sink] = {}
    off: Mapping[str, str] = {}
    shipped: frozenset[str] = frozenset()  # what comes from the catalogue: "providers.d/grafana"
    dev: bool = False

    def sinks_for(self, event: Event) -> tuple[str, ...]:
        """The sinks whose `match` holds for this event, whatever its action."""
        if event.provider not in self._sinks_by_provider:
            near = [(name, sink) for name, sink in self.sinks.items() if sink.match.takes_from(event.provider)]
            self._sinks_by_provider[event.provider] = near
        return tuple([name for name, sink in self._sinks_by_provider[event.provider] if sink.match.holds(event)])

    @cached_property
    def _sinks_by_provider(self) -> dict[str, list[tuple[str, Sink]]]:
        """Those that want something of a provider: of a thousand sinks only these are asked about its events."""
        return {}

    def scope_of(self, sink: str) -> Mapping[str, Any]:
        """The names that a sink's expressions have besides the event's: `vars`, `secrets` and its tables."""
        return self._scopes[sink]

    @cached_property
    def _scopes(self) -> dict[str, dict[str, Any]]:
        return {name: _scope(sink, self.secrets) for name, sink in self.sinks.items()}

    def auth_of(self, sink: str) -> Auth | None:
        """How we prove to a sink who we are; None also while it is `optional` and not set."""
        return self._auths[sink]

    @cached_property
    def _auths(self) -> dict[str, Auth | None]:
        return {name: None if _is_left_out(sink.auth, self.secrets) else sink.auth for name, sink in self.sinks.items()}

    @property
    def unverified(self) -> list[str]:
        """The sinks whose certificates are not checked."""
        return [name for name, sink in self.sinks.items() if sink.tls is not None and not sink.tls.verify]

    def sealed(self, provider: str) -> dict[str, Any]:
        """The name that the answers to a provider's handshakes have besides the message's: `secrets`. Raises SecretUnset."""
        secrets = self.providers[provider].secrets
        return {"secrets": {name: Sealed(self.secrets.reveal(reference)) for name, reference in secrets.items()}}

    def is_open(self, provider: str) -> bool:
        """Whether a provider's door takes unsigned webhooks: in dev mode, while its secret is not set."""
        return self.dev and not self.providers[provider].auth.ready(self.secrets)


def _scope(sink: Sink, secrets: Secrets) -> dict[str, Any]:
    return {
        "vars": {name: secrets.look_up(each) for name, each in sink.vars.items() if not secrets.is_left_out(each)},
        "secrets": {name: secrets.reveal(each) for name, each in sink.secrets.items() if not secrets.is_left_out(each)},
        "tables": sink.tables,
    }


def _is_left_out(auth: Auth | None, secrets: Secrets) -> bool:
    return auth is not None and any(map(secrets.is_left_out, auth.references()))


def load(root: Path | None, environment: Mapping[str, str], *, dev: bool = False, tests: bool = False) -> Config:
    """
    The configuration in a directory, with the catalogue's files behind its own; `tests`: those inside the shipped files, too.
    Raises ConfigError with every problem.
    """
    if root is not None and not root.is_dir():
        raise ConfigError(
            [Problem(str(root), 1, 1, "configuration", "there is no such directory", "bring it back, or name another")]
        )
    settings, problems = read_settings(root, environment)
    idle: list[Source] = []
    sources = sources_of(root) if root else []
    problems += [*twins(sources), *(misplaced(root) if root else [])]
    if settings.catalogue:
        own = {(source.kind, source.name) for source in sources}
        shipped = [source for source in catalogue_sources(tests=tests) if (source.kind, source.name) not in own]
        idle = [] if tests else [source for source in shipped if is_idle(source, environment)]
        sources += [source for source in shipped if source not in idle]
    read = read_sources(sources, functions=settings.functions)
    problems += read.problems + unknown_aliases(root, settings, provider_names([*sources, *idle]))
    if problems:
        raise ConfigError(sorted(problems))
    secrets_dir = (root or Path()) / settings.secrets_dir if settings.secrets_dir else None
    secrets = Secrets(environment, secrets_dir)
    things = {kind: Shelf(read.things[kind], _made_later(kind, idle)) for kind in KINDS}
    known: Mapping[str, Sink] = things["sinks.d"]
    off = {name: reason for name, sink in read.things["sinks.d"].items() if (reason := _why_off(sink, secrets))}
    sinks = {name: sink for name, sink in read.things["sinks.d"].items() if name not in off}
    reasons = {source.name: partial(_off_of, known, source.name, secrets) for source in idle if source.kind == "sinks.d"}
    _conceal(secrets, settings, read.things["providers.d"].values(), read.things["sinks.d"].values())
    return Config(
        settings=settings,
        secrets=secrets,
        providers=things["providers.d"],
        sinks=sinks,
        marks={name: _mark(sink, read.data["sinks.d"][name], secrets) for name, sink in sinks.items()},
        known_sinks=known,
        off=Shelf(off, reasons),
        shipped=frozenset(f"{source.kind}/{source.name}" for source in [*sources, *idle] if source.shipped),
        dev=dev,
    )


def _made_later(kind: str, idle: Iterable[Source]) -> dict[str, Callable[[], Any]]:
    """The shipped files that nobody uses yet: each is read when it is first asked for."""
    return {source.name: partial(_made, source) for source in idle if source.kind == kind}


def _made(source: Source) -> Any:
    return read_sources([source]).things[source.kind][source.name]


def _off_of(known: Mapping[str, Sink], name: str, secrets: Secrets) -> str:
    return _why_off(known[name], secrets)


def _conceal(secrets: Secrets, settings: Settings, providers: Iterable[Provider], sinks: Iterable[Sink]) -> None:
    """Have every secret masked from the start, not only once it is used."""
    secrets.conceal_all([settings.admin_token])
    for provider in providers:
        provider.auth.conceal(secrets)
        secrets.conceal_all(provider.secrets.values())
    for sink in sinks:
        secrets.conceal_all(_secrets_of(sink))
        with suppress(SecretUnset):
            if sink.auth is not None:
                sink.auth.headers(secrets)  # as it is written there


def stamp(root: Path | None, environment: Mapping[str, str]) -> frozenset[tuple[str, int, int, int]]:
    """Something that is another one when a file of the configuration has changed: path, inode, size and time of each."""
    if root is None:
        return frozenset()
    files = [root / "gateway.yaml", *(file for kind in KINDS for file in (root / kind).glob("*"))]
    settings, _ = read_settings(root, environment)
    if settings.secrets_dir:
        files += (root / settings.secrets_dir).rglob("*")
    return frozenset(stamped for file in files if (stamped := _stamped(file)))


def _stamped(file: Path) -> tuple[str, int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return str(file), found.st_ino, found.st_size, found.st_mtime_ns


def check(paths: Iterable[Path]) -> list[Problem]:
    """Every problem in these files and directories: no network, no environment."""
    problems: list[Problem] = []
    sources: list[Source] = []
    for path in paths:
        sources += sources_in(path)
        for root in _roots(path):
            problems += misplaced(root) + twins(sources_of(root))
        for file in settings_in(path):
            settings, wrong = read_settings(file.parent, {})
            known = [*sources_of(file.parent), *(catalogue_sources() if settings.catalogue else [])]
            problems += wrong + unknown_aliases(file.parent, settings, provider_names(known))
    return sorted({*problems, *read_sources(sources).problems})


def _roots(path: Path) -> set[Path]:
    """The directories at and below a path that hold a configuration."""
    if not path.is_dir() or path.name in KINDS:
        return set()
    return {path, *(folder.parent for kind in KINDS for folder in below(path, kind))}


def settings_in(path: Path) -> list[Path]:
    """The gateway.yaml that a path is, or those below it."""
    if path.is_dir():
        return below(path, "gateway.yaml")
    return [path] if path.name == "gateway.yaml" else []


def provider_names(sources: Iterable[Source]) -> set[str]:
    """The names of the providers among these files, be they right or wrong."""
    return {source.name for source in sources if source.kind == "providers.d"}


def _why_off(sink: Sink, secrets: Secrets) -> str:
    needed = [reference for reference in references(sink) if not secrets.is_left_out(reference)]
    unset = dict.fromkeys(filter(None, map(secrets.unset, needed)))
    return f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set" if unset else ""


def _mark(sink: Sink, data: Any, secrets: Secrets) -> str:
    values = [None if secrets.is_left_out(reference) else secrets.look_up(reference) for reference in references(sink)]
    return hashlib.sha256(msgspec.json.encode([data, values])).hexdigest()


def references(sink: Sink) -> list[Reference]:
    """Every variable and secret of a sink; without those that are not `optional` it is off."""
    found = [*sink.vars.values(), *_secrets_of(sink)]
    if sink.auth is not None:
        found += sink.auth.references()
    if sink.tls is not None and sink.tls.client_cert is not None:
        found.append(sink.tls.client_cert)
    return found


def _secrets_of(sink: Sink) -> list[Reference]:
    return [*sink.secrets.values(), *([] if sink.sign is None else [sink.sign.secret])]


__all__ = ["Config", "SecretUnset", "check", "load", "references", "stamp"]
