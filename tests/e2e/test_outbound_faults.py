"""What sinks do to us, and what each of them hears all the same: real processes, real HTTP, and a model that says what is right."""

from __future__ import annotations

import gzip
import json
import os
import random
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from loopback import read_request, server

from .stand import Gateway, Receiver, wait_for

SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(10**6))))

PROVIDER = """
title: {name}
auth: {{ scheme: none, because: it is a test }}
body: {{ format: json, many: true }}
map:
  action: {{ from: $.action, table: {{ trigger: trigger, acknowledge: acknowledge, resolve: resolve, notice: notice }} }}
  dedup_key: $.key
  severity: {{ from: $.severity, table: {{ info: info, warning: warning, error: error, critical: critical }} }}
  summary: $.summary
{lifecycle}
"""
SINK = """
title: {name}
vars: {{ url: {{ env: SINK_URL }} }}
request:
  url: "{{{{ vars.url }}}}/{name}"
  json: {{ id: $.id, key: $.dedup_key, action: $.action, severity: $.severity, summary: $.summary }}
{extra}
"""
FAST = "retry: { attempts: 50, first_delay: 50ms, max_delay: 100ms }\nbreaker: { failures: 1000, pause: 100ms }\n"
TRIGGER, ACKNOWLEDGE, RESOLVE, NOTICE = "trigger", "acknowledge", "resolve", "notice"
RANK = {"info": 0, "warning": 1, "error": 2, "critical": 3}


def config(folder: Path, sinks: dict[str, str], providers: dict[str, str] | None = None) -> Path:
    """A configuration with these sinks, each with what it says beyond its request."""
    root = folder / "conf"
    for part in ("providers.d", "sinks.d"):
        (root / part).mkdir(parents=True)
    (root / "gateway.yaml").write_text("catalogue: false\n")
    for name, lifecycle in (providers or {"team": ""}).items():
        (root / "providers.d" / f"{name}.yaml").write_text(PROVIDER.format(name=name, lifecycle=lifecycle))
    for name, extra in sinks.items():
        (root / "sinks.d" / f"{name}.yaml").write_text(SINK.format(name=name, extra=extra))
    return root


def tell(gateway: Gateway, *events: dict, provider: str = "team") -> None:
    status, answer = gateway.post(f"/webhooks/{provider}", list(events))
    assert status == 202, answer


def event(key: str, action: str = TRIGGER, severity: str = "error", summary: str = "it broke") -> dict:
    return {"key": key, "action": action, "severity": severity, "summary": summary}


def heard(receiver: Receiver, sink: str) -> list[dict]:
    """Every event that one sink took, in the order of arrival."""
    found = []
    for path, _, body in list(receiver.got):
        if path == f"/{sink}":
            document = json.loads(body)
            found += document if isinstance(document, list) else [document]
    return found


class Model:
    """`docs/words.md` once more, in other words: what each sink must hear of one dedup key, in order."""

    def __init__(self, repeats: bool) -> None:
        self.repeats, self.status, self.worst, self.told = repeats, "", -1, set()
        self.escalates: list[list] = []  # what is owed to the sink that waits: [life, action, summary]
        self.life, self.heard = 0, {"all": [], "worst": [], "ends": []}

    def hear(self, action: str, severity: str, summary: str) -> None:
        wanted = {"all", "ends", "late"} | ({"worst"} if RANK[severity] >= RANK["error"] else set())
        if action == NOTICE:
            return self.say(wanted, action, summary)
        living = self.status in ("open", "acknowledged")
        if action == TRIGGER and not living:
            self.life, self.status, self.worst, self.told = self.life + 1, "open", RANK[severity], set(wanted)
            return self.say(self.told, action, summary)
        if action == TRIGGER:
            rises, new = RANK[severity] > self.worst, wanted - self.told
            self.worst, self.told = max(self.worst, RANK[severity]), self.told | wanted
            return self.say(self.told if rises or self.repeats else new, action, summary)
        if action == ACKNOWLEDGE and self.status == "open":
            self.status = "acknowledged"
            return self.say(self.told, action, summary)
        if action == RESOLVE and living:
            self.status = "resolved"
            return self.say(self.told, action, summary)
        return None

    def say(self, sinks: set[str], action: str, summary: str) -> None:
        for sink in sinks - {"late"}:
            if sink != "ends" or action in (TRIGGER, RESOLVE):
                self.heard[sink].append((action, summary))
        if "late" in sinks and action == NOTICE:
            self.escalates.append([0, action, summary])
        elif "late" in sinks:
            self.escalates.append([self.life, action, summary])

    def late(self) -> list[tuple[str, str]]:
        """What the sink that waits hears, if all of this came before its time was up: only of a last life that is still open."""
        return [
            (action, summary)
            for life, action, summary in self.escalates
            if not life or (life == self.life and self.status == "open")
        ]


def test_each_sink_hears_what_the_model_says_in_its_order_though_it_fails_now_and_then(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    sinks = {
        "all": FAST,
        "worst": FAST + "match: { min_severity: error }\n",
        "ends": FAST + "match: { action: [trigger, resolve] }\nbatch: { events: 3, wait: 10ms, join: array }\n",
        "late": FAST + "escalate_after: 9s\n",
    }
    providers = {"once": "", "again": "lifecycle: { repeats: deliver }"}

    def answer(path, headers, body):
        return (chance.choice([503, 429, 500]), {}, b"") if chance.random() < 0.3 else (200, {}, b"{}")

    models = {(name, f"k{number}"): Model(name == "again") for name in providers for number in range(6)}
    root = config(tmp_path, sinks, providers)
    with Receiver(answer) as receiver, Gateway(tmp_path, config=root, env={"SINK_URL": receiver.url}) as gateway:
        began = time.monotonic()
        for number in range(120):
            (provider, key), model = chance.choice(list(models.items()))
            action = chance.choice([TRIGGER, TRIGGER, TRIGGER, ACKNOWLEDGE, RESOLVE, NOTICE])
            severity, summary = chance.choice(list(RANK)), f"{provider} {key} {number}"
            model.hear(action, severity, summary)
            tell(gateway, event(key, action, severity, summary), provider=provider)
        assert time.monotonic() - began < 8, "too slow for what the model says of the sink that waits"
        wait_for("every delivery", gateway.drained, 30)
        gateway.assert_conserved()
        for sink in sinks:
            arrived: dict[tuple[str, str], list] = {key: [] for key in models}
            for each in heard(receiver, sink):
                arrived[each["summary"].split()[0], each["key"]].append((each["action"], each["summary"]))
            for key, model in models.items():
                right = model.late() if sink == "late" else model.heard[sink]
                told, wanted = [[each for each in all if each[0] != NOTICE] for all in (arrived[key], right)]
                assert told == wanted, (sink, key)
                assert sorted(arrived[key]) == sorted(right), (sink, key)


def test_what_an_outage_held_up_goes_out_once_and_no_faster_than_the_sink_takes_it(tmp_path: Path) -> None:
    up, lock, now, most, begun, refused = threading.Event(), threading.Lock(), [0], [0], [], []

    def answer(path, headers, body):
        if not up.is_set():
            refused.append(time.monotonic())
            return 503, {}, b""
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            begun.append(time.monotonic())
        time.sleep(0.003)
        with lock:
            now[0] -= 1
        return 200, {}, b"{}"

    extra = (
        "limits: { concurrency: 5, rate: 300/s }\nbreaker: { failures: 3, pause: 500ms }\n"
        "retry: { first_delay: 100ms, max_delay: 200ms }\n"
    )
    root = config(tmp_path, {"main": extra})
    with Receiver(answer) as receiver, Gateway(tmp_path, config=root, env={"SINK_URL": receiver.url}) as gateway:
        for first in range(0, 700, 175):
            tell(gateway, *(event(f"k{number}") for number in range(first, first + 175)))
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            assert_conserved_now(gateway)
        assert 4 <= len(refused) <= 3 + 5 + 3  # those that blew it, those beside them, and a probe each time
        up.set()
        while not gateway.drained():
            assert_conserved_now(gateway)
        ids = [each["id"] for each in heard(receiver, "main")]
        assert (len(ids), len(set(ids)), most[0]) == (700, 700, 5)
        busiest = max(sum(1 for other in begun if 0 <= other - each < 1.0) for each in begun)
        assert 50 <= busiest <= 2 * 300 + 5  # what had gathered, and what came to it; a slow machine does not get there
        gateway.assert_conserved()


def assert_conserved_now(gateway: Gateway) -> None:
    for sink, counts in gateway.counts().items():
        assert counts["accepted"] == sum(count for name, count in counts.items() if name != "accepted"), (sink, counts)


def test_a_batch_is_cut_until_its_poison_is_alone_and_everything_else_arrives_once(tmp_path: Path) -> None:
    def answer(path, headers, body):
        events = json.loads(body)
        if len(events) > 5:
            return 413, {}, b"too large"
        return (400, {}, b"poison") if any(each["summary"] == "poison" for each in events) else (200, {}, b"{}")

    extra = "batch: { events: 16, wait: 50ms, join: array }\n" + FAST
    root = config(tmp_path, {"main": extra})
    with Receiver(answer) as receiver, Gateway(tmp_path, config=root, env={"SINK_URL": receiver.url}) as gateway:
        tell(gateway, *(event(f"k{number}", summary="poison" if number % 13 == 0 else "good") for number in range(100)))
        wait_for("every delivery", gateway.drained, 20)
        counts = gateway.assert_conserved()["main"]
        assert {state: count for state, count in counts.items() if count} == {"accepted": 100, "delivered": 92, "dead": 8}
        assert sorted(each["key"] for each in heard(receiver, "main")) == sorted(f"k{n}" for n in range(100) if n % 13)
        (letter, *_) = gateway.all("dead-letters")
        assert gateway.api(f"/deliveries/{letter['id']}")["verdict"] == "answered 400"


HOSTILE = {
    "half a character": (b"+2AA-", {"content-type": "text/plain; charset=utf-7"}),
    "minutes to decode": (b"b" * 1_000_000, {"content-type": "text/plain; charset=punycode"}),
    "a bomb": (gzip.compress(b"0" * 50_000_000), {"content-encoding": "gzip"}),
    "a secret": (b"you sent Bearer hunter22 and aHVudGVyMjI=", {}),
    "a terminal": (b"\x1b[2J\x1b]0;owned\x07\x00\xff", {}),
    "a brief promise": (b"x", {"content-length": "1000000"}),
}


def test_whatever_a_sink_answers_each_event_is_sent_once_and_no_secret_is_kept(tmp_path: Path) -> None:
    def answer(path, headers, body):
        content, more = HOSTILE[json.loads(body)["summary"]]
        return 200, more, content

    extra = "auth: { scheme: bearer, token: { env: TOKEN } }\nlimits: { timeout: 1s }\nretry: { attempts: 1 }\n"
    root = config(tmp_path, {"main": extra})
    env = {"TOKEN": "hunter22"}
    with Receiver(answer) as receiver, Gateway(tmp_path, config=root, env=env | {"SINK_URL": receiver.url}) as gateway:
        for number, summary in enumerate(HOSTILE):
            tell(gateway, event(f"k{number}", summary=summary))
        began = time.monotonic()
        wait_for("every delivery", gateway.drained, 10)
        assert time.monotonic() - began < 5.0
        counts = gateway.assert_conserved()["main"]
        assert {state: count for state, count in counts.items() if count} == {"accepted": 6, "delivered": 5, "dead": 1}
        assert len(receiver.got) == len(HOSTILE)
        shown = {each["id"]: gateway.api(f"/deliveries/{each['id']}") for each in gateway.all("deliveries")}
        assert "hunter22" not in json.dumps(shown)
        assert "hunter22" not in gateway.log.read_text()
        assert "gateway.fault" not in gateway.log.read_text()
        assert "you sent Bearer *** and" in json.dumps(shown)


def test_a_sink_that_hangs_drips_or_breaks_off_slows_no_other_and_keeps_no_descriptor(tmp_path: Path) -> None:
    def hang(connection):
        read_request(connection)
        time.sleep(10)

    def drip(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.1)

    def drip_its_head(connection):
        read_request(connection)
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    def break_off(connection):
        read_request(connection)

    extra = (
        "limits: { timeout: 300ms, concurrency: 8 }\nretry: { attempts: 2, first_delay: 10ms, max_delay: 10ms }\n"
        "breaker: { failures: 100000 }\n"
    )
    late: list[float] = []

    def answer(path, headers, body):
        late.append(time.time() - float(json.loads(body)["summary"]))
        return 200, {}, b"{}"

    talks = {"hanging": hang, "dripping": drip, "slow": drip_its_head, "broken": break_off}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(server(talk)) for name, talk in talks.items()}
        root = config(tmp_path, dict.fromkeys(talks, extra) | {"good": ""})
        for name, port in ports.items():
            file = root / "sinks.d" / f"{name}.yaml"
            file.write_text(
                file.read_text().replace("vars: { url: { env: SINK_URL } }", f"vars: {{ url: {{ env: URL_{port} }} }}")
            )
        env = {f"URL_{port}": f"http://127.0.0.1:{port}" for port in ports.values()}
        receiver = stack.enter_context(Receiver(answer))
        gateway = stack.enter_context(Gateway(tmp_path, config=root, env=env | {"SINK_URL": receiver.url}))
        assert gateway.process is not None
        descriptors = Path(f"/proc/{gateway.process.pid}/fd")
        tell(gateway, event("first", summary=str(time.time())))
        wait_for("the first", lambda: late)
        before = len(list(descriptors.iterdir()))
        for number in range(60):
            tell(gateway, event(f"k{number}", summary=str(time.time())))
            time.sleep(0.02)
        wait_for("the healthy one", lambda: len(late) == 61, 5)
        assert sorted(late[1:])[57] < 1.0  # one that waited for the others would take many times as long
        wait_for("every delivery", gateway.drained, 30)
        counts = gateway.assert_conserved()
        assert {name: counts[name]["dead"] for name in talks} == dict.fromkeys(talks, 61)
        wait_for("the descriptors", lambda: len(list(descriptors.iterdir())) <= before + 2, 5)
        verdicts = {gateway.api(f"/deliveries/{each['id']}")["verdict"] for each in gateway.all("deliveries")[:40]}
        assert verdicts == {
            "answered 200",
            "no answer within 0.3 s; given up after 2 tries",
            "the connection broke: it was closed before an answer came; given up after 2 tries",
        }
