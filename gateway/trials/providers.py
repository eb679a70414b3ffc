"""The tests of a provider file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from ..config.schema import Provider, ProviderTest
from ..errors import SecretUnset, StageError, Unverified
from ..expr import ExpressionError, Sealed
from ..model import Webhook
from ..reading import Understood, greeting_before_proof, understand
from ..stages.answer import Handshake, Reply, fill
from ..stages.verify import verify
from .outcome import Outcome, counted, differences
from .samples import NOW, clock, sample_webhook
from .secrets import pretended


def run_provider_tests(name: str, provider: Provider) -> Iterator[Outcome]:
    """Run every test of a provider file."""
    for index, test in enumerate(provider.tests):
        yield Outcome(f"providers.d/{name}", test.name, tuple(_failures(name, provider, test)), index)


def _failures(name: str, provider: Provider, test: ProviderTest) -> Iterator[str]:
    try:
        now = clock(test.now)
        webhook = sample_webhook(name, test.webhook, test.now or NOW)
        if webhook.method not in provider.methods:
            yield f"the door refuses {webhook.method}: it takes {', '.join(provider.methods)}; say so in `methods`"
            return
        handshake, scope = greeting_before_proof(provider, webhook)
        if handshake is not None:
            yield from _reply_failures(provider, handshake, scope, test)
            return
        refusal = _refusal(provider, webhook, test, now.timestamp())
        if refusal or test.refused:
            if not refusal:
                understand(provider, webhook)  # what else is wrong with it is said
            yield from _refusal_failures(refusal, test)
            return
        understood = understand(provider, webhook)
        if test.delivery_id is not None and test.delivery_id != understood.delivery_id:
            yield f"delivery_id: expected {test.delivery_id!r}, got {understood.delivery_id!r}"
        if understood.handshake is not None or test.reply is not None:
            yield from _reply_failures(provider, understood.handshake, understood.scope, test)
        else:
            yield from _event_failures(understood, test)
    except StageError as error:
        but = "it was not refused for its proof, but " if test.refused else ""
        yield f"{but}it failed in {error.stage}: {error}"
    except SecretUnset as error:
        yield f"secrets: {error}; give it a value there"
    except (ExpressionError, ValueError) as error:
        yield str(error)


def _refusal(provider: Provider, webhook: Webhook, test: ProviderTest, now: float) -> str:
    if not test.secrets:
        return ""
    named = {name: reference for reference in provider.auth.references() for name in (reference.env, reference.file) if name}
    given = {reference: test.secrets[name] for name, reference in named.items() if name in test.secrets}
    try:
        with TemporaryDirectory() as folder:
            verify(provider.auth, webhook, pretended(given, Path(folder)), now, test.published)
    except Unverified as error:
        return str(error)
    return ""


def _refusal_failures(refusal: str, test: ProviderTest) -> Iterator[str]:
    if not test.refused:
        yield f"it was refused: {refusal}"
    elif not test.secrets:
        yield "it was not refused: without `secrets` nothing is verified; give the value of each variable that `auth` names"
    elif not refusal:
        yield "it was not refused"


def _reply_failures(
    provider: Provider, handshake: Handshake | None, scope: Mapping[str, Any], test: ProviderTest
) -> Iterator[str]:
    if handshake is None:
        yield "reply: it is no handshake, so there is no reply"
        return
    if test.expect:
        yield f"events: expected {len(test.expect)}, but it is a handshake, which tells of nothing"
    secrets = {name: Sealed(test.secrets.get(str(reference), "")) for name, reference in provider.secrets.items()}
    answer = fill(handshake.reply or Reply(), {**scope, "secrets": secrets})
    kind = "json" if "json" in answer.headers["content-type"] else "text"
    body = msgspec.json.decode(answer.body) if kind == "json" else answer.body.decode()
    got = {"status": answer.status, "headers": answer.headers, kind: body}
    yield from differences(test.reply or {}, got, "reply")


def _event_failures(understood: Understood, test: ProviderTest) -> Iterator[str]:
    if len(understood.dead) != test.dead:
        came = [f"{f'item {item.index + 1}' if item.index >= 0 else 'all of it'}: {item.message}" for item in understood.dead]
        yield f"dead letters: expected {test.dead}, got {counted(came)}"
    if len(understood.events) != len(test.expect):
        came = [f"{event.action} {event.summary!r}" for event in understood.events]
        yield f"events: expected {len(test.expect)}, got {counted(came)}{_silent(understood)}"
        return
    for index, (want, event) in enumerate(zip(test.expect, understood.events, strict=True)):
        wanted = {key: value for key, value in msgspec.structs.asdict(want).items() if value is not None}
        yield from differences(wanted, msgspec.to_builtins(event), f"event {index + 1}")


def _silent(understood: Understood) -> str:
    """What became of the items that made no event."""
    said = [f"{understood.ignored} ignored"] if understood.ignored else []
    said += [f"{understood.filtered} dropped by `match`"] if understood.filtered else []
    return f" ({', '.join(said)})" if said else ""
