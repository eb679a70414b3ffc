"""One trip of the courier for the tests: deliveries as claimed, a scripted receiver with a clock, and what comes of it."""

import json

import anyio
import httpx2

from gateway.config import Config
from gateway.config.decode import decode
from gateway.config.schema import Settings, Sink
from gateway.config.yaml import Document
from gateway.courier import bring
from gateway.model import Delivery, Event, Incident
from gateway.outbound import Client
from gateway.values import Secrets

NOW = 1_773_302_400.0  # 2026-03-12T08:00:00Z
AT = "2026-03-12T08:00:00.000Z"
DOOR = "title: T\nrequest: { url: https://sink.test/in, json: $.summary }\n"
BATCH = DOOR + "batch: { events: 8, join: array }\nlimits: { timeout: 10s }\n"


def sink(text):
    document = Document("s.yaml", text.encode())
    read = decode(document, Sink)
    assert read is not None, [str(problem) for problem in document.problems]
    return read


def delivery(number=1, action="trigger", status="open", memory=None, progress=None, **event):
    event = Event(
        id=f"e{number}",
        provider="p",
        action=action,
        dedup_key="k",
        **{"severity": "error", "summary": f"s{number}", "occurred_at": AT, "received_at": AT} | event,
    )
    incident = Incident(
        id="i", provider="p", dedup_key="k", status=status, severity="error", summary="s", opened_at=AT, updated_at=AT
    )
    return Delivery(
        id=f"e{number}.s",
        seq=number,
        sink="s",
        event=event,
        incident=None if action == "notice" else incident,
        memory=memory or {},
        progress=progress or {},
        state="claimed",
        attempts=1,
    )


class Receiver:
    """Answers each request by a function of its decoded body, and lets `takes` seconds pass."""

    def __init__(self, answer, takes=0.0):
        self.answer, self.takes, self.now = answer, takes, NOW
        self.bodies, self.requests = [], []

    def __call__(self, request):
        self.now += self.takes
        self.requests.append(request)
        self.bodies.append(json.loads(request.content) if request.content else None)
        return self.answer(self.bodies[-1])

    def clock(self):
        return self.now


async def unheard(text):
    """Nobody prints here."""
    raise AssertionError(text)


def brought(text, deliveries, receiver, environment=None, say=unheard):
    """The results of one trip. The die always shows one half: the delay after a first try is 3.75 s."""
    config = Config(settings=Settings(), secrets=Secrets(environment or {}), providers={}, sinks={"s": sink(text)})

    async def go():
        client = Client(httpx2.MockTransport(receiver))
        try:
            return await bring(config, client, "s", deliveries, receiver.clock, lambda: 0.5, say=say)
        finally:
            await client.close()

    return anyio.run(go)


def outcome(results):
    """Per delivery, in order: its state, and of how many its last request was (0: nothing was sent)."""
    return [(result.state, result.attempt.batch if result.attempt else 0) for result in results]


def answering(status, **answer):
    return lambda body: httpx2.Response(status, **answer)
