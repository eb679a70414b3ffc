"""The tests of a sink file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from errno import ECONNREFUSED
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl

import anyio
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..config import Config
from ..config.schema import ExpectedDelivery, ExpectedRequest, SampleResponse, Sink, SinkTest
from ..courier import bring
from ..errors import GatewayError
from ..expr import ExpressionError
from ..model import Delivery, Request, Response
from ..stages.render import inflate
from ..store import Result, claimed_next
from .outcome import Outcome, counted, differences, shown
from .samples import clock, delivery_of, written
from .secrets import made_up

# What the real client stumbles over where there is no answer.
_NO_ANSWER = {"timeout": TimeoutError(), "connect": ConnectionRefusedError(ECONNREFUSED, "")}
_UNTRIED = {"pending": "wait"}  # what a delivery was left in, of which no try is written down


def run_sink_tests(name: str, sink: Sink, config: Config) -> Iterator[Outcome]:
    """Run every test of a sink file."""
    for index, test in enumerate(sink.tests):
        yield Outcome(f"sinks.d/{name}", test.name, tuple(_failures(name, sink, test, config)), index)


def _failures(name: str, sink: Sink, test: SinkTest, config: Config) -> Iterator[str]:
    client: Any = _ScriptedClient(test.responses)
    printed: list[str] = []

    async def say(text: str) -> None:
        printed.append(text)

    try:
        now = clock(test.now)
        given = test.events if test.events is not None else [test.event or {}]
        deliveries = [delivery_of(name, index, event, test, now) for index, event in enumerate(given)]
        with TemporaryDirectory() as folder:
            pretended = replace(config, sinks={name: sink}, secrets=made_up(sink, test, Path(folder)))
            # with this die the delay of our own is nothing, so what is left is what the answer asks for
            once = partial(bring, pretended, client, name, chance=lambda: -1.0, say=say)
            tried = anyio.run(_try, once, deliveries, now.timestamp(), test.tries)
    except (GatewayError, ExpressionError, ValueError) as error:
        yield str(error)
        return
    if tried.tries < test.tries:
        came = "; ".join(f"{result.state} ({result.verdict})" for result in tried.results)
        yield f"tries: expected {test.tries}, but after {tried.tries} nothing is to be tried again: {came}"
    if client.unused:
        asked = len(test.responses) - client.unused
        yield f"responses: {len(test.responses)} are given, and {asked} asked for; take the rest away"
    if test.expect.printed is not None:
        yield from differences([test.expect.printed], printed, "printed")
    if test.expect.requests is not None:
        yield from _request_failures(test.expect.requests, client.requests)
    yield from _verdict_failures(test.expect, tried.results, tried.at)


class _Tried(Struct, frozen=True):
    """How often deliveries were tried, when for the last time, and what came of each."""

    tries: int
    at: float  # epoch seconds
    results: list[Result]


async def _try(once: Callable[..., Awaitable[list[Result]]], deliveries: list[Delivery], now: float, most: int) -> _Tried:
    """As the gateway does it: what is left to do is claimed when it is due, as it was written down."""
    results: dict[str, Result] = {}
    for tries in range(most):
        if not deliveries:
            return _Tried(tries, now, list(results.values()))
        now = max(now, *(delivery.due_at for delivery in deliveries))
        came = await once(deliveries, clock=partial(float, now))
        results |= {result.delivery.id: result for result in came}
        deliveries = [claimed_next(result) for result in came if result.state == "pending"]
    return _Tried(most, now, list(results.values()))


def _verdict_failures(expect: ExpectedDelivery, results: Sequence[Result], now: float) -> Iterator[str]:
    if expect.cancelled:
        untrue = [result for result in results if result.state != "cancelled"]
        yield from (f"expected it to be cancelled, got {result.state}: {result.verdict}" for result in untrue)
    verdicts = expect.verdicts if expect.verdicts is not None else [expect.verdict] if expect.verdict else None
    got = [result.attempt.verdict if result.attempt else _UNTRIED.get(result.state, result.state) for result in results]
    if verdicts is not None and got != verdicts:
        one = expect.verdicts is None and len(got) == 1
        wanted, came = (verdicts[0], got[0]) if one else (verdicts, got)
        yield f"verdict: expected {shown(wanted)}, got {shown(came)} ({'; '.join(r.verdict for r in results if r.verdict)})"
    if expect.memory is not None:
        yield from differences(expect.memory, {**results[0].delivery.memory, **(results[0].memory or {})}, "memory")
    if expect.after is not None and (waited := round(results[0].due_at - now, 3)) != expect.after:
        yield f"after: expected {expect.after:g} seconds, got {waited:g}"


def _request_failures(wanted: Sequence[ExpectedRequest], requests: Sequence[Request]) -> Iterator[str]:
    if len(wanted) != len(requests):
        came = [f"{request.method} {request.url}" for request in requests]
        yield f"requests: expected {len(wanted)}, got {counted(came)}"
        return
    for index, (want, request) in enumerate(zip(wanted, requests, strict=True)):
        named, sent = _named(want), _sent(request)
        for kind, word in (("json", "JSON"), ("form", "form")):
            if kind in named and kind not in sent:
                yield f"request {index + 1}.{kind}: expected {shown(named.pop(kind))}, but its body is no {word}"
        yield from differences(named, sent, f"request {index + 1}")


def _named(want: ExpectedRequest) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in want.headers.items()}
    named = {"method": want.method, "url": want.url, "headers": headers, "text": want.text, "json": want.json, "form": want.form}
    return {key: value for key, value in named.items() if value is not None}


def _sent(request: Request) -> dict[str, Any]:
    headers, body = {name.lower(): value for name, value in request.headers.items()}, inflate(request)
    text = body.decode(errors="replace")
    sent: dict[str, Any] = {"method": request.method, "url": request.url, "headers": headers, "text": text}
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        sent["form"] = dict(parse_qsl(text, keep_blank_values=True))
    with suppress(msgspec.DecodeError):
        sent["json"] = msgspec.json.decode(body)
    return sent


class _Tokens:
    """Gives out one token to all."""

    async def get(self, *_: Any) -> str:
        return "test-token"

    def refuse(self, *_: Any) -> None:
        """Another would be the same."""


class _ScriptedClient:
    """A client that keeps what it is given to send, and answers from a list, or fails as the real one does; 200 at its end."""

    def __init__(self, answers: Sequence[SampleResponse]) -> None:
        self.requests: list[Request] = []
        self.tokens = _Tokens()
        self._answers = list(answers)

    @property
    def unused(self) -> int:
        """How many answers nobody asked for."""
        return len(self._answers)

    async def send(self, request: Request, *, timeout: float, **_: Any) -> Response:
        """The next answer. Raises Undelivered where there is none."""
        self.requests.append(request)
        sample = self._answers.pop(0) if self._answers else SampleResponse()
        if sample.no_answer is not None:
            from ..outbound import undelivered  # noqa: PLC0415 - it brings the real client's library along, and few tests need it

            raise undelivered(_NO_ANSWER[sample.no_answer], timeout)
        headers = {key.lower(): value for key, value in sample.headers.items()}
        return Response(status=sample.status, headers=headers, text=written(sample.text, sample.json), json=sample.json)
