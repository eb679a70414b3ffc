"""Public keys: fetched when they are needed, once for all who wait, and remembered."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import httpx2
import pytest

from gateway import keyring
from gateway.errors import Unverifiable
from gateway.keyring import Keyring
from gateway.outbound import Client

pytestmark = pytest.mark.anyio
NOWHERE = "the public keys to verify this by cannot be fetched now"


class Publisher:
    """What lies at addresses, and who was asked when."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[str], httpx2.Response] = lambda path: httpx2.Response(200, text=f"keys of {path}")
        self.now, self.slow = 1000.0, 0.0
        self.keyring = Keyring(Client(httpx2.MockTransport(self._answer)), lambda: self.now)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        await anyio.sleep(self.slow)
        return self.answer(request.url.path)

    async def get(self, path: str = "/a") -> str:
        try:
            return await self.keyring.get(f"https://issuer.test{path}")
        except Unverifiable as error:
            return str(error)


async def test_they_are_remembered_for_ten_minutes():
    there = Publisher()
    for at, asked in ((1000.0, 1), (1599.9, 1), (1600.0, 2), (2199.9, 2)):
        there.now = at
        assert (await there.get(), len(there.asked)) == ("keys of /a", asked)
    there.answer = lambda path: httpx2.Response(200, text="new")
    there.now = 2200.0
    assert await there.get() == "new"


async def test_those_of_before_are_used_for_a_day_where_they_cannot_be_had_and_a_failure_is_not_repeated_at_once():
    there = Publisher()
    assert await there.get() == "keys of /a"
    there.answer = lambda path: httpx2.Response(503)
    for at, asked in ((1600.0, 2), (1609.9, 2), (1610.0, 3)):
        there.now = at
        assert (await there.get(), len(there.asked)) == ("keys of /a", asked)
    there.now = 1000.0 + 24 * 3600
    assert await there.get() == "keys of /a"
    there.now += 1
    assert await there.get() == NOWHERE
    there.answer = lambda path: httpx2.Response(200, text="back")
    there.now += 10
    assert await there.get() == "back"


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404),
        httpx2.Response(302, headers={"location": "https://else.test"}),
        httpx2.Response(200, text="x" * 65537),
    ],
)
async def test_what_is_no_answer_is_none(answer):
    there = Publisher()
    there.answer = lambda path: answer
    assert [await there.get(), await there.get()] == [NOWHERE, NOWHERE]
    assert len(there.asked) == 1
    there.now += 10
    assert (await there.get(), len(there.asked)) == (NOWHERE, 2)


async def test_one_asks_for_all_who_wait_and_few_are_asked_for_at_a_time():
    there, found = Publisher(), []
    there.slow = 0.02

    async def get(path: str) -> None:
        found.append(await there.get(path))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(get, "/same")
        for number in range(8):
            tasks.start_soon(get, f"/{number}")
        await anyio.sleep(0.01)
        assert len(there.asked) == keyring.MOST_AT_ONCE
    assert len(there.asked) == 9
    assert sorted(found) == sorted(["keys of /same"] * 20 + [f"keys of /{number}" for number in range(8)])


async def test_one_who_gives_up_waiting_leaves_the_others_their_turn():
    there = Publisher()
    there.slow = 0.05
    with anyio.move_on_after(0.01):
        await there.get()
    assert await there.get() == "keys of /a"


async def test_not_more_than_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(keyring, "MOST", 2)
    there = Publisher()
    for path in ("/a", "/b", "/c", "/b", "/a"):
        await there.get(path)
    assert there.asked == ["/a", "/b", "/c", "/a"]
