"""Senders who do not keep to the protocol: each is refused in bounded time and memory, and leaves nothing behind."""

from __future__ import annotations

import json
import random

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.web import Entrance
from gateway.web.ingest import BODY_BUDGET, Door

from .house_stand import error, house, spoken

pytestmark = pytest.mark.anyio
TOKEN = (b"x-token", b"t0ken-of-team")
BODY = json.dumps({"items": [{"id": "a", "state": "down", "text": "a"}]}).encode()
GONE = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool = False) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


async def hangs():
    await anyio.sleep_forever()


LARGE = error("receive", "too_large", "the body has more than 2097152 bytes")
HEADERS = error("receive", "headers", "the headers are too many or too large")
HALF_A_MIB = part(b"x" * 524_288, more=True)
ABUSES = {
    "hangs up in mid-body": ([part(BODY[:9], more=True), GONE], {}, 400, error("receive", "disconnected", "the body broke off")),
    "hangs up at once": ([GONE], {}, 400, error("receive", "disconnected", "the body broke off")),
    "is slow": ([part(b"{", more=True), hangs], {}, 408, error("receive", "slow", "the body took longer than 0.05 s")),
    "announces too much": ([hangs], {"headers": [TOKEN, (b"content-length", b"2097153")]}, 413, LARGE),
    "announces absurdly much": ([hangs], {"headers": [TOKEN, (b"content-length", b"9" * 5000)]}, 413, LARGE),
    "chunks too much": ([HALF_A_MIB] * 5, {}, 413, LARGE),
    "lies about the length": ([HALF_A_MIB] * 5, {"headers": [TOKEN, (b"content-length", b"12")]}, 413, LARGE),
    "has too many headers": ([part(BODY)], {"headers": [TOKEN, *[(b"x-%d" % n, b"") for n in range(100)]]}, 431, HEADERS),
    "has one large header": ([part(BODY)], {"headers": [TOKEN, (b"x", b"y" * 16384)]}, 431, HEADERS),
    "has large headers": ([part(BODY)], {"headers": [TOKEN, *[(b"x", b"y" * 4096)] * 8]}, 431, HEADERS),
    "asks for too much": (
        [part(BODY)],
        {"query_string": b"&".join([b"a=1"] * 101)},
        400,
        error("receive", "query", "the query has more than 100 parameters"),
    ),
    "sends the token twice": (
        [part(BODY)],
        {"headers": [TOKEN, TOKEN]},
        401,
        error("verify", "repeated", "this webhook does not prove that it comes from team"),
    ),
}


@pytest.mark.parametrize("name", ABUSES)
async def test_a_sender_who(tmp_path, name):
    messages, scope, status, document = ABUSES[name]
    async with house(tmp_path) as here:
        door = Door(here.pipeline, lambda: False, patience=0.05)
        got, headers, body = await spoken(Entrance(None, door, here.pipeline), messages, **scope)
        assert (got, json.loads(body)) == (status, document)
        assert (headers["content-type"], headers["x-content-type-options"]) == ("application/json", "nosniff")
        assert door.in_flight == 0
        assert (await here.pipeline.store.events({})).items == []


ODD = {
    "a length that is no number": {"headers": [TOKEN, (b"content-length", b"\xb2")]},
    "a length that is negative": {"headers": [TOKEN, (b"content-length", b"-1")]},
    "headers that are not ASCII": {"headers": [TOKEN, (b"x-\xff", b"\xfe\x80"), (b"user-agent", "Ünï".encode())]},
    "a host that is none": {"headers": [TOKEN, (b"host", b"\xff<script>")]},
    "a query that is not UTF-8": {"query_string": b"a=%FF&\xfe=1&%00=%0a&;&=&b"},
    "a path that is not UTF-8": {"path": "/webhooks/team/\ufffd\x00\u2028"},
    "a client without an address": {"client": None},
    "a body in no part at all": {},
}


@pytest.mark.parametrize("name", ODD)
async def test_what_is_merely_odd_is_taken(tmp_path, name):
    async with house(tmp_path) as here:
        status, _, body = await spoken(here.app, [part(b"", more=True), part(BODY, more=True), part(b"")], **ODD[name])
        assert status == 202, body
        (event,) = (await here.pipeline.store.events({})).items
        assert (event["summary"], here.door.in_flight) == ("a", 0)


async def test_bodies_beyond_the_budget_of_all_together_are_told_to_come_back(tmp_path):
    async with house(tmp_path) as here:
        here.door.in_flight = BODY_BUDGET
        status, headers, body = await spoken(here.app, [part(BODY)])
        assert (status, json.loads(body)) == (503, error("receive", "busy", "too much is coming in at once; send it again"))
        assert headers["retry-after"] == "5"
        assert here.door.in_flight == BODY_BUDGET


async def test_a_call_that_is_cancelled_gives_its_bytes_back(tmp_path):
    async with house(tmp_path) as here:
        with anyio.move_on_after(0.05):
            await spoken(here.app, [part(b"x" * 1000, more=True), hangs])
        assert here.door.in_flight == 0


PARTS = st.lists(st.sampled_from([part(b""), part(BODY), part(BODY, more=True), HALF_A_MIB, GONE]), min_size=1, max_size=7)
SCOPES = st.sampled_from(
    [{}, {"headers": []}, {"path": "/webhooks/shut"}, {"path": "/webhooks/nobody"}, {"method": "DELETE"}]
    + [scope for _, scope, _, _ in ABUSES.values() if scope]
)


@settings(max_examples=40, deadline=None, database=None)
@given(mix=st.lists(st.tuples(PARTS, SCOPES), max_size=6), seed=st.integers(0, 9))
def test_no_mix_of_refused_calls_leaves_a_byte_in_flight(tmp_path_factory, mix, seed):
    async def all_at_once():
        async with house(tmp_path_factory.mktemp("mix")) as here:
            door = Door(here.pipeline, lambda: False, patience=1.0)
            calls = [([*messages, GONE], scope) for messages, scope in mix]
            random.Random(seed).shuffle(calls)
            async with anyio.create_task_group() as tasks:
                for messages, scope in calls:
                    tasks.start_soon(lambda m=messages, s=scope: spoken(Entrance(None, door, here.pipeline), m, **s))
            assert door.in_flight == 0

    anyio.run(all_at_once)
