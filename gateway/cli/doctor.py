"""`gateway doctor`: is everything around the gateway as it should be?"""

from __future__ import annotations

import os
import resource
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import click
from msgspec import Struct, to_builtins

from ..errors import ConfigError, SecretUnset, StoreError
from ..expr import ExpressionError
from .output import CONFIG, FORMAT, counted, print_json

if TYPE_CHECKING:
    from ..config import Config

FEW_DESCRIPTORS = 1024
LITTLE_MEMORY = 256  # MiB
CGROUP = Path("/sys/fs/cgroup")
BUILT = 1_767_225_600.0  # 2026-01-01: a clock that says less is wrong


class Finding(Struct, frozen=True):
    """One thing that was looked at; `mend` says what to do where it is not well."""

    state: Literal["ok", "warn", "fail"]
    what: str
    detail: str
    mend: str = ""


@click.command(short_help="Is everything around it as it should be?")
@CONFIG
@FORMAT
def doctor(root: Path | None, form: str) -> int:
    """
    Look at what the gateway stands on: configuration, secrets, database, disk, port, descriptors, clock, the names of sinks.
    Nothing is sent and nothing is changed.

    Exit code 1 if something would keep it from running well, 0 if there are at most warnings.
    """
    found = list(examine(root))
    if form == "json":
        print_json(to_builtins(found))
    else:
        for each in found:
            click.echo(f"{each.state:5} {each.what}: {each.detail}" + (f"\n      mend: {each.mend}" if each.mend else ""))
    return 1 if any(each.state == "fail" for each in found) else 0


def examine(root: Path | None) -> Iterator[Finding]:
    """Everything, one after the other; what needs a configuration is left out where it is broken."""
    from ..config import load  # noqa: PLC0415 - the help needs none of it

    yield _descriptors()
    yield _memory(CGROUP / _group())
    yield _clock(time.time())
    try:
        config = load(root, os.environ)
    except ConfigError as error:
        yield Finding("fail", "configuration", counted(len(error.problems), "problem"), "run gateway validate")
        return
    yield Finding("ok", "configuration", f"providers: {len(config.providers)}, sinks on: {len(config.sinks)}")
    yield from _doors(config)
    yield from _secret_files(config, root)
    yield _port(config.settings.host, config.settings.port)
    yield _store(config.settings.store)
    yield from _names(config)


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = soft if hard == resource.RLIM_INFINITY else max(soft, hard)
    if highest < FEW_DESCRIPTORS:
        return Finding("warn", "descriptors", f"{highest}, so few connections are taken", "raise it (ulimit -n, LimitNOFILE=)")
    return Finding("ok", "descriptors", f"{highest}")


def _group() -> str:
    """The control group that this process is in; the gateway's, if it is called as the gateway is."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                return line.removeprefix("0::/")
    return ""


def _memory(group: Path) -> Finding:
    try:
        limit = int((group / "memory.max").read_text()) >> 20
    except (OSError, ValueError):  # it is not there, or says `max`
        return Finding("ok", "memory", "no limit is set")
    if limit < LITTLE_MEMORY:
        mend = f"allow {LITTLE_MEMORY} MiB (memory.max, MemoryMax=, --memory)"
        return Finding("warn", "memory", f"{limit:,} MiB at most, and a burst takes more", mend)
    return Finding("ok", "memory", f"{limit:,} MiB at most")


def _clock(now: float) -> Finding:
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < BUILT:
        return Finding("fail", "clock", f"{shown} lies before this was written", "set it: signatures with a time are refused")
    return Finding("ok", "clock", shown)


def _doors(config: Config) -> Iterator[Finding]:
    """Providers of one's own that answer 503, and sinks of one's own that are off."""
    for name in config.providers:
        if f"providers.d/{name}" not in config.shipped and (unset := config.providers[name].auth.unset(config.secrets)):
            yield Finding("warn", f"provider {name}", "it answers 503", f"set {unset}")
    for name in config.off:
        if f"sinks.d/{name}" not in config.shipped:
            yield Finding("warn", f"sink {name}", f"it is off: {config.off[name]}", "set it, or take the file away")
    for name in config.unverified:
        yield Finding(
            "warn", f"sink {name}", "its certificate is not checked", "take `tls.verify: false` away; `tls.ca_file` names yours"
        )


def _secret_files(config: Config, root: Path | None) -> Iterator[Finding]:
    folder = Path(config.settings.secrets_dir) if config.settings.secrets_dir else None
    if folder is None:
        return
    folder = folder if folder.is_absolute() or root is None else root / folder
    if not folder.is_dir():
        yield Finding("fail", "secrets_dir", f"{folder} is no directory", "make it, or name another in gateway.yaml")
        return
    loose = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*")) if file.is_file() and _is_loose(file)]
    if loose and folder.stat().st_mode & stat.S_IXOTH:  # else nobody gets as far as the files
        yield Finding("warn", "secrets_dir", f"everybody may read {', '.join(loose[:5])}", f"chmod -R o-r {folder}")
    else:
        yield Finding("ok", "secrets_dir", str(folder))


def _is_loose(file: Path) -> bool:
    return bool(file.stat().st_mode & stat.S_IROTH)


def _port(host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            said = f"{host}:{port}: {os.strerror(error.errno or 0).lower()}"
            return Finding("warn", "port", said, "fine if that is this gateway; else stop the other, or choose another port")
    return Finding("ok", "port", f"{host}:{port} is free")


def _store(url: str) -> Finding:
    from ..store import look_over  # noqa: PLC0415 - as above

    try:
        return Finding("ok", "store", look_over(url))
    except StoreError as error:
        said, _, mend = str(error).partition("; ")
        return Finding("warn" if "is in use by" in said else "fail", "store", said, mend)


def _names(config: Config) -> Iterator[Finding]:
    """Whether the names of sinks that are on can be looked up from here."""
    for name in config.sinks:
        for host in sorted(_hosts(config, name)):
            shown = config.secrets.mask(host)
            try:
                socket.getaddrinfo(host, None)
            except OSError:
                yield Finding(
                    "warn", f"sink {name}", f"the name {shown!r} cannot be resolved from here", "check it, and the network"
                )
            else:
                yield Finding("ok", f"sink {name}", f"{shown} can be resolved")


def _hosts(config: Config, name: str) -> set[str]:
    """Where its requests go, as far as that does not depend on the event."""
    sink, found = config.sinks[name], set()
    for request in filter(None, [sink.request, *(step.request for step in sink.steps)]):
        with suppress(ExpressionError, ValueError, SecretUnset):
            found.add(urlsplit(str(request.address(config.scope_of(name)) or "")).hostname or "")
    return found - {""}
