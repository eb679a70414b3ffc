"""
The pure half of ingest: what a webhook means, with nothing stored and nothing sent. `try`, `test` and replays stand on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from .errors import Unmappable, Unverified
from .expr import ExpressionError
from .model import DeadItem, Decision, Event, Incident, Webhook
from .stages.answer import Handshake, greet
from .stages.decode import decode, is_in_query, redacted, scope_of
from .stages.lifecycle import advance
from .stages.mapping import Mapped, flat, read_events, short
from .stages.verify import NOTHING, All, AnyOf, Scheme, Token, allowed, asks, verify
from .store import Decide

if TYPE_CHECKING:
    from .config import Config
    from .config.schema import Provider


Remove = Callable[[str], str]


class Understood(Struct, frozen=True, kw_only=True):
    """What a webhook means. With a `handshake` it tells of nothing; `filtered` counts what the provider's `match` drops."""

    webhook: Webhook  # as it may be stored: without credentials and what is redacted
    scope: Mapping[str, Any]
    events: Sequence[Event] = ()
    dead: Sequence[DeadItem] = ()
    ignored: int = 0
    filtered: int = 0
    delivery_id: str = ""
    handshake: Handshake | None = None


def prove(config: Config, webhook: Webhook, now: float, published: Mapping[str, str] = NOTHING) -> None:
    """
    Raise Unverified or SecretUnset unless the sender proved who it is, or the door is open on purpose (dev mode). `published`:
    what lies at the address that `keys_for` gave.
    """
    provider = config.providers[webhook.provider]
    if provider.allow_from:
        allowed(provider.allow_from, webhook.client)
    if not config.is_open(webhook.provider):
        verify(provider.auth, webhook, config.secrets, now, published)
        if is_in_query(provider.body, webhook) and not provider.auth.vouches_for_query(webhook, config.secrets):
            raise Unverified("all that is said stands in the query, and the signature does not cover that", reason="unsigned")


def keys_for(config: Config, webhook: Webhook) -> str:
    """The address of the public keys that this webhook is to be verified by, if there is one."""
    return "" if config.is_open(webhook.provider) else asks(config.providers[webhook.provider].auth, webhook, config.secrets)


def greeting_before_proof(provider: Provider, webhook: Webhook) -> tuple[Handshake | None, dict[str, Any]]:
    """The handshake that is answered to anybody (GET and OPTIONS only, from the query and headers alone), if it is one."""
    if not provider.handshake:
        return None, {}
    scope = scope_of(webhook, dict(webhook.query))
    return greet(provider.handshake, webhook, scope, verified=False), scope


def understand(
    provider: Provider, webhook: Webhook, only: Sequence[int] | None = None, remove: Remove = lambda text: text
) -> Understood:
    """
    What a verified webhook means; `only` names the items to map (a replay of dead ones), `remove` takes our secrets out of texts.

    It is read as it may be stored: what is secret never reaches an expression, and a replay says what the first reading said.
    Raises Undecodable when the sender's bytes are at fault. What we cannot map is in `dead`.
    """
    webhook = without_credentials(provider, webhook, remove)
    scope: Mapping[str, Any] = {}
    try:
        scopes = [provider.filled(each | {"tables": provider.tables}) for each in decode(provider.body, webhook)]
        scope = scopes[0] if scopes else scope_of(webhook, dict(webhook.query))
        handshake = greet(provider.handshake, webhook, scope, verified=True)
        delivery_id = _delivery_id(provider, scope)
    except Unmappable as error:
        return _lost(webhook, scope, "decode", error.reason, remove(str(error)))
    except ExpressionError as error:
        return _lost(webhook, scope, "map", "expression", remove(str(error)))
    mapped = Mapped() if handshake else read_events(provider, webhook, scopes, project=provider.project, only=only)
    kept = tuple(event for event in mapped.events if provider.match.holds(event) and provider.match.wants(event.action))
    return Understood(
        webhook=webhook,
        scope=scope,
        events=kept,
        dead=tuple([replace(item, message=remove(item.message)) for item in mapped.dead]),
        ignored=mapped.ignored,
        filtered=len(mapped.events) - len(kept),
        delivery_id=delivery_id,
        handshake=handshake,
    )


def _lost(webhook: Webhook, scope: Mapping[str, Any], stage: str, reason: str, message: str) -> Understood:
    whole = DeadItem(index=-1, stage=stage, reason=reason, message=message)
    return Understood(webhook=webhook, scope=scope or scope_of(webhook, dict(webhook.query)), dead=(whole,))


def _delivery_id(provider: Provider, scope: Mapping[str, Any]) -> str:
    try:
        return "" if provider.delivery_id is None else short(flat(provider.delivery_id(scope)))
    except ExpressionError as error:
        raise ExpressionError(f"delivery_id: {error}") from None


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


def without_credentials(provider: Provider, webhook: Webhook, remove: Remove = lambda text: text) -> Webhook:
    """
    The webhook as it may be stored and shown: without what proves the sender's identity, wherever a proxy may have repeated it,
    and without what the file's `redact` names. Without it twice is the same as once. Raises Undecodable where a body that must
    be redacted cannot be read.
    """
    (headers, query), tokens = provider.auth.conceals(), _tokens(provider.auth)
    plain = replace(
        webhook,
        headers={name: value for name, value in webhook.headers.items() if name not in headers | CONCEALED_HEADERS},
        query={name: value for name, value in webhook.query.items() if name not in query | CONCEALED_QUERY},
        url=_url(webhook, tokens),
        rest=webhook.rest if all(token.segment is None for token in tokens) else "",
    )
    fields = {token.field for token in tokens if token.field is not None}
    return redacted(provider.body, provider.redact, fields, _unrepeated(plain, remove))


def _unrepeated(webhook: Webhook, remove: Remove) -> Webhook:
    """
    Without the secrets that were sent once more: a proxy's `X-Original-URI` or a `Referer` may repeat what stood in the address.
    The body stays: sinks are sent what the sender wrote, and `redact` says what of it is secret.
    """
    said = "\n".join([webhook.url, webhook.rest, *webhook.headers.values(), *webhook.query, *webhook.query.values()])
    if remove(said) == said:
        return webhook
    return replace(
        webhook,
        url=remove(webhook.url),
        rest=remove(webhook.rest),
        headers={name: remove(value) for name, value in webhook.headers.items()},
        query={remove(name): remove(value) for name, value in webhook.query.items()},
    )


# What carries credentials whether or not the file asks for them: RFC 9110, 11.6 and 11.7; RFC 6750, 2.3; and the usual ones.
CONCEALED_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"})
CONCEALED_QUERY = frozenset({"access_token"})


def _url(webhook: Webhook, tokens: Sequence[Token]) -> str:
    """The URL without its query, and without the path behind the provider's name where a token stands in that."""
    url = webhook.url.partition("?")[0]
    if not webhook.rest or all(token.segment is None for token in tokens):
        return url
    plain, rest = unquote(url).rstrip("/"), webhook.rest.strip("/")
    return plain.removesuffix(rest) if plain.endswith(f"/{rest}") else ""


def _tokens(scheme: Scheme) -> list[Token]:
    match scheme:
        case Token():
            return [scheme]
        case All() | AnyOf():
            return [token for each in scheme.of for token in _tokens(each)]
    return []
