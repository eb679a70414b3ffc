"""A token that a proxy repeats elsewhere in the request is not kept: not in the database, not in what the API shows."""

from __future__ import annotations

import pytest

from .house_stand import house

pytestmark = pytest.mark.anyio
TOKEN = "t0ken-of-team"
DOWN = {"items": [{"id": "db-1", "state": "down", "level": "bad", "text": "db-1 is down"}]}
REPEATED = {
    "x-original-uri": f"/webhooks/team?token={TOKEN}",
    "referer": f"https://proxy.test/?a=1&key={TOKEN}&b",
    "x-forwarded-authorization": f"Bearer {TOKEN}",
    "x-plain": "kept",
}


async def test_a_token_that_is_repeated_is_kept_nowhere(tmp_path):
    async with house(tmp_path) as here:
        answer = await here.call("POST", f"/webhooks/team?copy={TOKEN}&a=1", json=DOWN, headers={"x-token": TOKEN, **REPEATED})
        assert answer.status_code == 202
        kept = await here.pipeline.store.webhook(answer.json()["webhook_id"])
        assert {name: kept.headers.get(name) for name in REPEATED} == {
            "x-original-uri": "/webhooks/team?token=***",
            "referer": "https://proxy.test/?a=1&key=***&b",
            "x-forwarded-authorization": "Bearer ***",
            "x-plain": "kept",
        }
        assert kept.query == {"copy": "***", "a": "1"}
        everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*.db*") if file.is_file())
        assert b"db-1 is down" in everything
        assert TOKEN.encode() not in everything
