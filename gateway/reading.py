"""
The pure half of ingest: what a webhook means, with nothing stored and nothing sent. `try`, `test` and replays stand on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from .errors import Unmappable
from .expr import ExpressionError
from .model import DeadItem, Decision, Event, Incident, Webhook
from .stages.answer import Handshake, greet
from .stages.decode import decode
from .stages.lifecycle import advance
from .stages.mapping import Mapped, read_events
from .stages.verify import allowed, verify
from .store import Decide

if TYPE_CHECKING:
    from .config import Config
    from .config.schema import Provider


class Understood(Struct, frozen=True, kw_only=True):
    """What a webhook means. With a `handshake` it tells of nothing; `filtered` counts what the provider's `match` drops."""

    scope: Mapping[str, Any]
    events: Sequence[Event] = ()
    dead: Sequence[DeadItem] = ()
    ignored: int = 0
    filtered: int = 0
    delivery_id: str = ""
    handshake: Handshake | None = None


def prove(config: Config, webhook: Webhook, now: float) -> None:
    """Raise Unverified or SecretUnset unless the sender proved who it is, or the door is open on purpose (dev mode)."""
    provider = config.providers[webhook.provider]
    if provider.allow_from:
        allowed(provider.allow_from, webhook.client)
    if not config.is_open(webhook.provider):
        verify(provider.auth, webhook, config.secrets, now)


def greeting_before_proof(provider: Provider, webhook: Webhook) -> tuple[Handshake | None, dict[str, Any]]:
    """The handshake that is answered to anybody (GET and OPTIONS only, from the query and headers alone), if it is one."""
    scope = _bare_scope(webhook)
    return greet(provider.handshake, webhook, scope, verified=False), scope


def _bare_scope(webhook: Webhook) -> dict[str, Any]:
    query = dict(webhook.query)
    return {"payload": query, "item": query, "envelope": query, "headers": webhook.headers, "query": query} | {
        "method": webhook.method,
        "path": "$",
    }


def understand(provider: Provider, webhook: Webhook, only: Sequence[int] | None = None) -> Understood:
    """
    What a verified webhook means; `only` names the items to map (a replay of dead ones).

    Raises Undecodable when the sender's bytes are at fault. What we cannot map is in `dead`.
    """
    bare = _bare_scope(webhook)
    try:
        payloads = decode(provider.body, webhook)
    except Unmappable as error:
        return Understood(scope=bare, dead=(DeadItem(index=-1, stage="decode", reason=error.reason, message=str(error)),))
    scopes = [payload.scope | {"tables": provider.tables} for payload in payloads]
    first = scopes[0] if scopes else bare
    try:
        handshake = greet(provider.handshake, webhook, first, verified=True)
        delivery_id = provider.delivery_id(first) if provider.delivery_id is not None else None
    except ExpressionError as error:
        return Understood(scope=first, dead=(DeadItem(index=-1, stage="map", reason="expression", message=str(error)),))
    mapped = Mapped() if handshake else read_events(provider, webhook, scopes, project=provider.project, only=only)
    kept = [event for event in mapped.events if provider.match.holds(event) and provider.match.wants(event.action)]
    return Understood(
        scope=first,
        events=kept,
        dead=mapped.dead,
        ignored=mapped.ignored,
        filtered=len(mapped.events) - len(kept),
        delivery_id=str(delivery_id or ""),
        handshake=handshake,
    )


def decider(config: Config, provider: Provider) -> Decide:
    """What an event changes and who is told: the incident's life, then each sink's `match`."""

    def decide(incident: Incident | None, event: Event) -> Decision:
        decision = advance(incident, event, config.sinks_for(event), provider.lifecycle)
        unwanted = tuple(
            name for name in decision.tell if name in config.sinks and not config.sinks[name].match.wants(event.action)
        )
        if not unwanted:
            return decision
        tell = tuple(name for name in decision.tell if name not in unwanted)
        outcome = decision.outcome if tell else "held" if decision.incident else "unrouted"
        return replace(decision, tell=tell, filtered=decision.filtered + unwanted, outcome=outcome)

    return decide


def without_credentials(provider: Provider, webhook: Webhook) -> Webhook:
    """The webhook as it may be stored: no header or query parameter that proves the sender's identity."""
    headers, query = provider.auth.conceals()
    return replace(
        webhook,
        headers={name: value for name, value in webhook.headers.items() if name not in headers | ALWAYS_CONCEALED},
        query={name: value for name, value in webhook.query.items() if name not in query},
        url=webhook.url.partition("?")[0],
        rest="",
    )


ALWAYS_CONCEALED = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
