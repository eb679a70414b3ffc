"""Many at once, the same thing twice, and a stop under load."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .stand import Gateway, Receiver, wait_for
from .test_serve import alert, config, fire, started

TEAM = """
title: Team
auth: {{ scheme: {scheme} }}
body: {{ format: auto }}
delivery_id: "{{{{ headers['x-delivery'] }}}}"
map:
  action: {{ from: $.state, table: {{ down: trigger, seen: acknowledge, up: resolve }}, absent: trigger }}
  dedup_key: $.id
  severity: {{ from: $.level, table: {{ bad: critical }}, default: error }}
  summary: $.id
  details: $
"""


def team(root: Path, scheme: str = "token, header: X-Token, token: { env: TEAM_TOKEN }", name: str = "team") -> None:
    (root / "providers.d" / f"{name}.yaml").write_text(TEAM.format(scheme=scheme))


def test_of_many_at_once_with_one_delivery_id_one_is_taken_and_all_are_told_the_same(tmp_path):
    root = config(tmp_path, main={})
    team(root)
    with Receiver() as receiver, started(tmp_path, root, MAIN_URL=receiver.url, TEAM_TOKEN="t") as gateway:
        headers = {"x-token": "t", "x-delivery": "one"}
        with ThreadPoolExecutor(40) as pool:
            answers = list(
                pool.map(lambda _: gateway.post("/webhooks/team", {"id": "a", "state": "down"}, **headers), range(120))
            )
        wait_for("the delivery", gateway.drained)
        counts = gateway.assert_conserved()
        events = gateway.all("events")
    assert {status for status, _ in answers} == {202}
    assert Counter(receipt.get("duplicate", False) for _, receipt in answers) == {False: 1, True: 119}
    assert len({receipt["webhook_id"] for _, receipt in answers}) == 1
    assert (len(events), counts["main"]["accepted"], len(receiver.got)) == (1, 1, 1)


def test_of_one_incident_hammered_from_all_sides_each_life_is_told_whole_and_in_order(tmp_path):
    chance = random.Random(20261125)
    root = config(tmp_path, main={"timeout": "5s"})
    team(root)
    moves = [chance.choice(["down", "down", "up", "seen"]) for _ in range(600)]
    with Receiver() as receiver, started(tmp_path, root, MAIN_URL=receiver.url, TEAM_TOKEN="t") as gateway:
        with ThreadPoolExecutor(24) as pool:
            statuses = Counter(
                pool.map(lambda state: gateway.post("/webhooks/team", {"id": "k", "state": state}, **{"x-token": "t"})[0], moves)
            )
        gateway.post("/webhooks/team", {"id": "k", "state": "up"}, **{"x-token": "t"})
        wait_for("every delivery", gateway.drained, 60)
        gateway.assert_conserved()
        events, incidents = {event["id"]: event for event in gateway.all("events")}, gateway.all("incidents")
    assert statuses == {202: 600}
    told: dict[str, list[str]] = {}
    for document in receiver.documents():
        told.setdefault(events[document["id"]]["incident_id"], []).append(document["action"])
    assert {incident["status"] for incident in incidents} == {"resolved"}
    assert set(told) == {incident["id"] for incident in incidents}
    lives = Counter(tuple(actions) for actions in told.values())
    assert set(lives) <= {("trigger", "resolve"), ("trigger", "acknowledge", "resolve")}, lives
    assert sum(incident["triggers"] for incident in incidents) == sum(move == "down" for move in moves)


def test_a_stop_under_load_answers_or_refuses_and_what_was_taken_arrives(tmp_path):
    root = config(tmp_path, main={})
    taken: list[str] = []
    odd: list[object] = []
    stop = threading.Event()

    def send(gateway: Gateway, number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            try:
                status, receipt = gateway.post("/webhooks/prometheus", alert(f"{number}-{count}"), authorization="Bearer t0ken")
            except OSError:
                return  # the port is closed
            if status == 202:
                taken.append(receipt["events"][0]["id"])
            elif status != 503:
                odd.append((status, receipt))

    with Receiver() as receiver, started(tmp_path, root, MAIN_URL=receiver.url) as gateway:
        senders = [threading.Thread(target=send, args=(gateway, number)) for number in range(8)]
        for sender in senders:
            sender.start()
        wait_for("some load", lambda: len(taken) > 100)
        assert gateway.stop() == 0
        stop.set()
        for sender in senders:
            sender.join()
        gateway.start()
        wait_for("the rest", gateway.drained, 60)
        gateway.assert_conserved()
        arrived = Counter(document["id"] for document in receiver.documents())
    assert odd == []
    assert set(taken) <= set(arrived)
    assert arrived.most_common(1)[0][1] == 1, "a clean stop doubles nothing"


def test_what_a_sender_writes_breaks_no_line_of_the_log(tmp_path):
    root = config(tmp_path, main={})
    team(root)
    hostile = 'x\r\n{"level":"info","event":"forged"}\x1b[2J\u2028\u202e'
    with Receiver() as receiver, started(tmp_path, root, MAIN_URL=receiver.url, TEAM_TOKEN="t") as gateway:
        gateway.post("/webhooks/team", {"id": hostile, "state": hostile}, **{"x-token": "t"})
        gateway.post("/webhooks/" + "%0d%0a%1b[2J", {}, **{"x-token": "t"})
        fire(gateway, "a")
        wait_for("the delivery", gateway.drained)
        gateway.assert_conserved()
        lines = gateway.log.read_bytes().split(b"\n")
    events = [json.loads(line)["event"] for line in lines if line]
    assert "forged" not in events
    assert not any(byte in b"".join(lines) for byte in (b"\x1b", b"\r", "\u2028".encode(), "\u202e".encode()))
