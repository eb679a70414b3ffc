"""The tests inside the files, run through the same code as real webhooks: a made-up clock, no network, no store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .config import Config, references
from .config.schema import ExpectedDelivery, Provider, ProviderTest, SampleResponse, SampleWebhook, Sink, SinkTest
from .courier import bring
from .errors import GatewayError, SecretUnset, StageError, Unverified
from .expr import ExpressionError
from .model import Delivery, Event, Incident, Request, Response, Webhook
from .reading import Understood, understand
from .stages.answer import Reply, fill
from .stages.mapping import as_text
from .stages.render import inflate
from .stages.verify import verify
from .store import Result
from .values import Reference, Secrets

NOW = "2026-01-01T00:00:00Z"
TEST_ID = "0198c000-0000-7000-8000-000000000000"
MADE_UP = "testsecret12"  # a secret that nothing is known of; base64 too, for where one is decoded


class Outcome(Struct, frozen=True):
    """How one test went. `failures` is empty when it passed; each is a sentence."""

    file: str
    name: str
    failures: tuple[str, ...] = ()
    index: int = 0  # which test of its file it is, from 0


def run_provider_tests(name: str, provider: Provider) -> Iterator[Outcome]:
    """Run every test of a provider file."""
    for index, test in enumerate(provider.tests):
        yield Outcome(f"providers.d/{name}", test.name, tuple(_provider_failures(name, provider, test)), index)


def sample_webhook(name: str, sample: SampleWebhook, now: str) -> Webhook:
    """A webhook as a test gives it."""
    body = (
        sample.text.encode()
        if sample.text is not None
        else b""
        if sample.payload is None
        else msgspec.json.encode(sample.payload)
    )
    headers = {key.lower(): value for key, value in sample.headers.items()}
    if sample.text is None:
        headers.setdefault("content-type", "application/json")
    query = urlencode(sample.query)
    return Webhook(
        id=TEST_ID,
        provider=name,
        received_at=datetime.fromisoformat(now),
        body=body,
        method=sample.method,
        url=f"http://gateway.test/webhooks/{name}" + (f"?{query}" if query else ""),
        headers=headers,
        query=dict(sample.query),
        client="127.0.0.1",
    )


def _provider_failures(name: str, provider: Provider, test: ProviderTest) -> Iterator[str]:
    try:
        now = _clock(test.now)
        webhook = sample_webhook(name, test.webhook, test.now or NOW)
        refusal = _refusal(provider, webhook, test, now.timestamp())
        if refusal or test.refused:
            yield from _refusal_failures(refusal, test)
            return
        understood = understand(provider, webhook)
        if understood.handshake is not None or test.reply is not None:
            yield from _reply_failures(understood, test)
        else:
            yield from _event_failures(understood, test)
    except StageError as error:
        yield f"it failed in {error.stage}: {error}"
    except SecretUnset as error:
        yield f"secrets: {error}; give it a value there"
    except (ExpressionError, ValueError) as error:
        yield str(error)


def _clock(text: str | None) -> datetime:
    """A test's clock. Raises ValueError with a sentence."""
    otherwise = f"now: {text!r} is no time; write it like {NOW}"
    try:
        now = datetime.fromisoformat(text or NOW)
    except ValueError:
        raise ValueError(otherwise) from None
    if now.tzinfo is None:
        raise ValueError(otherwise)
    return now


def _refusal(provider: Provider, webhook: Webhook, test: ProviderTest, now: float) -> str:
    if not test.secrets:
        return ""
    named = {name: reference for reference in provider.auth.references() for name in (reference.env, reference.file) if name}
    given = {reference: test.secrets[name] for name, reference in named.items() if name in test.secrets}
    try:
        with TemporaryDirectory() as folder:
            verify(provider.auth, webhook, _pretended(given, Path(folder)), now)
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


def _reply_failures(understood: Understood, test: ProviderTest) -> Iterator[str]:
    if understood.handshake is None:
        yield "reply: it is no handshake, so there is no reply"
        return
    if test.expect:
        yield f"events: expected {len(test.expect)}, but it is a handshake, which tells of nothing"
    answer = fill(understood.handshake.reply or Reply(), understood.scope)
    got: dict[str, Any] = {"status": answer.status, "headers": answer.headers}
    got["json" if "json" in answer.headers["content-type"] else "text"] = (
        msgspec.json.decode(answer.body) if "json" in answer.headers["content-type"] else answer.body.decode()
    )
    yield from differences(test.reply or {}, got, "reply")


def _event_failures(understood: Understood, test: ProviderTest) -> Iterator[str]:
    if len(understood.dead) != test.dead:
        came = [f"item {item.index}: {item.message}" for item in understood.dead]
        yield f"dead letters: expected {test.dead}, got {_counted(came)}"
    if len(understood.events) != len(test.expect):
        came = [f"{event.action} {event.summary!r}" for event in understood.events]
        yield f"events: expected {len(test.expect)}, got {_counted(came)}{_silent(understood)}"
        return
    for index, (want, event) in enumerate(zip(test.expect, understood.events, strict=True)):
        wanted = {key: value for key, value in msgspec.structs.asdict(want).items() if value is not None}
        yield from differences(wanted, msgspec.to_builtins(event), f"event {index + 1}")


def _counted(came: Sequence[str]) -> str:
    return f"{len(came)}: {'; '.join(came)}" if came else "none"


def _silent(understood: Understood) -> str:
    """What became of the items that made no event."""
    said = [f"{understood.ignored} ignored"] if understood.ignored else []
    said += [f"{understood.filtered} dropped by `match`"] if understood.filtered else []
    return f" ({', '.join(said)})" if said else ""


def differences(want: Any, got: Any, where: str) -> Iterator[str]:
    """Where `got` does not hold what `want` names, each as a sentence. Mappings may hold more; everything else must be equal."""
    if isinstance(want, dict) and isinstance(got, dict | None):
        for key, value in want.items():
            yield from differences(value, (got or {}).get(key), f"{where}.{key}")
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for index, (one, other) in enumerate(zip(want, got, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif want != got or isinstance(want, bool) is not isinstance(got, bool):  # to Python 1 is True; to JSON it is not
        yield f"{where}: expected {_shown(want)}, got {_shown(got)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()


class ScriptedClient:
    """A client that keeps what it is given to send, and answers from a list; 200 at its end."""

    def __init__(self, answers: Sequence[SampleResponse]) -> None:
        self.requests: list[Request] = []
        self._answers = list(answers)

    async def send(self, request: Request, **_: Any) -> Response:
        """The next answer."""
        self.requests.append(request)
        sample = self._answers.pop(0) if self._answers else SampleResponse()
        text = (
            sample.text if sample.text is not None else "" if sample.json is None else msgspec.json.encode(sample.json).decode()
        )
        headers = {key.lower(): value for key, value in sample.headers.items()}
        return Response(status=sample.status, headers=headers, text=text, json=sample.json)


def run_sink_tests(name: str, sink: Sink, config: Config) -> Iterator[Outcome]:
    """Run every test of a sink file."""
    for index, test in enumerate(sink.tests):
        yield Outcome(f"sinks.d/{name}", test.name, tuple(_sink_failures(name, sink, test, config)), index)


def _sink_failures(name: str, sink: Sink, test: SinkTest, config: Config) -> Iterator[str]:
    client = ScriptedClient(test.responses)
    printed: list[str] = []
    try:
        now = _clock(test.now)
        given = test.events if test.events is not None else [test.event or {}]
        deliveries = [_delivery(name, index, event, test, now) for index, event in enumerate(given)]
        with TemporaryDirectory() as folder:
            pretended = msgspec.structs.replace(config, sinks={name: sink}, secrets=_made_up(sink, test, Path(folder)))
            results = anyio.run(_bring, pretended, client, name, deliveries, now.timestamp(), printed)
    except (GatewayError, ExpressionError, ValueError) as error:
        yield str(error)
        return
    if test.expect.printed is not None:
        yield from differences([test.expect.printed], printed, "printed")
    if test.expect.requests is not None:
        yield from _request_failures(test.expect.requests, client.requests)
    yield from _verdict_failures(test.expect, results, now.timestamp())


def _verdict_failures(expect: ExpectedDelivery, results: Sequence[Result], now: float) -> Iterator[str]:
    if expect.cancelled:
        untrue = [result for result in results if result.state != "cancelled"]
        yield from (f"expected it to be cancelled, got {result.state}: {result.verdict}" for result in untrue)
    verdicts = expect.verdicts if expect.verdicts is not None else [expect.verdict] if expect.verdict else None
    got = [result.attempt.verdict if result.attempt else result.state for result in results]
    if verdicts is not None and got != verdicts:
        one = expect.verdicts is None and len(got) == 1
        wanted, came = (verdicts[0], got[0]) if one else (verdicts, got)
        yield f"verdict: expected {_shown(wanted)}, got {_shown(came)} ({'; '.join(r.verdict for r in results if r.verdict)})"
    if expect.memory is not None:
        yield from differences(expect.memory, {**results[0].delivery.memory, **(results[0].memory or {})}, "memory")
    if expect.after is not None and (waited := round(results[0].due_at - now, 3)) != expect.after:
        yield f"after: expected {expect.after:g} seconds, got {waited:g}"


# With this die the delay of our own is nothing, so what is left is what the answer asks for.
async def _bring(
    config: Config, client: Any, name: str, deliveries: list[Delivery], now: float, printed: list[str]
) -> list[Result]:
    return await bring(config, client, name, deliveries, clock=lambda: now, chance=lambda: -1.0, say=printed.append)


def _request_failures(wanted: Sequence[Any], requests: Sequence[Request]) -> Iterator[str]:
    if len(wanted) != len(requests):
        came = [f"{request.method} {request.url}" for request in requests]
        yield f"requests: expected {len(wanted)}, got {_counted(came)}"
        return
    for index, (want, request) in enumerate(zip(wanted, requests, strict=True)):
        where = f"request {index + 1}"
        headers = {key.lower(): value for key, value in request.headers.items()}
        body = inflate(request)
        got: dict[str, Any] = {"method": request.method, "url": request.url}
        given = {key: value for key, value in msgspec.structs.asdict(want).items() if key in got and value is not None}
        yield from differences(given, got, where)
        yield from differences({key.lower(): value for key, value in want.headers.items()}, headers, f"{where}.headers")
        if want.text is not None:
            yield from differences(want.text, body.decode(errors="replace"), f"{where}.text")
        if want.json is not None:
            yield from differences(want.json, _decoded(body), f"{where}.json")
        if want.form is not None:
            yield from differences(
                want.form, dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True)), f"{where}.form"
            )


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


def _delivery(name: str, index: int, given: dict[str, Any], test: SinkTest, now: datetime) -> Delivery:
    id = given.get("id", f"{TEST_ID}-{index}")
    filled = {
        "id": id,
        "provider": "test",
        "action": "trigger",
        "dedup_key": "test",
        "severity": "error",
        "summary": "A test",
        "occurred_at": as_text(now),
        "received_at": as_text(now),
    } | given
    try:
        event = msgspec.convert(filled, Event)
    except msgspec.ValidationError as error:
        raise ValueError(f"event {index + 1}: {error}") from None
    incident = _incident(event, test.incident or {})
    return Delivery(
        id=f"{event.id}.{name}",
        seq=index + 1,
        sink=name,
        event=event,
        incident=incident,
        memory=test.memory,
        state="claimed",
        attempts=1,
    )


def _incident(event: Event, given: dict[str, Any]) -> Incident:
    status = {"acknowledge": "acknowledged", "resolve": "resolved"}.get(event.action, "open")
    filled = {
        "id": event.id,
        "provider": event.provider,
        "dedup_key": event.dedup_key,
        "status": status,
        "severity": event.severity,
        "summary": event.summary,
        "opened_at": event.received_at,
        "updated_at": event.received_at,
    } | given
    return msgspec.convert(filled, Incident)


def _made_up(sink: Sink, test: SinkTest, folder: Path) -> Secrets:
    """A value for each reference: the test's own, else its default, else one that is made of its name."""
    given = {
        reference: test.vars.get(name) or reference.default or _invented(name)
        for name, reference in {**sink.vars, **sink.secrets}.items()
    }
    return _pretended({reference: given.get(reference, MADE_UP) for reference in references(sink)}, folder)


def _pretended(values: Mapping[Reference, str], folder: Path) -> Secrets:
    """Secrets with these values, where their references look for them; those in files lie in the folder."""
    environment: dict[str, str] = {}
    for reference, value in values.items():
        if reference.env is not None:
            environment[reference.env] = value
        elif (file := folder / str(reference.file)).resolve().is_relative_to(folder.resolve()):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(value)
    return Secrets(environment, folder)


def _invented(name: str) -> str:
    return f"https://{name}.test" if "url" in name else f"test-{name}"


__all__ = ["Outcome", "ScriptedClient", "differences", "replace", "run_provider_tests", "run_sink_tests", "sample_webhook"]
