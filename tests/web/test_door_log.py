"""What the log says of a webhook: one line each, with what the sender must not hear and without what nobody may read."""

from __future__ import annotations

import io
import json

import pytest

from gateway import telemetry

from .house_stand import house

pytestmark = pytest.mark.anyio
DOWN = {"id": "db-1", "state": "down", "level": "bad", "text": "db-1 is down"}


@pytest.fixture
def log():
    stream = io.StringIO()
    telemetry.set_up(dev=False, mask=lambda text: text.replace("t0ken-of-team", "***"), stream=stream)

    def lines():
        telemetry.finish()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield lines
    telemetry.set_up(dev=False, mask=str)


REFUSALS = {
    "a wrong token": (
        "/webhooks/team",
        {"x-token": "wrong"},
        ("team", "verify", "mismatch", 401, "X-Token does not carry the token"),
    ),
    "a secret that is not set": (
        "/webhooks/shut",
        {"x-token": "x"},
        ("shut", "verify", "secret_unset", 503, "SHUT_TOKEN is not set"),
    ),
    "nobody": ("/webhooks/x%0A%1B%5B31m", {}, ("", "receive", "provider", 404, r"there is no provider 'x\n\x1b[31m' here")),
    "a type that steers": (
        "/webhooks/team",
        {"x-token": "t0ken-of-team", "content-type": "text/x\x1b[31m"},
        ("team", "decode", "media_type", 415, r"JSON or a form is expected here, and a body of the type 'text/x\x1b[31m' came"),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_one_line_that_says_why(tmp_path, log, name):
    path, headers, (provider, stage, reason, status, message) = REFUSALS[name]
    async with house(tmp_path) as here:
        answer = await here.call(
            "POST", path, content=b"{}", headers={name.encode(): value.encode() for name, value in headers.items()}
        )
    (line,) = log()
    del line["ts"]
    assert answer.status_code == status
    assert line == {"level": "warning", "event": "webhook.refused", "provider": provider, "stage": stage, "reason": reason} | {
        "message": message,
        "status": status,
        "client": "127.0.0.1",
    }
    assert "SHUT_TOKEN" not in answer.text


async def test_what_is_taken_is_one_line_and_a_secret_in_it_is_masked(tmp_path, log):
    async with house(tmp_path) as here:
        receipt = await here.told(DOWN, {"id": "x", "state": "t0ken-of-team\n\x1b[2J", "text": "x"})
    (line,) = log()
    del line["ts"]
    seconds = line.pop("seconds")
    assert 0 < seconds < 5
    assert line == {
        "level": "warning",
        "event": "webhook.taken",
        "provider": "team",
        "webhook_id": receipt["webhook_id"],
        "client": "127.0.0.1",
    } | {
        "outcome": "accepted",
        "events": 1,
        "actions": ["trigger"],
        "incidents": [receipt["events"][0]["id"]],
        "ignored": 0,
        "filtered": 0,
        "dead": [r"1: action: '***\n\x1b[2J' is in no row of the table, and there is no default"],
        "bytes": line["bytes"],
    }
