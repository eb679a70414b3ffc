"""The file gateway.yaml."""

from __future__ import annotations

from msgspec import field

from ...values import Duration, Keys, Network, Reference


class Retention(Keys, frozen=True):
    """
    How long finished things are kept.

    webhooks: Webhooks as received; while they are kept, they can be replayed with today's YAML.
    events: Events, resolved incidents and finished deliveries with their attempts.
    dead: Dead letters.
    delivery_ids: The senders' ids of their deliveries, against taking one twice.
    """

    webhooks: Duration = Duration.read("7d")
    events: Duration = Duration.read("30d")
    dead: Duration = Duration.read("90d")
    delivery_ids: Duration = Duration.read("7d")


class Settings(Keys, frozen=True):
    """
    gateway.yaml: how this gateway runs. Every key may also be an environment variable, `GATEWAY_` and its name in capitals.

    host: The address to listen on.
    port: The port to listen on.
    store: Where everything is kept: `sqlite:///path` (relative) or `sqlite:////path` (absolute).
    admin_token: The token that opens the API.
    trusted_proxies: Networks of the proxies before us, as CIDR: the address and scheme that they say a sender has, in
      X-Forwarded-For and X-Forwarded-Proto, are believed. From anybody else those headers mean nothing.
    aliases: Other paths for a provider's door: path to provider. Where several share a path, a header tells them apart: path to
      a mapping of header to provider, of which the first whose header is there counts; `*` is for the others.
    catalogue: Whether the shipped providers and sinks are there, each once its secrets and variables are set.
    secrets_dir: The directory that `file:` references are relative to.
    functions: Whether a sink may call a Python function.
    retention: How long finished things are kept.
    drain: How long a stop waits for what is under way.
    line: How long a delivery that fails may hold the later ones of its incident back.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    store: str = "sqlite:///gateway.db"
    admin_token: Reference = Reference(env="GATEWAY_ADMIN_TOKEN")
    trusted_proxies: list[Network] = []
    aliases: dict[str, str | dict[str, str]] = {}
    catalogue: bool = True
    secrets_dir: str = ""
    functions: bool = False
    retention: Retention = field(default_factory=Retention)
    drain: Duration = Duration.read("20s")
    line: Duration = Duration.read("15m")
