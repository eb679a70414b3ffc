"""`gateway serve`: run it."""

from __future__ import annotations

import errno
import ipaddress
import os
import shlex
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from .output import CONFIG

if TYPE_CHECKING:
    from ..config import Config
    from ..values import Reference

FIRST_DOOR = "prometheus"
FIRST_ALERT = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "InstanceDown", "severity": "critical", "instance": "db-1:9100"},
            "annotations": {"summary": "Instance db-1 is down"},
            "startsAt": "2026-03-12T08:24:38.326Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": "f404ecabc8dd5cd7",
        }
    ],
}


@click.command(short_help="Run the gateway.")
@CONFIG
@click.option("--host", help="The address to listen on (default 127.0.0.1).  [env: GATEWAY_HOST]")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on (default 8080).  [env: GATEWAY_PORT]")
@click.option("--dev", is_flag=True, help="For trying out: loopback only, doors without a secret are open, events are printed.")
def serve(root: Path | None, host: str | None, port: int | None, dev: bool) -> int:
    """
    Run the gateway until it is told to stop (SIGTERM or Ctrl-C: it ends what is under way first; a second one ends it at once).
    Files that change are taken up as soon as they are right; SIGHUP reads them, and the secrets, at once.

    Webhooks come in at POST /webhooks/PROVIDER. Without --config only the shipped catalogue is there; each of its providers and
    sinks is on once its secret and variables are set in the environment.

    \b
      GATEWAY_STORE         sqlite:///gateway.db   where everything is kept
      GATEWAY_ADMIN_TOKEN                          opens /api/v1; without it the API is closed
    """
    environment = dict(os.environ)
    environment |= {"GATEWAY_HOST": host} if host else {}
    environment |= {"GATEWAY_PORT": str(port)} if port else {}
    if dev:
        environment.setdefault("GATEWAY_CONSOLE", "on")
        _refuse_public(environment.get("GATEWAY_HOST", "127.0.0.1"))

    from ..app import run  # noqa: PLC0415 - the server's libraries are only needed here
    from ..config import load, stamp  # noqa: PLC0415

    def read() -> Config:
        return load(root, environment, dev=dev)

    config = read()
    if dev:
        _refuse_public(config.settings.host)
    _refuse_taken(config.settings.host, config.settings.port)
    return run(config, read, lambda: stamp(root, environment), _greet if dev else lambda config: None)


def _refuse_public(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise click.UsageError(
            f"--dev opens doors, so it listens on loopback only; {host!r} is not. Leave --dev or the host away"
        )


def _refuse_taken(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(f"cannot listen on {host}:{port}: {_mended(error, host)}") from None


def _mended(error: OSError, host: str) -> str:
    """What the system says of an address, and what to do about it."""
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; stop it, or choose another port with --port"
    if error.errno == errno.EACCES:
        return "only root may use so low a port; choose one from 1024 with --port"
    return f"{host!r} is no address of this machine; name one with --host, as in 127.0.0.1 or 0.0.0.0"


def _greet(config: Config) -> None:
    host, port = config.settings.host, config.settings.port
    base = f"http://{'localhost' if host == '127.0.0.1' else host}:{port}"
    body = shlex.quote(msgspec.json.encode(FIRST_ALERT).decode())
    door = "" if config.is_open(FIRST_DOOR) else _bearer(config.providers[FIRST_DOOR].auth.references()[0])
    api = _bearer(config.settings.admin_token) if config.secrets.is_set(config.settings.admin_token) else ""
    click.echo(f"""
The gateway is up, in dev mode: doors without a secret are open to this machine, and news is printed here.

1. Send it an alert, as Prometheus Alertmanager would:

   curl -X POST {base}/webhooks/{FIRST_DOOR} -H 'Content-Type: application/json'{door} -d {body}

2. See what came of it: a line below (one; that it goes on is no news), and

   curl {base}/api/v1/incidents{api}

3. Go on: {base}/api/v1/docs shows the API; README.md says how to add a provider in five minutes.
""")


def _bearer(reference: Reference) -> str:
    return f' -H "Authorization: Bearer ${reference}"'
